"""What a learned world adds to its people because no log shows it, as named values.

A named value is one answer to all that is not known, composed of pieces: what clicks on a topic do,
who has which of it, patience, and returns. Worlds that differ in nothing else are built with
different ones, so that a claim can be seen to stand or fall with what is assumed. What the log
itself says of each piece (`models/data/dynamics`) stands beside it.

"lasting" was chosen among rules that weary of everything by headroom and face value, before any
learner was trained in it; `docs/assumptions.md` has the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from slategym.envs.names import UsageError, lookup
from slategym.envs.types import Provenance
from slategym.envs.users.carry_over import CarryOver
from slategym.envs.users.returns import Returns
from slategym.envs.users.satiation import (
    Effect,
    FadingSatiation,
    GenreSatiation,
    Habit,
    Mixed,
)
from slategym.models.data.dynamics import Dynamics, returns_told, runs_told
from slategym.models.data.log import Words

STATED_PATIENCE = 5.0  # slates without a click, where no log says how long people stay
VISITS = 4  # of the log's length, that a session with returns has at most

Label = tuple[str, Provenance, str]  # what, whence, why
Constant = tuple[str, float, str, Provenance]  # what, value, unit, whence


@dataclass(frozen=True)
class Assumptions:
    """What clicks on a topic do to people, whether they lose patience, whether they come back."""

    effect: Effect[Any] | None = None  # None: nothing; its number of topics is the log's, later
    impatience: bool = True  # whether a visit ends for want of anything to click
    returns: Returns | None = None  # None: a session is one visit
    name: str = "own"

    def satiation(self, num_topics: int) -> Effect[Any] | None:
        """The effect among that many topics; None where it is nothing, or topics do not differ."""
        if self.effect is None or num_topics < 2:
            return None
        return self.effect.among(num_topics)

    @property
    def base(self) -> str:
        """Its name without other numbers: "lasting" of "lasting:duration=8"."""
        return self.name.partition(":")[0]

    @property
    def parts(self) -> tuple[tuple[float, Effect[Any]], ...]:
        """Every effect with the share of people who have it."""
        return () if self.effect is None else self.effect.parts

    @property
    def bores(self) -> bool:
        """Whether somebody may have too much of a topic."""
        return any(
            effect.penalty > 0 if isinstance(effect, CarryOver) else not isinstance(effect, Habit)
            for _, effect in self.parts
        )

    @property
    def boredom(self) -> float | None:
        """Log-odds that boredom takes; None where nobody is bored, or not everybody alike."""
        found = {getattr(e, "penalty", None) for _, e in self.parts if not isinstance(e, Habit)}
        return found.pop() if len(found) == 1 else None

    def overridden(self, settings: Mapping[str, float]) -> Assumptions:
        """With other numbers in its pieces; a boredom of 0 is none.

        Args:
            settings: by name; "boredom" (log-odds), or a field of a piece, such as "duration".

        Raises:
            UsageError: no piece has such a number, or the number cannot be.
        """
        changed = self
        for name, value in settings.items():
            changed = changed._with(name, value)
        told = ":".join(f"{name}={value:g}" for name, value in settings.items())
        return replace(changed, name=f"{self.name}:{told}") if told else changed

    def _with(self, name: str, value: float) -> Assumptions:
        if not math.isfinite(value):
            raise UsageError(f"{name} of the assumptions must be finite, got {value}")
        if name == "boredom" and value < 0:
            raise UsageError(f"boredom is taken from log-odds and is 0 or more, got {value}")
        places = [piece for _, piece in self.parts] + ([self.returns] if self.returns else [])
        field = "penalty" if name == "boredom" else name
        if not any(field in _numbers(piece) for piece in places):
            known = sorted({_said(number) for piece in places for number in _numbers(piece)})
            hint = f"it has {', '.join(known)}" if known else "it has no numbers"
            raise UsageError(f"assumptions {self.name!r} have no {name!r}; {hint}")
        try:
            effects = [_changed(effect, field, value) for _, effect in self.parts]
            returns = None if self.returns is None else _changed(self.returns, field, value)
        except ValueError as error:
            raise UsageError(f"assumptions {self.name!r} with {name}={value:g}: {error}") from None
        effect = self.effect
        if isinstance(effect, Mixed):
            effect = replace(effect, effects=tuple(effects))
        elif effects:
            none = name == "boredom" and value == 0 and not isinstance(effects[0], CarryOver)
            effect = None if none else effects[0]
        return replace(self, effect=effect, returns=returns)

    def labels(
        self,
        words: Words,
        num_topics: int,
        patience_chosen: bool,
        log: Dynamics | None = None,
    ) -> tuple[Label, ...]:
        """Every piece, labelled, with what the log says of it; also what could not be added.

        Args:
            words: what people call the log's things.
            num_topics: G of the log.
            patience_chosen: whether patience follows from the log's visits, or is stated.
            log: what the log itself says; None: nothing is told of it.
        """
        told: list[Label] = []
        if self.parts and num_topics < 2:
            told.append(("no boredom", "assumed", f"the log has no {words.topics} to tire of"))
        elif self.parts:
            for share, effect in self.parts:
                who = "" if share == 1.0 else f"{share:.0%} of people, drawn once for each: "
                how = f"{who}{effect.rule(words.topic)}; {_whence(effect, words)}"
                told.append((effect.called, "assumed", how))
            why = None if log is None else runs_told(log, words)
            told += [] if why is None else [(f"runs on a {words.topic}", "derived", why)]
        if self.impatience:
            how = (
                f"how much there is of it is chosen so that {words.sessions} under popular slates "
                "last as long as the log's"
                if patience_chosen
                else f"{STATED_PATIENCE:g} slates, stated: the log's {words.sessions} are too "
                "short, or its times too coarse, to choose it"
            )
            told.append(
                (
                    "patience",
                    "assumed",
                    f"a slate without a click costs 1, a click regains .5; {how}",
                )
            )
        if self.returns is not None:
            how = (
                f"{words.sessions} for {self.returns.days:g} days; the pause between two is "
                "exponential, the shorter the better what was clicked is liked, by a factor of "
                f"{math.exp(self.returns.strength):.0f} from worst to best"
            )
            told.append(("returns", "assumed", how))
            if log is not None:
                told.append((f"{words.sessions} apart", "derived", returns_told(log, words)))
        return tuple(told)

    def constants(self) -> tuple[Constant, ...]:
        """Every number of the effects and of returns."""
        found: list[Constant] = []
        for share, effect in self.parts:
            what = effect.called
            if share < 1:
                found.append((f"{what}: share of people", share, "", "assumed"))
            for number, value in _numbers(effect).items():
                said = what if number in ("penalty", "gain") else f"{what}: {_said(number)}"
                found.append((said, value, UNITS[number], "assumed"))
        if self.returns is not None:
            for number, value in _numbers(self.returns).items():
                whence: Provenance = "derived" if number in ("pause", "longest") else "assumed"
                found.append((f"returns: {number}", value, UNITS[number], whence))
        return tuple(found)


UNITS = {
    "penalty": "log-odds",
    "gain": "log-odds per click",
    "memory": "clicks",
    "threshold": "clicks on one topic",
    "duration": "slates",
    "most": "clicks that count",
    "keep": "of the level, per slate",
    "per_click": "log-odds of everything, per click",
    "per_worth": "log-odds of everything, per unit of a click's worth",
    "pause": "days, mean",
    "strength": "of log pause, per unit of satisfaction",
    "inertia": "of satisfaction, per slate with a click; of carry-over, per slate",
    "days": "days",
    "longest": "slates of a visit",
}
MILD_RULE = GenreSatiation(1)
MILD = Assumptions(MILD_RULE, name="mild")
CARRY_OVER = Assumptions(CarryOver(1), name="carryover")
WEARY = GenreSatiation(1, memory=5, threshold=3, penalty=2.0, duration=4, scope="everything")
ASSUMPTIONS: dict[str, Assumptions] = {
    value.name: value
    for value in (
        Assumptions(impatience=False, name="none"),
        Assumptions(name="impatience"),
        MILD,
        Assumptions(WEARY, name="lasting"),
        Assumptions(Mixed((WEARY, Habit(1)), (0.5, 0.5)), name="mixed"),
        Assumptions(Habit(1), name="habit"),
        Assumptions(FadingSatiation(1), name="smooth"),
        CARRY_OVER,
        Assumptions(GenreSatiation(1), returns=Returns(), name="return"),
    )
}
SAYS = {
    "none": "nothing: people are as the model says and stay until the end",
    "impatience": "visits end for want of anything to click, and nothing else changes",
    "mild": "too much of a topic bores, for some slates, in that topic alone",
    "lasting": "too much of a topic wearies of everything for some slates",
    "mixed": "half of the people tire as in lasting, half like more of the same",
    "habit": "everybody likes more of the same",
    "smooth": "every click on a topic takes from its appeal, less with every slate since",
    "carryover": "clicks change later ones, of the topic and of all, by what they were worth; by "
    "its own numbers, 0 as they stand: as much as a log shows, where it shows it",
    "return": "as mild, in several visits; the better liked, the sooner the next",
}


def find_assumptions(name: str | Assumptions) -> Assumptions:
    """The value of that name, perhaps with other numbers; a value is itself.

    Args:
        name: such as "lasting", or "lasting:boredom=4:duration=8".

    Raises:
        UsageError: there is none of that name, of which the nearest is offered; or it has no such
            number.

    >>> find_assumptions("smooth:keep=0.5").satiation(3)
    FadingSatiation(num_topics=3, penalty=1.0, keep=0.5)
    """
    if isinstance(name, Assumptions):
        return name
    base, *pairs = name.split(":")
    found = lookup("assumptions", base, ASSUMPTIONS)
    settings: dict[str, float] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        try:
            settings[key.strip()] = float(value)
        except ValueError:
            sign = ""
        if not sign:
            raise UsageError(
                f"numbers of assumptions are NAME=NUMBER, such as {base}:boredom=4; got {pair!r}"
            )
    return found.overridden(settings)


def _numbers(piece: Any) -> dict[str, float]:
    """Numbers of a piece that may be changed, by name."""
    values = {field.name: getattr(piece, field.name) for field in fields(piece)}
    return {name: float(value) for name, value in values.items() if name in UNITS}


def _whence(effect: Effect[Any], words: Words) -> str:
    """What the log says of it."""
    if isinstance(effect, CarryOver):
        return (
            f"that clicks add up and fade alike; how much of it a log of {words.items} that were "
            "drawn shows, `slategym diagnose` says"
        )
    return "no column of the log says so"


def _said(number: str) -> str:
    return "boredom" if number == "penalty" else number


def _changed(piece: Any, number: str, value: float) -> Any:
    """The piece with that number, where it has it."""
    if number not in _numbers(piece):
        return piece
    whole = isinstance(getattr(piece, number), int)
    if whole and value != int(value):
        raise ValueError(f"{number} is a whole number")
    return replace(piece, **{number: int(value) if whole else value})
