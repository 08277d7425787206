"""Worlds and user models from another package whose static twin would be the world itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from five_items import five_items
from torch import Tensor

from slategym.envs.check import ContractError, check_user_model
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.protocols import UserModel
from slategym.envs.registry import WORLDS, WorldEntry, make_world
from slategym.envs.types import Arrival, Context, Items, World


def forgets_static(static: bool = False) -> World:
    return five_items()


def heeds_static(static: bool = False) -> World:
    return replace(five_items(), horizon=3) if static else five_items()


def test_a_twin_that_is_the_world_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for make in (forgets_static, heeds_static):
        entry = WorldEntry(f"{make.__module__}:{make.__name__}", "of another package")
        monkeypatch.setitem(WORLDS, f"slategym/{make.__name__}-v0", entry)
    assert make_world("forgets_static-v0").name == "five items"
    assert make_world("forgets_static-v0", static=False).horizon == 8
    with pytest.raises(UsageError, match="built the same with static=True as without"):
        make_world("forgets_static-v0", static=True)
    assert make_world("heeds_static-v0", static=True).horizon == 3


@dataclass(frozen=True)
class Counts(UserModel[Tensor]):
    """Counts slates; what comes of it is up to those below."""

    def initial(self, arrival: Arrival, luck: Luck) -> Tensor:
        return torch.zeros_like(arrival.user_id, dtype=torch.float32)

    def appeal(self, state: Tensor, items: Items, context: Context) -> Tensor:
        return torch.zeros_like(items.id, dtype=torch.float32) - state[:, None]

    def evolve(
        self, state: Tensor, items: Items, feedback: Tensor, context: Context, luck: Luck
    ) -> Tensor:
        return state + 1.0


class Forgets(Counts):
    """Writes a new state and returns the old one."""

    def evolve(
        self, state: Tensor, items: Items, feedback: Tensor, context: Context, luck: Luck
    ) -> Tensor:
        _ = state + 1.0
        return state


class Leaves(Forgets):
    """Nobody changes, but some go."""

    def leave(self, state: Tensor) -> Tensor:
        return torch.full_like(state, 0.1)


class Stays(Forgets):
    """Says of leaving that nobody does."""

    def leave(self, state: Tensor) -> Tensor:
        return torch.zeros_like(state)


def test_who_writes_of_change_has_somebody_change() -> None:
    for model in (Counts(), Leaves()):
        check_user_model(model)
    for model in (Forgets(), Stays()):
        with pytest.raises(
            ContractError, match=r"changed nobody in 12 slates.*its own static twin"
        ):
            check_user_model(model)
