"""The grid: scenarios, strengths, sizes of logs and seeds, and a study of each log."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from slategym.envs.names import UsageError, lookup
from slategym.envs.scenarios.constants import SCENARIOS
from slategym.experiments.measure.goodhart import SNAPSHOTS
from slategym.experiments.measure.plan import Plan, plan_of
from slategym.experiments.measure.tunings import ranker_of, tunings_for
from slategym.experiments.places import Place
from slategym.experiments.presets import tuned
from slategym.experiments.request import Request
from slategym.experiments.runs.store import Store
from slategym.experiments.runs.units import Unit
from slategym.experiments.studies import log
from slategym.experiments.study import SUPPORTED, Learner, Profile, Study
from slategym.experiments.truth.units import FIRST, FOLDER, HANDOVER, WRITER
from slategym.experiments.validation.supported import kept_supported
from slategym.models.data.datasets import load_log

NAME = "truth"
STRENGTHS = {"none": 0.0, "mild": 0.4, "strong": 1.0}  # by what tables call them
VISITS = {"1k": 1_000, "10k": 10_000, "100k": 100_000}
LADDER = (*("random", "popularity", "supervised-untuned", "supervised", "history-rule", "myopic"),)
WHOLE_LADDER = (
    *("random", "popularity", "ease", "transitions", "supervised-untuned", "supervised"),
    *("supervised-capped", "history-rule", "myopic"),
)
PRIVILEGED = ("myopic", "rule-aware")  # told the learned world's truth, which is not the true one's
OTHER_JUDGE = f"judge-{log.OTHER}"


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    one_line: str
    scenarios: tuple[str, ...]
    strengths: tuple[float, ...]
    visits: tuple[int, ...]  # of a log
    seeds: int  # of worlds, people and training; each a cell of its own
    users: int  # of a learned world on whom policies are read, one session each
    people: int  # of the true world, a session each
    planned: int  # of these, before whom the planner told the truth is read
    training: float  # share of 307,200 slates
    fit: str  # of the models, "light" or "whole"
    policies: tuple[str, ...] = LADDER
    judges: bool = False  # a second judge, of another family
    validated: int = 0  # users by whom learned worlds are held against their log
    watched_from: float = 0.0  # strength from which trainings are watched, in both worlds
    assumptions: tuple[str, ...] = (SUPPORTED,)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The whole grid, one scenario after the other within a seed."""
        return tuple(
            Cell(scenario, strength, visits, seed)
            for seed in range(self.seeds)
            for visits in self.visits
            for scenario in self.scenarios
            for strength in self.strengths
        )


@dataclass(frozen=True)
class Cell:
    """One log."""

    scenario: str
    strength: float
    visits: int
    seed: int

    @property
    def name(self) -> str:
        """As in labels and folders."""
        return f"{self.scenario}-{self.strength:g}-{self.visits}-{self.seed}".lower()

    @property
    def true(self) -> dict[str, Any]:
        """The true world, for a spec."""
        return {"scenario": self.scenario, "strength": self.strength, "seed": self.seed}


SIZES = {
    "smoke": Size(
        "1 scenario at strength 1, 200 visits, next to no training: does it run?",
        ("News",),
        (1.0,),
        (200,),
        seeds=1,
        users=24,
        people=24,
        planned=4,
        training=1 / 300,
        fit="light",
    ),
    "quick": Size(
        "3 scenarios at strengths 0 and 1, 10,000 visits, 2 seeds, light models: a first answer",
        ("News", "Video", "Learning"),
        (0.0, 1.0),
        (10_000,),
        seeds=2,
        users=300,
        people=300,
        planned=24,
        training=1 / 20,
        fit="light",
        validated=60,
    ),
    "wide": Size(
        "all 12 scenarios at strengths 0 and 1, 10,000 visits, 2 seeds, light models: every trade",
        tuple(SCENARIOS),
        (0.0, 1.0),
        (10_000,),
        seeds=2,
        users=200,
        people=200,
        planned=24,
        training=1 / 40,
        fit="light",
        watched_from=math.inf,
    ),
    "full": Size(
        "all 12 scenarios at 3 strengths, 1,000 to 100,000 visits, 5 seeds: for a cluster",
        tuple(SCENARIOS),
        tuple(STRENGTHS.values()),
        tuple(VISITS.values()),
        seeds=5,
        users=1_000,
        people=2_000,
        planned=200,
        training=1 / 3,
        fit="whole",
        policies=WHOLE_LADDER,
        judges=True,
        validated=300,
        assumptions=(SUPPORTED, "mild", "none"),
    ),
}


