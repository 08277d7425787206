"""Implicit-feedback matrix factorisation by alternating least squares, users folded in online."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional as F

from slategym.models.closed_form.events import Floats


@dataclass(frozen=True)
class FoldIn:
    """Sums over a user's clicks, from which the user's factors follow. D factors."""

    gram: Tensor  # (B, D, D) sum of the outer products of the items' factors
    total: Tensor  # (B, D) sum of the items' factors
    clicks: Tensor  # (B,) sum of their weights


@dataclass(frozen=True)
class IALS:
    """Item factors; a user's are the ridge solution given the clicks so far."""

    factor_ND: Tensor  # float32
    unseen: float  # weight of an item that was not taken up
    ridge: float  # times clicks + unseen * N
    fade: float = 1.0  # what is left of a click's weight after one more click
    name: str = "iALS"

    def fading(self, fade: float) -> IALS:
        """The same items with users folded in from a history that fades so."""
        return replace(self, fade=fade)

    def initial(self, history_BH: Tensor) -> FoldIn:
        """Sums over whole histories."""
        used_BH = history_BH >= 0
        later_BH = used_BH.flip(1).cumsum(1).flip(1) - 1
        weight_BH = torch.where(used_BH, self.fade**later_BH, 0.0).to(self.factor_ND.dtype)
        factor_BHD = F.embedding(history_BH.clamp(min=0).long(), self.factor_ND)
        weighted_BHD = factor_BHD * weight_BH[..., None]
        return FoldIn(
            gram=weighted_BHD.transpose(1, 2) @ factor_BHD,
            total=weighted_BHD.sum(1),
            clicks=weight_BH.sum(1),
        )

    def after(self, state: FoldIn, item_B: Tensor, took_B: Tensor) -> FoldIn:
        """One item's factors more."""
        kept_B = torch.where(took_B, self.fade, 1.0)
        factor_BD = F.embedding(item_B.long(), self.factor_ND) * took_B[:, None]
        outer_BDD = factor_BD[:, :, None] * factor_BD[:, None]
        return FoldIn(
            gram=torch.addcmul(outer_BDD, state.gram, kept_B[:, None, None]),
            total=torch.addcmul(factor_BD, state.total, kept_B[:, None]),
            clicks=state.clicks * kept_B + took_B,
        )

    def score(self, state: FoldIn) -> Tensor:
        """Inner products with the user's factors, (B, N)."""
        return self.user(state) @ self.factor_ND.T

    def user(self, state: FoldIn) -> Tensor:
        """The user's factors, (B, D)."""
        N, D = self.factor_ND.shape
        eye_DD = torch.eye(D, device=self.factor_ND.device)
        all_DD = self.unseen * self.factor_ND.T @ self.factor_ND
        ridge_B = self.ridge * (state.clicks + self.unseen * N)
        left_BDD = all_DD + state.gram + ridge_B[:, None, None] * eye_DD
        user_BD: Tensor = torch.linalg.solve(left_BDD, state.total)
        return user_BD


@dataclass(frozen=True)
class Solved:
    """Sums over a user's clicks, and the factors that follow."""

    sums: FoldIn
    user: Tensor  # (B, D)


@dataclass(frozen=True)
class SolvedIALS:
    """The same with users solved for once a click, however often they are asked."""

    model: IALS
    name: str = "iALS"

    def initial(self, history_BH: Tensor) -> Solved:
        """Sums over whole histories."""
        sums = self.model.initial(history_BH)
        return Solved(sums, self.model.user(sums))

    def after(self, state: Solved, item_B: Tensor, took_B: Tensor) -> Solved:
        """One item's factors more."""
        sums = self.model.after(state.sums, item_B, took_B)
        return Solved(sums, self.model.user(sums))

    def score(self, state: Solved) -> Tensor:
        """Inner products with the user's factors, (B, N)."""
        return state.user @ self.model.factor_ND.T


def fit_ials(
    met_UN: csr_array,
    *,
    width: int,
    ridge: float,
    unseen: float,
    fade: float = 1.0,
    sweeps: int = 8,
    seed: int = 0,
) -> IALS:
    """Alternate between the users' and the items' ridge regressions.

    Args:
        met_UN: 1 where a user took an item up.
        width: D, factors.
        ridge: regularisation, times the weight of a user's or an item's row.
        unseen: weight of everything not taken up, in (0, 1).
        fade: of a user's clicks, when users are folded in.
        sweeps: over both sides.
        seed: of the first item factors.

    Source: Hu et al. 2008; regularisation as in Rendle et al. 2021, arXiv:2110.14037, section 4.
    """
    U, N = met_UN.shape
    met_NU = csr_array(met_UN.T)
    factor_ND = np.random.default_rng(seed).normal(0, 0.1, (N, width))
    for _ in range(sweeps):
        factor_UD = _half(met_UN, factor_ND, ridge, unseen, N)
        factor_ND = _half(met_NU, factor_UD, ridge, unseen, U)
    return IALS(torch.as_tensor(factor_ND, dtype=torch.float32), unseen, ridge, fade)


def _half(met_RO: csr_array, other_OD: Floats, ridge: float, unseen: float, others: int) -> Floats:
    """The factors of R rows given those of the O others: R ridge regressions at once."""
    num, D = other_OD.shape
    outer = (other_OD[:, :, None] * other_OD[:, None]).reshape(num, D * D)
    gram_RDD = (met_RO @ outer).reshape(-1, D, D)
    ridge_R = ridge * (met_RO.sum(axis=1) + unseen * others)
    left_RDD = gram_RDD + unseen * other_OD.T @ other_OD + ridge_R[:, None, None] * np.eye(D)
    solved_RD: Floats = np.linalg.solve(left_RDD, (met_RO @ other_OD)[..., None])[..., 0]
    return solved_RD
