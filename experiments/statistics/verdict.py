"""The sentences at the top of a report, derived from a study's numbers by stated rules.

One rule of "clear", in tables and sentences alike: the interval leaves out zero, and the p-value,
adjusted by Holm for all comparisons of the same table, is below .05 (`Difference.side`).

Against an opponent (`against_opponent`), typically the supervised ranker:
1. The learner that speaks for RL is the one with the highest mean return on *selection* people in
   the place it was trained in. Everything said about it is read on *evaluation* people.
2. The control is a place where nothing a user does changes what comes next, so that looking ahead
   is worth nothing. A learner trained there may not beat the opponent (clearly, or by more than a
   margin of 1) nor, clearly, the policy that knows the true model. If it does, the result is not
   to be believed. That it loses there is said, and condemns nothing.
3. RL wins only if it is clearly above the opponent in the world and before every judge of it, and
   clearly above whatever else without learning it is compared with in at least one of these places
   and clearly below in none. If it is not, it is ahead of the opponent only, and the verdict names
   what does as well. Where judges disagree, the one that it does worst before decides.

Further open places (other assumptions) each have sentences of their own, and do not turn the first.

Against an oracle (`against_oracle`): the opponent itself knows the true model and looks one slate
ahead. In every open place the learner that comes furthest is held against it; what beats it in a
control is not to be believed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from slategym.experiments.statistics.stats import Estimate
from slategym.experiments.study import Place, Study

if TYPE_CHECKING:
    from slategym.experiments.statistics.numbers import Difference, Numbers, Standing

MARGIN = 1.0  # reward per session; the largest lead over the opponent that passes in a control


@dataclass(frozen=True)
class Verdict:
    """What the report says first."""

    outcome: str  # in a word or two, for programs
    tone: str  # "wins" | "bad" | "unsure"
    tag: str  # for people
    sentences: tuple[str, ...]
    agent: str | None = None  # the learner that it speaks of; None: of several
    agents: tuple[str, ...] = ()  # learners, the one that it speaks of first

    @property
    def sentence(self) -> str:
        """All of it."""
        return " ".join(self.sentences)


class Read(NamedTuple):
    """A difference before a judge."""

    judge: str  # as sentences name it
    difference: Difference

    @property
    def side(self) -> int:
        """1: clearly ahead, -1: clearly behind, 0: neither."""
        return self.difference.side

    @property
    def signed(self) -> str:
        """The difference and its interval."""
        return self.difference.estimate.signed()


_STAND = {1: "clearly ahead", 0: "no clear difference", -1: "clearly behind"}
TAGS = {
    "wins": ("wins", "RL is ahead"),
    "opponent only": ("unsure", "ahead of the ranker, not of cheaper methods"),
    "loses": ("bad", "RL loses"),
    "not believed": ("bad", "not to be believed"),
    "no difference": ("unsure", "no clear difference"),
    "world only": ("unsure", "not shown"),
    "judge only": ("unsure", "not shown"),
    "beaten": ("wins", "looking ahead pays"),
    "not beaten": ("unsure", "not shown"),
}


def objections(study: Study, numbers: Numbers, agent: str) -> tuple[str, ...]:
    """Why the control fails for a learner; empty where it holds, or where nobody was trained."""
    found, roles = [], study.roles
    for d in numbers.control:
        if d.agent != agent:
            continue
        if d.baseline == roles.truth:
            if d.side > 0:
                found.append(
                    f"it beats {roles.say(d.baseline)}, which knows the true model, by "
                    f"{d.estimate.signed()}, which should not be possible there"
                )
        elif d.side > 0:
            found.append(
                f"it gains {d.estimate.signed()} over {roles.say(d.baseline)} where looking "
                "ahead can change nothing"
            )
        elif d.estimate.value > MARGIN:
            found.append(
                f"its lead of {d.estimate.signed()} over {roles.say(d.baseline)} is further from "
                f"zero than {MARGIN:g}"
            )
    return tuple(found)


def against_opponent(study: Study, numbers: Numbers, rows: pd.DataFrame) -> Verdict:
    """Does RL beat the opponent, and can it be believed?

    Raises:
        ValueError: if the study has no learner, or rows that the verdict needs are missing.
    """
    if not study.learned:
        raise ValueError("a verdict needs at least one learner; the study has none")
    order = sorted(study.learned, key=lambda agent: -_rank(numbers, agent))
    facts = _Facts(study, numbers, order[0])
    tone, tag = TAGS[facts.outcome]
    sentences = (facts.sentence, *facts.elsewhere)
    return Verdict(facts.outcome, tone, tag, sentences, order[0], tuple(order))


def _rank(numbers: Numbers, agent: str) -> float:
    """Mean return on selection people; of a study without them, in the study's first place."""
    chosen = numbers.selection.get(agent)
    return numbers.of(agent).order if chosen is None else chosen.value