@dataclass(frozen=True)
class GridSettings:
    """What is asked for; None: as the profile has it."""

    profile: str = "quick"
    out: Path = Path("runs/truth-quick")
    workers: int = 0
    scenarios: tuple[str, ...] | None = None
    strengths: tuple[float, ...] | None = None
    visits: tuple[int, ...] | None = None
    seeds: int | None = None
    users: int | None = None
    assumptions: tuple[str, ...] | None = None

    @property
    def size(self) -> Size:
        """The numbers.

        Raises:
            UsageError: there is no such profile, scenario or assumption; a number is out of range.
        """
        size = lookup("profile", self.profile, SIZES)
        if self.scenarios is not None:
            for name in self.scenarios:
                lookup("scenario", name, SCENARIOS)
            size = replace(size, scenarios=self.scenarios)
        for value in self.strengths or ():
            if not 0 <= value <= 2:
                raise UsageError(f"strengths must be in [0, 2], got {value:g}")
        for number in self.visits or ():
            if number < 100:
                raise UsageError(f"visits must be at least 100 a log, got {number}")
        if self.seeds is not None and self.seeds < 1:
            raise UsageError(f"seeds must be at least 1, got {self.seeds}")
        if self.users is not None and self.users < 8:
            raise UsageError(f"users must be at least 8, got {self.users}")
        given: dict[str, Any] = {
            "strengths": self.strengths,
            "visits": self.visits,
            "seeds": self.seeds,
        }
        given |= {"users": self.users, "people": self.users, "assumptions": self.assumptions}
        return replace(size, **{name: x for name, x in given.items() if x is not None})

    @property
    def command(self) -> str:
        """That repeats it."""
        words = ["slategym benchmark truth", f"--profile {self.profile}"]
        words += [f"--scenarios {','.join(self.scenarios)}"] if self.scenarios else []
        for name in ("strengths", "visits"):
            if values := getattr(self, name):
                words.append(f"--{name} {','.join(f'{x:g}' for x in values)}")
        words += [f"--seeds {self.seeds}"] if self.seeds is not None else []
        words += [f"--users {self.users}"] if self.users is not None else []
        words += [f"--assumptions {','.join(self.assumptions)}"] if self.assumptions else []
        return " ".join(words)


def log_of(cell: Cell) -> Unit:
    """Its log, written."""
    spec = {**cell.true, "visits": cell.visits, "policy": WRITER, "name": cell.name}
    cost = 2.5e-3 * cell.visits
    return Unit(f"log of {cell.name}", "write-log@2", spec, kind="json", cost=cost)


def told_of(cell: Cell, size: Size) -> Unit:
    """Who is told the truth, in the true world; the same for logs of all sizes."""
    spec = {"true": _true(cell, size), "planned": size.planned}
    name = f"{cell.scenario.lower()}-{cell.strength:g}-{cell.seed}"
    cost = 0.5 * size.planned
    return Unit(f"told the truth of {name}", "told@1", spec, cost=cost)


def _true(cell: Cell, size: Size) -> dict[str, Any]:
    return {**cell.true, "users": size.people, "first_user": FIRST, "handover": HANDOVER}


@dataclass(frozen=True)
class Part:
    """Everything of one cell, once its log is written."""

    cell: Cell
    plan: Plan  # of the study on its log
    told: Unit
    truths: Mapping[str, tuple[Unit, ...]]  # readings in the true world, by open place
    watches: tuple[Unit, ...]  # of trainings, in the true world

    @property
    def units(self) -> list[Unit]:
        """All of them."""
        readings = [unit for units in self.truths.values() for unit in units]
        return [self.told, *self.plan.units, *readings, *self.watches]


