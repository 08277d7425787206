"""The figures by which models are compared, from their predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from slategym.models import metrics
from slategym.models.multitask.calibrate import Platt, labelled
from slategym.models.multitask.losses import TaskWeights
from slategym.models.multitask.network import CALIBRATED, MultiTaskBert
from slategym.models.multitask.predict import Predictions

TOP = 10  # places that count as a hit


@dataclass(frozen=True)
class Figures:
    """One line of the comparison; None where the model has no such output."""

    model: str
    like_auc: float | None = None
    like_gauc: float | None = None
    rating_rmse: float | None = None  # stars
    click_auc: float | None = None
    like_ece: float | None = None  # as delivered, calibrated where that helped
    like_ece_raw: float | None = None
    click_ece: float | None = None
    click_ece_raw: float | None = None
    hr10: float | None = None
    ndcg10: float | None = None


def platt_of(model: MultiTaskBert) -> dict[str, Platt]:
    """The scaling that a model's `score` applies, by head."""
    pairs = zip(model.platt_scale_2.tolist(), model.platt_shift_2.tolist(), strict=True)
    return {head: Platt(*pair) for head, pair in zip(CALIBRATED, pairs, strict=True)}


def model_figures(
    name: str, predictions: Predictions, platt: dict[str, Platt], weights: TaskWeights
) -> Figures:
    """All the figures of the heads that were trained.

    Args:
        name: of the model.
        predictions: at the test rows.
        platt: scaling by head.
        weights: 0 marks a head that was not trained.
    """
    p = predictions
    values: dict[str, float] = {}
    if weights.like:
        logit_x, liked_x, user_x = labelled(p, "like")
        values |= {
            "like_auc": metrics.auc(liked_x, logit_x),
            "like_gauc": metrics.gauc(user_x, liked_x, logit_x),
            "like_ece": metrics.ece(liked_x, expit(platt["like"](logit_x))),
            "like_ece_raw": metrics.ece(liked_x, expit(logit_x)),
        }
    if weights.click:
        logit_x, clicked_x, _ = labelled(p, "click")
        values |= {
            "click_auc": metrics.auc(clicked_x, logit_x),
            "click_ece": metrics.ece(clicked_x, expit(platt["click"](logit_x))),
            "click_ece_raw": metrics.ece(clicked_x, expit(logit_x)),
        }
    if weights.rating:
        rated_x = ~np.isnan(p.stars_x)
        values["rating_rmse"] = metrics.rmse(p.stars_x[rated_x], p.expected_x[rated_x])
    if weights.next:
        clicked_x = p.clicked_xC[:, 0] > 0
        values["hr10"] = metrics.hit_rate(p.rank_x[clicked_x], TOP)
        values["ndcg10"] = metrics.ndcg(p.rank_x[clicked_x], TOP)
    return Figures(name, **{k: v for k, v in values.items() if not np.isnan(v)})
