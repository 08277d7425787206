"""Studies of one shape: policies by name, in some worlds, on the same people, in one table.

A study is a value. It names places (a world with its settings, and its static twin as the negative
control), policies that need no training, and learners, a line each:

    STUDY = Ladder(
        name="sardine",
        title="SARDINE: slates for people who are easily bored",
        question="Does an agent that does not see preferences beat a greedy one that does?",
        places=(
            Place("Bored", "Sardine-SlateTopK-Bored-v0", {"history_size": 20}),
            Place("static twin", "Sardine-SlateTopK-Bored-v0", {"static": True}, control=True),
        ),
        policies=("random", "popularity", "myopic", "capped"),
        learners=(Learner("plackett-luce", SARDINE, cost=2e-4), Learner("proto-sac")),
        profiles={"quick": Profile("2 seeds, 300 users", seeds=2, users=300, training=0.2), ...},
        published=(Published("greedy oracle", "Bored", 139.2, "the authors' program"),),
    )

Everything else follows: `plan_of(study, size)` says which trainings and readings there are, each a
unit that is computed once and taken up where it was killed (`experiments/runs/run.py`);
`run_ladder(STUDY, asked)` computes them, draws tables and figures from the rows and writes the
report. So the function that `commands/benchmark.py` names is one line:

    def run_sardine(asked: Asked) -> Path:
        return run_ladder(STUDY, asked)
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from slategym.agents.registry import POLICIES, find_agent
from slategym.envs.names import UsageError, lookup
from slategym.envs.registry import find_world
from slategym.experiments.measure.training import Training
from slategym.experiments.runs.store import Store
from slategym.experiments.runs.units import Unit, read_rows

UNITS = "slategym.experiments.studies.ladder_units"
LUCK = 3  # seed of what happens to the evaluation users
FIRST_USER = 600_000  # of the evaluation users, on whom nothing was trained and no setting chosen


@dataclass(frozen=True)
class Place:
    """A world in which learners are trained and everybody is read."""

    name: str  # as in tables
    world: str  # id of a registered world
    settings: Mapping[str, Any] = field(default_factory=dict)  # of its builder
    control: bool = False  # True: nothing changes people there, so that planning is worth nothing


@dataclass(frozen=True)
class Learner:
    """A learner in a study."""

    agent: str  # its name in POLICIES
    settings: Any = None  # its frozen dataclass; None: its own defaults
    label: str | None = None  # as in tables; None: its name
    places: tuple[str, ...] | None = None  # where it takes part; None: everywhere
    cost: float = 5e-4  # seconds per slate, roughly: for the order of work and the time to go

    @property
    def name(self) -> str:
        """As in tables."""
        return self.label or self.agent

    def trained_for(self, share: float) -> Any:
        """Its settings with this share of its slates."""
        settings = find_agent(self.agent).default_settings() if self.settings is None else None
        settings = self.settings if settings is None else settings
        return replace(settings, num_steps=max(1, round(share * settings.num_steps)))


@dataclass(frozen=True)
class Profile:
    """How much of everything."""

    one_line: str
    seeds: int  # of training, each learner and place
    users: int  # on whom policies are read, one session each
    training: float = 1.0  # share of each learner's slates
    control_seeds: int = 1  # of training in the controls
    left_out: tuple[str, ...] = ()  # policies and learners that take too long for it


@dataclass(frozen=True)
class Published:
    """A figure that others printed."""

    policy: str
    place: str
    value: float
    source: str


@dataclass(frozen=True)
class Ladder:
    """A study of this shape."""

    name: str  # on the command line
    title: str
    question: str
    places: tuple[Place, ...]
    policies: tuple[str, ...]  # names in POLICIES of what needs no training
    learners: tuple[Learner, ...]
    profiles: Mapping[str, Profile]
    random: str = "random"  # score 0
    reference: str = "capped"  # score 1, in the controls `myopic`
    myopic: str = "myopic"  # knows the true model, looks one slate ahead
    unit: str = "clicks per session"
    published: tuple[Published, ...] = ()
    notes: tuple[str, ...] = ()  # paragraphs under the table

    def kind_of(self, policy: str) -> str:
        """Whether it learns, is told hidden truths, or neither."""
        if policy in (learner.name for learner in self.learners):
            return "learns"
        return "privileged" if POLICIES[policy].kind == "reference" else "baseline"

    def without(self, names: tuple[str, ...]) -> Ladder:
        """The same study without these policies and learners."""
        return replace(
            self,
            policies=tuple(policy for policy in self.policies if policy not in names),
            learners=tuple(learner for learner in self.learners if learner.name not in names),
        )


@dataclass(frozen=True)
class Size:
    """How much of a study was asked for."""

    profile: str = "quick"
    seeds: int | None = None  # None: the profile's
    users: int | None = None  # None: the profile's

    def of(self, study: Ladder) -> Profile:
        """The numbers.

        Raises:
            UsageError: there is no such profile, or a number is out of range.
        """
        profile = lookup("profile", self.profile, study.profiles)
        seeds = profile.seeds if self.seeds is None else self.seeds
        users = profile.users if self.users is None else self.users
        if not 1 <= seeds <= 100:
            raise UsageError(f"seeds must be in [1, 100], got {seeds}")
        if not 2 <= users <= FIRST_USER:
            raise UsageError(f"users must be in [2, {FIRST_USER}], got {users}")
        control = min(seeds, profile.control_seeds)
        return replace(profile, seeds=seeds, users=users, control_seeds=control)

    def command(self, study: Ladder) -> str:
        """That repeats it."""
        words = ["slategym", "benchmark", study.name, "--profile", self.profile]
        for option, value in (("--seeds", self.seeds), ("--users", self.users)):
            words += [] if value is None else [option, str(value)]
        return shlex.join(words)


@dataclass(frozen=True)
class Lesson:
    """One training run."""

    policy: str  # as in tables
    place: str
    training: Training


@dataclass(frozen=True)
class Reading:
    """Where and on whom policies are read."""

    place: str
    world: str
    settings: Mapping[str, Any]
    first_user: int  # row of the population
    num_users: int
    luck: int = LUCK  # seed of what happens


@dataclass(frozen=True)
class Plan:
    """A study's units, and what becomes of their results."""

    study: Ladder
    size: Profile
    lessons: tuple[Unit, ...]
    readings: tuple[Unit, ...]

    @property
    def units(self) -> list[Unit]:
        """All that must be there in the end."""
        return [*self.lessons, *self.readings]

    def rows(self, store: Store) -> pd.DataFrame:
        """One row per session, in the columns that `experiments/statistics/stats.py` selects by."""
        return read_rows(store, self.readings)

    def curves(self, store: Store) -> pd.DataFrame:
        """Learning curves, one row per point, with the CPU seconds of the whole training."""
        return read_rows(store, self.lessons)


