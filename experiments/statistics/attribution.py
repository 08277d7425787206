"""What a learner's lead consists of: tuning, learning from interaction, planning.

    RL - the ranker as it comes = tuning        the tuned ranker - the ranker as it comes
                                + interaction   the ranker trained further on as many slates - tuned
                                + by trial      the learner at gamma 0 - that; only if it is better
                                + planning      RL - the better of these two

A learner that begins at another policy than the tuned ranker, at the history rule say, owes it what
that is ahead by: a part of its own, `its start`, after which comes what was learned from there.

Each part is a paired difference with its interval; as the steps follow each other they add up.
Which of the two looks no further than the slate and does so better is decided on selection people
where both met them; else on those before whom they are read, which can make planning only smaller.
A part whose policies were not read is left out, and said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

import pandas as pd

from slategym.agents.entries import PRESENT
from slategym.experiments.places import Place
from slategym.experiments.statistics import stats
from slategym.experiments.statistics.differences import (
    Difference,
    cell,
    difference,
    metric_of,
    there,
)
from slategym.experiments.statistics.estimate import holm
from slategym.experiments.study import REFIT, Study

UNTUNED = "-untuned"  # at the end of the opponent's name: the same with nothing tuned
TUNING, START, INTERACTION, TRIAL, PLANNING = (
    *("tuning", "its start", "interaction", "by trial", "planning"),
)
Starts = Mapping[tuple[str, str], str]  # by learner and place of its training: where it began
NOWHERE: Starts = MappingProxyType({})


class Step(NamedTuple):
    """One part of a lead."""

    name: str
    difference: Difference

    @property
    def policy(self) -> str:
        """At which it arrives."""
        return self.difference.agent


@dataclass(frozen=True)
class Attribution:
    """The parts of a learner's return in a place, in order; they add up."""

    agent: str
    place: str
    start: str  # the policy from which the first part departs
    level: float  # what that earns a session
    steps: tuple[Step, ...]
    missing: tuple[str, ...]  # policies that were not read there
    chosen_on: str  # who decided which policy of the present is the better; "": there was one
    begun: str = ""  # where the learner began, if not at the tuned ranker

    def part(self, name: str) -> Difference | None:
        """A part by its name."""
        return next((step.difference for step in self.steps if step.name == name), None)

    @property
    def planning(self) -> Difference | None:
        """What looking ahead adds; None: nothing that does not look ahead learned there."""
        return self.part(PLANNING)


def names_of(attributions: Iterable[Attribution]) -> list[str]:
    """Of all their parts, in the order in which they follow each other."""
    named = list(dict.fromkeys(step.name for one in attributions for step in one.steps))
    order = (TUNING, START, INTERACTION, TRIAL, PLANNING)
    return [*(n for n in order if n in named), *(n for n in named if n not in order)]


def attributions(
    study: Study, rows: pd.DataFrame, told: Sequence[Difference], starts: Starts = NOWHERE
) -> tuple[Attribution, ...]:
    """Of every learner that looks ahead in every place.

    Args:
        study: whose rows they are.
        rows: sessions.
        told: comparisons of other tables, which keep the p-values that they have there; the rest
            are adjusted for each other.
        starts: where trainings began, if not at the opponent.
    """
    known = {(d.agent, d.baseline, d.place): d for d in told}
    found = [
        made
        for place in study.main
        for agent in study.ahead
        if (made := _attribution(study, rows, agent, place, starts))
    ]
    parts = (step.difference for made in found for step in made.steps)
    new = {(d.agent, d.baseline, d.place): d for d in parts}
    new = {name: d for name, d in new.items() if name not in known}
    adjusted = holm([d.estimate.p_value for d in new.values()])
    known |= {
        name: replace(d, adjusted=p) for (name, d), p in zip(new.items(), adjusted, strict=True)
    }

    def as_told(step: Step) -> Step:
        d = step.difference
        return step._replace(difference=known[d.agent, d.baseline, d.place])

    return tuple(replace(made, steps=tuple(map(as_told, made.steps))) for made in found)


def _attribution(
    study: Study, rows: pd.DataFrame, agent: str, place: Place, starts: Starts
) -> Attribution | None:
    opponent = study.roles.opponent
    if not all(_read(study, rows, policy, place) for policy in (agent, opponent)):
        return None
    untuned = f"{opponent}{UNTUNED}"
    best, chosen_on = best_present(study, rows, agent, place)
    learned = [policy for policy in present_of(agent) if _read(study, rows, policy, place)]
    missing = [
        policy for policy in (untuned, *present_of(agent)) if not _read(study, rows, policy, place)
    ]
    tuned = untuned not in missing
    path = [(TUNING, opponent)] if tuned else []
    begun = starts.get((agent, place.trained_in), opponent)
    if begun == opponent or not _read(study, rows, begun, place):
        begun = ""
    path += [(START, begun)] if begun else []
    by_fit = REFIT in learned and (not begun or best == REFIT)
    if by_fit:
        path.append((INTERACTION, REFIT))
    if best is not None and best != REFIT:
        path.append((TRIAL if by_fit or begun else INTERACTION, best))
    path.append((PLANNING if best is not None else "all that is learned", agent))
    start = untuned if tuned else opponent
    steps = tuple(_steps(study, rows, place, start, path))
    level = stats.mean(rows, cell(study, start, place), metric_of(rows)).value
    return Attribution(agent, place.name, start, level, steps, tuple(missing), chosen_on, begun)


def _steps(
    study: Study, rows: pd.DataFrame, place: Place, start: str, path: Sequence[tuple[str, str]]
) -> Iterator[Step]:
    """Every policy of the path minus the one before it."""
    for (_, before), (name, policy) in pairwise([("", start), *path]):
        found = difference(study, rows, policy, before, place)
        assert found is not None, (policy, before, place)
        yield Step(name, found)


def present_of(agent: str) -> tuple[str, str]:
    """Who has as many slates as a learner, and looks no further than the slate."""
    return REFIT, f"{agent}{PRESENT}"


def best_present(
    study: Study, rows: pd.DataFrame, agent: str, place: Place
) -> tuple[str | None, str]:
    """The better of them in a place, and on whom that was decided; None: nobody was read there."""
    learned = [policy for policy in present_of(agent) if _read(study, rows, policy, place)]
    if not learned:
        return None, ""
    if len(learned) == 1:
        return learned[0], ""
    metric, home = metric_of(rows), place.of or place.name
    chosen = next((p for p in study.of_role("selection") if p.trained_in == home), None)
    if chosen is not None and all(_read(study, rows, policy, chosen) for policy in learned):
        where, who = chosen, "selection people"
    else:
        where, who = place, "the people before whom they are read"
    means = {policy: stats.mean(rows, cell(study, policy, where), metric) for policy in learned}
    return max(learned, key=lambda policy: means[policy].value), who


def _read(study: Study, rows: pd.DataFrame, policy: str, place: Place) -> bool:
    return there(rows, cell(study, policy, place))
