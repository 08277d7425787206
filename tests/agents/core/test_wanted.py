"""What the slates of a session say is wanted: the normal equations, and what says nothing."""

from __future__ import annotations

import torch

from slategym.agents.core.wanted import wanted
from slategym.envs.types import PastSlates

ITEMS = torch.eye(3)  # three items that have nothing in common


def past(*slates: tuple[list[int], list[int]]) -> PastSlates:
    """One user's slates, oldest first: items, and whether each was clicked."""
    id_1PK = torch.tensor([[items for items, _ in slates]], dtype=torch.int32)
    taken_1PK = torch.tensor([[taken for _, taken in slates]], dtype=torch.bool)
    return PastSlates(id_1PK, taken_1PK)


def test_it_is_the_posterior_mean() -> None:
    """By hand: (X'X + 1)^-1 X'y with items that overlap."""
    items = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    seen = past(([1, 0], [0, 1]))  # the second of two: x = (.6, .8) passed over, (1, 0) clicked
    square = torch.tensor([[0.36 + 1 + 1, 0.48], [0.48, 0.64 + 1]])
    torch.testing.assert_close(
        wanted(seen, items), (square.inverse() @ torch.tensor([1.0, 0.0]))[None]
    )


def test_an_item_counts_against_only_above_a_click() -> None:
    above, below = past(([0, 1], [0, 1])), past(([1, 0], [1, 0]))
    refused = past(([0, 1], [0, 0]))
    first_0, first_1 = past(([0, 1], [1, 0])), past(([0, 1], [0, 0]), ([0, 1], [1, 0]))
    assert wanted(above, ITEMS)[0].tolist() == [0.0, 0.5, 0.0]
    assert torch.equal(wanted(above, ITEMS), wanted(below, ITEMS))  # never clicked: no evidence
    assert not wanted(refused, ITEMS).any()
    assert torch.equal(wanted(first_0, ITEMS), wanted(first_1, ITEMS))
    passed, clicked = past(([0, 1], [1, 1])), past(([0, 1], [1, 1]), ([0, 1], [0, 1]))
    assert wanted(clicked, ITEMS)[0, 0] < wanted(passed, ITEMS)[0, 0]


def test_empty_slots_and_slates_not_yet_shown_say_nothing() -> None:
    known = past(([0, 1], [1, 0]))
    longer = past(([-1, -1], [0, 0]), ([-1, 0], [0, 1]))
    assert torch.equal(wanted(known, ITEMS), wanted(longer, ITEMS))