def plan_of(study: Ladder, asked: Size) -> Plan:
    """Every training and every reading of the study at that size.

    Raises:
        UsageError: the size is out of range; the study names what there is not.
    """
    size = asked.of(study)
    study = study.without(size.left_out)
    lessons = tuple(
        _lesson(learner, place, seed, size)
        for learner in study.learners
        for place in study.places
        if learner.places is None or place.name in learner.places
        for seed in range(size.control_seeds if place.control else size.seeds)
    )
    by_name = {place.name: _reading(place, size) for place in study.places}
    readings = [
        Unit(
            f"read {policy}, {reading.place}",
            f"{UNITS}:read",
            {"reading": reading, "policy": policy},
            cost=size.users / 100,
        )
        for reading in by_name.values()
        for policy in study.policies
    ]
    readings += [
        Unit(
            f"read {unit.label}",
            f"{UNITS}:read",
            {"reading": by_name[unit.spec.place], "policy": None},
            (unit,),
            cost=size.users / 100,
        )
        for unit in lessons
    ]
    return Plan(study, size, lessons, tuple(readings))


def _reading(place: Place, size: Profile) -> Reading:
    return Reading(place.name, find_world(place.world)[0], place.settings, FIRST_USER, size.users)


def _lesson(learner: Learner, place: Place, seed: int, size: Profile) -> Unit:
    settings = learner.trained_for(size.training)
    training = Training(
        learner.agent, find_world(place.world)[0], place.settings, settings, (seed,)
    )
    return Unit(
        f"{learner.name}, {place.name}, seed {seed}",
        f"{UNITS}:learn",
        Lesson(learner.name, place.name, training),
        cost=learner.cost * settings.num_steps,
    )
