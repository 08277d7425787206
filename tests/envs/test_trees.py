"""States leaf by leaf."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from slategym.envs.trees import at_rows


@dataclass(frozen=True)
class State:
    """Some leaves, one of them stepped over in memory, one shared by all rows."""

    number: Tensor
    table: tuple[Tensor, Tensor]
    name: str


def test_rows_are_those_that_were_asked_for() -> None:
    number_B = torch.arange(5)
    table_B32 = torch.rand(2, 3, 5).permute(2, 1, 0)
    state = State(number_B, (table_B32, torch.rand(1, 4).expand(5, -1)), "users")
    keep_B = torch.tensor([True, False, True, True, False])
    found = at_rows(state, keep_B.nonzero()[:, 0])
    assert found.name == "users"
    assert found.number.tolist() == [0, 2, 3]
    for ours, all_rows in zip(found.table, state.table, strict=True):
        assert torch.equal(ours, all_rows[keep_B])
        assert ours.data_ptr() != all_rows.data_ptr()
    assert torch.equal(at_rows(state, torch.tensor([4, 4])).number, torch.tensor([4, 4]))
