"""What a person looks at: items of a slate, or of the catalogue, at one moment."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from slategym.envs.types import Context, Items


@dataclass(frozen=True)
class Look:
    """Items before a person, and what every part asks about them."""

    items: Items  # (B, K)
    context: Context
    topic_BK: Tensor  # int64
    liking_BK: Tensor  # float32, log-odds by which the person likes the item's topic
    day_B: Tensor  # float32, days since the first visit
    num_topics: int  # G

    @property
    def first_BK(self) -> Tensor:
        """Slots that repeat no earlier one, bool; the others are empty."""
        id_BK = self.items.id
        return ~(id_BK[:, :, None] == id_BK[:, None, :]).tril(-1).any(2)

    def column(self, name: str) -> Tensor:
        """A column of the items, (B, K) float32, in its own unit."""
        return self.items.attribute(name)

    def by_topic(self, x_BK: Tensor) -> Tensor:
        """Sums over the slots of each topic, (B, G)."""
        none_BG = torch.zeros(len(x_BK), self.num_topics, dtype=x_BK.dtype, device=x_BK.device)
        return none_BG.scatter_add(1, self.topic_BK, x_BK)

    def of_topic(self, x_BG: Tensor) -> Tensor:
        """Each item's topic's value, (B, K)."""
        return x_BG.gather(1, self.topic_BK)


@dataclass(frozen=True)
class Score:
    """Log-odds of what follows a click: offset + worth * worth + columns weighted.

    The worth of an item to a person is made of its quality, of liking and of what effects add.
    """

    offset: float = 0.0
    worth: float = 1.0
    columns: tuple[tuple[str, float], ...] = ()  # item column, log-odds per unit

    def __call__(self, worth_BK: Tensor, look: Look) -> Tensor:
        """Log-odds, (B, K)."""
        score_BK = self.offset + self.worth * worth_BK
        for name, weight in self.columns:
            score_BK = score_BK + weight * look.column(name)
        return score_BK
