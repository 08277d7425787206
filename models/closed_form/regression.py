"""Bayesian linear regression of one user's residuals on items' features, value by value.

A user's residual at an item is weights . features(item) + drift + noise. The weights are the
user's and do not change; the drift is a level that comes and goes, drift_k = keep * drift_(k-1) +
innovation. All variances are ratios to the noise's. One more value costs O(R^2) numbers for R
features, however long the history; this is the Gaussian process of the classics in its
weight-space form, with the kernels cut to their largest directions.

Axis letters beyond the legend of `envs/types.py`: R features, K blocks of them.

Source: Rasmussen and Williams 2006, section 2.1; Kalman 1960 for the drift.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

UNTOLD = 1e8  # variance of a value that was not observed, over that of the noise


@dataclass(frozen=True)
class Belief:
    """What is known of B users' weights and drifts just before their next event."""

    mean: Tensor  # (B, R) of the weights
    drift: Tensor  # (B,)
    covariance: Tensor  # (B, R, R) of the weights
    cross: Tensor  # (B, R) of weights and drift
    variance: Tensor  # (B,) of the drift


@dataclass(frozen=True)
class Regression:
    """Weights start at mean 0 and variance 1 each: amplitudes are in the features."""

    drift: Tensor  # () variance of the drift; 0: none
    keep: Tensor  # () what is left of a drift after one event

    @staticmethod
    def of(drift: float, events: float) -> Regression:
        """With a drift of this variance, of which 1 / e is left after so many events."""
        return Regression(torch.tensor(drift), torch.tensor(math.exp(-1.0 / events)))

    def start(self, feature_NR: Tensor, num_users: int) -> Belief:
        """Nothing known of these users.

        Args:
            feature_NR: decides the number of features, the kind of numbers and the device.
            num_users: B.
        """
        R = feature_NR.shape[1]
        zero_BR = feature_NR.new_zeros(num_users, R)
        eye_RR = torch.eye(R, dtype=feature_NR.dtype, device=feature_NR.device)
        return Belief(
            mean=zero_BR,
            drift=zero_BR.new_zeros(num_users),
            covariance=eye_RR.expand(num_users, R, R),
            cross=zero_BR,
            variance=self.drift.expand(num_users),
        )

    def update(
        self, belief: Belief, feature_BR: Tensor, residual_B: Tensor, took_B: Tensor
    ) -> Belief:
        """After one more event each; rows where took_B is False are left as they are.

        Args:
            belief: before it.
            feature_BR: of the items.
            residual_B: in units of the noise's deviation or any other; NaN: time passes, and
                nothing is learned.
            took_B: bool.
        """
        return self.innovate(belief, feature_BR, residual_B, took_B)[0]

    def innovate(
        self, belief: Belief, feature_BR: Tensor, residual_B: Tensor, took_B: Tensor
    ) -> tuple[Belief, Tensor, Tensor]:
        """The same, and of the residual what was not foretold and its variance, (B,) each.

        Args:
            belief: before the event.
            feature_BR: of the items.
            residual_B: as in `update`; nothing counts as not foretold where it is not learned from.
            took_B: bool.
        """
        told_B = residual_B.isfinite() & took_B
        gain_BR, drift_gain_B, total_B = self._gains(belief, feature_BR)
        expected_B = torch.linalg.vecdot(belief.mean, feature_BR) + belief.drift
        error_B = torch.where(told_B, residual_B - expected_B, 0.0)
        share_B = told_B / total_B
        keep_B = torch.where(took_B, self.keep, 1.0)
        scaled_BR = gain_BR * share_B[:, None]
        variance_B = belief.variance - drift_gain_B.square() * share_B
        after = Belief(
            mean=torch.addcmul(belief.mean, scaled_BR, error_B[:, None]),
            drift=keep_B * (belief.drift + drift_gain_B * share_B * error_B),
            covariance=torch.addcmul(
                belief.covariance, scaled_BR[:, :, None], gain_BR[:, None], value=-1.0
            ),
            cross=keep_B[:, None] * (belief.cross - scaled_BR * drift_gain_B[:, None]),
            variance=keep_B.square() * variance_B + (1 - keep_B.square()) * self.drift,
        )
        return after, error_B, total_B

    def outlook(
        self, belief: Belief, feature_BCR: Tensor, blocks: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """What the weights say of the next residual at these items, block by block, and how surely.

        One product with a user's own (R, K + R + 1) numbers says all of it.

        Args:
            belief: of B users.
            feature_BCR: of C items each.
            blocks: widths of the K blocks of features, which add up to R.

        Returns:
            said_BCK: each block's part of the mean; the drift is not in it.
            variance_BC: of the residual, drift and noise included.
        """
        R, K = feature_BCR.shape[2], len(blocks)
        ones = (feature_BCR.new_ones(width, 1) for width in blocks)
        part_RK = torch.block_diag(*ones)  # type: ignore[no-untyped-call]
        known_BRX = torch.cat(
            [belief.mean[..., None] * part_RK, belief.covariance, belief.cross[..., None]], 2
        )
        said_BCX = torch.bmm(feature_BCR, known_BRX)
        spread_BC = torch.linalg.vecdot(said_BCX[..., K : K + R], feature_BCR)
        variance_BC = spread_BC + 2 * said_BCX[..., -1] + belief.variance[:, None]
        return said_BCX[..., :K], variance_BC.clamp(min=0) + 1.0

    def _gains(self, belief: Belief, feature_BR: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Covariance of the next value with the weights, with the drift, and its variance."""
        # from the left, as covariances are symmetric: several times as fast as from the right
        gain_BR = belief.cross + torch.bmm(feature_BR[:, None], belief.covariance)[:, 0]
        drift_gain_B = torch.linalg.vecdot(belief.cross, feature_BR) + belief.variance
        total_B = torch.linalg.vecdot(gain_BR, feature_BR) + drift_gain_B
        return gain_BR, drift_gain_B, total_B.clamp(min=0) + 1.0
