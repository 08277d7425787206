"""Hyper-actions by hand: what they show, and what a slate stands for."""

from __future__ import annotations

import pytest
import torch

from slategym.agents.core.ensemble import Ensemble
from slategym.agents.latent.hyper_action import ItemKernel, inferred, rows, what_it_shows, width_of
from slategym.envs.names import UsageError

PHI = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], [[0.0, 1.0], [1.0, 0.0], [0.0, -1.0]]])
HALF = 0.5**0.5


def test_a_slate_stands_for_the_mean_of_its_items_on_the_sphere() -> None:
    id_SMK = torch.tensor([[[0, 1]], [[0, 1]]])
    both = inferred(PHI, id_SMK, torch.ones(2, 1, 2))
    torch.testing.assert_close(both, torch.full((2, 1, 2), HALF))
    second_empty = inferred(PHI, id_SMK, torch.tensor([1.0, 0.0]).expand(2, 1, 2))
    torch.testing.assert_close(second_empty[:, 0], PHI[:, 0])


def test_it_shows_what_lies_furthest_along_it() -> None:
    hyper_SME = torch.tensor([[[0.9, 0.1]], [[0.9, 0.1]]])
    first = what_it_shows(PHI, hyper_SME, 1)
    torch.testing.assert_close(first, torch.tensor([[[1.0, 0.0]], [[1.0, 0.0]]]))
    torch.testing.assert_close(what_it_shows(PHI, hyper_SME, 2), torch.full((2, 1, 2), HALF))


def test_every_seed_reads_its_own_table() -> None:
    id_SMK = torch.tensor([[[2]], [[2]]], dtype=torch.int32)
    assert rows(PHI, id_SMK)[:, 0, 0].tolist() == [[-1.0, 0.0], [0.0, -1.0]]


def test_items_begin_as_far_apart_as_they_are() -> None:
    vectors_ND = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    unit_ND = torch.nn.functional.normalize(vectors_ND, dim=1)
    kernel = Ensemble(lambda: ItemKernel(4, 4), [5], torch.device("cpu"))
    with torch.no_grad():
        phi_NE = kernel(vectors_ND[None])[0]
    torch.testing.assert_close(phi_NE @ phi_NE.T, unit_ND @ unit_ND.T)


def test_no_wider_than_the_items() -> None:
    assert (width_of(None, 20), width_of(None, 384), width_of(7, 20)) == (20, 32, 7)
    with pytest.raises(UsageError, match=r"width must be in \[1, 20\], .* got 21"):
        width_of(21, 20)
