"""Signals that are any number of a range."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from slategym.envs.types import Signal
from slategym.models.tasks.scaled import Scaled
from slategym.models.tasks.types import (
    BINS,
    TINY,
    Array,
    Pool,
    range_rmse,
    root_mean_square,
    spread_of,
)


@dataclass(frozen=True)
class Real(Scaled):
    """Any number of a range: a normal, cut off at the ends of the range."""

    signal: Signal
    given: str | None = None
    cut: float = math.nan  # lowest value at which the signal called `given` is 1
    scale: float = 1.0  # what outputs count in: the standard deviation of training values
    spread: float = 1.0  # standard deviation around the mean, in that scale; measured
    first: float = -1.0  # ends of the equal parts that inputs tell apart: those of the range, or
    last: float = 1.0  # two standard deviations of training values where it has none
    calibrated: bool = False
    pool: Pool = "mean"
    num_levels: int = BINS + 1
    usual_ease: float = 1.0

    @property
    def declared_start(self) -> float:
        """None is declared: 0."""
        return 0.0

    def fitted(self, value_x: Array) -> Real:
        """With the standard deviation of these values as its scale."""
        scale, middle = spread_of(value_x), float(value_x.mean()) if len(value_x) else 0.0
        low, high = self.signal.low, self.signal.high
        return replace(
            self,
            scale=scale,
            first=low if math.isfinite(low) else middle - 2.0 * scale,
            last=high if math.isfinite(high) else middle + 2.0 * scale,
        )

    def measured(self, output_x: Array, value_x: Array) -> Real:
        """With the spread of the errors."""
        return replace(self, spread=root_mean_square(self.error(output_x, value_x)))

    def level(self, value_x: Tensor) -> Tensor:
        """Equal parts of the range."""
        within_x = (value_x >= self.signal.low) & (value_x <= self.signal.high)
        part_x = (value_x.nan_to_num() - self.first) * (BINS / max(self.last - self.first, TINY))
        return torch.where(within_x, part_x.clamp(0, BINS - 1).long() + 1, 0)

    def held_out_loss(self, output_x: Array, value_x: Array) -> Array:
        """Squared error of the clipped output in units of `scale`."""
        low, high = self.signal.low / self.scale, self.signal.high / self.scale
        loss_x: Array = np.square(output_x.clip(low, high) - value_x / self.scale)
        return loss_x

    def mean(self, output_x: Tensor, given_x: Tensor | None) -> Tensor:
        """Of the cut-off normal, on either side of the cut where there is one."""
        mean_x, spread = output_x * self.scale, self.spread * self.scale
        low, high = self.signal.low, self.signal.high
        if given_x is None:
            return _clipped_part(mean_x, spread, low, high, None, None)
        over_x = 1.0 - _below(mean_x, spread, self.cut)
        liked_x = _clipped_part(mean_x, spread, low, high, self.cut, None) / (over_x + TINY)
        other_x = _clipped_part(mean_x, spread, low, high, None, self.cut) / (1.0 - over_x + TINY)
        return given_x * liked_x.clamp(self.cut, high) + (1.0 - given_x) * other_x.clamp(
            low, self.cut
        )

    def sample(self, output_x: Tensor, uniform_x: Tensor, given_x: Tensor | None) -> Tensor:
        """By the inverse of its distribution function."""
        mean_x, spread = output_x * self.scale, self.spread * self.scale
        place_x = uniform_x
        if given_x is not None:
            under_x = _below(mean_x, spread, self.cut)
            over_x = under_x + (1.0 - under_x) * uniform_x
            place_x = torch.where(given_x > 0, over_x, under_x * uniform_x)
        value_x: Tensor = mean_x + spread * torch.special.ndtri(place_x.clamp(TINY, 1.0 - TINY))
        if given_x is not None:
            liked_x = value_x.clamp(min=self.cut)
            value_x = torch.where(given_x > 0, liked_x, value_x.clamp(max=self.cut))
        return value_x.clamp(self.signal.low, self.signal.high)

    def figures(
        self, value_x: Array, output_x: Array, user_x: Array, calibrated_x: Array
    ) -> dict[str, float]:
        """Root mean squared error in the signal's unit."""
        return self.anchored(value_x, output_x * self.scale, user_x)

    def anchored(self, value_x: Array, point_x: Array, user_x: Array) -> dict[str, float]:
        """Root mean squared error in the signal's unit."""
        return range_rmse(self.signal, value_x, point_x)


def _below(mean_x: Tensor, spread: float, cut: float) -> Tensor:
    below_x: Tensor = torch.special.ndtr((cut - mean_x) / spread)
    return below_x


def _clipped_part(
    mean_x: Tensor, spread: float, low: float, high: float, above: float | None, under: float | None
) -> Tensor:
    """E of clip(X, low, high) where above <= X < under and 0 elsewhere, X normal."""
    first = low if above is None else max(above, low)
    last = high if under is None else min(under, high)
    from_x, to_x = (first - mean_x) / spread, (last - mean_x) / spread
    begin_x, end_x = torch.special.ndtr(from_x), torch.special.ndtr(to_x)
    inside_x: Tensor = mean_x * (end_x - begin_x) + spread * (_density(from_x) - _density(to_x))
    if above is None:
        inside_x = inside_x + low * begin_x
    if under is None:
        inside_x = inside_x + high * (1.0 - end_x)
    return inside_x


def _density(z_x: Tensor) -> Tensor:
    return (-0.5 * z_x.square()).exp() / math.sqrt(2.0 * math.pi)
