"""A Gaussian process over items for each user: like things are valued alike.

A user's residual at an item is bias + drift + a function of the item + noise, the function's
covariance a sum of kernels on the items' factors, texts and topics. One Cholesky factor of a
user's rows gives every online prediction at once: with K + noise = L L' and z = L^-1 r, the
prediction of row i from rows before it is r_i - L_ii z_i, its variance L_ii^2.

Source: Rasmussen and Williams 2006, algorithm 2.1; the online form follows from its factor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.models.classics.types import Ints, Outlook, Predicted
from slategym.models.closed_form.events import Bools, Events
from slategym.models.closed_form.factors import item_factors
from slategym.models.closed_form.residuals import Base, taken_rows, users_of
from slategym.models.closed_form.sides import Sides

WINDOW = 100  # last events of a user that `outlook` reads
UNTOLD = 1e8  # variance of a value that was not observed, over that of the noise

START: Mapping[str, float] = {  # variances over that of the noise
    "bias": 0.4,
    "factors": 0.4,
    "text": 0.4,
    "topics": 0.06,
    "drift": 0.4,
    "tau": 10.0,
    "length": 0.3,
    "width": 8,
    "ridge": 8.0,
}
_AMPLITUDES = (0.0, 0.01, 0.025, 0.06, 0.15, 0.4, 1.0, 2.5, 6.0)
LADDERS: Mapping[str, tuple[float, ...]] = {
    "bias": _AMPLITUDES[1:],
    "factors": _AMPLITUDES,
    "text": _AMPLITUDES,
    "topics": _AMPLITUDES,
    "drift": _AMPLITUDES,
    "tau": (2.0, 4.0, 10.0, 25.0, 60.0),
    "length": (0.1, 0.2, 0.3, 0.5, 1.0),
    "width": (4, 8, 16),
    "ridge": (2.0, 4.0, 8.0, 16.0),
}
"""Settings by name: variances of the parts as ratios to the noise's, `tau` events after which 1 / e
of a drift is left, `length` of the text kernel in units of 1 - cosine, and of the factors."""


@dataclass(frozen=True)
class Remembered:
    """The last events of B users, oldest first."""

    item: Tensor  # (B, P) int64, -1: none
    residual: Tensor  # (B, P) float64, NaN: not told


@dataclass(frozen=True)
class GaussianProcess:
    """One process, its items' kernels fitted on the rows of others too."""

    base: Base
    settings: Mapping[str, float]
    factor_ND: Tensor  # float64
    text_ND: Tensor  # float32: wide, and needs no more
    topic_NG: Tensor
    noise: float = 1.0  # its variance, in units of the base's scale, squared
    name: str = "Gaussian process"

    def kernel(self, left: Tensor, right: Tensor) -> Tensor:
        """Covariance of bias and items, drift left out: (B, S, T) of item ids (B, S) and (B, T)."""
        s = self.settings

        def dot(x_ND: Tensor) -> Tensor:
            return (F.embedding(left, x_ND) @ F.embedding(right, x_ND).transpose(1, 2)).double()

        total_BST = torch.full((*left.shape, right.shape[1]), s["bias"], dtype=torch.float64)
        if s["factors"]:
            total_BST += s["factors"] * dot(self.factor_ND)
        if s["text"] and self.text_ND.shape[1]:
            total_BST += s["text"] * text_kernel(dot(self.text_ND), s["length"])
        if s["topics"] and self.topic_NG.shape[1]:
            total_BST += s["topics"] * dot(self.topic_NG)
        return total_BST

    def initial(self, history_BH: Tensor, value_BH: Tensor) -> Remembered:
        """The last events of a history."""
        item_BP = history_BH[:, -WINDOW:].long()
        residual_BP = self._residual(item_BP.clamp(min=0), value_BH[:, -WINDOW:])
        short = WINDOW - item_BP.shape[1]
        return Remembered(F.pad(item_BP, (short, 0), value=-1), F.pad(residual_BP, (short, 0)))

    def after(
        self, state: Remembered, item_B: Tensor, value_B: Tensor, took_B: Tensor
    ) -> Remembered:
        """One event more; the oldest is forgotten."""
        item_B, took_B1 = item_B.long(), took_B[:, None]
        item_BP = torch.cat([state.item[:, 1:], item_B[:, None]], 1)
        residual_B1 = self._residual(item_B, value_B)[:, None]
        residual_BP = torch.cat([state.residual[:, 1:], residual_B1], 1)
        return Remembered(
            torch.where(took_B1, item_BP, state.item),
            torch.where(took_B1, residual_BP, state.residual),
        )

    def outlook(self, state: Remembered) -> Outlook:
        """Every item's mean and variance given the last events, (B, N)."""
        used_BP = state.item >= 0
        told_BP = used_BP & state.residual.isfinite()
        item_BP, at_BP = state.item.clamp(min=0), used_BP.cumsum(1) - 1
        left_BPP = self.kernel(item_BP, item_BP) + self._drift(at_BP)
        both_BPP = told_BP[:, :, None] & told_BP[:, None]
        left_BPP = torch.where(both_BPP, left_BPP, 0.0) + torch.eye(WINDOW, dtype=torch.float64)
        factor_BPP = torch.linalg.cholesky(left_BPP)
        N = len(self.base.item_N)
        all_BN = torch.arange(N).expand(len(item_BP), N)
        cross_BPN = self.kernel(item_BP, all_BN)
        ago_BP = (used_BP.sum(1, keepdim=True) - at_BP).double()  # 1 for the last event
        cross_BPN += self.settings["drift"] * torch.exp(-ago_BP / self.settings["tau"])[..., None]
        cross_BPN = cross_BPN * told_BP[..., None]
        residual_BP1 = torch.where(told_BP, state.residual, 0.0)[..., None]
        solved_BPN = torch.linalg.solve_triangular(factor_BPP, cross_BPN, upper=False)
        solved_BP1 = torch.linalg.solve_triangular(factor_BPP, residual_BP1, upper=False)
        mean_BN = (solved_BPN * solved_BP1).sum(1)
        own_N = self._own_variance(torch.arange(N))
        variance_BN = own_N + 1.0 - solved_BPN.square().sum(1)
        base = self.base
        return Outlook(
            base.mean + torch.as_tensor(base.item_N) + base.scale * mean_BN,
            variance_BN * self.noise * base.scale**2,
        )

    def online(self, events: Events, row_x: Ints) -> Predicted:
        """At clicked rows, from all of the user's clicked rows before; NaN at others."""
        residual_E = self.base.residual(events)
        mean_E, variance_E = np.full((2, events.num_rows), np.nan)
        for taken in taken_rows(events, users_of(events, row_x)):
            item_BT = torch.as_tensor(events.item_E[taken.row_BT])
            residual_BT = torch.as_tensor(residual_E[taken.row_BT])
            mean_BT, variance_BT = self.steps(item_BT, residual_BT)
            rows = taken.row_BT[taken.real_BT]
            mean_E[rows] = mean_BT.numpy()[taken.real_BT]
            variance_E[rows] = variance_BT.numpy()[taken.real_BT]
        base = self.base
        expected_x = base.mean + base.item_N[events.item_E[row_x]]
        return Predicted(
            expected_x + base.scale * mean_E[row_x],
            variance_E[row_x] * self.noise * base.scale**2,
        )

    def steps(self, item_BT: Tensor, residual_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Each event's residual and its variance, noise included, given the events before it.

        Args:
            item_BT: users' clicked items in order; whatever comes last may be padding.
            residual_BT: in the base's scale, float64; NaN: not observed.
        """
        at_BT = torch.arange(item_BT.shape[1]).expand_as(item_BT)
        return one_step(self.kernel(item_BT, item_BT) + self._drift(at_BT), residual_BT)

    def _residual(self, item: Tensor, value: Tensor) -> Tensor:
        expected = self.base.mean + torch.as_tensor(self.base.item_N)[item]
        return (value.double() - expected) / self.base.scale

    def _drift(self, at_BT: Tensor) -> Tensor:
        return drift_kernel(at_BT, self.settings["drift"], self.settings["tau"])

    def _own_variance(self, item_N: Tensor) -> Tensor:
        """Prior variance of each item's next value, noise left out."""
        s = self.settings
        own_N = s["bias"] + s["drift"] + s["factors"] * self.factor_ND[item_N].square().sum(1)
        if self.text_ND.shape[1]:
            cosine_N = self.text_ND[item_N].square().sum(1)
            own_N = own_N + s["text"] * text_kernel(cosine_N, s["length"])
        return own_N + s["topics"] * self.topic_NG[item_N].square().sum(1)


def text_kernel(cosine: Tensor, length: float) -> Tensor:
    """exp((cosine - 1) / length): positive definite on unit vectors, sharper than the cosine."""
    return torch.exp((cosine - 1) / length)


def drift_kernel(at_BT: Tensor, variance: float, tau: float) -> Tensor:
    """Covariance of an exponentially forgetting drift at event numbers, (B, T, T)."""
    apart_BTT = (at_BT[:, :, None] - at_BT[:, None]).abs().double()
    return variance * torch.exp(-apart_BTT / tau)


def one_step(left_BTT: Tensor, residual_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Online predictions of every row from the rows before it.

    Args:
        left_BTT: covariance without the noise, whose variance is 1. Padding comes last, where it
            changes nothing before it.
        residual_BT: values; NaN: not observed, which is a value of hardly any precision.

    Returns:
        mean_BT, and variance_BT of the value, its noise included.
    """
    told_BT = residual_BT.isfinite()
    noise_BT = torch.where(told_BT, 1.0, UNTOLD).to(left_BTT.dtype)
    factor_BTT = torch.linalg.cholesky(left_BTT + torch.diag_embed(noise_BT))
    value_BT = torch.where(told_BT, residual_BT, 0.0)
    white_BT = torch.linalg.solve_triangular(factor_BTT, value_BT[..., None], upper=False)[..., 0]
    deviation_BT = factor_BTT.diagonal(dim1=1, dim2=2)
    return value_BT - deviation_BT * white_BT, deviation_BT.square() - noise_BT + 1.0


def fit_gaussian(
    events: Events,
    signal: str,
    keep_E: Bools,
    sides: Sides,
    settings: Mapping[str, float] = START,
    noise: float = 1.0,
) -> GaussianProcess:
    """Fit the items' means and factors; nothing else is learned from the rows.

    Args:
        events: the log.
        signal: to predict.
        keep_E: rows to fit on.
        sides: texts and topics of the items.
        settings: see `LADDERS`.
        noise: variance of the noise in units of the residuals' variance; see `drift.noise_of`.
    """
    base = Base.fit(events, signal, keep_E)
    width, ridge = int(settings["width"]), settings["ridge"]
    return GaussianProcess(
        base=base,
        settings=settings,
        factor_ND=torch.as_tensor(item_factors(events, base, keep_E, width=width, ridge=ridge)),
        text_ND=torch.as_tensor(sides.text_ND, dtype=torch.float32),
        topic_NG=torch.as_tensor(sides.topic_NG),
        noise=noise,
    )
