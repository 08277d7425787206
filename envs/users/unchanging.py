"""Any people, but such as nothing changes: for negative controls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from slategym.envs.luck import Luck
from slategym.envs.protocols import UserModel
from slategym.envs.types import Arrival, Context, Items, Signal

MOVES = ("evolve", "leave", "away")  # methods by which people change, go and stay away


def changes(model: UserModel[Any]) -> bool:
    """Whether anything can happen to people of this model."""
    return any(getattr(type(model), name) is not getattr(UserModel, name) for name in MOVES)


@dataclass(frozen=True)
class Unchanging(UserModel[Any]):
    """People who judge as the inner model does on arrival, for good, and never leave."""

    inner: UserModel[Any]

    @property
    def signals(self) -> tuple[Signal, ...]:
        """The inner model's."""
        return self.inner.signals

    def initial(self, arrival: Arrival, luck: Luck) -> Any:
        """The inner model's."""
        return self.inner.initial(arrival, luck)

    def appeal(self, state: Any, items: Items, context: Context) -> Tensor:
        """The inner model's, (B, K)."""
        return self.inner.appeal(state, items, context)

    def respond(
        self, state: Any, items: Items, context: Context, luck: Luck
    ) -> tuple[Tensor, Tensor]:
        """The inner model's."""
        return self.inner.respond(state, items, context, luck)

    def reveal(self, state: Any) -> Tensor | None:
        """The inner model's."""
        return self.inner.reveal(state)

    def known(self, revealed_BR: Tensor) -> Any | None:
        """The inner model's."""
        return self.inner.known(revealed_BR)
