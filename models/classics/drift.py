"""Item and user biases read online, with a drift that comes and goes: two numbers a user.

A user's residual at the k-th event is bias + drift_k + noise, where drift_k = keep * drift_(k-1) +
innovation. The Kalman filter of these two numbers gives mean and variance exactly, in constant
time a click; without drift it is the running mean shrunk to zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from slategym.models.classics.types import Ints, Outlook, Predicted
from slategym.models.closed_form.events import Bools, Events, Floats
from slategym.models.closed_form.residuals import Base, taken_rows, users_of


@dataclass(frozen=True)
class DriftState:
    """Beliefs about B users just before their next event, in units of the base's scale."""

    bias: Tensor  # (B,) float64
    drift: Tensor  # (B,)
    bias_variance: Tensor  # (B,)
    drift_variance: Tensor  # (B,)
    covariance: Tensor  # (B,)


@dataclass(frozen=True)
class Drift:
    """Biases of items and, online, of users. Variances are ratios to the noise's."""

    base: Base
    bias: float  # variance of users' biases
    drift: float  # variance of the drift; 0: none
    events: float  # after which 1 / e of a drift is left
    noise: float  # variance of a value about user and item, in units of the base's scale, squared
    name: str

    def start(self, num: int) -> DriftState:
        """Nothing known of `num` users."""
        zero_B = torch.zeros(num, dtype=torch.float64)
        return DriftState(zero_B, zero_B, zero_B + self.bias, zero_B + self.drift, zero_B)

    def update(self, state: DriftState, residual_B: Tensor, took_B: Tensor) -> DriftState:
        """The filter's step; a NaN residual lets time pass and tells nothing."""
        told_B = residual_B.isfinite()
        from_bias_B = state.bias_variance + state.covariance
        from_drift_B = state.drift_variance + state.covariance
        total_B = from_bias_B + from_drift_B + 1.0
        error_B = torch.where(told_B, residual_B - state.bias - state.drift, 0.0)
        gain_bias_B = told_B * from_bias_B / total_B
        gain_drift_B = told_B * from_drift_B / total_B
        keep = float(np.exp(-1 / self.events))
        drift_variance_B = state.drift_variance - gain_drift_B * from_drift_B
        after = (
            state.bias + gain_bias_B * error_B,
            keep * (state.drift + gain_drift_B * error_B),
            state.bias_variance - gain_bias_B * from_bias_B,
            keep**2 * drift_variance_B + (1 - keep**2) * self.drift,
            keep * (state.covariance - gain_bias_B * from_drift_B),
        )
        before = (
            state.bias,
            state.drift,
            state.bias_variance,
            state.drift_variance,
            state.covariance,
        )
        return DriftState(*(torch.where(took_B, a, b) for a, b in zip(after, before, strict=True)))

    def initial(self, history_BH: Tensor, value_BH: Tensor) -> DriftState:
        """Beliefs after whole histories."""
        state = self.start(history_BH.shape[0])
        for item_B, value_B in zip(history_BH.unbind(1), value_BH.unbind(1), strict=True):
            state = self.after(state, item_B.clamp(min=0), value_B, item_B >= 0)
        return state

    def after(
        self, state: DriftState, item_B: Tensor, value_B: Tensor, took_B: Tensor
    ) -> DriftState:
        """Beliefs after one more value each."""
        item_N = torch.as_tensor(self.base.item_N)
        expected_B = self.base.mean + item_N[item_B.long()]
        return self.update(state, (value_B.double() - expected_B) / self.base.scale, took_B)

    def outlook(self, state: DriftState) -> Outlook:
        """Every item's mean and variance, (B, N)."""
        user_B, variance_B = self._belief(state)
        item_N = torch.as_tensor(self.base.item_N)
        mean_BN = self.base.mean + item_N + self.base.scale * user_B[:, None]
        variance_B = variance_B * self.noise * self.base.scale**2
        return Outlook(mean_BN, variance_B[:, None].expand_as(mean_BN))

    def online(self, events: Events, row_x: Ints) -> Predicted:
        """At clicked rows; NaN at others."""
        residual_E = self.base.residual(events)
        user_E, variance_E = np.full((2, events.num_rows), np.nan)
        for taken in taken_rows(events, users_of(events, row_x)):
            residual_BT = torch.as_tensor(residual_E[taken.row_BT])
            real_BT = torch.as_tensor(taken.real_BT)
            state = self.start(len(residual_BT))
            beliefs = []
            for residual_B, real_B in zip(residual_BT.unbind(1), real_BT.unbind(1), strict=True):
                beliefs.append(torch.stack(self._belief(state)))
                state = self.update(state, residual_B, real_B)
            user_BT, variance_BT = torch.stack(beliefs, 2).numpy()
            rows = taken.row_BT[taken.real_BT]
            user_E[rows], variance_E[rows] = user_BT[taken.real_BT], variance_BT[taken.real_BT]
        base = self.base
        mean_x = base.mean + base.item_N[events.item_E[row_x]] + base.scale * user_E[row_x]
        return Predicted(mean_x, variance_E[row_x] * self.noise * base.scale**2)

    def _belief(self, state: DriftState) -> tuple[Tensor, Tensor]:
        """Mean and variance of the next residual, in units of scale and of the noise's variance."""
        spread_B = state.bias_variance + state.drift_variance + 2 * state.covariance
        return state.bias + state.drift, spread_B + 1.0


def fit_drift(
    events: Events,
    signal: str,
    keep_E: Bools,
    *,
    bias: float,
    drift: float,
    tau: float,
    noise: float = 1.0,
) -> Drift:
    """Fit the items' means; the users' variances are given, as ratios to the noise's.

    Args:
        events: the log.
        signal: to predict.
        keep_E: rows to fit on.
        bias: variance of users' biases over that of the noise; 1 / 15 shrinks by 15 pseudo-events.
        drift: the same of the drift.
        tau: events after which 1 / e of a drift is left.
        noise: variance of the noise in units of the residuals' variance; see `noise_of`.
    """
    base = Base.fit(events, signal, keep_E)
    name = "biases with drift" if drift else "biases"
    return Drift(base, bias, drift, tau, noise, name)


def noise_of(value_x: Floats, predicted: Predicted) -> float:
    """What a model's variances must be multiplied by so that errors are as great as it says."""
    told_x = np.isfinite(value_x) & np.isfinite(predicted.mean)
    error_x = (value_x - predicted.mean)[told_x]
    return float(np.mean(np.square(error_x) / predicted.variance[told_x]))