def part_of(cell: Cell, size: Size, store: Store) -> Part:
    """The cell's study and readings; its log must be written."""
    folder = store.folder_of(log_of(cell)) / FOLDER / cell.name
    said = kept_supported(load_log(str(folder)))
    names = tuple(dict.fromkeys(said if x == SUPPORTED else x for x in size.assumptions))
    study = study_of(folder, cell, size, names[0])
    plan = plan_of(study, Request(profile=NAME, assumptions=",".join(names)))
    # a verdict needs neither how accurate the models are, nor what judges would have one stop at,
    # nor what is shown of people, slates and cost
    kept = {name: unit for name, unit in plan.preparation.items() if name != "accuracy"}
    watched = plan.watches if cell.strength >= size.watched_from else ()
    ahead = [u for u in watched if _training_of(u).spec["policy"] in plan.study.ahead]
    unshown = replace(plan, judging={}, traits=(), slates=(), serving=())
    plan = replace(unshown, preparation=kept, watches=tuple(ahead), stops=())
    opens = plan.study.of_role("open")
    truths = {place.name: tuple(_readings(cell, size, plan, place)) for place in opens}
    watches = tuple(
        unit
        for place in opens
        for training in plan.trainings
        if cell.strength >= size.watched_from
        and training.spec["place"] == place.name
        and training.spec["policy"] in plan.study.ahead
        for unit in [_watch(cell, size, plan, place, training)]
    )
    return Part(cell, plan, told_of(cell, size), truths, watches)


def _training_of(watch: Unit) -> Unit:
    (training,) = (unit for unit in watch.needs if unit.function == "learn@1")
    return training


def study_of(folder: Path, cell: Cell, size: Size, assumed: str) -> Study:
    """The study of a log, as `benchmark log` has it, with a ladder of this size.

    Args:
        folder: of the log.
        cell: which log.
        size: how much of everything.
        assumed: name of the assumptions of its own places.
    """
    asked = Request(profile=NAME, log=str(folder), assumptions=assumed)
    found = log.study(asked)
    learner = Learner("plackett-luce", tuned("plackett-luce", "Log-v0"), cost=2.3e-4)
    learners = (Learner("supervised-refit", cost=5e-4), learner, learner.present_only)
    left_out = () if size.judges else (OTHER_JUDGE,)
    known = {baseline.name for baseline in found.baselines}
    light = {} if size.fit == "whole" else {"fit": size.fit}
    places = tuple(
        replace(place, settings={**place.settings, **light}, policies=_read_in(place))
        for place in found.places
        if place.role != "sweep" and place.name not in left_out
    )
    return replace(
        found,
        name=cell.name,
        places=places,
        policies=tuple(name for name in size.policies if name in known),
        learners=learners,
        profiles={
            NAME: Profile(
                size.one_line,
                seeds=1,
                users=size.users,
                training=size.training,
                validated=size.validated,
                sweep=False,
            )
        },
        recipe="log" if size.fit == "whole" else size.fit,
        headroom=0,
        sweep=None,
    )


def _read_in(place: Place) -> tuple[str, ...] | None:
    """Policies beside learners that a verdict reads there; None: all of them."""
    if place.role == "judge":
        return log.OTHERS
    return ("supervised", "myopic") if place.role == "control" else place.policies


def _readings(cell: Cell, size: Size, plan: Plan, place: Place) -> Iterator[Unit]:
    """Everybody of an open place, before people of the true world."""
    tunings = {
        name.partition(", ")[0]: unit
        for name, unit in plan.tunings.items()
        if unit.spec["settings"] == place.settings
    }
    first = (plan.preparation["constants"],)
    for baseline in plan.study.baselines:
        if baseline.name in PRIVILEGED:
            continue
        needs = (*first, *tunings_for(baseline, tunings))
        yield _reading(cell, size, place, baseline.policy, baseline.name, needs)
    for training in plan.trainings:
        if training.spec["place"] == place.name:
            needs = (*first, training)
            yield _reading(cell, size, place, None, training.spec["policy"], needs)


def _reading(
    cell: Cell, size: Size, place: Place, policy: str | None, label: str, needs: tuple[Unit, ...]
) -> Unit:
    spec = {
        "true": _true(cell, size),
        "world": place.world,
        "settings": place.settings,
        "policy": policy,
        "label": label,
        "serve": {},
    }
    cost = size.people / 100
    name = f"read {label} in the truth of {cell.name}, {place.name}"
    return Unit(name, "read-truth@1", spec, needs, cost=cost)


def _watch(cell: Cell, size: Size, plan: Plan, place: Place, training: Unit) -> Unit:
    tunings = {n: u for n, u in plan.tunings.items() if u.spec["settings"] == place.settings}
    spec = {
        "true": _true(cell, size),
        "world": place.world,
        "settings": place.settings,
        "opponent": plan.study.roles.opponent,
        "snapshots": SNAPSHOTS,
    }
    needs = (plan.preparation["constants"], *ranker_of(tunings), training)
    name = f"watch {training.spec['policy']} in the truth of {cell.name}, {place.name}"
    return Unit(name, "watch-truth@1", spec, needs, cost=size.people / 25)
