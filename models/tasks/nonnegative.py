"""Signals that are zero or more: time, money."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from slategym.envs.types import Signal
from slategym.models.statistics import rating_biases
from slategym.models.tasks.types import (
    BINS,
    TINY,
    Array,
    Pool,
    Start,
    level_factor,
    mean_start,
    rmse_of,
    root_mean_square,
    spread_of,
)


@dataclass(frozen=True)
class Nonnegative:
    """Zero or more: a normal on log(1 + value / scale), cut off at 0 and at the highest value.

    Its mean stands and falls with the tail, and with an output that a small log leaves off its
    mark: on held-out rows it is brought to theirs.
    """

    signal: Signal
    given: str | None = None
    scale: float = 1.0  # in the signal's unit: the median of positive training values
    spread: float = 1.0  # standard deviation around the mean on the log scale; measured
    factor: float = 1.0  # of the values, by which means are those of held-out rows; measured
    calibrated: bool = False
    pool: Pool = "sum"
    num_levels: int = BINS + 1
    usual_ease: float = 0.0

    @property
    def declared_start(self) -> float:
        """None is declared: 0."""
        return 0.0

    def fitted(self, value_x: Array) -> Nonnegative:
        """With the median of the positive values as its scale."""
        positive_x = value_x[value_x > 0]
        scale = float(np.median(positive_x)) if len(positive_x) else 1.0
        fitted = replace(self, scale=scale)
        return replace(fitted, spread=spread_of(np.log1p(value_x / scale)))

    def measured(self, output_x: Array, value_x: Array) -> Nonnegative:
        """With the spread of the errors, and the factor by which means are off."""
        spread = root_mean_square(self.error(output_x, value_x))
        task = replace(self, spread=spread, factor=1.0)
        mean_x = task.mean(torch.as_tensor(output_x, dtype=torch.float64), None).numpy()
        return replace(task, factor=level_factor(mean_x, value_x))

    def level(self, value_x: Tensor) -> Tensor:
        """Zero is 1; then a quarter of a unit of the log scale each."""
        place_x = torch.ceil(4.0 * self.link(value_x.clamp(min=0))).clamp(max=BINS - 1)
        return torch.where(value_x >= 0, place_x.long() + 1, 0)

    def link(self, value_x: Tensor) -> Tensor:
        """log(1 + value / scale)."""
        return (value_x.nan_to_num() / self.scale).log1p()

    def evidence(self, value_x: Tensor) -> Tensor:
        """log(1 + value): of amounts, proportions matter."""
        return value_x.clamp(min=0).log1p()

    def output_of(self, evidence_x: Tensor) -> Tensor:
        """On the log scale."""
        return (evidence_x.clamp(0.0, 60.0).expm1() / self.scale).log1p()

    def loss(self, output_x: Tensor, value_x: Tensor) -> Tensor:
        """Squared error on the log scale."""
        return (output_x - self.link(value_x)).square()

    def held_out_loss(self, output_x: Array, value_x: Array) -> Array:
        """Squared error of the clipped output on the log scale."""
        most = math.log1p(self.signal.high / self.scale)
        loss_x: Array = np.square(output_x.clip(0.0, most) - np.log1p(value_x / self.scale))
        return loss_x

    def error(self, output_x: Array, value_x: Array) -> Array:
        """On the log scale."""
        error_x: Array = np.log1p(value_x / self.scale) - output_x
        return error_x

    def start(
        self, user: Array, item: Array, value: Array, num_users: int, num_items: int
    ) -> Start:
        """Mean and item biases beside the users' own, on the log scale."""
        linked = np.log1p(value / self.scale)
        mean, _, item_N = rating_biases(user, item, linked, num_users, num_items)
        return Start(mean, item_N)

    def item_start(self, item: Array, value: Array, num_items: int) -> Start:
        """Mean and item biases on the log scale."""
        return mean_start(item, np.log1p(value / self.scale), num_items)

    def mean(self, output_x: Tensor, given_x: Tensor | None) -> Tensor:
        """Of the log-normal between its two ends: what is above 0 less what is above the highest.

        Source: E max(e^X - k, 0) of a normal X, Black and Scholes 1973, equation 13.
        """
        unit = self.scale * self.factor
        above_x = self._above(output_x, 0.0) - self._above(output_x, self.signal.high / unit)
        return unit * above_x.clamp(min=0.0)

    def _above(self, output_x: Tensor, most: float) -> Tensor:
        """E max(e^X - 1 - most, 0), X normal around the output."""
        spread, bound = self.spread, math.log1p(most)
        if not math.isfinite(bound):
            return torch.zeros_like(output_x)
        upper_x: Tensor = torch.special.ndtr((output_x + spread**2 - bound) / spread)
        lower_x: Tensor = torch.special.ndtr((output_x - bound) / spread)
        whole_x = (output_x + 0.5 * spread**2).clamp(max=60.0).exp()
        return whole_x * upper_x - (1.0 + most) * lower_x

    def sample(self, output_x: Tensor, uniform_x: Tensor, given_x: Tensor | None) -> Tensor:
        """By the inverse of its distribution function."""
        normal_x = torch.special.ndtri(uniform_x.clamp(TINY, 1.0 - TINY))
        grown_x = (output_x + self.spread * normal_x).clamp(max=60.0).expm1()
        value_x: Tensor = self.scale * self.factor * grown_x
        return value_x.clamp(0.0, self.signal.high)

    def figures(
        self, value_x: Array, output_x: Array, user_x: Array, calibrated_x: Array
    ) -> dict[str, float]:
        """Root mean squared error of log(1 + value), as delivered by the output itself."""
        point_x = self.scale * np.expm1(output_x.clip(0.0, 60.0))
        return self.anchored(value_x, point_x, user_x)

    def anchored(self, value_x: Array, point_x: Array, user_x: Array) -> dict[str, float]:
        """Root mean squared error of log(1 + value)."""
        high = self.signal.high
        name = f"{self.signal.name}_rmsle"
        return {name: rmse_of(np.log1p(value_x), np.log1p(point_x.clip(0.0, high)))}