@dataclass(frozen=True)
class _Facts:
    """What the numbers say of one learner."""

    study: Study
    numbers: Numbers
    agent: str

    def over(self, baseline: str, place: Place | None) -> Difference | None:
        """The learner minus a baseline in a place."""
        return None if place is None else self.numbers.find(self.agent, baseline, place.name)

    def first(self, role: str) -> Place | None:
        """The first place of a role."""
        return next((place for place in self.study.main if place.role == role), None)

    @property
    def world(self) -> Difference:
        """Over the opponent where it was trained."""
        place = self.first("open")
        found = self.over(self.study.roles.opponent, place)
        if found is None:
            raise ValueError(
                f"no rows compare {self.agent} with {self.study.roles.opponent} in "
                f"{place.name if place else 'an open place'}"
            )
        return found

    @property
    def judges(self) -> tuple[Read, ...]:
        """Over the opponent before every judge of the world; none: there is no judge."""
        return self.before_judges(self.study.roles.opponent)

    def before_judges(self, baseline: str) -> tuple[Read, ...]:
        """Over a baseline before the judges of the first open place, as far as it was read there.

        Raises:
            ValueError: if it is the opponent, and was not read before the first judge.
        """
        world = self.first("open")
        found = []
        places = [p for p in self.study.of_role("judge") if world and p.of == world.name]
        for place in places:
            d = self.over(baseline, place)
            if d is not None:
                known = "the independent judge" if place is places[0] else f"the {place.heading}"
                found.append(Read(known, d))
            elif place is places[0] and baseline == self.study.roles.opponent:
                raise ValueError(f"no rows compare {self.agent} with {baseline} in {place.name}")
        return tuple(found)

    @property
    def objections(self) -> tuple[str, ...]:
        """Why the control fails."""
        return objections(self.study, self.numbers, self.agent)

    @property
    def equals(self) -> tuple[str, ...]:
        """What needs no learning and is clearly beaten in no place, or clearly ahead in one."""
        found = []
        for baseline in self.study.roles.others:
            world = self.over(baseline, self.first("open"))
            sides = [world.side] if world is not None else []
            sides += [read.side for read in self.before_judges(baseline)]
            if sides and (max(sides) <= 0 or min(sides) < 0):
                found.append(baseline)
        return tuple(found)

    @property
    def outcome(self) -> str:
        """The rules of this module, applied."""
        world = self.world.side
        judge = min((read.side for read in self.judges), default=1)
        if self.objections:
            return "not believed"
        if world > 0:
            if judge <= 0:
                return "world only"
            return "opponent only" if self.equals else "wins"
        if world < 0:
            return "loses"
        return "judge only" if self.judges and judge > 0 else "no difference"

    @property
    def sentence(self) -> str:
        """Which of the possible ones it is."""
        opponent = self.study.roles.say(self.study.roles.opponent)
        world, who = self.world.estimate.signed(), f"RL ({self.agent})"
        unit, others = self.study.unit, "".join(f" {text}." for text in self._others())
        before = " and ".join(f"{r.signed} before {r.judge}" for r in self.judges)
        if self.outcome == "not believed":
            return (
                f"The result is not to be believed: where looking ahead is worth nothing, {who} "
                f"fails the control, because {' and '.join(self.objections)}. What it shows "
                f"against {opponent}, {world} in the world"
                + (f" and {before}" if before else "")
                + f" ({unit}), may come from the same fault."
            )
        if self.outcome in ("wins", "opponent only"):
            names = " and ".join(self.study.roles.say(name) for name in self.equals)
            lead = f"As much is had without reinforcement learning, by {names}. " if names else ""
            return (
                f"{lead}{who} beats {opponent}: {world} {unit} in the simulated world"
                + (f" and {before}." if before else ".")
                + f"{others}{self._control()}"
            )
        if self.outcome == "world only":
            worst = min(self.judges, key=lambda read: read.side)
            how = "loses" if worst.side < 0 else "shows no clear difference"
            return (
                f"Not shown: {who} beats {opponent} in the world it was trained in ({world} "
                f"{unit}) but {how} before {worst.judge} ({worst.signed}), so the gain may be of "
                f"the simulator's making.{self._besides(worst)}{others}{self._control()}"
            )
        if self.outcome == "judge only":
            return (
                f"Not shown: {who} is ahead of {opponent} ({before}, {unit}) but without clear "
                f"difference in the world it was trained in ({world})."
                f"{others}{self._control()}"
            )
        words = {1: "wins", -1: "loses too", 0: "no clear difference"}
        text = f"{who} loses to {opponent}: {world} {unit} in the simulated world"
        if self.outcome == "no difference":
            words = {-1: "loses", 0: "no clear difference either"}
            text = (
                f"No clear difference between {who} and {opponent} in the simulated world: "
                f"{world} {unit}"
            )
        for read in self.judges:
            text += f"; before {read.judge}: {words[read.side]} ({read.signed})"
        return f"{text}.{others}{self._control()}"

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """What it does in every further open place, and before the judges of that."""
        found = []
        roles, unit = self.study.roles, self.study.unit
        for place in self.study.of_role("open")[1:]:
            judges = [j for j in self.study.of_role("judge") if j.of == place.name]
            for baseline in (roles.opponent, *roles.others):
                read = [(p, d) for p in (place, *judges) if (d := self.over(baseline, p))]
                if not read:
                    continue
                parts = [
                    f"{_STAND[d.side]} in the {p.heading} ({d.estimate.signed()} {unit})"
                    for p, d in read
                ]
                found.append(
                    f"RL ({self.agent}) against {roles.say(baseline)}: {', '.join(parts)}."
                )
        return tuple(found)

    def _besides(self, told: Read) -> str:
        """What the other judges say, after one was told."""
        others = [
            f"{_STAND[r.side]} before {r.judge} ({r.signed})" for r in self.judges if r != told
        ]
        return f" It is {', '.join(others)}." if others else ""

    def _others(self) -> list[str]:
        """Whether it also beats what else it is compared with."""
        found = []
        for baseline in self.study.roles.others:
            world = self.over(baseline, self.first("open"))
            if world is not None:
                name = self.study.roles.say(baseline)
                found.append(_against(name, world, self.before_judges(baseline)))
        return found

    def _control(self) -> str:
        """What it does where looking ahead is worth nothing."""
        place = self.first("control")
        d = self.over(self.study.roles.opponent, place)
        if d is None or place is None:
            return " No learner was trained where looking ahead is worth nothing."
        return (
            f" In the {place.heading.split(' (')[0]}, where looking ahead is worth nothing, the "
            f"difference is {d.estimate.signed()}."
        )


