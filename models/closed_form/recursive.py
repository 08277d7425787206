"""Bayesian regression of a signal on item features, one user at a time, click by click.

A user's residual at an item is bias + drift + weights . features + noise, the weights' prior a
standard normal: with features whose inner products are a kernel this is the Gaussian process of
`models/classics/gaussian.py`, in as many dimensions as there are features. Mean and covariance
move by the Kalman filter: a click costs O(D^2), whatever the history's length.

Axis letters beyond the legend of `envs/types.py`: P = D + 2 coefficients: weights, bias, drift.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.models.closed_form.events import Floats

LANDMARKS = 1_000  # items whose kernel is taken apart, at most
TINY = 1e-9  # of a kernel's greatest eigenvalue, below which a direction is left out


@dataclass(frozen=True)
class Belief:
    """What is known of B users just before their next event, in units of the residuals' scale."""

    mean: Tensor  # (B, P)
    covariance: Tensor  # (B, P, P)


@dataclass(frozen=True)
class Regression:
    """One signal of all items. Variances are ratios to the noise's."""

    feature_ND: Tensor  # times the square root of their prior variance
    rest_N: Tensor  # (N,) variance of an item's value that the features leave out
    level_N: Tensor  # (N,) value of each item to a user of whom nothing is known
    scale: float  # unit of residuals, in that of the signal
    bias: float  # prior variance
    drift: float  # variance of the drift; 0: none
    events: float  # after which 1 / e of a drift is left

    def start(self, num: int) -> Belief:
        """Nothing known of `num` users."""
        feature_ND = self.feature_ND
        prior_P = feature_ND.new_ones(feature_ND.shape[1] + 2)
        prior_P[-2], prior_P[-1] = self.bias, self.drift
        mean_BP = feature_ND.new_zeros(num, len(prior_P))
        return Belief(mean_BP, prior_P.diag().expand(num, -1, -1))

    def initial(self, history_BH: Tensor, value_BH: Tensor) -> Belief:
        """Beliefs after these items and values, oldest first; item -1: none, value NaN: unknown."""
        belief = self.start(history_BH.shape[0])
        for item_B, value_B in zip(history_BH.unbind(1), value_BH.unbind(1), strict=True):
            belief = self.after(belief, item_B.clamp(min=0), value_B, item_B >= 0)
        return belief

    def after(self, belief: Belief, item_B: Tensor, value_B: Tensor, took_B: Tensor) -> Belief:
        """Beliefs after one more value each; a NaN lets time pass and tells nothing.

        Rows where took_B is False are left as they are.
        """
        item_B = item_B.long()
        told_B = (took_B & value_B.isfinite()).to(self.feature_ND.dtype)
        h_BP = self.design(item_B)
        # from the left, as covariances are symmetric: several times as fast as from the right
        seen_BP = torch.bmm(h_BP[:, None], belief.covariance)[:, 0]
        variance_B = (seen_BP * h_BP).sum(1) + 1.0 + F.embedding(item_B, self.rest_N[:, None])[:, 0]
        residual_B = (value_B.nan_to_num() - self.level_N[item_B]) / self.scale
        error_B = told_B * (residual_B - (h_BP * belief.mean).sum(1))
        gain_BP = seen_BP * (told_B / variance_B)[:, None]
        mean_BP = belief.mean + gain_BP * error_B[:, None]
        covariance_BPP = torch.addcmul(
            belief.covariance, gain_BP[:, :, None], seen_BP[:, None], value=-1.0
        )
        if not self.drift:
            return Belief(mean_BP, covariance_BPP)
        keep = math.exp(-1.0 / self.events)
        passed_B = took_B.to(h_BP.dtype)
        keep_B = 1.0 - (1.0 - keep) * passed_B
        for number_BP in (mean_BP, covariance_BPP, covariance_BPP.mT):  # of the drift, in place
            last = number_BP[:, -1]
            last *= keep_B if last.dim() == 1 else keep_B[:, None]
        covariance_BPP[:, -1, -1] += passed_B * ((1.0 - keep**2) * self.drift)
        return Belief(mean_BP, covariance_BPP)

    def design(self, item_x: Tensor) -> Tensor:
        """What multiplies the coefficients at these items, (..., P)."""
        return F.pad(F.embedding(item_x, self.feature_ND), (0, 2), value=1.0)

    def mean(self, belief: Belief, id_BC: Tensor | None) -> Tensor:
        """Expected values of these items, or of all N where id_BC is None, (B, C)."""
        weight_BD, user_B1 = belief.mean[:, :-2], belief.mean[:, -2:].sum(1, keepdim=True)
        if id_BC is None:
            return self.level_N + self.scale * (user_B1 + weight_BD @ self.feature_ND.T)
        feature_BCD = F.embedding(id_BC, self.feature_ND)
        own_BC = torch.bmm(feature_BCD, weight_BD[..., None])[..., 0]
        return self.level_N[id_BC] + self.scale * (user_B1 + own_BC)

    def variance(self, belief: Belief, id_BC: Tensor) -> Tensor:
        """Of the expected values, the noise left out, (B, C), in the signal's unit squared."""
        h_BCP = self.design(id_BC)
        own_BC = (torch.bmm(h_BCP, belief.covariance) * h_BCP).sum(2)
        return self.scale**2 * (own_BC + self.rest_N[id_BC])


def kernel_features(unit_ND: Floats, length: float, width: int) -> tuple[Floats, Floats]:
    """Features of items whose inner products are nearly exp((cosine - 1) / length).

    Args:
        unit_ND: unit vectors, or zero for an item of which nothing is known.
        length: of the kernel, in units of 1 - cosine; infinite: the cosine itself.
        width: features, at most.

    Returns:
        feature_ND: the directions of most variance; of many items, as some of them span them.
        rest_N: variance of each item that they leave out, >= 0.

    Source: Williams and Seeger 2001, "Using the Nyström method to speed up kernel machines".
    """

    def kernel(left_XD: Floats, right_YD: Floats) -> Floats:
        cosine: Floats = left_XD @ right_YD.T
        return cosine if math.isinf(length) else np.exp((cosine - 1.0) / length)

    num = len(unit_ND)
    some = np.sort(np.random.default_rng(0).permutation(num)[:LANDMARKS])
    value_M, vector_MM = np.linalg.eigh(kernel(unit_ND[some], unit_ND[some]))
    best = np.argsort(-value_M)[:width]
    best = best[value_M[best] > TINY * max(value_M.max(), TINY)]
    feature_ND: Floats = kernel(unit_ND, unit_ND[some]) @ (
        vector_MM[:, best] / value_M[best] ** 0.5
    )
    whole_N = np.square(unit_ND).sum(1)
    if not math.isinf(length):
        whole_N = np.exp((whole_N - 1.0) / length)
    return feature_ND, np.maximum(whole_N - np.square(feature_ND).sum(1), 0.0)
