"""Signals that are whole numbers from 0."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from slategym.envs.types import Signal
from slategym.models.statistics import ITEM_PRIOR
from slategym.models.tasks.types import BINS, TINY, Array, Pool, Start, level_factor, range_rmse

MOST_RATE = 20.0  # a Poisson above it is drawn as a rounded normal
MOST_COUNT = 48  # of a Poisson below it: above, its probability is under 1e-7

LEAST_EVIDENCE = 0.02  # log(1 + rate) below which rates are not told apart


@dataclass(frozen=True)
class Count:
    """Whole numbers from 0: Poisson with a log rate."""

    signal: Signal
    given: str | None = None
    factor: float = 1.0  # of a rate, by which draws are as many as held-out rows have; measured
    calibrated: bool = False
    pool: Pool = "sum"
    num_levels: int = BINS + 1
    usual_ease: float = 0.0

    @property
    def declared_start(self) -> float:
        """None is declared: 0."""
        return 0.0

    def fitted(self, value_x: Array) -> Count:
        """Itself: it has no scale."""
        return self

    def measured(self, output_x: Array, value_x: Array) -> Count:
        """With the factor by which rates are off."""
        return replace(self, factor=level_factor(np.exp(output_x.clip(max=self._most)), value_x))

    def level(self, value_x: Tensor) -> Tensor:
        """Zero is 1."""
        place_x = value_x.nan_to_num().clamp(0, BINS - 1)
        return torch.where(value_x >= 0, place_x.long() + 1, 0)

    def link(self, value_x: Tensor) -> Tensor:
        """Itself."""
        return value_x.nan_to_num()

    def evidence(self, value_x: Tensor) -> Tensor:
        """log(1 + value): of amounts, proportions matter."""
        return value_x.clamp(min=0).log1p()

    def output_of(self, evidence_x: Tensor) -> Tensor:
        """Log of the rate."""
        return evidence_x.clamp(LEAST_EVIDENCE, 60.0).expm1().log()

    def loss(self, output_x: Tensor, value_x: Tensor) -> Tensor:
        """Poisson, nats, up to what the output cannot change."""
        return self._rate(output_x) - self.link(value_x) * output_x

    def held_out_loss(self, output_x: Array, value_x: Array) -> Array:
        """The same."""
        loss_x: Array = np.exp(output_x.clip(max=self._most)) - value_x * output_x
        return loss_x

    def error(self, output_x: Array, value_x: Array) -> Array:
        """Against the rate."""
        error_x: Array = value_x - np.exp(output_x.clip(max=self._most))
        return error_x

    def start(
        self, user: Array, item: Array, value: Array, num_users: int, num_items: int
    ) -> Start:
        """Log of the items' smoothed means."""
        return self.item_start(item, value, num_items)

    def item_start(self, item: Array, value: Array, num_items: int) -> Start:
        """Log of the items' smoothed means."""
        mean = (float(value.sum()) + 0.5) / (len(value) + 1)
        total_N = np.bincount(item, value, num_items) + ITEM_PRIOR * mean
        mean_N = total_N / (np.bincount(item, minlength=num_items) + ITEM_PRIOR)
        return Start(math.log(mean), np.log(mean_N / mean))

    def mean(self, output_x: Tensor, given_x: Tensor | None) -> Tensor:
        """The rate."""
        return self.factor * self._rate(output_x)

    def sample(self, output_x: Tensor, uniform_x: Tensor, given_x: Tensor | None) -> Tensor:
        """By the inverse of its distribution function; a rounded normal where the rate is high."""
        rate_x = self.factor * self._rate(output_x)
        small_x = rate_x.clamp(max=MOST_RATE)
        prob_x = (-small_x).exp()
        below_x, value_x = prob_x, torch.zeros_like(rate_x)
        for count in range(1, MOST_COUNT):
            value_x = value_x + (uniform_x >= below_x).float()
            prob_x = prob_x * small_x / count
            below_x = below_x + prob_x
        normal_x = torch.special.ndtri(uniform_x.clamp(TINY, 1.0 - TINY))
        large_x = (rate_x + rate_x.sqrt() * normal_x).round().clamp(min=0.0)
        return torch.where(rate_x > MOST_RATE, large_x, value_x).clamp(max=self.signal.high)

    def figures(
        self, value_x: Array, output_x: Array, user_x: Array, calibrated_x: Array
    ) -> dict[str, float]:
        """Root mean squared error of the rate."""
        return self.anchored(value_x, np.exp(output_x.clip(max=self._most)), user_x)

    def anchored(self, value_x: Array, point_x: Array, user_x: Array) -> dict[str, float]:
        """Root mean squared error in the signal's unit."""
        return range_rmse(self.signal, value_x, point_x)

    @property
    def _most(self) -> float:
        """Highest log rate that an output can mean: one item cannot blow a loss up."""
        return min(math.log1p(max(self.signal.high, 1.0)), 60.0)

    def _rate(self, output_x: Tensor) -> Tensor:
        return output_x.clamp(max=self._most).exp()
