"""People whose tastes stand in a table: what a fitted model says of them, once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from slategym.envs.luck import Luck
from slategym.envs.protocols import UserModel
from slategym.envs.types import Arrival, Catalogue, Context, Items, Signal


@dataclass(frozen=True)
class Tabled(UserModel[Tensor]):
    """Appeal and mean signals of every item, a row per person; nothing changes them.

    The state is the person's row, (B,) int64.
    """

    inner: UserModel[Any]  # of whom the table tells
    appeal_table: Tensor  # (Q, N) float32, log-odds
    mean_table: Tensor  # (Q, N, M) float32, or broadcastable to it

    @property
    def signals(self) -> tuple[Signal, ...]:
        """The inner model's."""
        return self.inner.signals

    def initial(self, arrival: Arrival, luck: Luck) -> Tensor:
        """The first rows, in order."""
        return torch.arange(len(arrival.user_id), device=arrival.user_id.device)

    def appeal(self, state: Tensor, items: Items, context: Context) -> Tensor:
        """As in the table, (B, K)."""
        return self.appeal_table[state[:, None], items.id.long()]

    def respond(
        self, state: Tensor, items: Items, context: Context, luck: Luck
    ) -> tuple[Tensor, Tensor]:
        """The mean, for a sample as well."""
        Q, N = self.appeal_table.shape
        mean_QNM = self.mean_table.expand(Q, N, len(self.signals))
        mean_BKM = mean_QNM[state[:, None], items.id.long()]
        return mean_BKM, mean_BKM

    def outlook(
        self, state: Tensor, catalogue: Catalogue, context: Context, luck: Luck
    ) -> tuple[Tensor, Tensor]:
        """The rows of the table."""
        Q = len(self.appeal_table)
        return self.appeal_table[state], self.mean_table.expand(Q, -1, -1)[state]
