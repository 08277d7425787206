"""Figures with intervals: people are drawn again, with all their rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slategym.models import metrics
from slategym.models.multitask.calibrate import Platt
from slategym.models.multitask.predict import Predictions
from slategym.models.multitask.scores import TOP
from slategym.models.tasks import NEXT

Ints = NDArray[np.int64]
Figures = dict[str, float]
LEFT_OUT = ("_gauc", "_ece_raw")  # of a task's figures: slow to draw again, or told elsewhere


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


def resampled(user_x: Ints, draws: int, seed: int) -> Iterator[Ints]:
    """Rows of as many people as there are, drawn with replacement, draw after draw."""
    order = np.argsort(user_x, kind="stable")
    _, first, count = np.unique(user_x[order], return_index=True, return_counts=True)
    rng = np.random.default_rng(seed)
    for _ in range(draws):
        who = rng.integers(0, len(first), len(first))
        sizes = count[who]
        into = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        yield order[np.repeat(first[who], sizes) + into]


def intervals(
    statistic: Callable[[Ints], Figures], user_x: Ints, *, draws: int = 200, seed: int = 0
) -> dict[str, Interval]:
    """Each figure of a statistic on all rows, with its interval.

    Args:
        statistic: figures of rows, NaN where they do not define one.
        user_x: whose row each is.
        draws: of people.
        seed: of the draws.
    """
    found = statistic(np.arange(len(user_x)))
    if not len(user_x):
        return {name: Interval(value, math.nan, math.nan) for name, value in found.items()}
    drawn = [statistic(rows) for rows in resampled(user_x, draws, seed)]
    result = {}
    for name, value in found.items():
        known = np.array([figures[name] for figures in drawn])
        known = known[~np.isnan(known)]
        low, high = math.nan, math.nan
        if len(known) >= draws / 2 and not math.isnan(value):
            low, high = np.quantile(known, [0.025, 0.975]).tolist()
        result[name] = Interval(value, low, high)
    return result


def row_figures(
    p: Predictions, platt: Mapping[str, Platt], weights: Mapping[str, float]
) -> Callable[[Ints], Figures]:
    """A statistic: the figures of some of these predictions, of the heads that were trained.

    Args:
        p: at x rows.
        platt: scaling by head; the identity where it is missing.
        weights: 0 marks a head that was not trained.
    """

    def figures(rows: Ints) -> Figures:
        values: Figures = {}
        for m, task in enumerate(p.tasks):
            name = task.signal.name
            if not weights[name]:
                continue
            if m == 0:
                used_xC = p.used_xC[rows]
                output, value = p.click_xC[rows][used_xC], p.clicked_xC[rows][used_xC]
            else:
                seen = rows[p.seen(m)[rows]]
                output, value = p.output_xM[seen, m], p.value_xM[seen, m]
            scale = platt.get(name, Platt()) if task.calibrated else Platt()
            one = np.zeros(len(value), np.int64)
            values |= task.figures(value, output, one, scale(output))
        if weights[NEXT]:
            rank = p.rank_x[rows[p.clicked_xC[rows, 0] > 0]]
            values[f"hr{TOP}"] = metrics.hit_rate(rank, TOP) if len(rank) else math.nan
            values[f"ndcg{TOP}"] = metrics.ndcg(rank, TOP) if len(rank) else math.nan
        return {name: x for name, x in values.items() if not name.endswith(LEFT_OUT)}

    return figures
