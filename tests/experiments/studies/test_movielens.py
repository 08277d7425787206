"""The MovieLens study: its plan on paper, and all of it in miniature from log to rows."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from small_movielens import forget, small_movielens

from slategym.agents.learning import PPOSettings, SACSettings
from slategym.envs.names import UsageError
from slategym.experiments.report.results import CURVE_COLUMNS, EPISODE_COLUMNS, StudyResult
from slategym.experiments.runs.run import Summary, run_units
from slategym.experiments.runs.store import Store, open_store
from slategym.experiments.runs.units import Unit, Work, closure
from slategym.experiments.studies import movielens_units
from slategym.experiments.studies.movielens import (
    AGENTS,
    CAPS,
    GRID,
    GRID_LADDER,
    LADDER,
    MOST_USERS,
    MovieLensStudy,
    Plan,
)
from slategym.experiments.studies.movielens_result import about, result
from slategym.experiments.studies.movielens_units import Reading
from slategym.models.simulator.movielens import BOREDOM, parties

TINY = MovieLensStudy(
    seeds=1,
    users=5,
    slate_size=3,
    grid=(0.0, BOREDOM),
    ppo=PPOSettings(num_steps=48, num_envs=4, rollout=6, epochs=1, minibatch=24),
    sac=SACSettings(
        num_steps=24, num_envs=4, updates=1, batch=8, buffer=24, warm_up=8, hidden=(8,)
    ),
)


def ids(units: list[Unit]) -> list[str]:
    return [unit.id for unit in units]


def readings(plan: Plan) -> list[Reading]:
    return [unit.spec["reading"] for unit in plan.readings]


def test_what_is_fixed_before_learning_needs_no_learning() -> None:
    plan = MovieLensStudy().plan()
    lessons = set(ids(list(plan.lessons)))
    assert not lessons & set(ids(closure(plan.before_learning)))
    everything = set(ids(closure(plan.units)))
    assert lessons < everything and set(ids(plan.before_learning)) < everything
    for lesson in plan.lessons:
        assert plan.constants.id in ids(list(lesson.needs))


def test_who_is_read_is_never_who_was_chosen_on() -> None:
    plan = MovieLensStudy().plan()
    caps_read = plan.cap.needs[0]
    chosen_on = caps_read.spec["reading"]
    assert chosen_on.group == "selection" and caps_read.spec["policies"] == CAPS
    for reading in readings(plan):
        assert reading.group in ("selection", "evaluation")
        assert (reading.luck == chosen_on.luck) == (reading.group == "selection")
    assert {r.num_users for r in readings(plan)} == {600}


def test_everybody_is_read_everywhere_that_the_report_compares() -> None:
    plan = MovieLensStudy(seeds=2).plan()
    found: dict[tuple[str, float, str], list[str]] = {}
    for unit in plan.readings:
        reading = unit.spec["reading"]
        place = (reading.variant, reading.boredom, reading.group)
        for policy in unit.spec["policies"]:
            if policy.startswith("#"):
                lesson = unit.needs[int(policy[1:])].spec
                policy = f"{lesson.agent} {lesson.trained_in} {lesson.seed}"
            found.setdefault(place, []).append(policy)
    learned = [f"{agent} world {seed}" for agent in AGENTS for seed in (0, 1)]
    static = [f"{agent} static {seed}" for agent in AGENTS for seed in (0, 1)]
    assert set(found["world", BOREDOM, "evaluation"]) == {*LADDER, *learned}
    assert set(found["judge", BOREDOM, "evaluation"]) == {*LADDER, *learned}
    assert set(found["static", 0.0, "evaluation"]) == {*LADDER, *static}
    assert set(found["world", BOREDOM, "selection"]) == {*LADDER, *CAPS, *learned}
    for variant in ("world", "judge"):
        for boredom in set(GRID) - {BOREDOM}:
            assert set(found[variant, boredom, "evaluation"]) == {*GRID_LADDER, *learned}
    assert len(found) == 4 + 2 * (len(GRID) - 1)
    assert all(len(policies) == len(set(policies)) for policies in found.values())


def test_names_of_results_stay_as_long_as_what_decides_them() -> None:
    plan = MovieLensStudy().plan()
    assert ids(plan.units) == ids(MovieLensStudy("quick", 3, 600, 5).plan().units)
    assert len(set(ids(plan.units))) == len(plan.units)
    more = MovieLensStudy(seeds=4).plan()
    assert set(ids(plan.units)) < set(ids(more.units))
    fewer_users = MovieLensStudy(users=100).plan()
    assert ids(list(fewer_users.lessons)) == ids(list(plan.lessons))
    assert not set(ids(list(fewer_users.readings))) & set(ids(list(plan.readings)))
    wide = MovieLensStudy(slate_size=7).plan()
    assert not set(ids(list(wide.lessons))) & set(ids(list(plan.lessons)))
    assert wide.constants.id == plan.constants.id
    assert len({unit.name for unit in more.units}) == len(more.units)


def test_sizes_and_profiles() -> None:
    quick, full = MovieLensStudy(), MovieLensStudy("full")
    assert (quick.num_seeds, quick.num_users) == (3, 600)
    assert (full.num_seeds, full.num_users) == (10, MOST_USERS)
    assert len(full.plan().lessons) == 10 * 2 * 2
    assert quick.command == "slategym benchmark movielens --profile quick"
    asked = MovieLensStudy("full", seeds=2, users=50, slate_size=3)
    assert asked.command.endswith("--profile full --seeds 2 --users 50 --slate-size 3")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"profile": "quik"}, "unknown profile 'quik'; did you mean 'quick'"),
        ({"seeds": 0}, r"seeds must be in \[1, 100\], got 0"),
        ({"users": 1}, r"users must be in \[2, 1256\], got 1"),
        ({"users": 5000}, r"users must be in \[2, 1256\], got 5000"),
        ({"slate_size": 51}, r"slate-size must be in \[1, 50\], got 51"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        MovieLensStudy(**settings)


@dataclass(frozen=True)
class Rows:
    """Stands in for the store: one unit's result."""

    frame: pd.DataFrame

    def read(self, unit: Unit) -> pd.DataFrame:
        return self.frame


