"""What a model must beat: biases of users and items, and popularity. Statistics, no learning.

Each is fitted on training rows only. The online one also reads a user's rows before the one to
predict, as the model does: that makes it the fair anchor where most test users are new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from slategym.models.metrics import auc
from slategym.models.multitask.sequences import Bools, Ints, Sequences, draw_negatives
from slategym.models.statistics import USER_PRIOR, rating_biases
from slategym.models.tasks import Task

Floats = NDArray[np.float64]

BATCH = 256  # rows ranked together


@dataclass(frozen=True)
class Anchors:
    """Predictions at every row of the log, E of them, and the popularity of every item."""

    static_EM: Floats  # mean + user bias + item bias of each signal; an unknown user's bias is 0
    online_EM: Floats  # mean + item bias + the user's running residual before the row
    count_N: Floats  # clicks in the training rows


def fit_anchors(sequences: Sequences, tasks: Sequence[Task], train_E: Bools) -> Anchors:
    """Fit the three anchors.

    A like that is derived from a rating is ranked by the rating's anchor: it knows more.

    Args:
        sequences: the log.
        tasks: of its signals, click first.
        train_E: training rows.
    """
    user_E, item_E = sequences.user_E.cpu().numpy(), sequences.item_E.cpu().numpy()
    value_EM = sequences.feedback_EM.cpu().numpy().astype(np.float64)
    clicked_E = value_EM[:, 0] > 0
    static_EM, online_EM = np.full_like(value_EM, np.nan), np.full_like(value_EM, np.nan)
    for m in range(1, len(tasks)):
        value_E = np.where(clicked_E, value_EM[:, m], np.nan)
        static_EM[:, m], online_EM[:, m] = _biases(sequences, value_E, user_E, item_E, train_E)
    names = [task.signal.name for task in tasks]
    for m, task in enumerate(tasks):
        if task.given is not None:
            followed = names.index(task.given)
            static_EM[:, followed], online_EM[:, followed] = static_EM[:, m], online_EM[:, m]
    trained_E = train_E & clicked_E
    return Anchors(
        static_EM=static_EM,
        online_EM=online_EM,
        count_N=np.bincount(item_E[trained_E], minlength=sequences.num_items).astype(np.float64),
    )


def _biases(
    sequences: Sequences, value_E: Floats, user_E: Ints, item_E: Ints, train_E: Bools
) -> tuple[Floats, Floats]:
    """Static and online predictions of one signal at every row, (E,) each; NaN: unobserved."""
    seen_E = ~np.isnan(value_E)
    known_E = train_E & seen_E
    mean, user_U, item_N = rating_biases(
        user_E[known_E],
        item_E[known_E],
        value_E[known_E],
        sequences.num_users,
        sequences.num_items,
    )
    without_user_E = mean + item_N[item_E]
    first_E = sequences.first_U.cpu().numpy()[user_E]
    residual_E = np.where(seen_E, value_E - without_user_E, 0.0)
    position_E = sequences.position_E.cpu().numpy()
    request_E = np.searchsorted(position_E, position_E)  # nothing is observed between it and a row
    sums = np.concatenate([[0.0], np.cumsum(residual_E)])
    counts = np.concatenate([[0], np.cumsum(seen_E)])
    before_E = sums[request_E] - sums[first_E]  # of the user's residuals before each request
    rows_E = counts[request_E] - counts[first_E]
    return without_user_E + user_U[user_E], without_user_E + before_E / (rows_E + USER_PRIOR)


def popularity_ranks(sequences: Sequences, count_N: Floats, row_x: Ints) -> Ints:
    """Place of each row's item by popularity among the items that could be next, 0 = first.

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
        ahead_BN = count > count[sequences.item_E[row_B]][:, None]
        if not sequences.repeats:
            rank_BN = sequences.rank(sequences.user_E[row_B])
            ahead_BN = ahead_BN & (rank_BN >= sequences.order_E[row_B][:, None])
        ranks.append(ahead_BN.sum(1).cpu().numpy())
    return np.concatenate(ranks)


def popularity_click_auc(
    sequences: Sequences, count_N: Floats, row_x: Ints, negatives: int, seed: int
) -> float:
    """AUC of popularity for clicked rows against what was not clicked, as `predict` compares.

    Where the log has slates, that is what was shown beside them; elsewhere also items drawn from
    those that their users never meet, or from all others where items may be consumed again.

    Args:
        sequences: the log.
        count_N: popularity.
        row_x: rows, clicked or not.
        negatives: uniform draws per clicked row.
        seed: of the draws.
    """
    generator = torch.Generator().manual_seed(seed)
    clicked_x = sequences.click_E.cpu().numpy()[row_x] > 0
    item_E = sequences.item_E.cpu().numpy()
    own_x = count_N[item_E[row_x]]
    drawn: list[Floats] = [own_x[~clicked_x]]
    taken_x = row_x[clicked_x] if sequences.slot_E is None else row_x[:0]
    for part in np.split(taken_x, range(BATCH, len(taken_x), BATCH)):
        row_B = torch.as_tensor(part, device=sequences.user_E.device)
        user_B = sequences.user_E[row_B]
        limit_B = sequences.clicks_U[user_B]
        id_BC, free_BC = draw_negatives(sequences, user_B, limit_B, negatives, generator)
        free_BC = free_BC & (id_BC != sequences.item_E[row_B][:, None])
        drawn.append(count_N[id_BC[free_BC].cpu().numpy()])
    positive_x, negative_x = own_x[clicked_x], np.concatenate(drawn)
    label_x = np.repeat([1, 0], [len(positive_x), len(negative_x)])
    return auc(label_x, np.concatenate([positive_x, negative_x]))
