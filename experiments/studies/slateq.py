"""What caps SlateQ's published table?

The paper's rows in the paper's world, each within the paper's 300 K slates, beside the same agent
that learns the value of no click instead of taking it for zero. Everything that decides the numbers
stands here:

    trainings  (a name, how targets and slates are found, what no click is worth)  x seeds
    -> each training read as served by top-k, greedy or exact slates, on fresh people
    -> the same in the static twin, where planning is worth nothing, against the true-model myopic

Source of the published figures: Ie et al. 2019, SlateQ, arXiv:1905.12767, section 7.2, table 1.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from slategym.agents.slateq.agent import SlateQSettings
from slategym.envs.names import UsageError, lookup
from slategym.experiments.measure.training import Training
from slategym.experiments.runs.store import Store
from slategym.experiments.runs.units import Unit, read_rows

UNITS = "slategym.experiments.studies.slateq_units"
WORLD = "slategym/InterestEvolution-v0"
LUCK = 1  # seed of what happens to the evaluation users
FIRST_USER = 500_000  # of the evaluation users: rows of the population that no training reaches

# What is known beforehand and would not be elsewhere: interests make the true click odds, and the
# budget left, the last input, in minutes, is a first guess of what can still be watched.
HERE = SlateQSettings(choice="given", scale=200.0, prior=21)

Place = Literal["world", "static"]


@dataclass(frozen=True)
class Lesson:
    """A training of all seeds side by side."""

    name: str  # without how it is served: "QL-OT"
    settings: SlateQSettings
    place: Place = "world"
    share: float = 1.0  # of the profile's slates; where there is no future, less is enough


@dataclass(frozen=True)
class Row:
    """A line of the table: a lesson as served, or a policy that needs none."""

    name: str
    lesson: str | None = None  # its name
    how: str = ""  # slates are found: "ts", "gs", "os"
    published: tuple[float, float] | None = None  # return (minutes) and mean quality
    place: Place = "world"


ZERO = replace(HERE, null="zero")
LESSONS = (
    Lesson(
        "MYOP",
        replace(ZERO, gamma=0.0, target="ts", serve="ts", scale=10.0, prior=None),
        share=0.4,
    ),
    Lesson("SARSA-TS", replace(ZERO, target="sarsa", serve="ts")),
    Lesson("SARSA-GS", replace(ZERO, target="sarsa", serve="gs")),
    Lesson("QL-TT", replace(ZERO, target="ts", serve="ts")),
    Lesson("QL-GT", replace(ZERO, target="gs", serve="gs")),
    Lesson("QL-OT", ZERO),
    Lesson("QL-OT, learned null", HERE),
    Lesson("QL-OT in the twin", ZERO, "static", share=0.4),
    Lesson("QL-OT in the twin, learned null", HERE, "static", share=0.4),
)
ROWS = (
    Row("random", published=(159.2, -0.5929)),
    Row("MYOP-TS", "MYOP", "ts", (166.3, -0.5428)),
    Row("MYOP-GS", "MYOP", "gs", (166.3, -0.5475)),
    Row("SARSA-TS", "SARSA-TS", "ts", (168.4, -0.4908)),
    Row("SARSA-GS", "SARSA-GS", "gs", (172.1, -0.3876)),
    Row("QL-TT-TS", "QL-TT", "ts", (168.4, -0.4931)),
    Row("QL-GT-GS", "QL-GT", "gs", (172.9, -0.3772)),
    Row("QL-OT-TS", "QL-OT", "ts", (169.0, -0.4905)),
    Row("QL-OT-GS", "QL-OT", "gs", (173.8, -0.3408)),
    Row("QL-OT-OS", "QL-OT", "os", (174.6, -0.3056)),
    Row("QL-OT-TS, learned null", "QL-OT, learned null", "ts"),
    Row("QL-OT-GS, learned null", "QL-OT, learned null", "gs"),
    Row("QL-OT-OS, learned null", "QL-OT, learned null", "os"),
    Row("analytic value, null zero"),
    Row("best topic quality"),
    Row("analytic value"),
    Row("random", place="static"),
    Row("true-model myopic", place="static"),
    *(
        Row(f"QL-OT-{how.upper()}{learned}", f"QL-OT in the twin{learned}", how, place="static")
        for learned in ("", ", learned null")
        for how in ("ts", "gs", "os")
    ),
)
PRIVILEGED = ("analytic value, null zero", "best topic quality", "analytic value")


@dataclass(frozen=True)
class Profile:
    """How much of everything."""

    one_line: str
    seeds: int
    users: int  # fresh evaluation users per seed and row
    num_steps: int  # slates of training, each seed


PROFILES: Mapping[str, Profile] = {
    "quick": Profile("2 seeds, 1,000 users, 40 % of the training", 2, 1_000, 122_880),
    "full": Profile("5 seeds, 5,000 users, as in the paper", 5, 5_000, HERE.num_steps),
}


@dataclass(frozen=True)
class Reading:
    """One row on its people."""

    row: Row
    first_user: int
    num_users: int
    luck: int


@dataclass(frozen=True)
class SlateQStudy:
    """The study at one size."""

    profile: str = "quick"
    seeds: int | None = None  # None: the profile's
    users: int | None = None  # None: the profile's
    num_steps: int | None = None  # slates of training; None: the profile's

    def __post_init__(self) -> None:
        lookup("profile", self.profile, PROFILES)
        if not 1 <= self.size.seeds <= 100:
            raise UsageError(f"seeds must be in [1, 100], got {self.seeds}")
        if not 2 <= self.size.users <= FIRST_USER:
            raise UsageError(f"users must be in [2, {FIRST_USER}], got {self.users}")

    @property
    def size(self) -> Profile:
        """Of what was asked."""
        found = lookup("profile", self.profile, PROFILES)
        return replace(
            found,
            seeds=found.seeds if self.seeds is None else self.seeds,
            users=found.users if self.users is None else self.users,
            num_steps=found.num_steps if self.num_steps is None else self.num_steps,
        )

    @property
    def command(self) -> str:
        """That repeats it."""
        words = ["slategym", "benchmark", "slateq", "--profile", self.profile]
        for option, value in (("--seeds", self.seeds), ("--users", self.users)):
            words += [] if value is None else [option, str(value)]
        return shlex.join(words)

    def plan(self) -> Plan:
        """Every unit of work."""
        lessons = {lesson.name: self._lesson(lesson) for lesson in LESSONS}
        readings = tuple(self._reading(row, lessons) for row in ROWS)
        return Plan(self, tuple(lessons.values()), readings)

    def _lesson(self, lesson: Lesson) -> Unit:
        num_steps = round(lesson.share * self.size.num_steps)
        training = Training(
            "slateq",
            WORLD,
            {"static": True} if lesson.place == "static" else {},
            replace(lesson.settings, num_steps=num_steps),
            tuple(range(self.size.seeds)),
        )
        cost = 1.2e-4 * num_steps * self.size.seeds
        return Unit(
            f"{lesson.name}, {self.size.seeds} seeds", f"{UNITS}:learn", training, cost=cost
        )

    def _reading(self, row: Row, lessons: Mapping[str, Unit]) -> Unit:
        reading = Reading(row, FIRST_USER, self.size.users, LUCK)
        needs = () if row.lesson is None else (lessons[row.lesson],)
        times = self.size.seeds if needs else 1
        cost = 1e-3 * self.size.users * times
        return Unit(f"read {row.name}, {row.place}", f"{UNITS}:read", reading, needs, cost=cost)


@dataclass(frozen=True)
class Plan:
    """The study's units, and what becomes of their results."""

    study: SlateQStudy
    lessons: tuple[Unit, ...]  # as LESSONS
    readings: tuple[Unit, ...]  # as ROWS

    @property
    def units(self) -> list[Unit]:
        """All that must be there in the end."""
        return [*self.lessons, *self.readings]

    def rows(self, store: Store) -> pd.DataFrame:
        """One row per session, in the columns that `experiments/statistics/stats.py` selects by."""
        return read_rows(store, self.readings)

    def curves(self, store: Store) -> pd.DataFrame:
        """Return while training, by lesson; with the CPU seconds of the whole training."""
        return pd.concat(
            [
                store.read(unit).assign(lesson=lesson.name)
                for unit, lesson in zip(self.lessons, LESSONS, strict=True)
            ],
            ignore_index=True,
        )
