"""Does reinforcement learning beat the supervised multi-task ranker on MovieLens?

One study, from the log to the rows behind a verdict. Everything that decides it stands here and is
fixed before anything is learned:

    data -> A, B, J fitted apart -> the world's constants -> cap chosen on selection users
         -> agents trained in the world and, as the negative control, in its static twin
         -> everybody read on the same evaluation users with the same luck: in the world, before
            the judge, in the static twin, and over a grid of boredom strengths
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from slategym.agents.learning import PPOSettings, SACSettings
from slategym.agents.policy_gradient.residual import ResidualSettings
from slategym.envs.names import UsageError, lookup
from slategym.experiments.runs.store import Store
from slategym.experiments.runs.units import Unit, read_rows
from slategym.experiments.studies.movielens_units import Lesson, Reading
from slategym.models.simulator.assumptions import Assumptions
from slategym.models.simulator.movielens import BOREDOM, RATES
from slategym.models.simulator.sessions import PATIENCES

HERE = "slategym.experiments.studies.movielens_units"
AGENTS = ("plackett-luce", "proto-sac")
CAPS = ("supervised-cap3", "supervised-cap2", "supervised-cap1")  # loosest first
LADDER = ("random", "popularity", "supervised", "supervised-capped", "rule-aware", "myopic")
GRID = (0.0, 2.0, 4.0, 8.0)  # boredom strengths at which everybody is read, log-odds
GRID_LADDER = ("supervised", "supervised-capped", "rule-aware")
EVALUATION_LUCK, SELECTION_LUCK = 1, 2
MOST_USERS = 1256  # 157 evaluation people at 8 points of their history


@dataclass(frozen=True)
class Profile:
    """How much of everything."""

    one_line: str
    seeds: int
    users: int  # simulated evaluation users
    ppo: PPOSettings
    sac: SACSettings


PROFILES: dict[str, Profile] = {
    "quick": Profile(
        "3 seeds, 600 users: a first answer in minutes on two cores",
        seeds=3,
        users=600,
        ppo=PPOSettings(),
        sac=SACSettings(),
    ),
    "full": Profile(
        "10 seeds, 1256 users, three times the training: the answer to quote",
        seeds=10,
        users=MOST_USERS,
        ppo=PPOSettings(num_steps=1_382_400),
        sac=SACSettings(num_steps=192_000, buffer=192_000),
    ),
}


@dataclass(frozen=True)
class MovieLensStudy:
    """The study at one size."""

    profile: str = "quick"
    seeds: int | None = None  # None: the profile's
    users: int | None = None  # None: the profile's
    slate_size: int = 5
    ppo: PPOSettings | None = None  # None: the profile's
    sac: SACSettings | None = None  # None: the profile's
    grid: tuple[float, ...] = GRID

    def __post_init__(self) -> None:
        lookup("profile", self.profile, PROFILES)
        if not 1 <= self.num_seeds <= 100:
            raise UsageError(f"seeds must be in [1, 100], got {self.num_seeds}")
        if not 2 <= self.num_users <= MOST_USERS:
            raise UsageError(
                f"users must be in [2, {MOST_USERS}], got {self.num_users}: there are 157 "
                "evaluation people, read at up to 8 points of their history"
            )
        if not 1 <= self.slate_size <= 50:
            raise UsageError(
                f"slate-size must be in [1, 50], got {self.slate_size}: the learners rank 100 "
                "retrieved films"
            )

    @property
    def num_seeds(self) -> int:
        """Training seeds per agent and world."""
        return lookup("profile", self.profile, PROFILES).seeds if self.seeds is None else self.seeds

    @property
    def num_users(self) -> int:
        """Simulated evaluation users."""
        return lookup("profile", self.profile, PROFILES).users if self.users is None else self.users

    def plan(self) -> Plan:
        """Every unit of work."""
        data = Unit("data and item texts", f"{HERE}:data", {"study": "movielens"}, kind="json")
        parties = {
            party: Unit(
                f"fit {party}",
                f"{HERE}:fit",
                {"party": party},
                (data,),
                kind="json",
                cost=12.0 if party == "J" else 40.0,
            )
            for party in ("A", "B", "J")
        }
        fitted = tuple(parties.values())
        sought = {"rates": RATES, "assumptions": Assumptions(), "patiences": PATIENCES}
        constants = Unit(
            "world's constants", f"{HERE}:constants", sought, fitted, kind="json", cost=8.0
        )
        accuracy = Unit("model accuracy", f"{HERE}:accuracy", {}, fitted, kind="json", cost=12)
        caps_read = self._read("caps", self._at("world", "selection"), CAPS, (constants,))
        cap = Unit("cap per genre", f"{HERE}:choose_cap", {"caps": CAPS}, (caps_read,), kind="json")
        lessons = tuple(
            self._lesson(agent, trained_in, seed, constants)
            for agent in AGENTS
            for trained_in in ("world", "static")
            for seed in range(self.num_seeds)
        )
        readings = [caps_read, *self._ladder_readings(constants, cap)]
        readings += [r for lesson in lessons for r in self._agent_readings(lesson, constants)]
        return Plan(data, parties, constants, accuracy, cap, lessons, tuple(readings))

    def _at(self, variant: str, group: str = "evaluation", boredom: float = BOREDOM) -> Reading:
        luck = SELECTION_LUCK if group == "selection" else EVALUATION_LUCK
        strength = 0.0 if variant == "static" else boredom
        return Reading(variant, strength, group, self.num_users, luck, self.slate_size)

    def _read(
        self,
        label: str,
        reading: Reading,
        policies: tuple[str, ...],
        needs: tuple[Unit, ...],
        cap: int | None = None,
    ) -> Unit:
        where = f"{reading.variant}, boredom {reading.boredom:g}, {reading.group}"
        spec: dict[str, Any] = {"reading": reading, "policies": policies, "cap": cap}
        cost = 2.0 * len(policies)
        return Unit(f"read {label}: {where}", f"{HERE}:read", spec, needs, cost=cost)

    def _everywhere(self) -> list[Reading]:
        """Every reading on evaluation users but the grid's: world, judge, static twin."""
        return [self._at("world"), self._at("judge"), self._at("static")]

    def _grid(self) -> list[Reading]:
        """The other boredom strengths, in the world and before the judge."""
        strengths = [boredom for boredom in self.grid if boredom != BOREDOM]
        return [self._at(v, boredom=b) for v in ("world", "judge") for b in strengths]

    def _ladder_readings(self, constants: Unit, cap: Unit) -> list[Unit]:
        needs = (constants, cap)
        main = [*self._everywhere(), self._at("world", "selection")]
        units = [self._read("ladder", reading, LADDER, needs, cap=1) for reading in main]
        return units + [self._read("ladder", r, GRID_LADDER, needs, cap=1) for r in self._grid()]

    def _lesson(self, agent: str, trained_in: str, seed: int, constants: Unit) -> Unit:
        profile = lookup("profile", self.profile, PROFILES)
        learns_slates = agent == "plackett-luce"
        lesson = Lesson(
            agent,
            trained_in,
            seed,
            self.slate_size,
            (self.ppo or profile.ppo) if learns_slates else (self.sac or profile.sac),
            ResidualSettings() if learns_slates else None,
        )
        cost = lesson.settings.num_steps * (2.3e-4 if learns_slates else 1.3e-3)
        label = f"{agent}, {trained_in}, seed {seed}"
        return Unit(label, f"{HERE}:learn", lesson, (constants,), cost=cost)

    def _agent_readings(self, lesson: Unit, constants: Unit) -> list[Unit]:
        """An agent is read where it was trained; one trained in the world also elsewhere."""
        if lesson.spec.trained_in == "static":
            readings = [self._at("static")]
        else:
            others = [self._at("judge"), self._at("world", "selection"), *self._grid()]
            readings = [self._at("world"), *others]
        return [self._read(lesson.label, r, ("#1",), (constants, lesson)) for r in readings]

    @property
    def command(self) -> str:
        """That repeats it."""
        words = ["slategym", "benchmark", "movielens", "--profile", self.profile]
        for option, value in (("--seeds", self.seeds), ("--users", self.users)):
            words += [] if value is None else [option, str(value)]
        words += [] if self.slate_size == 5 else ["--slate-size", str(self.slate_size)]
        return shlex.join(words)


@dataclass(frozen=True)
class Plan:
    """The study's units, and what becomes of their results."""

    data: Unit
    parties: Mapping[str, Unit]
    constants: Unit
    accuracy: Unit
    cap: Unit
    lessons: tuple[Unit, ...]
    readings: tuple[Unit, ...]

    @property
    def before_learning(self) -> list[Unit]:
        """What is fixed before any agent sees a world."""
        return [self.data, *self.parties.values(), self.constants, self.accuracy, self.cap]

    @property
    def units(self) -> list[Unit]:
        """All that must be there in the end."""
        return [*self.before_learning, *self.lessons, *self.readings]

    def rows(self, store: Store) -> pd.DataFrame:
        """Episode rows of the whole study."""
        return read_rows(store, self.readings)

    def curves(self, store: Store) -> pd.DataFrame:
        """Learning curves of all agents."""
        return read_rows(store, self.lessons)