def _against(name: str, world: Difference, judges: tuple[Read, ...]) -> str:
    """Whether it beats a further baseline, in the world and before each judge."""
    read = [("in the world", world.side, world.estimate.signed())]
    read += [(f"before {r.judge}", r.side, r.signed) for r in judges]
    numbers = ", ".join(f"{signed} {where}" for where, _, signed in read)
    if not judges:
        numbers = world.estimate.signed()
    at = {side: " and ".join(w for w, s, _ in read if s == side) for side in (1, 0, -1)}
    if at[1] and at[-1]:
        return f"Against {name} it is clearly ahead {at[1]} and clearly behind {at[-1]} ({numbers})"
    if at[1] and at[0]:
        return f"Against {name} it is clearly ahead {at[1]} only ({numbers})"
    if at[1]:
        return f"It also beats {name} ({numbers})"
    if at[-1]:
        return f"It loses to {name} ({numbers})"
    return f"Against {name} there is no clear difference ({numbers})"


def against_oracle(study: Study, numbers: Numbers, rows: pd.DataFrame) -> Verdict:
    """Does a learner beat the policy that knows the true model and does not look ahead?"""
    opponent = study.roles.opponent
    best = {}
    for place in study.of_role("open"):
        there = [r for r in numbers.ladder if r.kind == "learns" and place.name in r.mean]
        if there:
            best[place.name] = max(there, key=lambda standing: standing.mean[place.name].value)
    over = {
        place: numbers.find(standing.policy, opponent, place) for place, standing in best.items()
    }
    caught = any(objections(study, numbers, agent) for agent in study.learned)
    won = any(d is not None and d.side > 0 for d in over.values())
    outcome = "not believed" if caught else "beaten" if won else "not beaten"
    sentences = [
        _open_place(study, numbers, study.place(name), standing) for name, standing in best.items()
    ]
    sentences += [_controlled(study, numbers, place) for place in study.of_role("control")]
    tone, tag = TAGS[outcome]
    order = sorted(study.learned, key=lambda agent: -numbers.of(agent).order)
    return Verdict(outcome, tone, tag, tuple(sentences), agents=tuple(order))


