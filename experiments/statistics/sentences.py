"""What the numbers say of one learner in one open place and before its judges, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from slategym.experiments.places import Place
from slategym.experiments.statistics.attribution import (
    INTERACTION,
    PLANNING,
    START,
    TRIAL,
    TUNING,
    Attribution,
)
from slategym.experiments.statistics.words import SIDES, TRANSFER, listed, said, shown, transferred
from slategym.experiments.study import REFIT, Study

if TYPE_CHECKING:
    from slategym.experiments.statistics.differences import Difference
    from slategym.experiments.statistics.numbers import Numbers


CARRIES = {
    1: "so RL is ahead there as well",
    0: "so nothing is shown of that world",
    -1: "so RL is behind there as well",
}
ADDS = {1: "clear", 0: "not clear", -1: "clearly a loss"}


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
        return shown(self.difference)


def under(study: Study, place: Place) -> str:
    """Which assumptions a place stands for, or what it is called."""
    if study.log is None:
        return f"in {place.heading}"
    return f"under {place.settings.get('assumptions', study.assumptions)}"


@dataclass(frozen=True)
class Facts:
    """What the numbers say of one learner in an open place."""

    study: Study
    numbers: Numbers
    agent: str
    place: Place

    def over(self, baseline: str, place: Place) -> Difference | None:
        """The learner minus a baseline in a place."""
        return self.numbers.find(self.agent, baseline, place.name)

    @property
    def read(self) -> bool:
        """Whether it was read here."""
        return self.over(self.study.roles.opponent, self.place) is not None

    @property
    def world(self) -> Difference:
        """Over the opponent where it was trained."""
        found = self.over(self.study.roles.opponent, self.place)
        if found is None:
            raise ValueError(
                f"no rows compare {self.agent} with {self.study.roles.opponent} in "
                f"{self.place.name}"
            )
        return found

    @property
    def judges(self) -> tuple[Read, ...]:
        """Over the opponent before every judge of the world; none: there is no judge."""
        return self.before_judges(self.study.roles.opponent)

    def before_judges(self, baseline: str) -> tuple[Read, ...]:
        """Over a baseline before the judges of the place, as far as it was read there.

        Raises:
            ValueError: if it is the opponent, and was not read before the first judge.
        """
        found = []
        places = [p for p in self.study.of_role("judge") if p.of == self.place.name]
        for place in places:
            d = self.over(baseline, place)
            if d is not None:
                known = "the independent judge" if place is places[0] else f"the {place.heading}"
                found.append(Read(known, d))
            elif place is places[0] and baseline == self.study.roles.opponent:
                raise ValueError(f"no rows compare {self.agent} with {baseline} in {place.name}")
        return tuple(found)

    @property
    def others(self) -> tuple[str, ...]:
        """Whatever it is compared with besides the opponent."""
        return self.study.opponents(self.agent)[1:]

    @property
    def failures(self) -> tuple[str, ...]:
        """Why the control fails."""
        return failures(self.study, self.numbers, self.agent)

    @property
    def unsure(self) -> bool:
        """Whether the control cannot tell."""
        return any(
            c.decides and c.standing == "cannot tell"
            for c in self.numbers.controls
            if c.difference.agent == self.agent
        )

    @property
    def equals(self) -> tuple[str, ...]:
        """What does not look ahead and is clearly beaten in no place, or clearly ahead in one."""
        found = {baseline: self._sides(baseline) for baseline in self.others}
        return tuple(
            b for b, sides in found.items() if sides and (max(sides) <= 0 or min(sides) < 0)
        )

    @property
    def betters(self) -> tuple[str, ...]:
        """Of these, whoever is clearly ahead of it somewhere and nowhere clearly behind."""
        return tuple(b for b in self.equals if min(self._sides(b)) < 0 and max(self._sides(b)) <= 0)

    def _sides(self, baseline: str) -> list[int]:
        """How it stands to a baseline in the world and before the judges, as far as it was read."""
        world = self.over(baseline, self.place)
        sides = [world.side] if world is not None else []
        return sides + [read.side for read in self.before_judges(baseline)]

    @property
    def outcome(self) -> str:
        """The rules of `verdict`, applied."""
        world = self.world.side
        judge = min((read.side for read in self.judges), default=1)
        if self.failures:
            return "not believed"
        if world > 0:
            if judge <= 0:
                return "world only"
            if self.equals:
                return "opponent only"
            return "not controlled" if self.unsure else "wins"
        if world < 0:
            return "loses"
        return "judge only" if self.judges and judge > 0 else "no difference"

    def sentences(self, several: bool) -> Iterator[str]:
        """All that is said here; the place is named where there are several."""
        yield (f"{under(self.study, self.place).capitalize()}: " if several else "") + self.sentence
        if self.world.transfer is not None:
            opponent = self.study.roles.say(self.study.roles.opponent)
            yield (
                f"Against {opponent} {TRANSFER}: {transferred(self.world)}, "
                f"{CARRIES[self.world.transfer.side]}."
            )
        found = self.numbers.attribution(self.agent, self.place.name)
        if found is not None:
            yield of_which(self.study, found, self.world)

    @property
    def sentence(self) -> str:
        """Which of the possible ones it is."""
        opponent = self.study.roles.say(self.study.roles.opponent)
        world, who = shown(self.world), f"RL ({self.agent})"
        unit, others = self.study.unit, "".join(f" {text}." for text in self._others())
        before = " and ".join(f"{r.signed} before {r.judge}" for r in self.judges)
        if self.outcome == "not believed":
            return (
                f"The result is not to be believed: where looking ahead is worth nothing, {who} "
                f"fails the control, because {' and '.join(self.failures)}. What it shows "
                f"against {opponent}, {world} in the world"
                + (f" and {before}" if before else "")
                + f" ({unit}), may come from the same fault."
            )
        if self.outcome in ("wins", "opponent only", "not controlled"):
            as_much = [name for name in self.equals if name not in self.betters]
            lead = "".join(
                f"{much} is had without looking ahead, by "
                f"{listed([self.study.roles.say(name) for name in names])}. "
                for much, names in (("More", self.betters), ("As much", as_much))
                if names
            )
            return (
                f"{lead}{who} beats {opponent}: {world} {unit} in the simulated world"
                + (f" and {before}." if before else ".")
                + others
            )
        if self.outcome == "world only":
            worst = min(self.judges, key=lambda read: read.side)
            how = "loses" if worst.side < 0 else "shows no clear difference"
            return (
                f"Not shown: {who} beats {opponent} in the world it was trained in ({world} "
                f"{unit}) but {how} before {worst.judge} ({worst.signed}), so the gain may be of "
                f"the simulator's making.{self._besides(worst)}{others}"
            )
        if self.outcome == "judge only":
            return (
                f"Not shown: {who} is ahead of {opponent} ({before}, {unit}) but without clear "
                f"difference in the world it was trained in ({world}).{others}"
            )
        words = {1: "wins", -1: "loses too", 0: "no clear difference"}
        text = f"{who} loses to {opponent}: {world} {unit} in the simulated world"
        if self.outcome == "no difference":
            words = {1: "ahead", -1: "loses", 0: "no clear difference either"}
            alike = self.world.estimate.low == self.world.estimate.high == 0.0
            began = f"{who} shows the very slates of {opponent}, as before it learned. "
            text = (
                f"{began if alike else ''}No clear difference between {who} and {opponent} in "
                f"the simulated world: {world} {unit}"
            )
        for read in self.judges:
            text += f"; before {read.judge}: {words[read.side]} ({read.signed})"
        return f"{text}.{others}"

    def _besides(self, told: Read) -> str:
        """What the other judges say, after one was told."""
        others = [
            f"{SIDES[r.side]} before {r.judge} ({r.signed})" for r in self.judges if r != told
        ]
        return f" It is {', '.join(others)}." if others else ""

    def _others(self) -> Iterator[str]:
        """How it stands to all else that it is compared with, those alike in one sentence."""
        alike: dict[tuple[int, ...], list[str]] = {}
        same = self._same_as_opponent()
        if same and self.world.side:
            whose = listed([self.study.roles.say(name) for name in same])
            verb = "shows" if len(same) == 1 else "show"
            opponent = self.study.roles.say(self.study.roles.opponent)
            yield (
                f"{whose[0].upper()}{whose[1:]} {verb} the very slates of {opponent} here, so that "
                "the same holds against them"
            )
        for baseline in self.others:
            if baseline in same and self.world.side:
                continue
            world, judges = self.over(baseline, self.place), self.before_judges(baseline)
            if world is None:
                continue
            name, sides = self.study.roles.say(baseline), (world.side, *(r.side for r in judges))
            if len(set(sides)) > 1:
                yield _split(name, world, judges)
                continue
            alike.setdefault(sides, []).append(f"{name} ({shown(world)})")
        for (side, *others), names in alike.items():
            where = " in the world and before every judge" if others else ""
            yield {
                1: f"It also beats {listed(names)}{where}",
                0: f"There is no clear difference to {listed(names)}{where}",
                -1: f"It loses to {listed(names)}{where}",
            }[side]

    def _same_as_opponent(self) -> list[str]:
        """Whatever earns what the opponent does, session by session, in the world and elsewhere."""

        def equal(a: Difference | None, b: Difference | None) -> bool:
            return a is not None and b is not None and bool(np.allclose(_ends(a), _ends(b)))

        opponent = self.study.roles.opponent
        return [
            baseline
            for baseline in self.others
            if equal(self.over(baseline, self.place), self.world)
            and all(
                equal(mine.difference, theirs.difference)
                for mine, theirs in zip(
                    self.before_judges(baseline), self.before_judges(opponent), strict=False
                )
            )
        ]


def _ends(d: Difference) -> tuple[float, float, float]:
    return d.estimate.value, d.estimate.low, d.estimate.high


def _split(name: str, world: Difference, judges: tuple[Read, ...]) -> str:
    """A further baseline to which it does not stand alike in the world and before all judges."""
    read = [("in the world", world.side, shown(world))]
    read += [(f"before {r.judge}", r.side, r.signed) for r in judges]
    numbers = ", ".join(f"{signed} {where}" for where, _, signed in read)
    at = {side: " and ".join(w for w, s, _ in read if s == side) for side in (1, 0, -1)}
    if at[1] and at[-1]:
        return f"Against {name} it is clearly ahead {at[1]} and clearly behind {at[-1]} ({numbers})"
    if at[1]:
        return f"Against {name} it is clearly ahead {at[1]} only ({numbers})"
    return f"It loses to {name} {at[-1]} ({numbers})"


def of_which(study: Study, found: Attribution, whole: Difference) -> str:
    """What a learner's lead consists of, and what a supervised model with the same slates would.

    Args:
        study: of which it is.
        found: the parts.
        whole: the lead over the opponent.
    """
    opponent, roles, parts = study.roles.say(study.roles.opponent), study.roles, list[str]()
    for step in found.steps:
        d, told = step.difference, said(step.difference)
        if step.name == TUNING:
            parts.append(f"tuning is worth {shown(d)} to {opponent}")
        elif step.name == START:
            parts.append(f"it began at {roles.say(step.policy)}, which is worth {shown(d)}")
        elif step.name == INTERACTION and step.policy == REFIT:
            parts.append(
                f"a supervised model with the same slates would be {shown(d)} ahead of "
                f"it{' as well' if whole.side > 0 else ''}"
                if d.side > 0
                else f"a supervised model with the same slates would not be ahead of it ({told})"
            )
        elif step.name in (INTERACTION, TRIAL):
            parts.append(f"{roles.say(step.policy)} adds {shown(d)}")
        elif step.name == PLANNING:
            what = "of which looking ahead is" if whole.side > 0 else "looking ahead adds"
            parts.insert(0, f"{what} {shown(d)} ({ADDS[d.side]})")
    lead_by = shown(whole)
    lead = {
        1: f"RL is ahead of {opponent} by {lead_by}",
        0: f"RL is not clearly ahead of {opponent} ({lead_by})",
        -1: f"RL is behind {opponent} by {lead_by}",
    }[whole.side]
    link = (", " if whole.side > 0 else "; ") if found.planning else "; "
    text = f"{lead}{link}{'; '.join(parts)}" if parts else lead
    missing = "" if found.planning else "; how much of it is planning is not known"
    left = f" (not read here: {listed(found.missing)})" if found.missing else ""
    return f"{text}{missing}{left}."


def failures(study: Study, numbers: Numbers, agent: str) -> tuple[str, ...]:
    """Why the control fails for a learner; empty where it holds, or where nobody was trained."""
    mine = (c for c in numbers.controls if c.difference.agent == agent)
    return tuple(c.said(study) for c in mine if c.fails)


def of_all(study: Study, numbers: Numbers, agent: str, found: Sequence[Facts]) -> Iterator[str]:
    """What is said of all open places: the control, and signs that turn."""
    if not any(facts.failures for facts in found):
        yield _control(study, numbers, agent)
    yield from _turned(study, numbers, agent)


def _control(study: Study, numbers: Numbers, agent: str) -> str:
    """What it does where looking ahead is worth nothing."""
    mine = [c for c in numbers.controls if c.difference.agent == agent]
    if not mine:
        return "No learner was trained where looking ahead is worth nothing."
    place = study.place(mine[0].difference.place)
    trivial = ("worse", "not ahead", "equivalent")  # behind who is told the truth is no news
    told = [
        c.said(study)
        for c in mine
        if c.difference.baseline != study.roles.truth or c.standing not in trivial
    ]
    return (
        f"In the {place.heading.split(' (')[0]}, where looking ahead is worth nothing: "
        f"{', and '.join(told)}."
    )


def _turned(study: Study, numbers: Numbers, agent: str) -> Iterator[str]:
    """Where signs of a comparison differ between places: each that does so clearly, the rest."""
    unclear = []
    for baseline in study.opponents(agent):
        read = [
            (place, d)
            for place in study.of_role("open", "judge")
            if (d := numbers.find(agent, baseline, place.name)) is not None
        ]
        ahead = [(p, d) for p, d in read if d.estimate.value > 0]
        behind = [(p, d) for p, d in read if d.estimate.value < 0]
        if not ahead or not behind:
            continue
        name = study.roles.say(baseline)
        if not (any(d.side > 0 for _, d in read) and any(d.side < 0 for _, d in read)):
            unclear.append(name)
            continue
        few, word = (behind, "behind") if len(behind) <= len(ahead) else (ahead, "ahead")
        where = ", ".join(f"{p.heading} {shown(d)}" for p, d in few)
        yield (
            f"The sign against {name} turns, clearly: {word} in {len(few)} of {len(read)} places "
            f"({where})."
        )
    if unclear:
        yield (
            f"Signs that turn between places, none of them clear on both sides: against "
            f"{listed(unclear)}."
        )
