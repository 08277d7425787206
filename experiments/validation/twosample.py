"""Can a classifier tell a log's visits from a world's?

Source: Lopez-Paz and Oquab 2017, "Revisiting classifier two-sample tests", arXiv:1610.06545.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from slategym.experiments.validation.lines import Bounds, Line, left_out
from slategym.experiments.validation.marginals import Sides
from slategym.experiments.validation.resampling import DRAWS
from slategym.models import metrics

AUC = Bounds(0.6, 0.75)
FOLDS, RIDGE, STEPS, FEWEST = 5, 1.0, 25, 60
PART = "two-sample test"
Floats = NDArray[np.float64]


def features(
    rows: pd.DataFrame, topic_N: NDArray[np.int64], popular_N: Floats, signals: list[str]
) -> pd.DataFrame:
    """One row per visit: what happened in it, in numbers.

    Args:
        rows: of a log or a world.
        topic_N: of items as the rows number them, -1: none.
        popular_N: how often items are clicked in the log.
        signals: after the click, that both sides have.
    """
    item = rows["item"].to_numpy()
    took = rows["click"].to_numpy() > 0
    rows = rows.assign(topic=topic_N[item], fame=np.log1p(popular_N[item]), took=took.astype(float))
    by_visit = rows.groupby("visit")
    found = pd.DataFrame(
        {
            "user": by_visit["user"].first(),
            "slates": by_visit["slate"].nunique(),
            "clicks": by_visit["took"].sum(),
        }
    )
    taken = rows[took].groupby("visit")
    found["fame"] = taken["fame"].mean()
    found["topics"] = taken["topic"].nunique() / taken["topic"].size()
    for name in signals:
        found[name] = taken[name].mean()
    for name in ("hour", "weekday"):
        if name in rows:
            angle = 2 * np.pi * by_visit[name].first() / (24 if name == "hour" else 7)
            found[f"{name} sine"], found[f"{name} cosine"] = np.sin(angle), np.cos(angle)
    return found.reset_index(drop=True)


def told_apart(both: Sides, rng: np.random.Generator) -> Line:
    """The area under the curve of a logistic regression, read on people it was not fitted on.

    Args:
        both: from `features`.
        rng: of folds and bootstrap.
    """
    check = "a classifier tells visits apart"
    log, world = both
    size = min(len(log), len(world))
    if size < FEWEST:
        return left_out(PART, check, f"{len(log)} and {len(world)} visits; {FEWEST} are needed")
    sides = [x.iloc[rng.permutation(len(x))[:size]] for x in (log, world)]
    table = pd.concat(sides, keys=[0, 1], names=["side"]).reset_index("side")
    label = table["side"].to_numpy(np.float64)
    person = table["side"].astype(str) + "/" + table["user"].astype(str)
    _, person_V = np.unique(person.to_numpy(), return_inverse=True)
    names = [c for c in table.columns if c not in ("side", "user")]
    x_VJ = _prepared(table[names].to_numpy(np.float64))
    fold_V = (rng.permutation(person_V.max() + 1) % FOLDS)[person_V]
    score_V = np.zeros(len(label))
    for fold in range(FOLDS):
        held_V = fold_V == fold
        if held_V.any() and not held_V.all():
            weight_J = _logistic(x_VJ[~held_V], label[~held_V])
            score_V[held_V] = x_VJ[held_V] @ weight_J
    figure = metrics.auc(label, score_V)
    draws = []
    rows_of = np.argsort(person_V, kind="stable")
    start = np.searchsorted(person_V[rows_of], np.arange(person_V.max() + 2))
    for _ in range(DRAWS):
        drawn = rng.integers(person_V.max() + 1, size=person_V.max() + 1)
        at = np.concatenate([rows_of[start[p] : start[p + 1]] for p in drawn])
        draws.append(metrics.auc(label[at], score_V[at]))
    low, high = np.nanquantile(draws, [0.025, 0.975])
    whole_J = _logistic(x_VJ, label)[1 : 1 + len(names)]
    most = [names[j] for j in np.argsort(-np.abs(whole_J))[:3]]
    said = (
        f"AUC {figure:.3f} [{low:.3f}, {high:.3f}] over {size} visits of each, .5 is luck; most by "
        f"{', '.join(most)}"
    )
    return Line(PART, check, AUC.status(float(low)), said, figure, float(low), float(high), AUC)


def _prepared(x_VJ: Floats) -> Floats:
    """Standardised, with squares and a constant; what is missing is the mean."""
    mean_J = np.nan_to_num(np.nanmean(np.where(np.isfinite(x_VJ), x_VJ, np.nan), axis=0))
    missing_VJ = ~np.isfinite(x_VJ)
    filled = np.where(missing_VJ, mean_J, x_VJ)
    scaled = (filled - filled.mean(0)) / np.maximum(filled.std(0), 1e-9)
    scaled = scaled.clip(-5, 5)
    columns: Floats = np.c_[np.ones(len(x_VJ)), scaled, scaled**2, missing_VJ.astype(float)]
    return columns


def _logistic(x_VJ: Floats, label_V: Floats) -> Floats:
    """Ridge weights by Newton's method."""
    weight_J = np.zeros(x_VJ.shape[1])
    penalty = RIDGE * np.eye(len(weight_J))
    penalty[0, 0] = 1e-6
    for _ in range(STEPS):
        p_V = expit(x_VJ @ weight_J)
        curve = (x_VJ * (p_V * (1 - p_V))[:, None]).T @ x_VJ + penalty
        step = np.linalg.solve(curve, x_VJ.T @ (label_V - p_V) - penalty @ weight_J)
        weight_J = weight_J + step
        if np.abs(step).max() < 1e-8:
            break
    return weight_J
