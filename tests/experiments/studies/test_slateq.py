"""The SlateQ study: its references against what was measured, its units, and what it says."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

from slategym.agents.slateq.agent import SlateQ
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.experiments.cli.main import answer, build
from slategym.experiments.measure.play import play
from slategym.experiments.runs.run import run_units
from slategym.experiments.runs.store import open_store
from slategym.experiments.studies.slateq import (
    FIRST_USER,
    HERE,
    LESSONS,
    ROWS,
    WORLD,
    SlateQStudy,
)
from slategym.experiments.studies.slateq_numbers import Numbers, compute_numbers
from slategym.experiments.studies.slateq_report import print_slateq, write_slateq
from slategym.experiments.studies.slateq_units import POLICIES, Quality, Served

TINY = SlateQStudy(seeds=2, users=4, num_steps=2_048)


@pytest.mark.parametrize(
    ("name", "minutes", "quality"),
    [  # of a rebuild of the paper's world in numpy; ours within four standard errors of 400 users
        ("random", 159.3, -0.591),
        ("best topic quality", 267.5, 1.34),
        ("analytic value", 275.3, 1.46),
        ("analytic value, null zero", 176.7, -0.22),
    ],
)
def test_references_earn_what_was_measured_elsewhere(name, minutes, quality):
    world = make_world(WORLD)
    listener = Quality(world, 0, 400)
    policy = POLICIES[name](world)
    rows = play(world, policy, torch.arange(400), seed=3, batch=400, on_slate=listener)
    error = float(rows["return"].std()) / 20
    assert rows["return"].mean() == pytest.approx(minutes, abs=4 * error)
    met = float(listener.total_U.sum()) / rows["clicks"].sum()
    assert met == pytest.approx(quality, abs=0.12)


def test_units_are_trained_read_and_not_computed_twice(tmp_path: Path) -> None:
    plan, store = TINY.plan(), open_store(tmp_path)
    wanted = {("QL-OT-OS, learned null", "world"), ("true-model myopic", "static")}
    chosen = [unit for unit in plan.readings if (unit.spec.row.name, unit.spec.row.place) in wanted]
    assert run_units(chosen, store, console=Console(quiet=True)).computed == 3
    assert run_units(chosen, store, console=Console(quiet=True)).computed == 0
    learned, myopic = (store.read(unit) for unit in chosen)
    assert learned["seed"].tolist() == [0] * 4 + [1] * 4
    assert set(learned["trained_in"]) == {"world"} and set(myopic["trained_in"]) == {""}
    assert learned["user"].unique().tolist() == [*range(FIRST_USER, FIRST_USER + 4)]
    assert (learned["quality"].abs() <= 4 * learned["clicks"]).all() and learned["quality"].any()
    assert (myopic["length"] == 50).all()
    lesson = next(unit for unit in plan.lessons if unit.label.startswith("QL-OT, learned null"))
    assert not list(store.folder_of(lesson).glob("checkpoint*"))  # some hundred MB of replay
    curve = store.read(lesson)
    assert curve["steps"].iloc[-1] == 2_048 and curve["cpu_seconds"].gt(0).all()


def test_one_training_serves_as_asked() -> None:
    world = make_world(WORLD)
    agent = SlateQ(world, replace(HERE, num_steps=2_048, num_users=8), seeds=[0, 1])
    returns = {}
    for at in (0, 1):
        agent.serving = at
        for how in ("ts", "os"):
            rows = play(world, Served(agent, how), torch.arange(8), seed=1)
            returns[at, how] = rows["return"].tolist()
    assert len({tuple(x) for x in returns.values()}) == 4


def made_up(level: dict[str, float]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sessions of every row around its level (150 where none is given), and curves."""
    draw, parts = np.random.default_rng(0), []
    user_U = np.arange(200)
    luck_U = draw.normal(0, 20, 200)  # of the person, the same for everybody
    for row in ROWS:
        for seed in range(3 if row.lesson else 1):
            returns_U = level.get(f"{row.name}, {row.place}", 150.0) + luck_U
            frame = {
                "user": user_U,
                "person": user_U,
                "return": returns_U + draw.normal(0, 1, 200),
                "clicks": 40.0,
                "length": 50.0,
                "quality": draw.normal(-12.0, 1.0, 200),
                "policy": row.name,
                "trained_in": row.place if row.lesson else "",
                "seed": seed,
            }
            place = {"world": WORLD, "variant": row.place, "boredom": 0.0, "group": "evaluation"}
            parts.append(pd.DataFrame(frame).assign(**place))
    points = [(1e5, 9.0, 160.0), (2e5, 19.0, 170.0), (3e5, 30.0, np.nan)]
    curves = [
        pd.DataFrame(points, columns=["steps", "seconds", "return_mean"]).assign(
            lesson=lesson.name, cpu_seconds=30.0
        )
        for lesson in LESSONS
    ]
    return pd.concat(parts, ignore_index=True), pd.concat(curves, ignore_index=True)


