"""Platt scaling of a head's log-odds, kept only where it helps users it was not fitted on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from slategym.models.metrics import ece, reliability
from slategym.models.multitask.predict import Predictions

Array = NDArray[Any]

NEWTON_STEPS = 25  # two parameters, convex: converged long before
MIN_GAIN = 0.1  # relative: smaller gains on a few thousand rows did not last on test rows
RIDGE = 1e-6  # keeps the Newton step finite where the labels are all alike


@dataclass(frozen=True)
class Platt:
    """Corrected log-odds = scale * log-odds + shift."""

    scale: float = 1.0
    shift: float = 0.0

    def __call__(self, logit_x: Array) -> Array:
        """Corrected log-odds of the same shape."""
        return self.scale * logit_x + self.shift


@dataclass(frozen=True)
class Calibration:
    """What was tried on one head, and whether it was kept."""

    head: str  # a binary signal
    platt: Platt  # identity where not kept
    ece_raw: float  # two-fold over users, in [0, 1]
    ece_platt: float  # the same users, scaled with what was fitted on the other fold
    rows: int  # labelled predictions

    @property
    def kept(self) -> bool:
        """Whether the scaling clearly lowered the error on users that it was not fitted on."""
        return self.platt != Platt()

    def sentence(self) -> str:
        """For a card or a protocol."""
        if np.isnan(self.ece_raw):
            return (
                f"{self.head}: no Platt scaling tried: it takes two people held out with "
                f"predictions of it ({self.rows} validation predictions)"
            )
        verb = "kept" if self.kept else "tried and not kept"
        return (
            f"{self.head}: Platt scaling {verb}, held-out ECE {self.ece_raw:.4f} raw, "
            f"{self.ece_platt:.4f} scaled ({self.rows} validation predictions)"
        )

    def to_json(self) -> dict[str, Any]:
        """A dict that JSON can hold."""
        return {**asdict(self), "kept": self.kept, "sentence": self.sentence()}


def fit_platt(logit_x: Array, label_x: Array) -> Platt:
    """Logistic regression of the labels on the log-odds, by Newton's method.

    Args:
        logit_x: log-odds.
        label_x: 0 or 1.

    Source: Platt 1999, "Probabilistic outputs for support vector machines", section 2.
    """
    design_x2 = np.stack([logit_x, np.ones_like(logit_x)], axis=1).astype(np.float64)
    weight_2 = np.array([1.0, 0.0])
    for _ in range(NEWTON_STEPS):
        prob_x = expit(design_x2 @ weight_2)
        slope_2 = design_x2.T @ (prob_x - label_x)
        curve_22 = (design_x2 * (prob_x * (1 - prob_x))[:, None]).T @ design_x2
        weight_2 = weight_2 - np.linalg.solve(curve_22 + RIDGE * np.eye(2), slope_2)
    return Platt(float(weight_2[0]), float(weight_2[1]))


def labelled(predictions: Predictions, head: str) -> tuple[Array, Array, Array]:
    """Log-odds, label and user of every observed prediction of a head.

    Args:
        predictions: from `predict`.
        head: the click (rows and their negatives) or another binary signal (clicked rows).
    """
    p = predictions
    names = [task.signal.name for task in p.tasks]
    if at := names.index(head):
        seen_x = p.seen(at)
        return p.output_xM[seen_x, at], p.value_xM[seen_x, at], p.user_x[seen_x]
    user_xC = np.broadcast_to(p.user_x[:, None], p.used_xC.shape)
    return p.click_xC[p.used_xC], p.clicked_xC[p.used_xC], user_xC[p.used_xC]


def calibrate(predictions: Predictions, head: str) -> Calibration:
    """Fit on half of the users, measure on the other half, both ways; keep what clearly helps.

    It is kept if it lowers the error both ways, and by a tenth together.

    Args:
        predictions: of validation rows that the model was not trained on.
        head: a binary signal.

    Returns:
        The scaling fitted on all the rows where it was kept, else the identity.
    """
    logit_x, label_x, user_x = labelled(predictions, head)
    fold_x = np.unique(user_x, return_inverse=True)[1] % 2  # every other user
    raw = scaled = 0.0
    helped_twice = True
    for fold in (0, 1):
        held_x = fold_x == fold
        if not held_x.any() or held_x.all():
            return Calibration(head, Platt(), float("nan"), float("nan"), len(label_x))
        platt = fit_platt(logit_x[~held_x], label_x[~held_x])
        raw_error = ece(label_x[held_x], expit(logit_x[held_x]))
        scaled_error = ece(label_x[held_x], expit(platt(logit_x[held_x])))
        helped_twice &= scaled_error < raw_error
        raw += float(held_x.mean()) * raw_error
        scaled += float(held_x.mean()) * scaled_error
    platt = fit_platt(logit_x, label_x)
    kept = helped_twice and scaled < (1 - MIN_GAIN) * raw and platt.scale > 0
    return Calibration(head, platt if kept else Platt(), raw, scaled, len(label_x))


def reliability_rows(
    predictions: Predictions, model: str, head: str, platt: Platt, bins: int = 15
) -> list[dict[str, str | int | float]]:
    """Rows for a reliability diagram: model, head, bin, predicted, observed, count.

    Args:
        predictions: from `predict`.
        model: name for the rows.
        head: a binary signal.
        platt: scaling to apply first.
        bins: number of equal-width bins; empty ones are left out.
    """
    logit_x, label_x, _ = labelled(predictions, head)
    return [
        {
            "model": model,
            "head": head,
            "bin": min(int(predicted * bins), bins - 1),
            "predicted": predicted,
            "observed": observed,
            "count": count,
        }
        for predicted, observed, count in reliability(label_x, expit(platt(logit_x)), bins)
    ]
