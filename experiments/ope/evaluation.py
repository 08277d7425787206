"""What a log says of a policy: every estimator that applies, with intervals, or why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from slategym.agents.types import Stochastic
from slategym.envs.names import UsageError, lookup
from slategym.experiments.ope.asked import ask
from slategym.experiments.ope.estimators import (
    ESTIMATORS,
    Evidence,
    Terms,
    discounts,
    effective_size,
    importance,
    readable,
    value_of,
)
from slategym.experiments.ope.intervals import RESAMPLES, Interval, intervals
from slategym.experiments.ope.observed import Observed
from slategym.experiments.ope.outside import obp_estimates
from slategym.experiments.ope.slates import Floats, LoggedSlates, counted
from slategym.experiments.ope.weights import evidence_of

LEAST_SIZE = 60.0  # effective episodes; with fewer, intervals miss the truth too often
LEAST_REWARDS = 5.0  # effective episodes that add to the value: with fewer it is an anecdote
LEAST_WEIGHT = 0.95  # of the mean weight's upper end: below, the log lacks what the policy shows
MOST_UNSEEN = 0.05  # of the policy's slots that the log never shows; above, no model is asked

Per = Literal["slate", "visit"]


@dataclass(frozen=True)
class Estimate:
    """What one estimator says."""

    name: str
    value: float
    low: float  # 95 %, resamples people
    high: float
    effective: float | None  # episodes; None: it weighs none
    weight: float | None  # mean weight, 1 if the log shows all that the policy would
    rewards: float | None = None  # episodes that add to the value, if they added alike
    withheld: str = ""  # why the value is not to be used; empty: it is


@dataclass(frozen=True)
class OffPolicyEvaluation:
    """What a log says of a policy that did not write it."""

    policy: str
    log: str
    per: Per
    unit: str  # what a value is the reward of: slot, slate or visit
    num_people: int
    num_episodes: int
    num_slates: int
    logged: Estimate  # what the log's own policy earned
    estimates: tuple[Estimate, ...]
    unseen: float  # share of the policy's slots that hold what the log never shows there
    largest: float  # share of all weight that the heaviest episode bears
    notes: tuple[str, ...]  # what was assumed
    outside: Mapping[str, float]  # the same by the package obp, where it is installed
    known: Estimate | None = None  # what the policy earned where it acted itself, if that is known

    def __str__(self) -> str:
        """The table, and what was assumed."""
        from slategym.experiments.ope.table import text

        return text(self)

    @property
    def answered(self) -> bool:
        """Whether any estimator has an answer."""
        return any(not one.withheld for one in self.estimates)

    def __getitem__(self, name: str) -> Estimate:
        """What that estimator says."""
        return lookup("estimator", name, {one.name: one for one in self.estimates})


def evaluate(
    slates: LoggedSlates,
    observed: Observed,
    policy: Stochastic,
    feature_NF: Floats,
    *,
    log: str,
    per: Per = "slate",
    discount: float = 1.0,
    estimators: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    tell: Callable[[int], None] | None = None,
) -> OffPolicyEvaluation:
    """Read a log for a policy.

    Args:
        slates: of the log.
        observed: what the policy may see at each of them.
        policy: to be evaluated.
        feature_NF: of the items, for the reward model.
        log: its name.
        per: reward of a slate, as if slates changed nothing; or of a visit, in which they may.
        discount: per slate of a visit, in (0, 1].
        estimators: which; None: all that apply.
        resamples: of the bootstrap.
        seed: of resamples and folds.
        tell: called with the number of slates just answered.

    Raises:
        UsageError: the policy is privileged; an estimator is not known, or does not apply.
    """
    if policy.privileged:
        raise UsageError(f"{policy.name} is told hidden truths, which no log holds")
    if not 0 < discount <= 1:
        raise UsageError(f"a discount is in (0, 1], got {discount:g}")
    for name in estimators or ():
        lookup("estimator", name, ESTIMATORS)
    if per == "slate":
        slates = slates.single()
    slates = counted(slates)
    seen_KN = _seen(slates)
    answers = ask(policy, slates, observed, feature_NF, seen_KN, tell)
    evidence = evidence_of(slates, answers, feature_NF, discount, seed)
    found = {name: one.terms(evidence) for name, one in readable(evidence).items()}
    found = {name: t for name, t in found.items() if estimators is None or name in estimators}
    if missing := [name for name in estimators or () if name not in found]:
        raise UsageError(_why_not(missing[0], evidence))
    logged = Terms((evidence.reward_ETK.sum(2) @ discounts(evidence))[:, None], None, None)
    weighed: dict[str, Floats | None] = {name: t.weight_E for name, t in found.items()}
    if "clipped" in weighed:
        weighed["clipped"] = importance(evidence).weight_E  # 1 on average, as cut ones are not
    weights = {
        f"weight of {name}": Terms(weight_E[:, None], None, None)
        for name, weight_E in weighed.items()
        if weight_E is not None
    }
    person_E = slates.person_E
    ends = intervals({"logged": logged, **found, **weights}, person_E, resamples, seed)
    there_SK = slates.item_SK >= 0
    unseen = float(answers.unseen_SK.sum() / there_SK.sum())
    estimates = tuple(
        _estimate(
            name,
            t,
            logged.num_EJ[:, 0],
            ends[name],
            ends.get(f"weight of {name}"),
            unseen,
            slates.estimated,
        )
        for name, t in found.items()
    )
    outside, why_not = obp_estimates(slates, evidence)
    own = Estimate("logged", value_of(logged), *ends["logged"], None, None)
    return OffPolicyEvaluation(
        policy=policy.name,
        log=log,
        per=per,
        unit="slot" if per == "slate" and slates.single_slots else per,
        num_people=int(person_E.max()) + 1,
        num_episodes=len(person_E),
        num_slates=slates.num_slates,
        logged=own,
        estimates=estimates,
        unseen=unseen,
        largest=_largest(evidence),
        notes=(*_notes(slates, evidence, per, discount), *([why_not] if why_not else [])),
        outside=outside,
    )


def _seen(slates: LoggedSlates) -> NDArray[np.bool_]:
    """Which items the log shows in which slot, (K, N)."""
    there_SK = slates.item_SK >= 0
    seen_KN = np.zeros((int(slates.position_SK.max()) + 1, slates.num_items), np.bool_)
    seen_KN[slates.position_SK[there_SK], slates.item_SK[there_SK]] = True
    return seen_KN


def _estimate(
    name: str,
    terms: Terms,
    return_E: Floats,
    ends: Interval,
    of_weight: Interval | None,
    unseen: float,
    counted: bool,
) -> Estimate:
    """The value, and whether it stands on enough."""
    weight_E = terms.weight_E
    size = None if weight_E is None else effective_size(weight_E)
    mean = None if weight_E is None else float(weight_E.mean())
    rewards = None if weight_E is None else effective_size(np.abs(weight_E * return_E))
    why = ""
    if (weight_E is None or counted) and unseen > MOST_UNSEEN:
        why = f"{unseen:.0%} of its slots hold what the log never shows there"
    elif of_weight is not None and of_weight.high < LEAST_WEIGHT:
        why = (
            f"mean weight {mean:.2f} [{of_weight.low:.2f}, {of_weight.high:.2f}], not 1: the log "
            "lacks slates that the policy shows"
        )
    elif size is not None and size < LEAST_SIZE:
        why = f"{size:.0f} effective episodes, fewer than {LEAST_SIZE:.0f}"
    elif rewards is not None and rewards < LEAST_REWARDS:
        why = f"{rewards:.1f} effective episodes with a reward, fewer than {LEAST_REWARDS:.0f}"
    return Estimate(name, value_of(terms), ends.low, ends.high, size, mean, rewards, why)


def _largest(evidence: Evidence) -> float:
    """Share of all weight that the heaviest episode bears; 0 where nothing weighs anything."""
    if evidence.slate_ET is None:
        return 0.0
    weight_E = np.exp(evidence.slate_ET.sum(1))
    total = float(weight_E.sum())
    return float(weight_E.max()) / total if total > 0 else 0.0


NEEDS: Mapping[str, str] = {
    "slate_ET": "propensities of whole slates (column propensity)",
    "slot_ETK": "propensities of each slot given those before it (column slot_propensity)",
    "position_ETK": "propensities of each item in its slot (column position_propensity)",
    "additive_ET": "a log whose slots were drawn independently, or evenly without replacement",
    "predicted": "five people or more",
}


def _why_not(name: str, evidence: Evidence) -> str:
    lacks = [NEEDS[n] for n in ESTIMATORS[name].needs if getattr(evidence, n) is None]
    if lacks:
        return f"{name} needs {lacks[0]}"
    return f"{name} says the same as others in a log of single {ESTIMATORS[name].only}"


def _notes(slates: LoggedSlates, evidence: Evidence, per: Per, discount: float) -> tuple[str, ...]:
    """What was assumed, and what the log lacks."""
    notes = list(slates.notes)
    if slates.estimated:
        notes.append(
            "propensities are not logged: estimated from how often each slot holds each item, "
            "which is wrong if what was shown depended on who asked"
        )
    else:
        notes.append("propensities as logged")
    T, K = evidence.reward_ETK.shape[1:]
    if per == "slate" and T == 1:
        notes.append("per slate: as if no slate changed what came after it")
    if discount < 1:
        notes.append(f"discount {discount:g} per slate")
    lacking = [
        f"{name} ({NEEDS[need]})"
        for name, one in ESTIMATORS.items()
        for need in one.needs
        if getattr(evidence, need) is None and (one.only != "slots" or K > 1)
    ]
    if lacking:
        notes.append("not read, for want of: " + "; ".join(lacking))
    return tuple(notes)
