"""Intervals of estimates: a bootstrap that resamples people, all episodes of a person together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from slategym.experiments.ope.estimators import Floats, Terms
from slategym.experiments.statistics.tables import COVERAGE

RESAMPLES = 2_000
CHUNK = 4_000_000  # counts held at once


class Interval(NamedTuple):
    """The middle 95 % of the resamples."""

    low: float
    high: float


def intervals(
    found: Mapping[str, Terms],
    person_E: NDArray[np.int64],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Of every estimate, from the same resamples.

    Args:
        found: estimates in parts.
        person_E: whose episode each is, 0..P-1.
        resamples: how many.
        seed: of the resamples.

    Source: Efron and Tibshirani 1993, chapter 13 (percentiles); Field and Welsh 2007, JRSS B 69
    (clusters).
    """
    P = int(person_E.max()) + 1
    count_P = np.bincount(person_E, minlength=P).astype(np.float64)
    sums = {
        name: (_by_person(t.num_EJ, person_E, P), _by_person(t.den_EJ, person_E, P))
        for name, t in found.items()
    }
    draws = {name: list[Floats]() for name in found}
    for weight_RP in _resampled(P, resamples, seed):
        size_R1 = (weight_RP @ count_P)[:, None]
        for name, (num_PJ, den_PJ) in sums.items():
            assert num_PJ is not None
            num_RJ = weight_RP @ num_PJ
            den_RJ = (
                np.broadcast_to(size_R1, num_RJ.shape) if den_PJ is None else weight_RP @ den_PJ
            )
            ratio_RJ = np.divide(num_RJ, den_RJ, out=np.zeros_like(num_RJ), where=den_RJ > 0)
            draws[name].append(ratio_RJ.sum(1))
    return {name: _middle(parts) for name, parts in draws.items()}


def _middle(parts: Sequence[Floats]) -> Interval:
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(np.concatenate(parts), [tail, 1 - tail])
    return Interval(float(low), float(high))


def _by_person(x_EJ: Floats | None, person_E: NDArray[np.int64], P: int) -> Floats | None:
    """Sums over each person's episodes, (P, J)."""
    if x_EJ is None:
        return None
    return np.stack([np.bincount(person_E, column_E, P) for column_E in x_EJ.T], 1)


def _resampled(P: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each person is drawn, some resamples at a time."""
    rng = np.random.default_rng(seed)
    most = max(1, CHUNK // P)
    sizes = [min(most, resamples - begin) for begin in range(0, resamples, most)]
    for size in sizes:
        yield rng.multinomial(P, np.full(P, 1 / P), size).astype(np.float64)