def cap_from(returns: dict[str, list[float]]) -> str:
    rows = [(name, value) for name, values in returns.items() for value in values]
    frame = pd.DataFrame(rows, columns=["policy", "return"])
    plan = MovieLensStudy().plan()
    work = Work(plan.cap, Rows(frame), {}, lambda done, total, note="": None)
    chosen: str = movielens_units.choose_cap(work)["policy"]
    return chosen


def test_the_best_cap_is_taken_and_of_equals_the_loosest() -> None:
    tight, middle, loose = CAPS[2], CAPS[1], CAPS[0]
    assert cap_from({loose: [3.0, 3.0], middle: [5.0, 2.0], tight: [1.0, 1.0]}) == middle
    assert cap_from({loose: [1.0, 3.0], middle: [2.0, 2.0], tight: [0.0, 4.0]}) == loose
    assert cap_from({loose: [1.0, 1.0], middle: [2.0, 2.0], tight: [1.0, 3.0]}) == middle


class Ran:
    """The study in miniature, run to its end in this process."""

    def __init__(self, folder: Path) -> None:
        self.store: Store = open_store(folder / "run")
        self.plan = TINY.plan()
        self.screen = io.StringIO()
        self.before = self.run(self.plan.before_learning)
        self.about = json.loads(json.dumps(about(TINY, self.plan, self.store)))
        self.learned_already = [u for u in self.plan.lessons if self.store.completed(u)]
        self.rest = self.run(self.plan.units)
        self.again = self.run(TINY.plan().units)
        self.found: StudyResult = result(TINY, self.plan, self.store, 1.0)

    def run(self, units: list[Unit]) -> Summary:
        settings = {"tensorboard": str(self.store.folder / "tensorboard")}
        console = Console(file=self.screen, width=200)
        return run_units(units, self.store, settings=settings, console=console)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("study")
    with small_movielens(folder / "home"):
        yield Ran(folder)


def test_a_second_call_computes_nothing(ran: Ran) -> None:
    assert ran.before.computed > 0 and ran.rest.computed > len(ran.plan.lessons)
    assert (ran.again.computed, ran.again.reused) == (0, len(ran.plan.units))


