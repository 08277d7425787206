"""A trace in a log that slates change what comes later, and the arithmetic that finds one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from slategym.experiments.validation.resampling import DRAWS, Floats

SURE, FEWEST = 0.05, 30  # adjusted p; people, below which nothing is said


@dataclass(frozen=True)
class Trace:
    """One way in which a log shows that slates change what comes later, or does not."""

    name: str
    said: str
    figure: float | None = None  # None: left out
    low: float | None = None
    high: float | None = None
    p: float | None = None  # adjusted
    wanted: str = ""  # what to log in order to know, where it is left out
    counts: bool = True  # False: said, but no reason for the answer

    @property
    def clear(self) -> bool:
        """Whether the log shows it, and it counts."""
        return self.counts and self.p is not None and self.p < SURE

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        keys = ("name", "said", "figure", "low", "high", "p", "wanted", "counts")
        return {key: getattr(self, key) for key in keys} | {"clear": self.clear}


def missing(name: str, why: str, wanted: str) -> Trace:
    """One that the log says nothing of, why, and what would have to be logged."""
    return Trace(name, f"left out: {why}", wanted=wanted)


def slope(
    name: str,
    user: NDArray[np.int64],
    x: Floats,
    y: Floats,
    rng: np.random.Generator,
    said: str,
    weight: Floats | None = None,
) -> Trace:
    """Least squares through zero, weighted if asked, people resampled."""
    _, place = np.unique(user, return_inverse=True)
    sums = np.zeros((int(place.max(initial=-1)) + 1, 2))
    w = np.ones(len(x)) if weight is None else weight
    np.add.at(sums, place, np.stack([w * x * y, w * x * x], 1))
    if len(sums) < FEWEST or sums[:, 1].sum() <= 0:
        return missing(name, f"{len(sums)} people with what is needed", "more people")
    figure = sums[:, 0].sum() / sums[:, 1].sum()
    draws = []
    for _ in range(DRAWS):
        above, below = sums[rng.integers(len(sums), size=len(sums))].sum(0)
        draws.append(above / below if below > 0 else np.nan)
    low, high = np.nanquantile(draws, [0.025, 0.975])
    error = float(np.nanstd(draws))
    p = float(2 * ndtr(-abs(figure) / error)) if error > 0 else 1.0
    words = f"{said.format(figure)} [{low:+.3f}, {high:+.3f}]"
    return Trace(name, words, float(figure), float(low), float(high), p)


def means_by(group: NDArray[np.int64], values: Floats, weight: Floats | None = None) -> Floats:
    """Each row's group's mean, weighted if asked."""
    _, place = np.unique(group, return_inverse=True)
    w = np.ones(len(values)) if weight is None else weight
    total, size = np.bincount(place, w * values), np.bincount(place, w)
    means: Floats = np.divide(total, size, out=np.zeros_like(total), where=size > 0)[place]
    return means


def sums_by(group: NDArray[np.int64], values: Floats) -> Floats:
    """Each row's group's sum."""
    _, place = np.unique(group, return_inverse=True)
    sums: Floats = np.bincount(place, values)[place].astype(np.float64)
    return sums


def others(group: NDArray[np.int64], values: Floats) -> Floats:
    """The mean of each row's group without the row: a mean with it would pull neighbours apart."""
    _, place = np.unique(group, return_inverse=True)
    total, count = np.bincount(place, values)[place], np.bincount(place)[place]
    rest: Floats = (total - values) / np.maximum(count - 1, 1)
    return np.where(count > 1, rest, values)
