"""What items' traits alone tell of who wants them: a closed form for items that nobody has met.

Items like those that many took up are popular: a ridge regression of the logarithm of clicks on
traits. A user's clicks so far speak for items like them: the mean cosine over a fading history.
Traits are attributes of items or vectors of their texts; nothing but four numbers is fitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from slategym.models import metrics
from slategym.models.classics.replay import rank
from slategym.models.classics.search import climb
from slategym.models.closed_form.events import Bools, Events, Floats, Ints
from slategym.models.closed_form.fading import Fading

TOP = 10
ROWS = 4_000  # validation rows, at most
LADDERS = {
    "alike": (0.0, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0),  # of the mean cosine, popularity's being 1
    "fade": (0.8, 0.9, 0.95, 0.98, 1.0),
    "ridge": (1.0, 10.0, 100.0, 1_000.0),
}
START = {"alike": 10.0, "fade": 0.95, "ridge": 10.0}


@dataclass(frozen=True)
class Alike:
    """Popularity as an item's own traits tell it, and likeness to what was taken up."""

    likeness: Fading
    popular_N: Tensor
    weight: float  # of the mean likeness
    name: str = "alike"

    def initial(self, history_BH: Tensor) -> tuple[Tensor, Tensor]:
        """Sums of likeness and of weights."""
        sum_BN = self.likeness.initial(history_BH)
        used_BH = history_BH >= 0
        later_BH = used_BH.flip(1).cumsum(1).flip(1) - 1
        return sum_BN, torch.where(used_BH, self.likeness.fade**later_BH, 0.0).sum(1)

    def after(
        self, state: tuple[Tensor, Tensor], item_B: Tensor, took_B: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Both, one click on."""
        sum_BN, total_B = state
        kept_B = torch.where(took_B, self.likeness.fade, 1.0)
        return self.likeness.after(sum_BN, item_B, took_B), total_B * kept_B + took_B

    def score(self, state: tuple[Tensor, Tensor]) -> Tensor:
        """Of all items, (B, N)."""
        sum_BN, total_B = state
        return self.popular_N + self.weight * sum_BN / total_B.clamp(min=1e-6)[:, None]


def fit_alike(
    events: Events,
    train_E: Bools,
    held_x: Ints,
    cold_C: Ints,
    trait_ND: Floats,
    *,
    repeats: bool,
) -> tuple[Alike, dict[str, float]]:
    """The closed form, and its settings as they rank held-out rows best (NDCG@10).

    Args:
        events: the log; cold items have no training rows.
        train_E: rows to fit on.
        held_x: clicked rows to choose by, of other items than the cold ones.
        cold_C: items whose popularity is told by traits alone.
        trait_ND: what is known of each item.
        repeats: whether items consumed before may be taken up again.
    """
    if len(held_x) > ROWS:
        held_x = held_x[np.linspace(0, len(held_x) - 1, ROWS).astype(np.int64)]
    took = events.item_E[train_E & events.took_E]
    met_N = np.bincount(took, minlength=events.num_items).astype(np.float64)
    like_NN = _likeness(trait_ND)
    warm_N = np.ones(events.num_items, bool)
    warm_N[cold_C] = False

    def model(s: Mapping[str, float]) -> Alike:
        popular_N = _popularity(trait_ND, met_N, warm_N, s["ridge"])
        return Alike(Fading("likeness", like_NN, s["fade"]), popular_N, s["alike"])

    def loss(s: Mapping[str, float]) -> float:
        return -metrics.ndcg(rank(model(s), events, held_x, repeats=repeats).rank_x, TOP)

    settings, _ = climb(LADDERS, START, loss)
    return model(settings), settings


def alike_figures(
    model: Alike, events: Events, row_x: Ints, cold_C: Ints, *, repeats: bool
) -> dict[str, float]:
    """As `cold_figures` has them of the network.

    Args:
        model: fitted.
        events: the log.
        row_x: clicked rows of cold items.
        cold_C: the cold items, sorted.
        repeats: whether items consumed before may be taken up again.
    """
    own_x = np.searchsorted(cold_C, events.item_E[row_x])
    every_xC = np.broadcast_to(cold_C, (len(row_x), len(cold_C)))
    score_xC = rank(model, events, row_x, every_xC, repeats=repeats).others_xC
    barred_xC = _met(events, repeats)[events.user_E[row_x]][:, cold_C]
    barred_xC[np.arange(len(row_x)), own_x] = True
    own_x1 = score_xC[np.arange(len(row_x)), own_x][:, None]
    above_x = ((score_xC > own_x1) & ~barred_xC).sum(1)
    tied_x = ((score_xC == own_x1) & ~barred_xC).sum(1)
    asked_x = np.maximum((~barred_xC).sum(1), 1)
    return {
        "click_auc": float((1 - (above_x + tied_x / 2) / asked_x).mean()),
        f"hr{TOP}": float(((TOP - above_x) / (tied_x + 1)).clip(0, 1).mean()),
    }


def _likeness(trait_ND: Floats) -> Tensor:
    """Cosines of items about their mean, the diagonal 0."""
    about_ND = torch.as_tensor(trait_ND - trait_ND.mean(0), dtype=torch.float32)
    unit_ND = functional.normalize(about_ND, dim=1)
    return (unit_ND @ unit_ND.T).fill_diagonal_(0.0)


def _popularity(trait_ND: Floats, met_N: Floats, warm_N: Bools, ridge: float) -> Tensor:
    """The logarithm of clicks as warm items with such traits have it, (N,)."""
    about_ND = trait_ND - trait_ND[warm_N].mean(0)
    log_N = np.log1p(met_N)
    left_DD = about_ND[warm_N].T @ about_ND[warm_N] + ridge * np.eye(trait_ND.shape[1])
    right_D = about_ND[warm_N].T @ (log_N[warm_N] - log_N[warm_N].mean())
    return torch.as_tensor(about_ND @ np.linalg.solve(left_DD, right_D), dtype=torch.float32)


def _met(events: Events, repeats: bool) -> Bools:
    """Whom each user meets at any time by a click, (U, N); nobody where items may come again."""
    if repeats:
        return np.zeros((events.num_users, events.num_items), bool)
    met_UN: Bools = events.met(np.ones(events.num_rows, bool)).toarray() > 0
    return met_UN