def test_everything_is_decided_before_an_agent_learns(ran: Ran) -> None:
    assert ran.learned_already == []
    assert ran.about["constants"]["A"]["temperature"] > 0 and ran.about["cap"]["policy"] in CAPS
    assert len(ran.about["lessons"]) == len(ran.plan.lessons) == 4
    assert {"data", "models", "labels", "assumptions", "study"} <= set(ran.about)
    # what was written then is what the rest of the run used
    assert json.loads(json.dumps(about(TINY, ran.plan, ran.store))) == ran.about


def test_rows_are_of_the_same_people_for_every_policy(ran: Ran) -> None:
    rows = ran.found.rows
    assert set(EPISODE_COLUMNS) <= set(rows.columns)
    evaluation = rows[rows["group"] == "evaluation"]
    everyone = set(parties().people["evaluation"])
    for _, part in evaluation.groupby(["variant", "boredom", "policy", "trained_in", "seed"]):
        assert part["user"].tolist() == [0, 1, 2, 3, 4]
        assert set(part["person"]) <= everyone and part["person"].nunique() == 5
    assert evaluation.groupby("user")["person"].nunique().max() == 1
    selection = rows[rows["group"] == "selection"]
    assert set(selection["person"]) <= set(parties().people["selection"])
    assert set(rows["variant"]) == {"world", "static", "judge"}
    assert set(rows["boredom"]) == {0.0, BOREDOM}
    assert rows["world"].str.contains("Judge").eq(rows["variant"] == "judge").all()


def test_the_static_twin_bores_nobody_and_ends_with_the_horizon(ran: Ran) -> None:
    rows = ran.found.rows
    static = rows[rows["variant"] == "static"]
    assert (static["length"] == 30).all() and (static["bored_share"] == 0).all()
    world = rows[(rows["variant"] == "world") & (rows["boredom"] == BOREDOM)]
    assert world["bored_share"].max() > 0 and world["length"].min() < 30
    assert set(static["trained_in"]) == {"", "static"} and "static" not in set(world["trained_in"])


def test_supervised_capped_is_the_cap_that_was_chosen(ran: Ran) -> None:
    rows = ran.found.rows
    world = rows[(rows["variant"] == "world") & (rows["group"] == "selection")]
    chosen = world[world["policy"] == ran.about["cap"]["policy"]]["return"].tolist()
    assert world[world["policy"] == "supervised-capped"]["return"].tolist() == chosen


def test_the_report_has_what_it_needs(ran: Ran) -> None:
    found = ran.found
    assert set(CURVE_COLUMNS) <= set(found.curves.columns)
    assert set(found.curves["policy"]) == set(AGENTS)
    assert [row["model"][0] for row in found.model_metrics] == ["A", "B", "J"]
    assert all(0 <= row["click_auc"] <= 1 and row["protocol"] for row in found.model_metrics)
    assert set(found.reliability["model"]) == {"A", "B"}
    assert all(math.isfinite(constant.value) for constant in found.constants)
    assert dict(found.timings)["training plackett-luce, all runs"] > 0
    assert list((ran.store.folder / "tensorboard").rglob("events.out.tfevents.*"))


def test_another_process_gets_the_same_rows(ran: Ran) -> None:
    """Nothing hangs on what a process has cached: read one unit anew."""
    unit = next(u for u in ran.plan.readings if u.spec["policies"] == ("#1",))
    kept = ran.store.read(unit)
    forget()
    work = Work(unit, ran.store, {}, lambda done, total, note="": None)
    pd.testing.assert_frame_equal(movielens_units.read(work), kept)


def test_fewer_arrivals_than_asked_for_are_all_read(ran: Ran) -> None:
    unit = ran.plan.cap.needs[0]
    many = replace(unit.spec["reading"], num_users=10_000)
    work = Work(replace(unit, spec={**unit.spec, "reading": many}), ran.store, {}, print_nothing)
    rows = movielens_units.read(work)
    assert len(rows) == len(CAPS) * parties().population("selection").size


def print_nothing(done: float, total: float, note: str = "") -> None:
    """No progress."""
