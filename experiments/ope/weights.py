"""From what a policy says of a log to the evidence that estimators read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slategym.experiments.ope.asked import Answers
from slategym.experiments.ope.estimators import Evidence, Predicted
from slategym.experiments.ope.reward_model import FOLDS, Features, predict
from slategym.experiments.ope.slates import Floats, LoggedSlates

SMALL = 128  # items, up to which the reward model tells each of them apart
SAME = 1e-4  # nats: how far rounding may take a logged propensity from a formula


def evidence_of(
    slates: LoggedSlates, answers: Answers, feature_NF: Floats, discount: float, seed: int
) -> Evidence:
    """Log-ratios, the pseudo-inverse's weight and a reward model, episode by episode.

    Args:
        slates: with propensities.
        answers: of the policy.
        feature_NF: of the items, as the policy was asked with.
        discount: per slate.
        seed: of the reward model's folds.
    """
    there_SK = slates.item_SK >= 0
    slate_ET = slot_ETK = position_ETK = additive_ET = None
    if slates.slate_logp_S is not None:
        slate_ET = slates.padded(answers.slot_logp_SK.sum(1) - slates.slate_logp_S)
    if slates.slot_logp_SK is not None:
        slot_ETK = slates.padded(answers.slot_logp_SK - slates.slot_logp_SK)
    if slates.position_logp_SK is not None:
        position_ETK = slates.padded(answers.position_logp_SK - slates.position_logp_SK)
    additive_S = additive_weight(slates, answers)
    if additive_S is not None:
        additive_ET = slates.padded(additive_S)
    features = Features(
        _base(slates, answers.state_SG),
        feature_NF[slates.item_SK.clip(min=0)],
        answers.given_SKF,
        answers.free_SKF,
        there_SK,
    )
    return Evidence(
        reward_ETK=slates.padded(slates.reward_SK),
        slate_ET=slate_ET,
        slot_ETK=slot_ETK,
        position_ETK=position_ETK,
        additive_ET=additive_ET,
        predicted=_predicted(slates, features, discount, seed),
        discount=discount,
    )


def additive_weight(slates: LoggedSlates, answers: Answers) -> Floats | None:
    """The pseudo-inverse's weight of each slate, (S,); None where the log's law is not known.

    It is known of slots drawn independently (the slots' propensities multiply to the slate's) and
    of slates drawn evenly without replacement (the propensity says so).

    Source: Swaminathan et al. 2017, section 3; see `even_weight` for the second.
    """
    K = slates.num_slots
    if slates.slate_logp_S is None or slates.estimated or K == 1 or (slates.item_SK < 0).any():
        return None
    position_SK = slates.position_logp_SK
    if position_SK is not None and (np.abs(position_SK.sum(1) - slates.slate_logp_S).max() < SAME):
        weight_S: Floats = np.exp(answers.position_logp_SK - position_SK).sum(1) - (K - 1)
        return weight_S
    left_SK = answers.allowed_S[:, None] - np.arange(K)
    even = (left_SK > 0).all() and (
        np.abs(np.log(left_SK.clip(min=1e-9)).sum(1) + slates.slate_logp_S).max() < SAME
    )
    if even and (answers.allowed_S > K).all():
        return even_weight(np.exp(answers.position_logp_SK), answers.within_SK, answers.allowed_S)
    return None


def even_weight(prob_SK: Floats, within_SK: Floats, num_S: Floats) -> Floats:
    """The pseudo-inverse's weight where the log drew evenly without replacement, (S,).

    The one function of slot and item, summed over slots, that gives every (slot, item) its chance
    under the policy when averaged over the log's slates; it follows from symmetry.

    Args:
        prob_SK: the policy's chance of the logged item in its slot.
        within_SK: the policy's chance of the logged item in any slot.
        num_S: items that the log drew from, more than K.
    """
    K = prob_SK.shape[1]
    n_S1 = num_S[:, None]
    sum_SK = ((n_S1 - 1) * n_S1 * within_SK - (K - 1) * n_S1) / (n_S1 - K)
    part_SK = n_S1 * prob_SK + (sum_SK - n_S1 * (K - 1) / K) / (n_S1 - 1)
    weight_S: Floats = ((n_S1 - 1) / n_S1 * part_SK).sum(1)
    return weight_S


def item_features(topic_NG: Floats, seen_N: NDArray[np.int64]) -> Floats:
    """What the reward model knows of an item, (N, F): which it is, if they are few, else topics.

    Args:
        topic_NG: which topics it has.
        seen_N: how often the log shows it.
    """
    if len(topic_NG) <= SMALL:
        return np.eye(len(topic_NG))
    often_N = np.log1p(seen_N)
    return np.concatenate([topic_NG, often_N[:, None] / max(1.0, often_N.max())], 1)


def _base(slates: LoggedSlates, state_SG: Floats) -> Floats:
    """The constant, the slot, and the user's state beside each slot, (S, K, X)."""
    K = slates.num_slots
    slot_SKJ = np.eye(int(slates.position_SK.max()) + 1)[slates.position_SK]
    state_SKG = np.broadcast_to(state_SG[:, None], (len(state_SG), K, state_SG.shape[1]))
    return np.concatenate([np.ones((len(state_SG), K, 1)), slot_SKJ, state_SKG], 2)


def _predicted(
    slates: LoggedSlates, features: Features, discount: float, seed: int
) -> Predicted | None:
    """What the reward model expects; None where there are too few people for its folds."""
    if len(np.unique(slates.person_S)) < FOLDS:
        return None
    last_S = np.r_[np.diff(slates.episode_S) != 0, True]
    parts = predict(features, slates.reward_SK, slates.person_S, last_S, discount, seed)
    return Predicted(*(slates.padded(part) for part in parts))
