"""How co-occurrence sums enter log-odds."""

from __future__ import annotations

import math

import pytest
import torch

from slategym.models.closed_form.cooccurrence import FLOOR, LEAST, Sums


def users(generator: torch.Generator) -> torch.Tensor:
    """Sums of four users, eight items, of transitions (not negative), EASE and a third kind."""
    value_BTN = torch.randn(4, 3, 8, generator=generator)
    value_BTN[:, 0].abs_()
    return value_BTN


def test_evidence_by_hand() -> None:
    value_BTN = users(torch.Generator().manual_seed(0))
    told_BTN = Sums.of(value_BTN).evidence()
    for b in range(4):
        for t in range(3):
            sums = value_BTN[b, t].tolist()
            size = math.sqrt(sum(x * x for x in sums) / len(sums)) + LEAST
            for n, x in enumerate(sums):
                in_units = x / (size if t else FLOOR)
                wanted = math.copysign(math.log1p(abs(in_units)), in_units)
                assert float(told_BTN[b, t, n]) == pytest.approx(wanted, rel=1e-5)


def test_a_longer_history_of_the_same_kind_says_the_same_of_ease() -> None:
    """Sums that forget nothing grow with every click; what they say is in their differences."""
    value_BTN = users(torch.Generator().manual_seed(1))
    once, often = Sums.of(value_BTN).evidence(), Sums.of(100.0 * value_BTN).evidence()
    torch.testing.assert_close(once[:, 1:], often[:, 1:], atol=0.05, rtol=0)
    assert (often[:, 0] - once[:, 0]).min() > 1.0


def test_nothing_is_known_of_users_who_did_nothing() -> None:
    assert (Sums.of(torch.zeros(2, 2, 5)).evidence() == 0.0).all()
    assert (Sums.of(torch.zeros(2, 2, 5)).length == 0.0).all()  # of which nothing is said
    lengths = Sums.of(torch.zeros(3, 2, 5), None, torch.tensor([0, 31, 63])).length[:, 0]
    torch.testing.assert_close(lengths, torch.tensor([1 / 32, 1.0, 2.0]).log())
    assert (Sums.of(torch.zeros(2, 1, 5)).evidence() == 0.0).all()  # transitions alone


def test_some_items_or_users_are_told_in_the_units_of_all_items() -> None:
    sums = Sums.of(users(torch.Generator().manual_seed(2)))
    whole, at_A = sums.evidence(), torch.tensor([6, 1, 3])
    assert torch.equal(sums.at_items(at_A).evidence(), whole[..., at_A])
    id_BC = torch.tensor([[0, 7], [3, 3], [1, 2], [5, 4]])
    for b, told_TC in enumerate(sums.evidence(id_BC)):
        assert torch.equal(told_TC, whole[b][:, id_BC[b]])
    at_x = torch.tensor([2, 0])
    assert torch.equal(sums.of_users(at_x).evidence(), whole[at_x])
