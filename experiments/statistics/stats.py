"""Numbers with intervals, from episode rows and from nothing else.

Everything here is a function of one table: a row is one simulated user's session under one policy.
An interval is the 2.5 % to 97.5 % range of a bootstrap that resamples people (a person may have
several rows, which stay together) and, for policies that learn, training seeds.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from slategym.experiments.statistics.bootstrap import (
    bootstrap_mean,
    estimate_of,
    mean_of,
    session_weights,
)
from slategym.experiments.statistics.cells import Cell, found_of, paired_table, table
from slategym.experiments.statistics.estimate import Estimate


def mean(rows: pd.DataFrame, cell: Cell, metric: str = "return") -> Estimate:
    """Mean over seeds and users."""
    return mean_of(table(rows, cell, metric), f"mean of {metric} where {cell.query()}")


def weighted_mean(rows: pd.DataFrame, cell: Cell, metric: str, weight: str) -> Estimate:
    """Mean of a metric weighted by another, a ratio of sums; its interval by linearisation.

    Source: Cochran 1977, Sampling Techniques, section 2.11.
    """
    mine = cell.among(rows)
    sum_n = (mine[metric] * mine[weight]).fillna(0.0)  # no weight, no value
    value = sum_n.sum() / mine[weight].sum()
    left_n = (sum_n - value * mine[weight]) / mine[weight].mean()
    found = mean(mine.assign(**{metric: value + left_n}), cell, metric)
    source = f"mean of {metric} weighted by {weight} where {cell.query()}"
    return replace(found, source=source)


def paired_difference(
    rows: pd.DataFrame, cell: Cell, baseline: Cell, metric: str = "return"
) -> Estimate:
    """Mean over (seed, user) of the policy minus the baseline, same users, same luck.

    A baseline that does not learn has one seed, which serves every seed of the policy.

    Raises:
        ValueError: if the two were not read on the same users (and seeds, if both learn).
    """
    found = found_of(rows)
    if found is None:
        return _paired_difference(rows, cell, baseline, metric)
    asked = cell, baseline, metric
    if asked not in found.differences:
        found.differences[asked] = _paired_difference(rows, *asked)
    return found.differences[asked]


def _paired_difference(rows: pd.DataFrame, cell: Cell, baseline: Cell, metric: str) -> Estimate:
    source = f"mean of paired {metric} differences: ({cell.query()}) minus ({baseline.query()})"
    return mean_of(paired_table(rows, cell, baseline, metric), source)


def difference_beyond(
    rows: pd.DataFrame, cell: Cell, baseline: Cell, margin: float, metric: str = "return"
) -> Estimate:
    """How far the paired difference is beyond a margin above zero: the difference less it."""
    pairs = paired_table(rows, cell, baseline, metric)
    source = (
        f"mean of paired {metric} differences less {margin:g}: ({cell.query()}) minus "
        f"({baseline.query()})"
    )
    return mean_of(replace(pairs, value_SU=pairs.value_SU - margin), source)


def by_seed(
    rows: pd.DataFrame, cell: Cell, baseline: Cell, metric: str = "return"
) -> dict[int, float]:
    """The paired difference of each training seed."""
    pairs = paired_table(rows, cell, baseline, metric)
    return dict(zip(pairs.seed_S.tolist(), pairs.value_SU.mean(1).tolist(), strict=True))


def drop(
    rows: pd.DataFrame,
    cell: Cell,
    baseline: Cell,
    other_cell: Cell,
    other_baseline: Cell,
    *,
    metric: str = "return",
) -> Estimate:
    """How much of an advantage is lost elsewhere: (cell - baseline) - (other - its baseline).

    Typically world minus judge, paired by (seed, user). Positive: the world flattered it.
    """
    here = paired_table(rows, cell, baseline, metric)
    there = paired_table(rows, other_cell, other_baseline, metric)
    if not (
        np.array_equal(here.user_U, there.user_U) and np.array_equal(here.seed_S, there.seed_S)
    ):
        raise ValueError(
            f"the drop needs the same users and seeds where {cell.query()} "
            f"and where {other_cell.query()}"
        )
    source = (
        f"mean of paired {metric} differences of differences: [({cell.query()}) minus "
        f"({baseline.query()})] minus [({other_cell.query()}) minus ({other_baseline.query()})]"
    )
    return mean_of(replace(here, value_SU=here.value_SU - there.value_SU), source)


def interquartile_mean(rows: pd.DataFrame, cell: Cell, metric: str = "return") -> Estimate:
    """Mean of the middle half of all (seed, user) values.

    Source: Agarwal et al. 2021, arXiv:2108.13264, section 4.3 (scipy's `trim_mean(x, 0.25)`; a
    quarter that is not a whole number of sessions is cut by weight).
    """
    t = table(rows, cell, metric)
    order = t.value_SU.ravel().argsort()
    value_n = t.value_SU.ravel()[order]

    def trimmed(weight_Rn: np.ndarray) -> np.ndarray:
        upto_Rn = (weight_Rn / weight_Rn.sum(1, keepdims=True)).cumsum(1)
        inside_Rn = np.diff(upto_Rn.clip(0.25, 0.75), axis=1, prepend=0.25)
        result: np.ndarray = inside_Rn @ value_n / 0.5
        return result

    parts = [trimmed(part.reshape(len(part), -1)[:, order]) for part in session_weights(t)]
    value = float(trimmed(np.ones((1, value_n.size)))[0])
    source = f"interquartile mean of {metric} where {cell.query()}"
    return estimate_of(value, np.concatenate(parts), t, source)


def probability_of_improvement(
    rows: pd.DataFrame, cell: Cell, baseline: Cell, metric: str = "return"
) -> Estimate:
    """Share of (seed, user) in which the policy's return is the higher; ties count half.

    rliable (Agarwal et al. 2021, section 4.3) compares all pairs of runs; here luck is common, so
    that only the pair of the same user under the same seed is compared. Its p-value is of 1/2.
    """
    t = paired_table(rows, cell, baseline, metric)
    won_SU = (np.sign(t.value_SU) + 1) / 2
    source = f"share of pairs with higher {metric}: ({cell.query()}) over ({baseline.query()})"
    centred = mean_of(replace(t, value_SU=won_SU - 0.5), source)
    low, high = max(0.0, centred.low + 0.5), min(1.0, centred.high + 0.5)  # it is a share
    by_split = tuple(share + 0.5 for share in centred.by_split)
    return replace(centred, value=centred.value + 0.5, low=low, high=high, by_split=by_split)


def normalised_score(
    rows: pd.DataFrame, cell: Cell, random: Cell, reference: Cell, metric: str = "return"
) -> Estimate:
    """(x - random) / (reference - random), of means: 0 is random, 1 is the reference.

    The three means share each resample's people, so that the ratio's interval respects pairing;
    resamples in which the reference is not better than random have no score and are left out.

    Raises:
        ValueError: if the reference is not better than random.
    """
    ours, least, most = (table(rows, c, metric) for c in (cell, random, reference))
    for other, name in ((least, random), (most, reference)):
        if not np.array_equal(ours.user_U, other.user_U):
            raise ValueError(f"a normalised score needs the same users: see where {name.query()}")
    low, high = least.value_SU.mean(), most.value_SU.mean()
    if high <= low:
        raise ValueError(
            f"a normalised score needs reference > random: {high:.4g} where {reference.query()}, "
            f"{low:.4g} where {random.query()}"
        )
    low_R, high_R = bootstrap_mean(least), bootstrap_mean(most)
    ahead_R = high_R > low_R  # of few people there are draws in which the reference is not better
    draws_R = (bootstrap_mean(ours) - low_R)[ahead_R] / (high_R - low_R)[ahead_R]
    source = (
        f"({metric} where {cell.query()}, minus where {random.query()}) / "
        f"(where {reference.query()}, minus where {random.query()})"
    )
    return estimate_of(float((ours.value_SU.mean() - low) / (high - low)), draws_R, ours, source)
