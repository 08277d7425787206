"""What one item says of another: cosine neighbours, EASE and transitions, in closed form."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array
from torch import Tensor

from slategym.models.closed_form.events import Bools, Events, Floats

MOST_ITEMS = 20_000  # N x N single-precision numbers are 1.6 GB


def check_size(num_items: int) -> None:
    """Refuse a catalogue whose item-to-item table would not fit in memory.

    Raises:
        ValueError: if it would not.
    """
    if num_items > MOST_ITEMS:
        raise ValueError(
            f"an item-to-item table needs N x N numbers; {num_items} items exceed {MOST_ITEMS}: "
            "keep the items with the most clicks"
        )


def cosine_neighbours(
    met_UN: csr_array, *, most: int, shrink: float, power: float, both_NN: csr_array | None = None
) -> Tensor:
    """Item-kNN: shrunk cosine of who took up both, the best `most` rows of each column kept.

    Args:
        met_UN: 1 where a user took an item up.
        most: neighbours of an item.
        shrink: pseudo-users who took up one of two but not both.
        power: of the product of the two popularities; .5 is the cosine.
        both_NN: `together` of the same, where it is at hand.

    Returns:
        (N, N) float32, diagonal 0.

    Source: Sarwar et al. 2001; shrinkage as in Bell and Koren 2007.
    """
    check_size(met_UN.shape[1])
    both_NN = together(met_UN) if both_NN is None else both_NN
    count_N = both_NN.diagonal()
    row_P = np.repeat(np.arange(len(count_N)), np.diff(both_NN.indptr))
    at_P = both_NN.indices
    similar_P = both_NN.data / ((count_N[row_P] * count_N[at_P]) ** power + shrink + 1e-9)
    similar_P[row_P == at_P] = 0
    for begin, end in pairwise(both_NN.indptr):  # a row is the item's column: nothing is ordered
        if end - begin > most:
            value = similar_P[begin:end]
            value[value < np.partition(value, -most)[-most]] = 0
    similar = (similar_P.astype(np.float32), at_P, both_NN.indptr)
    return torch.as_tensor(csr_array(similar, both_NN.shape).T.toarray())


def ease(met_UN: csr_array, ridge: float) -> Tensor:
    """The ridge regression of every item on all others, nothing on itself.

    With P = (X'X + ridge I)^-1, weight[i, j] = -P[i, j] / P[j, j]. Where there are fewer users
    than items, P is taken from the smaller X X' (Woodbury).

    Args:
        met_UN: X, 1 where a user took an item up.
        ridge: above 0.

    Returns:
        (N, N) float32, diagonal 0.

    Raises:
        ValueError: if ridge is not above 0, or N is too great.

    Source: Steck 2019, arXiv:1905.03375, equation 8.
    """
    if ridge <= 0:
        raise ValueError(f"ridge must be above 0, got {ridge}")
    U, N = met_UN.shape
    check_size(N)
    if U < N:
        inner_UU = (met_UN @ met_UN.T).toarray() + ridge * np.eye(U)
        solved_UN = cho_solve(cho_factor(inner_UU), met_UN.toarray())
        weight_NN = met_UN.T @ solved_UN  # of many items the largest by far: changed in place
        np.subtract(0.0, weight_NN, out=weight_NN)
        weight_NN.flat[:: N + 1] += 1.0
        weight_NN /= ridge
    else:
        weight_NN = cho_solve(cho_factor(together(met_UN).toarray() + ridge * np.eye(N)), np.eye(N))
    weight_NN /= -weight_NN.diagonal()
    np.fill_diagonal(weight_NN, 0)
    return torch.as_tensor(weight_NN, dtype=torch.float32)


def transition_counts(events: Events, keep_E: Bools, *, window: int, decay: float) -> csr_array:
    """How often item j came within `window` clicks after item i: (N, N).

    Args:
        events: the log.
        keep_E: rows that count; the others are as if they had not been.
        window: clicks, at least 1.
        decay: weight of each further click in between.
    """
    check_size(events.num_items)
    at_x = np.flatnonzero(keep_E & events.took_E)
    user_x, item_x = events.user_E[at_x], events.item_E[at_x]
    N = events.num_items
    pairs, weights = [np.zeros((2, 0), np.int64)], [np.zeros(0)]
    for gap in range(1, window + 1):
        same = user_x[gap:] == user_x[:-gap]
        pairs.append(np.stack([item_x[:-gap][same], item_x[gap:][same]]))
        weights.append(np.full(int(same.sum()), decay ** (gap - 1)))
    return csr_array((np.concatenate(weights), tuple(np.concatenate(pairs, 1))), (N, N))


def transitions(count_NN: csr_array, popular_N: Floats, *, power: float, prior: float) -> Tensor:
    """Transition counts in relation to how often either item was taken up at all.

    Args:
        count_NN: from `transition_counts`.
        popular_N: clicks of each item.
        power: 1: a row is nearly a distribution; half of it is taken off popular targets.
        prior: clicks added to every source, so that rare ones speak less.

    Returns:
        (N, N) float32.

    Source: Ludewig and Jannach 2018, "Evaluation of session-based recommendation algorithms",
        section 3.1 (sequential rules).
    """
    source_N = popular_N**power + prior
    target_N = np.maximum(popular_N, 1) ** (power / 2)
    source_P = np.repeat(source_N, np.diff(count_NN.indptr))
    weight_P = (count_NN.data / source_P / target_N[count_NN.indices]).astype(np.float32)
    weighted = (weight_P, count_NN.indices, count_NN.indptr)
    return torch.as_tensor(csr_array(weighted, count_NN.shape).toarray())


def together(met_UN: csr_array) -> csr_array:
    """How many users took up both of two items, (N, N); the diagonal: either."""
    return csr_array(met_UN.T @ met_UN)
