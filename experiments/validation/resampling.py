"""Uncertainty over people: halves of a log that differ by luck alone, and bootstraps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SPLITS, DRAWS = 40, 200


def halves(user: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which rows are of one random half of the people."""
    people, place = np.unique(user, return_inverse=True)
    return _half(len(people), rng)[place]


def _half(people: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    half: NDArray[np.bool_] = rng.permutation(people) < people // 2
    return half


def noise(
    user: NDArray[np.int64],
    distance: Callable[[NDArray[np.bool_], NDArray[np.bool_]], float],
    rng: np.random.Generator,
) -> float:
    """The distance that 95 of 100 random halves of the people are within, from each other.

    Args:
        user: of each row.
        distance: of the rows of one half from those of the other, given as masks.
        rng: of the halves.
    """
    people, place = np.unique(user, return_inverse=True)
    if len(people) < 4:
        return np.inf
    found = []
    for _ in range(SPLITS):
        half = _half(len(people), rng)[place]
        found.append(distance(half, ~half))
    kept = [x for x in found if np.isfinite(x)]
    return float(np.quantile(kept, 0.95)) if kept else np.inf


def sums_by_user(user: NDArray[np.int64], columns: Floats) -> Floats:
    """Sums of columns (R, J) by person, (P, J)."""
    _, place = np.unique(user, return_inverse=True)
    found = np.zeros((int(place.max(initial=-1)) + 1, columns.shape[1]))
    np.add.at(found, place, columns)
    return found


def ratio_draws(sums_P2: Floats, rng: np.random.Generator) -> Floats:
    """Bootstrap of sum(first) / sum(second) over people, (DRAWS,)."""
    people = len(sums_P2)
    found = []
    for _ in range(DRAWS):
        first, second = sums_P2[rng.integers(people, size=people)].sum(0)
        found.append(first / second if second else np.nan)
    return np.array(found)
