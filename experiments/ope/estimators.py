"""Estimators of a policy's value from another policy's slates, as pure functions of arrays.

Axis letters beyond the legend of `envs/types.py`: E episodes (of T slates each, padded), J terms.
An episode of one slate is the contextual bandit; with more, weights multiply along the episode.
Every estimate is a sum of ratios of means, so that one bootstrap serves all of them:

    value = sum over j of mean over episodes of num_EJ / mean over episodes of den_EJ (1 without)

Notation: w(a_k) is the ratio of the policy's probability to the logging policy's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Predicted:
    """What a reward model expects of the log's slots, from this slate on to the episode's end.

    Its slots add up: a slate is worth the sum of them. Zero where nothing was shown.
    """

    logged_ETK: Floats  # of the item that was shown
    given_ETK: Floats  # mean over the policy's choice, given what the slots before it hold
    free_ETK: Floats  # mean over the policy's whole slate


@dataclass(frozen=True)
class Evidence:
    """What estimators read. Log-ratios in nats; -inf: the policy never does that; 0: padding."""

    reward_ETK: Floats
    slate_ET: Floats | None  # of the whole ordered slate
    slot_ETK: Floats | None  # of each slot's item given the slots before it; they sum to slate_ET
    position_ETK: Floats | None  # of this item in this slot, whatever the others hold
    additive_ET: Floats | None  # weight of the pseudo-inverse, no logarithm
    predicted: Predicted | None
    discount: float = 1.0  # per slate

    @property
    def num_episodes(self) -> int:
        """E."""
        return len(self.reward_ETK)


class Terms(NamedTuple):
    """An estimate in parts; see the module."""

    num_EJ: Floats
    den_EJ: Floats | None  # None: ones
    weight_E: Floats | None  # how much each episode counts; None: all alike


@dataclass(frozen=True)
class Estimator:
    """One way to read a log."""

    says: str  # in a line
    assumes: str  # besides that propensities are right and the policy shows what the log shows
    needs: tuple[str, ...]  # fields of `Evidence`
    terms: Callable[[Evidence], Terms]
    only: Literal["", "steps", "slots"] = ""  # another says the same where T = 1, or K = 1


def value_of(terms: Terms) -> float:
    """The estimate."""
    num_J = terms.num_EJ.mean(0)
    return float(num_J.sum() if terms.den_EJ is None else _ratio(num_J, terms.den_EJ.mean(0)).sum())


def _ratio(num: Floats, den: Floats) -> Floats:
    """Their quotient; 0 where nothing weighs anything."""
    return np.divide(num, den, out=np.zeros_like(num), where=den > 0)


def effective_size(weight_E: Floats) -> float:
    """Episodes that equally weighted ones would have to be: (sum w)^2 / sum w^2.

    Source: Kish 1965, Survey Sampling; Owen 2013, Monte Carlo theory, section 9.3.

    >>> effective_size(np.array([1.0, 1.0, 0.0, 0.0]))
    2.0
    """
    square = float((weight_E**2).sum())
    return float(weight_E.sum()) ** 2 / square if square > 0 else 0.0


def _before(slate_ET: Floats) -> Floats:
    """Log-ratio of all earlier slates of the episode, (E, T)."""
    upto_ET = slate_ET.cumsum(1)
    return np.concatenate([np.zeros_like(upto_ET[:, :1]), upto_ET[:, :-1]], 1)


def discounts(evidence: Evidence) -> Floats:
    """Of each step, (T,)."""
    found_T: Floats = evidence.discount ** np.arange(evidence.reward_ETK.shape[1], dtype=np.float64)
    return found_T


def _summed(evidence: Evidence, weight_ETK: Floats) -> Terms:
    """Rewards of all slots, each with its weight; what an episode counts is its last weight."""
    found_E = (weight_ETK * evidence.reward_ETK).sum(2) @ discounts(evidence)
    return Terms(found_E[:, None], None, weight_ETK[:, -1, -1])


def importance(evidence: Evidence) -> Terms:
    """Whole episodes, each with the ratio of all its slates.

    Source: Horvitz and Thompson 1952; Precup, Sutton and Singh 2000, section 2.
    """
    assert evidence.slate_ET is not None
    weight_E = np.exp(evidence.slate_ET.sum(1))
    return_E = evidence.reward_ETK.sum(2) @ discounts(evidence)
    return Terms((weight_E * return_E)[:, None], None, weight_E)


def self_normalised(evidence: Evidence) -> Terms:
    """The same over the mean weight. Source: Swaminathan and Joachims 2015, NeurIPS, section 4."""
    terms = importance(evidence)
    assert terms.weight_E is not None
    return terms._replace(den_EJ=terms.weight_E[:, None])


def per_decision(evidence: Evidence) -> Terms:
    """Each slate's reward with the ratio of the slates up to it.

    Source: Precup, Sutton and Singh 2000, ICML, section 3.
    """
    assert evidence.slate_ET is not None
    weight_ET = np.exp(evidence.slate_ET.cumsum(1))
    return _summed(evidence, np.broadcast_to(weight_ET[..., None], evidence.reward_ETK.shape))


def weighted_per_decision(evidence: Evidence) -> Terms:
    """The same, each step over its mean weight; whoever has left keeps the last weight.

    Source: Precup, Sutton and Singh 2000; Thomas 2015, Safe reinforcement learning, section 3.8.
    """
    assert evidence.slate_ET is not None
    weight_ET = np.exp(evidence.slate_ET.cumsum(1))
    num_ET = weight_ET * evidence.reward_ETK.sum(2) * discounts(evidence)
    return Terms(num_ET, weight_ET, weight_ET[:, -1])


def clipped(evidence: Evidence) -> Terms:
    """Per decision with no weight above the square root of the number of episodes.

    Source: Ionides 2008, Journal of Computational and Graphical Statistics 17, section 3.
    """
    assert evidence.slate_ET is not None
    cap = evidence.num_episodes**0.5
    weight_ET = np.exp(evidence.slate_ET.cumsum(1).clip(max=np.log(cap)))
    return _summed(evidence, np.broadcast_to(weight_ET[..., None], evidence.reward_ETK.shape))


def independent(evidence: Evidence) -> Terms:
    """Each slot's reward with the ratio of its own item alone; earlier slates as they are.

    Source: Li, Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay and Wen 2018, KDD, section 4.1.
    """
    assert evidence.position_ETK is not None
    log_ETK = evidence.position_ETK
    if evidence.slate_ET is not None:
        log_ETK = log_ETK + _before(evidence.slate_ET)[..., None]
    weight_ETK = np.exp(log_ETK)
    return _summed(evidence, weight_ETK)._replace(weight_E=weight_ETK[:, -1].mean(1))


def reward_interaction(evidence: Evidence) -> Terms:
    """Each slot's reward with the ratio of the slots up to it.

    Source: McInerney, Brost, Chandar, Mehrotra and Carterette 2020, KDD, section 4.
    """
    return _summed(evidence, _up_to(evidence))


def weighted_reward_interaction(evidence: Evidence) -> Terms:
    """The same, each slot over its mean weight."""
    weight_ETK = _up_to(evidence)
    E = evidence.num_episodes
    num_ETK = weight_ETK * evidence.reward_ETK * discounts(evidence)[:, None]
    return Terms(num_ETK.reshape(E, -1), weight_ETK.reshape(E, -1), weight_ETK[:, -1, -1])


def _up_to(evidence: Evidence) -> Floats:
    """Ratio of the earlier slates and of this slate's slots up to each, (E, T, K)."""
    assert evidence.slot_ETK is not None
    earlier_ET = _before(evidence.slot_ETK.sum(2))
    weight_ETK: Floats = np.exp(earlier_ET[..., None] + evidence.slot_ETK.cumsum(2))
    return weight_ETK