LEVELS = {
    "QL-OT-OS, world": 171.0,
    "QL-OT-OS, learned null, world": 274.0,
    "analytic value, world": 275.0,
    "analytic value, null zero, world": 177.0,
    "true-model myopic, static": 155.0,
}


@pytest.fixture(scope="module")
def numbers() -> Numbers:
    return compute_numbers(*made_up(LEVELS))


def test_numbers_and_the_two_sentences(numbers: Numbers) -> None:
    best = numbers.of("QL-OT-OS")
    assert best.mean.value == pytest.approx(171.0, abs=4.0) and len(best.by_seed) == 3
    assert best.quality.value == pytest.approx(-0.3, abs=0.01)
    assert best.no_click == pytest.approx(0.2)
    assert best.quality.low < best.quality.value < best.quality.high
    assert best.cpu_seconds == 10.0 and numbers.of("random").cpu_seconds is None
    first, second = numbers.answer
    assert "under QL-OT-OS 20% of slates end without a click" in first and "about 0.80" in first
    assert f"from {best.mean.value:.1f} to" in second and "quality of -0.30" in second
    furthest = numbers.of("QL-OT-TS").mean.value - 169.0  # all TS rows are made up alike
    assert f"top-k slates are off by {furthest:+.1f} to" in numbers.distance
    assert numbers.believed and "nothing that learned beats" in numbers.control


def test_a_learned_null_that_does_not_help_is_said_to_explain_nothing() -> None:
    numbers = compute_numbers(*made_up({**LEVELS, "QL-OT-OS, learned null, world": 171.0}))
    assert "the explanation is not shown" in numbers.answer[1]


def test_planning_that_wins_where_it_is_worth_nothing_is_not_believed() -> None:
    numbers = compute_numbers(*made_up({**LEVELS, "QL-OT-GS, static": 158.0}))
    assert not numbers.believed and "Not to be believed" in numbers.control
    assert "QL-OT-GS (+" in numbers.control


def test_the_report_has_everything_and_asks_nothing_of_the_network(
    numbers: Numbers, tmp_path: Path
) -> None:
    report = write_slateq(TINY, *made_up(LEVELS), numbers, open_store(tmp_path))
    html = report.read_text()
    page = (tmp_path / "docs" / "slateq.md").read_text()
    screen = io.StringIO()
    print_slateq(numbers, Console(file=screen, width=160))
    for text in (html, page, screen.getvalue()):
        assert all(row.name in text for row in ROWS)
        assert "174.6" in text and "-0.31" in text and "best topic quality*" in text
    assert numbers.answer[0] in page and numbers.distance in html and "![Line plot" in page
    assert "<script" not in html and "http" not in html.replace("http-equiv", "")
    assert "data:image/png" in html
    assert (tmp_path / "docs" / "slateq-curves.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--slate-size", "4"], "error: --slate-size is not for slateq"),
        (["--users", "1"], "error: users must be in [2, 500000], got 1"),
        (["--seeds", "0"], "error: seeds must be in [1, 100], got 0"),
        (["--profile", "ful"], "error: unknown profile 'ful'; did you mean 'full'?"),
    ],
)
def test_what_cannot_be_is_refused(arguments, line, capsys, tmp_path) -> None:
    command = ["benchmark", "slateq", "--out", str(tmp_path / "new"), *arguments]
    assert answer(build, command) == 2
    assert capsys.readouterr().err.startswith(line)
    assert not (tmp_path / "new").exists()


def test_the_command_repeats_the_study() -> None:
    assert SlateQStudy("full", seeds=2).command == (
        "slategym benchmark slateq --profile full --seeds 2"
    )
    with pytest.raises(UsageError, match="unknown profile"):
        SlateQStudy("medium")


@pytest.mark.slow
def test_with_the_value_of_no_click_learnt_it_passes_the_best_topics_within_60_000_slates() -> None:
    world = make_world(WORLD)
    agent = SlateQ(world, replace(HERE, num_steps=61_440)).learn(world)
    user_U = torch.arange(FIRST_USER, FIRST_USER + 1_000)
    rows = play(world, agent, user_U, seed=1, batch=1_000)
    assert rows["return"].mean() > 266.0
