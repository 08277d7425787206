"""Every number of a ladder study, from its rows, and the sentences that they make."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from slategym.experiments.statistics import stats
from slategym.experiments.statistics.stats import Cell, Estimate
from slategym.experiments.studies.ladder import Ladder, Place

SIDE = {  # columns of the rows that stand beside the return, and their heads
    "slate_topics": "topics per slate",
    "topics": "topics clicked",
    "bored_share": "slates while bored, share",
}


@dataclass(frozen=True)
class Rung:
    """One policy in one place."""

    policy: str
    kind: str  # "privileged" | "learns" | "baseline"
    mean: Estimate  # return
    score: Estimate  # 0 is random, 1 the place's reference
    over_myopic: Estimate  # paired difference
    by_seed: tuple[float, ...]  # mean return of each training seed
    side: dict[str, Estimate]  # SIDE
    slates: float | None  # of training, each seed; None where nothing is learned
    cpu_seconds: float | None  # of training, mean over seeds


@dataclass(frozen=True)
class Numbers:
    """All of them."""

    rungs: dict[str, tuple[Rung, ...]]  # by place, best first
    best: dict[str, Rung]  # the learner of highest mean return, by place
    sentences: tuple[str, ...]  # the verdict
    outcome: str  # "beaten" | "not beaten" | "not believed"

    def of(self, place: str, policy: str) -> Rung:
        """One of them."""
        return next(rung for rung in self.rungs[place] if rung.policy == policy)


def compute_numbers(study: Ladder, rows: pd.DataFrame, curves: pd.DataFrame) -> Numbers:
    """Everything that is said of the rows.

    Raises:
        ValueError: if rows are missing or do not pair.
    """
    rungs = {place.name: _rungs(study, place, rows, curves) for place in study.places}
    best = {
        place: next(rung for rung in found if rung.kind == "learns")
        for place, found in rungs.items()
        if any(rung.kind == "learns" for rung in found)
    }
    cheats = [
        (place.name, rung)
        for place in study.places
        if place.control
        for rung in rungs[place.name]
        if rung.kind == "learns" and rung.over_myopic.above_zero
    ]
    won = any(
        best[place.name].over_myopic.above_zero
        for place in study.places
        if not place.control and place.name in best
    )
    outcome = "not believed" if cheats else "beaten" if won else "not beaten"
    sentences = [
        _open_place(study, place, rungs[place.name], best[place.name])
        for place in study.places
        if not place.control and place.name in best
    ]
    sentences += [
        _control(study, place, rungs[place.name]) for place in study.places if place.control
    ]
    return Numbers(rungs, best, tuple(sentences), outcome)


def reference_of(study: Ladder, place: Place) -> str:
    """The policy of score 1; where planning is worth nothing, the myopic one."""
    return study.myopic if place.control else study.reference


def _rungs(
    study: Ladder, place: Place, rows: pd.DataFrame, curves: pd.DataFrame
) -> tuple[Rung, ...]:
    learners = [
        learner.name
        for learner in study.learners
        if learner.places is None or place.name in learner.places
    ]
    found = [_rung(study, place, policy, rows, curves) for policy in (*study.policies, *learners)]
    return tuple(sorted(found, key=lambda rung: -rung.mean.value))


def _rung(
    study: Ladder, place: Place, policy: str, rows: pd.DataFrame, curves: pd.DataFrame
) -> Rung:
    kind = study.kind_of(policy)
    cell = Cell(policy, place.name, trained_in=place.name if kind == "learns" else "")
    low, high = Cell(study.random, place.name), Cell(reference_of(study, place), place.name)
    table = stats.table(rows, cell)
    lesson = curves[(curves["policy"] == policy) & (curves["trained_in"] == place.name)]
    seeds = lesson.groupby("seed")
    return Rung(
        policy,
        kind,
        stats.mean(rows, cell),
        stats.normalised_score(rows, cell, low, high),
        stats.paired_difference(rows, cell, Cell(study.myopic, place.name)),
        tuple(table.value_SU.mean(1).tolist()),
        {name: stats.mean(rows, cell, name) for name in SIDE},
        float(lesson["steps"].max()) if len(lesson) else None,
        float(seeds["cpu_seconds"].max().mean()) if len(lesson) else None,
    )


def _open_place(study: Ladder, place: Place, rungs: tuple[Rung, ...], best: Rung) -> str:
    by_name = {rung.policy: rung for rung in rungs}
    greedy, top = by_name[study.myopic], by_name[study.reference]
    verb = {1: "more than", -1: "less than", 0: "not clearly other than"}[_side(best.over_myopic)]
    return (
        f"{place.name}: of the learners, none of which sees preferences, {best.policy} comes "
        f"furthest, with {_short(best.mean)} {study.unit}: {verb} {study.myopic}, which sees them "
        f"and takes the best slate of the moment ({greedy.mean.value:.1f}; difference "
        f"{_short(best.over_myopic, sign='+')}). Score {best.score.value:.2f}, where 0 is "
        f"{study.random} and 1 is {study.reference} ({top.mean.value:.1f})."
    )


def _control(study: Ladder, place: Place, rungs: tuple[Rung, ...]) -> str:
    learners = [rung for rung in rungs if rung.kind == "learns"]
    over = [rung for rung in learners if rung.over_myopic.above_zero]
    if over:
        who = ", ".join(f"{rung.policy} ({_short(rung.over_myopic, sign='+')})" for rung in over)
        return (
            f"{place.name}: not to be believed, because where looking ahead is worth nothing {who} "
            f"beats {study.myopic}, which knows the true model."
        )
    if not learners:
        return f"{place.name}: no learner was trained there, so nothing is controlled."
    nearest = max(learners, key=lambda rung: rung.over_myopic.value)
    return (
        f"{place.name}: where looking ahead is worth nothing, no learner beats {study.myopic}, "
        f"which knows the true model, beyond the interval; nearest comes {nearest.policy} "
        f"({_short(nearest.over_myopic, sign='+')})."
    )


def _side(difference: Estimate) -> int:
    return int(difference.above_zero) - int(difference.below_zero)


def _short(estimate: Estimate, sign: str = "") -> str:
    value, low, high = (f"{x:{sign}.1f}" for x in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"