def pseudo_inverse(evidence: Evidence) -> Terms:
    """Each slate's reward with the weight of slots that add up; earlier slates as they are.

    Source: Swaminathan, Krishnamurthy, Agarwal, Dudik, Langford, Jose and Zitouni 2017, NeurIPS.
    """
    assert evidence.additive_ET is not None
    weight_ET = evidence.additive_ET
    if evidence.slate_ET is not None:
        weight_ET = weight_ET * np.exp(_before(evidence.slate_ET))
    return _summed(evidence, np.broadcast_to(weight_ET[..., None], evidence.reward_ETK.shape))


def direct(evidence: Evidence) -> Terms:
    """What the reward model expects of the policy at each episode's first slate.

    Source: Beygelzimer and Langford 2009, KDD; of several slates, fitted as Lagoudakis and Parr
    2003, JMLR 4, section 5.
    """
    assert evidence.predicted is not None
    return Terms(evidence.predicted.free_ETK[:, 0].sum(1)[:, None], None, None)


def doubly_robust(evidence: Evidence) -> Terms:
    """The reward model, mended by its weighted errors, slate by slate.

    Source: Dudik, Langford and Li 2011, ICML; Jiang and Li 2016, ICML, section 4.
    """
    assert evidence.predicted is not None and evidence.slate_ET is not None
    p, g = evidence.predicted, evidence.discount
    weight_ET = np.exp(evidence.slate_ET.cumsum(1))
    value_ET, logged_ET = p.free_ETK.sum(2), p.logged_ETK.sum(2)
    next_ET = np.concatenate([value_ET[:, 1:], np.zeros_like(value_ET[:, :1])], 1)
    error_ET = evidence.reward_ETK.sum(2) + g * next_ET - logged_ET
    found_E = value_ET[:, 0] + (weight_ET * error_ET) @ discounts(evidence)
    return Terms(found_E[:, None], None, weight_ET[:, -1])


