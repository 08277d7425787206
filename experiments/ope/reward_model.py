"""A linear model of what a slot earns, now and later in the visit, for the direct method."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slategym.experiments.ope.estimators import Floats

FOLDS = 5  # a person's rows are predicted by a model that was fitted on other people
SHRINK = 10.0  # pseudo-slots that pull every coefficient but the constant to zero


class Features:
    """What describes a slot: the constant, which slot it is, the user's state, and its item.

    Args:
        base_SKX: all but the item, the constant first.
        logged_SKF: of the item that was shown.
        given_SKF: mean over the policy's choice, given the slots before it.
        free_SKF: mean over the policy's slates.
        shown_SK: bool, whether there was anything in the slot.
    """

    def __init__(
        self,
        base_SKX: Floats,
        logged_SKF: Floats,
        given_SKF: Floats,
        free_SKF: Floats,
        shown_SK: NDArray[np.bool_],
    ) -> None:
        there = shown_SK[..., None]
        self.logged_SKD = np.concatenate([base_SKX, logged_SKF], 2) * there
        self.given_SKD = np.concatenate([base_SKX, given_SKF], 2) * there
        self.free_SKD = np.concatenate([base_SKX, free_SKF], 2) * there


def predict(
    features: Features,
    reward_SK: Floats,
    person_S: NDArray[np.int64],
    last_S: NDArray[np.bool_],
    discount: float = 1.0,
    seed: int = 0,
) -> tuple[Floats, Floats, Floats]:
    """Expected reward of every slot until the episode ends, of models that never met its person.

    Of one slate an episode: ridge regression of the slot's reward. Of several: the fixed point of
    the policy's value among linear functions, each slot bearing an equal share of what follows.

    Args:
        features: of the slots, slates in order of episode and step.
        reward_SK: of the slots.
        person_S: whose slate it is.
        last_S: whether it is its episode's last.
        discount: per slate.
        seed: of the folds.

    Returns:
        Predictions for the logged items, given the slots before, and free; (S, K) each.

    Source: Lagoudakis and Parr 2003, JMLR 4, section 5 (LSTD-Q).
    """
    S, K, D = features.logged_SKD.shape
    next_SD = np.zeros((S, D))
    next_SD[:-1] = features.free_SKD.sum(1)[1:]
    next_SD[last_S] = 0.0
    person_P = np.unique(person_S)
    fold_P = np.random.default_rng(seed).permutation(len(person_P)) % FOLDS
    fold_S = fold_P[np.searchsorted(person_P, person_S)]
    shrink_D = np.full(D, SHRINK)
    shrink_D[0] = 1e-6
    parts = [np.zeros((S, K)) for _ in range(3)]
    for fold in range(FOLDS):
        fit_S = fold_S != fold
        x_SKD = features.logged_SKD[fit_S]
        ahead_SKD = np.broadcast_to((discount / K) * next_SD[fit_S][:, None], x_SKD.shape)
        x_nD, ahead_nD = x_SKD.reshape(-1, D), ahead_SKD.reshape(-1, D)
        left_DD = x_nD.T @ (x_nD - ahead_nD) + np.diag(shrink_D)
        weight_D = np.linalg.solve(left_DD, x_nD.T @ reward_SK[fit_S].ravel())
        mine_S = ~fit_S
        names = ("logged_SKD", "given_SKD", "free_SKD")
        for part, name in zip(parts, names, strict=True):
            part[mine_S] = getattr(features, name)[mine_S] @ weight_D
    return parts[0], parts[1], parts[2]
