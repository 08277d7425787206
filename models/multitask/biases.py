"""Where the heads start: biases of users and items, from counts and means of training rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

USER_PRIOR = 15.0  # pseudo-ratings pulling a user's bias to zero
ITEM_PRIOR = 10.0  # pseudo-ratings pulling an item's bias to zero
ALS_SWEEPS = 10  # converged to 1e-4 stars on MovieLens-100K
LIKE_PRIOR = 10.0  # pseudo-clicks pulling an item's like rate to the mean


@dataclass(frozen=True)
class ItemBiases:
    """Per-item starting points of the heads, from training rows only; N items."""

    click_N: Floats  # log-odds against a uniformly drawn item: log popularity x N
    like_N: Floats  # log-odds of a like given a click
    rating_N: Floats  # stars above the mean
    next_N: Floats  # log popularity
    rating_mean: float  # stars

    @property
    def num_items(self) -> int:
        """N."""
        return len(self.click_N)

    def stacked(self) -> Floats:
        """(4, N): click, like, rating, next."""
        return np.stack([self.click_N, self.like_N, self.rating_N, self.next_N])

    @staticmethod
    def neutral(num_items: int) -> ItemBiases:
        """All zero, for a model whose weights are about to be loaded."""
        zero_N = np.zeros(num_items)
        return ItemBiases(zero_N, zero_N, zero_N, zero_N, 0.0)


def item_biases(events: pd.DataFrame, num_users: int, num_items: int) -> ItemBiases:
    """Starting points of the four heads.

    Args:
        events: training rows only: user, item, click, like, rating; NaN where unobserved.
        num_users: U.
        num_items: N.
    """
    clicked = events[events["click"] == 1]
    count_N = np.bincount(clicked["item"], minlength=num_items)
    share_N = (count_N + 0.5) / (count_N.sum() + 0.5 * num_items)
    empty = events.iloc[:0].assign(like=0.0, rating=0.0)  # a log need not have every signal
    judged = clicked[clicked["like"].notna()] if "like" in events else empty
    rated = events[events["rating"].notna()] if "rating" in events else empty
    mean, _, rating_N = rating_biases(
        rated["user"].to_numpy(),
        rated["item"].to_numpy(),
        rated["rating"].to_numpy(),
        num_users,
        num_items,
    )
    like_rate_N = smoothed_rate(judged["item"].to_numpy(), judged["like"].to_numpy(), num_items)
    return ItemBiases(
        click_N=np.log(share_N * num_items),
        like_N=np.log(like_rate_N / (1 - like_rate_N)),
        rating_N=rating_N,
        next_N=np.log(share_N),
        rating_mean=mean,
    )


def smoothed_rate(item: NDArray[np.int64], hit: Floats, num_items: int) -> Floats:
    """Each item's rate of hits, (N,), pulled to the overall rate by LIKE_PRIOR pseudo-rows."""
    total = (hit.sum() + 0.5) / (len(hit) + 1)  # the half row keeps the log-odds finite
    hits_N = np.bincount(item, hit, num_items)
    rate_N: Floats = (hits_N + LIKE_PRIOR * total) / (
        np.bincount(item, minlength=num_items) + LIKE_PRIOR
    )
    return rate_N


def rating_biases(
    user: NDArray[np.int64], item: NDArray[np.int64], rating: Floats, num_users: int, num_items: int
) -> tuple[float, Floats, Floats]:
    """Fit rating = mean + user bias + item bias by alternating regularised averages.

    Returns:
        mean: stars. user_U, item_N: stars above it; 0 for whoever has no row.

    Source: Koren 2010, "Factor in the neighbors", section 2.1; priors as in Surprise's baseline.
    """
    mean = float(rating.mean()) if len(rating) else 0.0
    residual = rating.astype(np.float64) - mean
    user_U, item_N = np.zeros(num_users), np.zeros(num_items)
    user_weight_U = USER_PRIOR + np.bincount(user, minlength=num_users)
    item_weight_N = ITEM_PRIOR + np.bincount(item, minlength=num_items)
    for _ in range(ALS_SWEEPS):
        item_N = np.bincount(item, residual - user_U[user], num_items) / item_weight_N
        user_U = np.bincount(user, residual - item_N[item], num_users) / user_weight_U
    return mean, user_U, item_N
