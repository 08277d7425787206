"""Figures with intervals: people are drawn again, with all their rows.

A draw is a weight for each row, how often its person was drawn, and every figure is computed from
weights: nothing is sorted again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from slategym.models.metrics import CALIBRATION_BINS
from slategym.models.multitask.calibrate import Platt
from slategym.models.multitask.predict import Predictions
from slategym.models.multitask.scores import TOP
from slategym.models.tasks import NEXT, Task

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Numbers = NDArray[Any]
Figures = dict[str, float]
Statistic = Callable[[Floats], Figures]  # of weights, (x,); NaN where they do not define a figure


@dataclass(frozen=True)
class Interval:
    """A figure, and the 2.5 % to 97.5 % range of draws of people."""

    value: float
    low: float  # NaN where too few draws define the figure
    high: float

    @property
    def clear(self) -> bool:
        """Whether zero is outside."""
        return self.low > 0 or self.high < 0

    def to_json(self) -> dict[str, float | None]:
        """NaN as null."""
        return {name: None if math.isnan(x) else float(x) for name, x in vars(self).items()}


def drawn_weights(user_x: Ints, draws: int, seed: int) -> Iterator[Floats]:
    """How often each row is drawn if its people are, as many as there are, draw after draw."""
    who, at_x = np.unique(user_x, return_inverse=True)
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        count_u = np.bincount(rng.integers(0, len(who), len(who)), minlength=len(who))
        yield count_u[at_x].astype(np.float64)


def groups_left_out(user_x: Ints, groups: int) -> Iterator[Floats]:
    """Weights of rows without each of some groups of people in turn, for a jackknife.

    A figure's standard error is the standard deviation (over groups) of the figures of these
    weights times the root of groups - 1.

    Args:
        user_x: whose row each is.
        groups: into which their people are dealt, always in the same way.

    >>> [weight_x.tolist() for weight_x in groups_left_out(np.array([3, 3, 8]), 2)]
    [[0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]
    """
    group_x = dealt(user_x, groups)
    for group in range(groups):
        yield (group_x != group).astype(np.float64)


def dealt(user_x: Ints, groups: int) -> Ints:
    """The group of each row's person, in [0, groups), always the same of the same people."""
    who, place_x = np.unique(user_x, return_inverse=True)
    dealt_x: Ints = np.random.default_rng(0).permutation(len(who))[place_x] % groups
    return dealt_x


def intervals(
    statistic: Statistic,
    user_x: Ints,
    *,
    among_x: NDArray[np.bool_] | None = None,
    draws: int = 200,
    seed: int = 0,
) -> dict[str, Interval]:
    """Each figure of a statistic on some rows, with its interval.

    Args:
        statistic: figures of weighted rows.
        user_x: whose row each is.
        among_x: the rows; None: all.
        draws: of their people.
        seed: of the draws.
    """
    if among_x is None:
        among_x = np.ones(len(user_x), bool)
    found = statistic(among_x.astype(np.float64))
    drawn: dict[str, list[float]] = {name: [] for name in found}
    if among_x.any():
        weight_x = np.zeros(len(user_x))
        for part in drawn_weights(user_x[among_x], draws, seed):
            weight_x[among_x] = part
            for name, value in statistic(weight_x).items():
                if not math.isnan(value):
                    drawn[name].append(value)
    result = {}
    for name, value in found.items():
        low, high = math.nan, math.nan
        if len(drawn[name]) >= draws / 2 and not math.isnan(value):
            low, high = np.quantile(drawn[name], [0.025, 0.975]).tolist()
        result[name] = Interval(value, low, high)
    return result


def row_figures(
    p: Predictions, platt: Mapping[str, Platt], weights: Mapping[str, float]
) -> Statistic:
    """The figures of weighted predictions, of the heads that were trained.

    They are those of `model_figures`, without the slow ones: gAUC and the uncalibrated ECE.

    Args:
        p: at x rows.
        platt: scaling by head; the identity where it is missing.
        weights: 0 marks a head that was not trained.
    """
    parts: list[Statistic] = []
    for m, task in enumerate(p.tasks):
        name = task.signal.name
        if not weights[name]:
            continue
        if m == 0:
            used_xC = p.used_xC
            output, value = p.click_xC[used_xC], p.clicked_xC[used_xC]
            row = np.broadcast_to(np.arange(len(p.row_x))[:, None], used_xC.shape)[used_xC]
        else:
            row = np.flatnonzero(p.seen(m))
            output, value = p.output_xM[row, m], p.value_xM[row, m]
        scale = platt.get(name, Platt()) if task.calibrated else Platt()
        if task.calibrated:
            parts.append(_binary(name, row, output, value, expit(scale(output))))
        else:
            parts.append(_valued(task, row, output, value))
    if weights[NEXT]:
        parts.append(_ranked(np.flatnonzero(p.clicked_xC[:, 0] > 0), p.rank_x))

    def figures(weight_x: Floats) -> Figures:
        return {name: value for part in parts for name, value in part(weight_x).items()}

    return figures


def _binary(name: str, row: Ints, score: Numbers, label: Numbers, prob: Numbers) -> Statistic:
    """AUC, ties counting half, and expected calibration error; see `models.metrics`."""
    levels, tie = np.unique(score, return_inverse=True)
    positive = label == 1
    bins = np.minimum((prob * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    distance = prob.astype(np.float64) - label

    def figures(weight_x: Floats) -> Figures:
        weight = weight_x[row]
        up = np.bincount(tie, weight * positive, len(levels))
        down = np.bincount(tie, weight * ~positive, len(levels))
        pairs, total = up.sum() * down.sum(), weight.sum()
        below = np.cumsum(down) - down / 2
        off = np.abs(np.bincount(bins, weight * distance, CALIBRATION_BINS)).sum()
        return {
            f"{name}_auc": float((up * below).sum() / pairs) if pairs else math.nan,
            f"{name}_ece": float(off / total) if total else math.nan,
        }

    return figures


def _valued(task: Task, row: Ints, output: Numbers, value: Numbers) -> Statistic:
    """Root mean squared error as the task measures it: of one row, it is that row's error."""
    one = np.zeros(1, np.int64)
    rows = [
        task.figures(value[n : n + 1], output[n : n + 1], one, output[n : n + 1])
        for n in range(len(row))
    ]
    names = list(task.figures(value[:0], output[:0], one[:0], output[:0]))
    square = {name: np.array([found[name] for found in rows]) ** 2 for name in names}

    def figures(weight_x: Floats) -> Figures:
        weight = weight_x[row]
        total = weight.sum()
        return {
            name: math.sqrt(float((weight * square[name]).sum() / total)) if total else math.nan
            for name in names
        }

    return figures


def _ranked(row: Ints, rank_x: NDArray[np.floating]) -> Statistic:
    """Hit rate and NDCG of the clicked rows."""
    rank = rank_x[row].astype(np.float64)
    hit = rank < TOP
    gain = hit / np.log2(rank + 2)

    def figures(weight_x: Floats) -> Figures:
        weight = weight_x[row]
        total = weight.sum()
        if not total:
            return {f"hr{TOP}": math.nan, f"ndcg{TOP}": math.nan}
        return {
            f"hr{TOP}": float((weight * hit).sum() / total),
            f"ndcg{TOP}": float((weight * gain).sum() / total),
        }

    return figures
