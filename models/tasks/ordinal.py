"""Signals on a scale of levels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from slategym.envs.types import Signal
from slategym.models.tasks.scaled import Scaled
from slategym.models.tasks.types import TINY, Array, Pool, range_rmse

SPREAD = 0.9  # of a level around its mean, quarters of the range: .9 stars of 1 to 5


@dataclass(frozen=True)
class Ordinal(Scaled):
    """Levels at equal distances: a normal cut half way between them.

    Where a binary signal is derived from it (a like: `cut` and more), the binary one is drawn first
    by its own head, and the level from the normal on that side of the cut.
    """

    signal: Signal
    given: str | None = None
    cut: float = math.nan  # lowest value at which the signal called `given` is 1
    calibrated: bool = False
    pool: Pool = "mean"
    usual_ease: float = 1.0

    @property
    def scale(self) -> float:
        """A quarter of the range: what outputs count in. 1 for stars from 1 to 5."""
        return (self.signal.high - self.signal.low) / 4.0

    @property
    def declared_start(self) -> float:
        """The middle of the range."""
        return (self.signal.high + self.signal.low) / 2.0 / self.scale

    @property
    def spread(self) -> float:
        """Standard deviation around the mean, in the signal's unit; stated, not measured."""
        return SPREAD * self.scale

    @property
    def steps(self) -> int:
        """Levels above the lowest."""
        return round((self.signal.high - self.signal.low) / self.signal.step)

    @property
    def num_levels(self) -> int:
        """The levels and the unobserved."""
        return self.steps + 2

    def fitted(self, value_x: Array) -> Ordinal:
        """Itself: its scale is declared."""
        return self

    def measured(self, output_x: Array, value_x: Array) -> Ordinal:
        """Itself: its spread is stated."""
        return self

    def level(self, value_x: Tensor) -> Tensor:
        """The lowest level is 1."""
        low, step, high = self.signal.low, self.signal.step, self.signal.high
        within_x = (value_x >= low - 0.5 * step) & (value_x <= high + 0.5 * step)
        place_x = ((value_x.nan_to_num() - low) / step).round().clamp(0, self.steps)
        return torch.where(within_x, place_x.long() + 1, 0)

    def held_out_loss(self, output_x: Array, value_x: Array) -> Array:
        """Squared error of the clipped output, in quarters of the range."""
        loss_x: Array = np.square(self._clipped(output_x) - value_x / self.scale)
        return loss_x

    def mean(self, output_x: Tensor, given_x: Tensor | None) -> Tensor:
        """Of the cut normal, on either side of the cut where there is one."""
        below = self._below(output_x)
        low, step = self.signal.low, self.signal.step
        if given_x is None:
            mean_x = torch.full_like(output_x, low)
            for below_x in below:
                mean_x = mean_x + step * (1.0 - below_x)
            return mean_x
        at = self._first_given
        over, under = self._sides(below)
        liked_x = torch.full_like(output_x, low + step * at)
        other_x = torch.full_like(output_x, low + step * (at - 1))
        for over_x in over:
            liked_x = liked_x + step * over_x
        for place, under_x in enumerate(under):
            other_x = other_x - step * (at - 1 - place) * under_x
        return given_x * liked_x + (1.0 - given_x) * other_x

    def sample(self, output_x: Tensor, uniform_x: Tensor, given_x: Tensor | None) -> Tensor:
        """A level."""
        below = self._below(output_x)
        low, step = self.signal.low, self.signal.step
        if given_x is None:
            value_x = torch.full_like(output_x, low)
            for below_x in below:
                value_x = value_x + step * (uniform_x >= below_x).float()
            return value_x
        at = self._first_given
        over, under = self._sides(below)
        liked_x = torch.full_like(output_x, low + step * at)
        other_x = torch.full_like(output_x, low + step * (at - 1))
        for over_x in over:
            liked_x = liked_x + step * (uniform_x < over_x).float()
        at_most_x = torch.zeros_like(output_x)
        for under_x in under:
            at_most_x = at_most_x + under_x
            other_x = other_x - step * (uniform_x < at_most_x).float()
        return torch.where(given_x > 0, liked_x, other_x)

    def figures(
        self, value_x: Array, output_x: Array, user_x: Array, calibrated_x: Array
    ) -> dict[str, float]:
        """Root mean squared error in the signal's unit, of the output cut off at its range."""
        return self.anchored(value_x, output_x * self.scale, user_x)

    def anchored(self, value_x: Array, point_x: Array, user_x: Array) -> dict[str, float]:
        """Root mean squared error in the signal's unit."""
        return range_rmse(self.signal, value_x, point_x)

    def _clipped(self, output_x: Array) -> Array:
        return output_x.clip(self.signal.low / self.scale, self.signal.high / self.scale)

    @property
    def _first_given(self) -> int:
        """Place of the lowest level at which `given` is 1, at least 1."""
        return math.ceil((self.cut - self.signal.low) / self.signal.step - TINY)

    def _below(self, output_x: Tensor) -> list[Tensor]:
        """P(the level is the j-th at most), for each but the highest."""
        low, step = self.signal.low, self.signal.step
        cuts = [low + step * (place + 0.5) for place in range(self.steps)]
        mean_x = output_x * self.scale
        cut = torch.tensor(cuts, device=output_x.device)
        below = torch.special.ndtr((cut - mean_x[..., None]) / self.spread)
        return list(below.unbind(-1))

    def _sides(self, below: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """P(level > j | given) for j from the cut on; P(level = j | not given) below it."""
        at = self._first_given
        under_all, over_all = below[at - 1] + TINY, 1.0 - below[at - 1] + TINY
        over = [(1.0 - below_x) / over_all for below_x in below[at:]]
        steps = zip([None, *below], below[: at - 1], strict=False)
        under = [(b if a is None else b - a) / under_all for a, b in steps]
        return over, under
