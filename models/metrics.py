"""How good predictions are: ranking, error, calibration. Numbers in, a number out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

CALIBRATION_BINS = 15  # of equal width


def auc(label_x: Array, score_x: Array) -> float:
    """Probability that a positive scores above a negative, ties counting half; NaN without both.

    Args:
        label_x: 0 or 1.
        score_x: higher means more likely positive.

    Source: Mann and Whitney 1947; equals scikit-learn's roc_auc_score.

    >>> auc(np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.35, 0.35]))
    0.875
    """
    positive_x = label_x == 1
    num_positive = int(positive_x.sum())
    num_negative = len(label_x) - num_positive
    if not num_positive or not num_negative:
        return float("nan")
    rank_x = ranks(score_x)
    least = num_positive * (num_positive + 1) / 2
    return float((rank_x[positive_x].sum() - least) / (num_positive * num_negative))


def ranks(value_x: Array) -> Array:
    """Places from 1 in ascending order, those of equal values on average; NaN if one is NaN.

    Equals `scipy.stats.rankdata`, whose import costs each process a second.

    >>> ranks(np.array([3.0, 1.0, 3.0]))
    array([2.5, 1. , 2.5])
    """
    order = np.argsort(value_x, kind="stable")
    sorted_x = value_x[order]
    if len(sorted_x) and np.isnan(sorted_x[-1]):
        return np.full(len(value_x), np.nan)
    first_x = np.concatenate([[True], sorted_x[1:] != sorted_x[:-1]])[: len(sorted_x)]
    edge = np.append(np.flatnonzero(first_x), len(sorted_x))  # where each run of equals begins
    found_x = np.empty(len(sorted_x))
    at_x = np.cumsum(first_x) - 1
    found_x[order] = 0.5 * (edge[at_x] + edge[at_x + 1] + 1)
    return found_x


def gauc(user_x: Array, label_x: Array, score_x: Array) -> float:
    """AUC inside each user, averaged with the user's rows as weight; users of one class left out.

    Args:
        user_x: whose row it is.
        label_x: 0 or 1.
        score_x: higher means more likely positive.

    Source: Zhu et al. 2017, "Optimized cost per click in Taobao", section 5.1.
    """
    order = np.argsort(user_x, kind="stable")
    cuts = np.flatnonzero(np.diff(user_x[order])) + 1
    total = weight = 0.0
    for rows in np.split(order, cuts):
        value = auc(label_x[rows], score_x[rows])
        if not np.isnan(value):
            total += value * len(rows)
            weight += len(rows)
    return total / weight if weight else float("nan")


def rmse(truth_x: Array, expected_x: Array) -> float:
    """Root mean squared error, in the unit of the truth."""
    return float(np.sqrt(np.mean(np.square(truth_x.astype(np.float64) - expected_x))))


def reliability(
    label_x: Array, prob_x: Array, bins: int = CALIBRATION_BINS
) -> list[tuple[float, float, int]]:
    """Mean prediction against observed rate in bins of equal width, empty bins left out.

    Args:
        label_x: 0 or 1.
        prob_x: predicted probability, in [0, 1].
        bins: number of bins.

    Returns:
        (mean predicted, observed rate, rows) of each bin.
    """
    bin_x = np.minimum((prob_x.astype(np.float64) * bins).astype(np.int64), bins - 1)
    count = np.bincount(bin_x, minlength=bins)
    predicted = np.bincount(bin_x, prob_x, bins)
    observed = np.bincount(bin_x, label_x, bins)
    return [
        (float(predicted[b] / count[b]), float(observed[b] / count[b]), int(count[b]))
        for b in np.flatnonzero(count)
    ]


def ece(label_x: Array, prob_x: Array, bins: int = CALIBRATION_BINS) -> float:
    """Expected calibration error: mean distance of prediction and outcome over equal-width bins.

    NaN without rows.

    Args:
        label_x: 0 or 1.
        prob_x: predicted probability, in [0, 1].
        bins: number of bins.

    Source: Guo et al. 2017, arXiv:1706.04599, section 2.
    """
    if not len(label_x):
        return float("nan")
    rows = reliability(label_x, prob_x, bins)
    total = sum(abs(predicted - observed) * count for predicted, observed, count in rows)
    return total / len(label_x)


def hit_rate(rank_x: Array, k: int) -> float:
    """Share of rows whose item is among the first k; rank 0 is first."""
    return float(np.mean(rank_x < k))


def ndcg(rank_x: Array, k: int) -> float:
    """Mean of 1 / log2(rank + 2) where the item is among the first k, else 0; rank 0 is first.

    Source: Järvelin and Kekäläinen 2002, with one relevant item a row.
    """
    rank_x = rank_x.astype(np.float64)
    return float(np.mean((rank_x < k) / np.log2(rank_x + 2)))
