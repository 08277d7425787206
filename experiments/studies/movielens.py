"""Does reinforcement learning beat the supervised multi-task ranker on MovieLens?

One study, from the log to the rows behind a verdict. Everything that decides it stands here and is
fixed before anything is learned:

    data -> A, B, J fitted apart -> choice constants -> cap chosen on selection users
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
from slategym.agents.plackett_luce import ResidualSettings
from slategym.envs.names import UsageError, lookup
from slategym.experiments.results import Artefact, Constant, StudyResult
from slategym.experiments.spec import as_json
from slategym.experiments.store import Store
from slategym.experiments.studies.movielens_units import Lesson, Reading
from slategym.experiments.units import Unit, read_rows
from slategym.experiments.verdict import Roles
from slategym.models.movielens_world import BOREDOM, HORIZON, LABELS, RATES, Assumptions

HERE = "slategym.experiments.studies.movielens_units"
AGENTS = ("plackett-luce", "proto-sac")
CAPS = ("supervised-cap3", "supervised-cap2", "supervised-cap1")  # loosest first
LADDER = ("random", "popularity", "supervised", "supervised-capped", "rule-aware", "myopic")
GRID = (0.0, 2.0, 4.0, 8.0)  # boredom strengths at which everybody is read, log-odds
GRID_LADDER = ("supervised", "supervised-capped", "rule-aware")
EVALUATION_LUCK, SELECTION_LUCK = 1, 2
ABOUT = "study.json"
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
        constants = Unit("choice constants", f"{HERE}:constants", {}, fitted, kind="json", cost=3)
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


def about(study: MovieLensStudy, plan: Plan, store: Store) -> dict[str, Any]:
    """Everything that was decided before an agent learned, as JSON values.

    Args:
        study: what was asked.
        plan: its units, of which those before learning are completed.
        store: where they are.
    """
    return {
        "command": study.command,
        "study": as_json(study),
        "assumptions": as_json(Assumptions()),
        "choice constants": store.read(plan.constants),
        "cap": store.read(plan.cap),
        "data": store.read(plan.data),
        "models": {party: store.read(unit)["folder"] for party, unit in plan.parties.items()},
        "labels": [list(label) for label in LABELS],
        "lessons": [as_json(unit.spec) for unit in plan.lessons],
    }


def roles() -> Roles:
    """Which policy plays which part."""
    return Roles(boredom=BOREDOM, agents=AGENTS)


def result(study: MovieLensStudy, plan: Plan, store: Store, seconds: float) -> StudyResult:
    """Everything the report says, read from the store.

    Args:
        study: what was asked.
        plan: its units, all completed.
        store: where they are.
        seconds: wall clock of this call.
    """
    cap, accuracy = store.read(plan.cap), store.read(plan.accuracy)
    groups = store.read(plan.data)["people"]
    written = Artefact(store.folder / ABOUT, "settings and constants, fixed before any learning")
    return StudyResult(
        title="MovieLens: reinforcement learning against the supervised multi-task ranker",
        question=(
            "For slates of films shown to people who tire of genres and lose patience, does RL "
            "beat a good supervised multi-task ranker, and can the answer be believed?"
        ),
        command=study.command,
        roles=roles(),
        rows=plan.rows(store),
        curves=plan.curves(store),
        reliability=pd.DataFrame(accuracy["reliability"]),
        model_metrics=tuple(
            {**row, "protocol": _protocol(row["model"])} for row in accuracy["metrics"]
        ),
        labels=LABELS,
        constants=_constants(store.read(plan.constants)),
        settings=_settings(study, groups, cap["policy"]),
        timings=_timings(plan, store, seconds),
        artefacts=(written,),
        notes={
            "grid": (
                f"Agents were trained at a boredom of {BOREDOM:g} log-odds only; at the other "
                "strengths they meet a world that they were not trained in."
            ),
            "judge": (
                "The judge shares the assumed rules of boredom and patience. It tests whether what "
                "was learned of people's preferences carries over, not whether the rules are true."
            ),
            "capped": f"Of {', '.join(CAPS)}, {cap['policy']} did best on selection users.",
        },
    )


def _protocol(model: str) -> str:
    if model.startswith("J"):
        return "a tenth of J's own people, held out; 4 uniform negatives per click"
    return "selection people, unknown to the model; 4 uniform negatives per click"


def _constants(solved: Mapping[str, Mapping[str, float]]) -> tuple[Constant, ...]:
    assumed = Assumptions()
    rows = [
        Constant("click rate, random slate", RATES.random, "", "assumed; sets the two below"),
        Constant("click rate, popular slate", RATES.popular, "", "assumed; sets the two below"),
    ]
    for party, whose in (("A", "world"), ("J", "judge's world")):
        found = solved[party]
        origin = (
            f"solved on calibration users; reached {found['random_rate']:.3f} and "
            f"{found['popular_rate']:.3f}"
        )
        rows += [
            Constant(f"skip, {whose}", found["skip"], "log-odds", origin),
            Constant(f"temperature, {whose}", found["temperature"], "", origin),
        ]
    return (
        *rows,
        Constant("boredom", assumed.boredom, "log-odds", "assumed; see the grid of strengths"),
        Constant("boredom: clicks of one genre", assumed.threshold, "clicks", "assumed"),
        Constant("boredom: among the last", assumed.memory, "clicks", "assumed"),
        Constant("boredom: lasts", assumed.duration, "slates", "assumed"),
        Constant("patience", assumed.patience, "slates without a click", "assumed"),
        Constant("session", HORIZON, "slates", "assumed; the log's mean sitting has 36 ratings"),
    )


def _settings(
    study: MovieLensStudy, people: Mapping[str, int], cap: str
) -> tuple[tuple[str, str], ...]:
    return (
        ("people", ", ".join(f"{group} {count}" for group, count in people.items())),
        ("who fits what", "A the world, B ranker and state, J the judge: nobody in two of them"),
        ("who is read", "J's people in three groups: calibration, selection, evaluation"),
        ("simulated users", f"{study.num_users} arrivals, the same and with the same luck for all"),
        ("training seeds", f"{study.num_seeds} per agent and world"),
        ("training users", "arrivals of A's and B's people"),
        ("slates", f"{study.slate_size} films, up to {HORIZON} slates a session"),
        ("reward", "1 per click + 1 per like"),
        ("cap", f"{cap}, chosen on selection users"),
    )


def _timings(plan: Plan, store: Store, seconds: float) -> tuple[tuple[str, float], ...]:
    def total(units: tuple[Unit, ...]) -> float:
        return sum(store.seconds(unit) for unit in units)

    agents = {a: tuple(u for u in plan.lessons if u.spec.agent == a) for a in AGENTS}
    return (
        ("this call, wall clock", seconds),
        ("fitting the three models", total(tuple(plan.parties.values()))),
        *((f"training {agent}, all runs", total(units)) for agent, units in agents.items()),
        ("reading policies, all runs", total(plan.readings)),
    )