def cascade_doubly_robust(evidence: Evidence) -> Terms:
    """The same slot by slot: a slot's error has the ratio of the slots up to it.

    Source: Kiyohara, Saito, Matsuhiro, Narita, Shimizu and Yamamoto 2022, WSDM, section 4.
    """
    assert evidence.predicted is not None
    p = evidence.predicted
    later_ETK = p.free_ETK[..., ::-1].cumsum(2)[..., ::-1] - p.free_ETK  # of the slots to come
    value_ETK = p.given_ETK + later_ETK  # before this slot is filled
    whole_ET = value_ETK[..., 0]
    after_ET = np.concatenate([whole_ET[:, 1:], np.zeros_like(whole_ET[:, :1])], 1)
    next_ETK = np.concatenate([value_ETK[..., 1:], evidence.discount * after_ET[..., None]], 2)
    error_ETK = evidence.reward_ETK + next_ETK - (p.logged_ETK + later_ETK)
    weight_ETK = _up_to(evidence)
    found_E = whole_ET[:, 0] + (weight_ETK * error_ETK).sum(2) @ discounts(evidence)
    return Terms(found_E[:, None], None, weight_ETK[:, -1, -1])


ANY = "nothing of how slots act on each other"
CASCADE = "a slot's reward depends on its item and the slots before it (read top down)"
ANY_BIASED = ANY + "; a bias that goes as the log grows"
CASCADE_BIASED = CASCADE + "; a bias that goes as the log grows"
ESTIMATORS: dict[str, Estimator] = {
    "dm": Estimator(
        "direct method: a reward model asked of the policy's slates",
        "that the reward model is right: items, slots and the user's state add up",
        ("predicted",),
        direct,
    ),
    "ips": Estimator("importance sampling of whole slates", ANY, ("slate_ET",), importance),
    "snips": Estimator("the same over the mean weight", ANY_BIASED, ("slate_ET",), self_normalised),
    "pdis": Estimator(
        "per decision: a slate's reward owes nothing to later slates",
        ANY,
        ("slate_ET",),
        per_decision,
        only="steps",
    ),
    "wpdis": Estimator(
        "the same, each step over its mean weight",
        ANY_BIASED,
        ("slate_ET",),
        weighted_per_decision,
        only="steps",
    ),
    "clipped": Estimator(
        "per decision, no weight above the root of the number of episodes",
        ANY + "; a bias towards what the log earned",
        ("slate_ET",),
        clipped,
    ),
    "iips": Estimator(
        "independent: a slot's reward with the weight of its own item",
        "a slot's reward depends on its own item alone",
        ("position_ETK",),
        independent,
        only="slots",
    ),
    "rips": Estimator(
        "reward interaction: a slot's reward with the weight of the slots up to it",
        CASCADE,
        ("slot_ETK",),
        reward_interaction,
        only="slots",
    ),
    "snrips": Estimator(
        "the same, each slot over its mean weight",
        CASCADE_BIASED,
        ("slot_ETK",),
        weighted_reward_interaction,
        only="slots",
    ),
    "pi": Estimator(
        "pseudo-inverse: a slate's reward with a weight that adds up over slots",
        "a slate's reward is a sum over slots of something of slot and item",
        ("additive_ET",),
        pseudo_inverse,
        only="slots",
    ),
    "dr": Estimator(
        "doubly robust: the reward model, mended by weighted errors of whole slates",
        ANY,
        ("predicted", "slate_ET"),
        doubly_robust,
    ),
    "cascade-dr": Estimator(
        "the same slot by slot",
        CASCADE,
        ("predicted", "slot_ETK"),
        cascade_doubly_robust,
        only="slots",
    ),
}


def readable(evidence: Evidence) -> dict[str, Estimator]:
    """The estimators for which everything is there, and that say something of their own."""
    T, K = evidence.reward_ETK.shape[1:]
    there = {"": True, "steps": T > 1, "slots": K > 1}
    return {
        name: one
        for name, one in ESTIMATORS.items()
        if there[one.only] and all(getattr(evidence, need) is not None for need in one.needs)
    }
