"""Item-to-item scores summed over a fading history.

Score of item j: sum over a user's clicks i of weight[i, j] * fade^(clicks since). The sum is the
whole state, so a click costs one row of N numbers however long the history.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Fading:
    """Scores that are linear in what a user has taken up."""

    name: str
    weight_NN: Tensor  # float32; row: taken up, column: what it speaks for
    fade: float  # what is left of a click's weight after one more click, in (0, 1]; 1: all of it

    def __post_init__(self) -> None:
        if not 0 < self.fade <= 1:
            raise ValueError(f"fade is what is left after a click, in (0, 1], got {self.fade}")

    def initial(self, history_BH: Tensor) -> Tensor:
        """The weighted sum over a history, (B, N)."""
        used_BH = history_BH >= 0
        later_BH = used_BH.flip(1).cumsum(1).flip(1) - 1  # clicks after each one
        weight_BH = torch.where(used_BH, self.fade**later_BH, 0.0)
        return F.embedding_bag(
            history_BH.clamp(min=0).long(),
            self.weight_NN,
            per_sample_weights=weight_BH.to(self.weight_NN.dtype),
            mode="sum",
        )

    def after(self, state: Tensor, item_B: Tensor, took_B: Tensor) -> Tensor:
        """The sum, faded once, and the new item's row."""
        kept_B1 = torch.where(took_B, self.fade, 1.0)[:, None]
        added_BN = F.embedding(item_B.long(), self.weight_NN) * took_B[:, None]
        return torch.addcmul(added_BN, state, kept_B1)

    def score(self, state: Tensor) -> Tensor:
        """The sum itself."""
        return state


@dataclass(frozen=True)
class FadingPair:
    """One sum plus the logarithm of another: evidence that adds beside evidence that multiplies."""

    name: str
    linear: Fading
    logged: Fading  # not negative
    weight: float  # of the logarithm
    floor: float  # added before it is taken, so that no evidence is not minus infinity

    def initial(self, history_BH: Tensor) -> tuple[Tensor, Tensor]:
        """Both sums."""
        return self.linear.initial(history_BH), self.logged.initial(history_BH)

    def after(
        self, state: tuple[Tensor, Tensor], item_B: Tensor, took_B: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Both sums, one click on."""
        linear_BN, logged_BN = state
        return (
            self.linear.after(linear_BN, item_B, took_B),
            self.logged.after(logged_BN, item_B, took_B),
        )

    def score(self, state: tuple[Tensor, Tensor]) -> Tensor:
        """Linear + weight * log(logged + floor), (B, N)."""
        linear_BN, logged_BN = state
        return linear_BN + self.weight * (logged_BN + self.floor).log()


@dataclass(frozen=True)
class Popular:
    """The same for everybody: clicks of the rows it was fitted on."""

    count_N: Tensor  # float32
    name: str = "popularity"

    def initial(self, history_BH: Tensor) -> Tensor:
        """Nothing need be known: (B, 0)."""
        return self.count_N.new_zeros(history_BH.shape[0], 0)

    def after(self, state: Tensor, item_B: Tensor, took_B: Tensor) -> Tensor:
        """Nothing changes."""
        return state

    def score(self, state: Tensor) -> Tensor:
        """The counts, (B, N)."""
        return self.count_N.expand(state.shape[0], -1)
