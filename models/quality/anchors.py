"""What a model must beat: biases of users and items, and popularity. Statistics, no learning.

Each is fitted on training rows only. The online one also reads a user's rows before the one to
predict, as the model does: that makes it the fair anchor where most test users are new.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from slategym.models.metrics import auc
from slategym.models.multitask.biases import USER_PRIOR, rating_biases
from slategym.models.multitask.sequences import Bools, Ints, Sequences, draw_negatives

Floats = NDArray[np.float64]

BATCH = 256  # rows ranked together


@dataclass(frozen=True)
class Anchors:
    """Predictions at every row of the log, E of them, and the popularity of every item."""

    static_E: Floats  # stars: mean + user bias + item bias; an unknown user's bias is 0
    online_E: Floats  # stars: mean + item bias + the user's running residual before the row
    count_N: Floats  # clicks in the training rows


def fit_anchors(sequences: Sequences, train_E: Bools) -> Anchors:
    """Fit the three anchors.

    Args:
        sequences: the log; ratings must be observed in every row.
        train_E: training rows.

    Raises:
        ValueError: if some row has no rating.
    """
    user_E, item_E = sequences.user_E.cpu().numpy(), sequences.item_E.cpu().numpy()
    stars_E = sequences.stars_E.cpu().numpy().astype(np.float64)
    if np.isnan(stars_E).any():
        raise ValueError(
            f"bias-only anchors need a rating in every row; {int(np.isnan(stars_E).sum())} rows "
            "have none: evaluate without anchors"
        )
    mean, user_U, item_N = rating_biases(
        user_E[train_E],
        item_E[train_E],
        stars_E[train_E],
        sequences.num_users,
        sequences.num_items,
    )
    without_user_E = mean + item_N[item_E]
    order_E = sequences.order_E.cpu().numpy()
    first_E = np.arange(len(order_E)) - order_E
    sums = np.concatenate([[0.0], np.cumsum(stars_E - without_user_E)])
    before_E = sums[:-1] - sums[first_E]  # sum of the user's residuals before each row
    clicked_E = train_E & (sequences.click_E.cpu().numpy() > 0)
    return Anchors(
        static_E=without_user_E + user_U[user_E],
        online_E=without_user_E + before_E / (order_E + USER_PRIOR),
        count_N=np.bincount(item_E[clicked_E], minlength=sequences.num_items).astype(np.float64),
    )


def popularity_ranks(sequences: Sequences, count_N: Floats, row_x: Ints) -> Ints:
    """Place of each row's item by popularity among the items not consumed before it, 0 = first.

    Items of equal count share the place of the first of them.

    Args:
        sequences: the log.
        count_N: popularity.
        row_x: rows to rank.
    """
    count = torch.as_tensor(count_N, device=sequences.user_E.device)
    ranks: list[Ints] = []
    for part in np.split(row_x, range(BATCH, len(row_x), BATCH)):
        row_B = torch.as_tensor(part, device=count.device)
        rank_BN = sequences.rank(sequences.user_E[row_B])
        free_BN = rank_BN >= sequences.order_E[row_B][:, None]
        ahead_BN = count > count[sequences.item_E[row_B]][:, None]
        ranks.append((ahead_BN & free_BN).sum(1).cpu().numpy())
    return np.concatenate(ranks)


def popularity_click_auc(
    sequences: Sequences, count_N: Floats, row_x: Ints, negatives: int, seed: int
) -> float:
    """AUC of popularity for clicked rows against items that their users never meet.

    Args:
        sequences: the log.
        count_N: popularity.
        row_x: clicked rows.
        negatives: uniform draws per row.
        seed: of the draws.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn: list[Floats] = []
    for part in np.split(row_x, range(BATCH, len(row_x), BATCH)):
        user_B = sequences.user_E[torch.as_tensor(part, device=sequences.user_E.device)]
        line_B = torch.arange(len(part), device=user_B.device)
        limit_B = sequences.count_U[user_B]
        id_BC, free_BC = draw_negatives(
            sequences.rank(user_B), line_B, limit_B, negatives, generator
        )
        drawn.append(count_N[id_BC[free_BC].cpu().numpy()])
    positive_x = count_N[sequences.item_E.cpu().numpy()[row_x]]
    negative_x = np.concatenate(drawn)
    label_x = np.repeat([1, 0], [len(positive_x), len(negative_x)])
    return auc(label_x, np.concatenate([positive_x, negative_x]))