def _open_place(study: Study, numbers: Numbers, place: Place, best: Standing) -> str:
    roles, d = study.roles, numbers.find(best.policy, study.roles.opponent, place.name)
    greedy, top = (numbers.of(name).mean[place.name] for name in (roles.opponent, roles.reference))
    assert d is not None
    verb = {1: "more than", -1: "less than", 0: "not clearly other than"}[d.side]
    score = best.score.get(place.name)
    scored = (
        f" Score {score.value:.2f}, where 0 is {roles.random} and 1 is {roles.reference} "
        f"({top.value:.1f})."
        if score
        else ""
    )
    return (
        f"{place.name}: of the learners, none of which sees preferences, {best.policy} comes "
        f"furthest, with {_short(best.mean[place.name])} {study.unit}: {verb} {roles.opponent}, "
        f"which sees them and takes the best slate of the moment ({greedy.value:.1f}; difference "
        f"{_short(d.estimate, sign='+')}).{scored}"
    )


def _controlled(study: Study, numbers: Numbers, place: Place) -> str:
    opponent = study.roles.opponent
    mine = [d for d in numbers.control if d.place == place.name and d.baseline == opponent]
    over = [d for d in mine if d.side > 0]
    if over:
        who = ", ".join(f"{d.agent} ({_short(d.estimate, sign='+')})" for d in over)
        return (
            f"{place.name}: not to be believed, because where looking ahead is worth nothing {who} "
            f"beats {opponent}, which knows the true model."
        )
    if not mine:
        return f"{place.name}: no learner was trained there, so nothing is controlled."
    nearest = max(mine, key=lambda d: d.estimate.value)
    return (
        f"{place.name}: where looking ahead is worth nothing, no learner clearly beats {opponent}, "
        f"which knows the true model; nearest comes {nearest.agent} "
        f"({_short(nearest.estimate, sign='+')})."
    )


def _short(estimate: Estimate, sign: str = "") -> str:
    value, low, high = (f"{x:{sign}.1f}" for x in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"
