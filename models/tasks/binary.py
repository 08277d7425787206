"""Signals that happen or not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import expit
from torch import Tensor
from torch.nn import functional as F

from slategym.envs.types import Signal
from slategym.models import metrics
from slategym.models.statistics import ITEM_PRIOR, smoothed_rate
from slategym.models.tasks.types import Array, Pool, Start

RATE_BOUND = 1e-4  # a rate as a starting point is this far from 0 and from 1

EVIDENCE_BOUND = 0.03  # the same of a rate that a linear rule gives


@dataclass(frozen=True)
class Binary:
    """It happens or not: log-odds of a Bernoulli."""

    signal: Signal
    given: str | None = None
    calibrated: bool = True
    pool: Pool = "sum"
    num_levels: int = 3  # unobserved, no, yes
    usual_ease: float = 3.0

    @property
    def declared_start(self) -> float:
        """None is declared: 0."""
        return 0.0

    def fitted(self, value_x: Array) -> Binary:
        """Itself: it has no scale."""
        return self

    def measured(self, output_x: Array, value_x: Array) -> Binary:
        """Itself: its mean says all."""
        return self

    def level(self, value_x: Tensor) -> Tensor:
        """No is 1, yes is 2."""
        return torch.where(value_x.isnan(), 0, (value_x > 0).long() + 1)

    def link(self, value_x: Tensor) -> Tensor:
        """Itself."""
        return value_x.nan_to_num()

    def evidence(self, value_x: Tensor) -> Tensor:
        """Itself."""
        return value_x

    def output_of(self, evidence_x: Tensor) -> Tensor:
        """Log-odds of a rate, which may be a little outside [0, 1]."""
        return evidence_x.clamp(EVIDENCE_BOUND, 1 - EVIDENCE_BOUND).logit()

    def loss(self, output_x: Tensor, value_x: Tensor) -> Tensor:
        """Cross-entropy, nats."""
        return F.binary_cross_entropy_with_logits(output_x, self.link(value_x), reduction="none")

    def held_out_loss(self, output_x: Array, value_x: Array) -> Array:
        """Cross-entropy, nats."""
        loss_x: Array = np.logaddexp(0, output_x) - value_x * output_x
        return loss_x

    def error(self, output_x: Array, value_x: Array) -> Array:
        """Against the probability."""
        error_x: Array = value_x - expit(output_x)
        return error_x

    def start(
        self, user: Array, item: Array, value: Array, num_users: int, num_items: int
    ) -> Start:
        """Log-odds of the items' smoothed rates."""
        rate_N = smoothed_rate(item, value, num_items)
        return Start(0.0, np.log(rate_N / (1 - rate_N)))

    def item_start(self, item: Array, value: Array, num_items: int) -> Start:
        """The same, pulled to the mean of the rows as they are."""
        count_N = np.bincount(item, minlength=num_items)
        hits_N = np.bincount(item, value > 0, minlength=num_items)
        mean = float((value > 0).mean()) if len(value) else 0.5
        share_N = (hits_N + ITEM_PRIOR * mean) / (count_N + ITEM_PRIOR)
        share_N = share_N.clip(RATE_BOUND, 1 - RATE_BOUND)
        return Start(0.0, np.log(share_N / (1 - share_N)))

    def mean(self, output_x: Tensor, given_x: Tensor | None) -> Tensor:
        """Its probability."""
        return output_x.sigmoid()

    def sample(self, output_x: Tensor, uniform_x: Tensor, given_x: Tensor | None) -> Tensor:
        """0 or 1."""
        return (uniform_x < output_x.sigmoid()).float()

    def figures(
        self, value_x: Array, output_x: Array, user_x: Array, calibrated_x: Array
    ) -> dict[str, float]:
        """AUC over all rows and inside users, calibration error as delivered and raw."""
        name = self.signal.name
        return {
            **self.anchored(value_x, output_x, user_x),
            f"{name}_ece": metrics.ece(value_x, expit(calibrated_x)),
            f"{name}_ece_raw": metrics.ece(value_x, expit(output_x)),
        }

    def anchored(self, value_x: Array, point_x: Array, user_x: Array) -> dict[str, float]:
        """AUC over all rows and inside users."""
        return {
            f"{self.signal.name}_auc": metrics.auc(value_x, point_x),
            f"{self.signal.name}_gauc": metrics.gauc(user_x, value_x, point_x),
        }
