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

from slategym.agents.registry import make_policy
from slategym.agents.slateq.agent import SlateQ
from slategym.envs.registry import make_world
from slategym.experiments.cli.main import answer, build
from slategym.experiments.measure.plan import Plan, plan_of
from slategym.experiments.measure.play import play
from slategym.experiments.report.report import Report, write_report
from slategym.experiments.report.results import Result
from slategym.experiments.report.terminal import print_report
from slategym.experiments.request import Request
from slategym.experiments.runs.run import run_units
from slategym.experiments.runs.store import open_store
from slategym.experiments.statistics.numbers import Numbers, compute_numbers
from slategym.experiments.studies.slateq import FIRST_USER, HERE, PUBLISHED, STUDY, WORLD

pytestmark = pytest.mark.usefixtures("blank_pictures")

TINY = replace(
    STUDY, profiles={"quick": replace(STUDY.profiles["quick"], training=2_048 / HERE.num_steps)}
)
REQUEST = Request(seeds=2, users=4)  # 2,048 slates each
BASELINES = {baseline.name: baseline.policy for baseline in STUDY.baselines}


def plan() -> Plan:
    return plan_of(TINY, REQUEST)


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
    policy = make_policy(BASELINES[name], world)
    rows = play(world, policy, torch.arange(400), seed=3, batch=400)
    error = float(rows["return"].std()) / 20
    assert rows["return"].mean() == pytest.approx(minutes, abs=4 * error)
    met = (rows["quality_mean"] * rows["clicks"]).sum() / rows["clicks"].sum()
    assert met == pytest.approx(quality, abs=0.12)


def test_its_plan_reads_every_row_of_the_table() -> None:
    found = [(unit.spec["label"], unit.spec["place"]) for unit in plan().readings]
    world = [label for label, place in found if place == "world"]
    static = [label for label, place in found if place == "static"]
    assert set(PUBLISHED) < set(world) and len(set(world)) == len(world) == 21
    assert "true-model myopic" in static and len(set(static)) == len(static) == 8
    assert {unit.spec["seeds"] for unit in plan().trainings} == {(0, 1)}
    steps = {unit.spec["policy"]: unit.spec["settings"].num_steps for unit in plan().trainings}
    assert steps["QL-OT"] == 2_048 and steps["MYOP"] == steps["QL-OT in the twin"] == 819


def test_units_are_trained_read_and_not_computed_twice(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    wanted = {("QL-OT-OS, learned null", "world"), ("true-model myopic", "static")}
    chosen = [u for u in plan().readings if (u.spec["label"], u.spec["place"]) in wanted]
    chosen.sort(key=lambda unit: unit.spec["place"], reverse=True)
    assert run_units(chosen, store, console=Console(quiet=True)).computed == 3
    assert run_units(chosen, store, console=Console(quiet=True)).computed == 0
    learned, myopic = (store.read(unit) for unit in chosen)
    assert learned["seed"].tolist() == [0] * 4 + [1] * 4
    assert set(learned["trained_in"]) == {"world"} and set(myopic["trained_in"]) == {""}
    assert learned["user"].unique().tolist() == [*range(FIRST_USER, FIRST_USER + 4)]
    assert learned["quality_mean"].abs().max() <= 4 and learned["quality_mean"].any()
    assert "strength" not in learned and "bored_share" not in learned  # nothing of MovieLens
    assert (myopic["length"] == 50).all()
    training = next(u for u in plan().trainings if u.spec["policy"] == "QL-OT, learned null")
    assert not list(store.folder_of(training).glob("checkpoint*"))  # some hundred MB of replay
    curve = store.read(training)
    assert curve["steps"].iloc[-1] == 2_048 and curve["cpu_seconds"].gt(0).all()


def test_one_training_serves_as_asked() -> None:
    world = make_world(WORLD)
    agent = SlateQ(world, replace(HERE, num_steps=2_048, num_users=8), seeds=[0, 1])
    returns = {}
    for at in (0, 1):
        agent.serving = at
        for how in ("ts", "os"):
            agent.settings = replace(agent.settings, serve=how)
            rows = play(world, agent, torch.arange(8), seed=1)
            returns[at, how] = rows["return"].tolist()
    assert len({tuple(x) for x in returns.values()}) == 4


def made_up(level: dict[str, float]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sessions of every row around its level (150 where none is given), and curves."""
    draw, parts = np.random.default_rng(0), []
    user_U = np.arange(200)
    luck_U = draw.normal(0, 20, 200)  # of the person, the same for everybody
    for unit in plan().readings:
        spec, learns = unit.spec, unit.spec["policy"] is None
        for seed in range(3 if learns else 1):
            returns_U = level.get(f"{spec['label']}, {spec['place']}", 150.0) + luck_U
            frame = {
                "user": user_U,
                "person": user_U,
                "return": returns_U + draw.normal(0, 1, 200),
                "clicks": 40.0,
                "length": 50.0,
                "quality_mean": draw.normal(-0.3, 0.025, 200),
                "policy": spec["label"],
                "trained_in": spec["place"] if learns else "",
                "seed": seed,
                "world": WORLD,
                "variant": spec["place"],
                "group": "evaluation",
            }
            parts.append(pd.DataFrame(frame))
    points = [(1e5, 9.0, 160.0), (2e5, 19.0, 170.0), (3e5, 30.0, np.nan)]
    curves = [
        pd.DataFrame(points, columns=["steps", "seconds", "return_mean"]).assign(
            split=0,
            policy=unit.spec["policy"],
            trained_in=unit.spec["place"],
            seed=0,
            cpu_seconds=10.0,
        )
        for unit in plan().trainings
    ]
    return pd.concat(parts, ignore_index=True), pd.concat(curves, ignore_index=True)


LEVELS = {
    "QL-OT-OS, world": 171.0,
    "QL-OT-OS, learned null, world": 274.0,
    "analytic value, world": 275.0,
    "analytic value, null zero, world": 177.0,
    "true-model myopic, static": 155.0,
}


def said(level: dict[str, float]) -> Numbers:
    return compute_numbers(STUDY, *made_up(level))


@pytest.fixture(scope="module")
def numbers() -> Numbers:
    return said(LEVELS)


def test_numbers_and_the_sentences(numbers: Numbers) -> None:
    best = numbers.of("QL-OT-OS")
    mean, quality = best.mean["world"], best.side["world"]["quality_mean"]
    assert mean.value == pytest.approx(171.0, abs=4.0) and len(best.by_seed["world"]) == 3
    assert quality.value == pytest.approx(-0.3, abs=0.01)
    assert quality.low < quality.value < quality.high
    assert best.cpu_seconds == {"world": 10.0, "static": 10.0}
    assert numbers.of("random").cpu_seconds == {}
    first, second, distance, control = numbers.verdict.sentences
    assert "under QL-OT-OS 20 % of slates end without a click" in first and "about 0.80" in first
    assert f"from {mean.value:.1f} to" in second and "quality of -0.30" in second
    furthest = numbers.of("QL-OT-TS").mean["world"].value - 169.0  # all TS rows are made up alike
    assert f"top-k slates are off by {furthest:+.1f} to" in distance
    given = numbers.of("QL-OT-OS, given a click").mean["world"].value - 174.6
    assert f"these are off by {given:+.1f} to" in distance.replace("\N{MINUS SIGN}", "-")
    assert numbers.verdict.outcome == "explained" and "nothing that learned clearly" in control


def test_a_learned_null_that_does_not_help_is_said_to_explain_nothing() -> None:
    found = said({**LEVELS, "QL-OT-OS, learned null, world": 171.0}).verdict
    assert "the explanation is not shown" in found.sentences[1]


def test_planning_that_wins_where_it_is_worth_nothing_is_not_believed() -> None:
    found = said({**LEVELS, "QL-OT-GS, static": 158.0}).verdict
    assert found.outcome == "not believed" and "Not to be believed" in found.sentence
    assert "QL-OT-GS (+" in found.sentence


def test_the_report_has_everything_and_asks_nothing_of_the_network(tmp_path: Path) -> None:
    rows, curves = made_up(LEVELS)
    result = Result(
        STUDY, STUDY.profiles["quick"], "slategym benchmark slateq", rows, curves, pd.DataFrame()
    )
    report: Report = write_report(result, tmp_path)
    html = report.path.read_text()
    page = (tmp_path / "docs" / "slateq.md").read_text()
    screen = io.StringIO()
    print_report(result, report.numbers, Console(file=screen, width=160))
    sentences = report.numbers.verdict.sentences
    for text in (html, page, screen.getvalue()):
        assert all(name in text for name in (*STUDY.learned, *BASELINES))
        assert "174.6" in text and "best topic quality" in text
    assert "-0.31" in html and "mean quality of what was clicked" in html
    assert sentences[0] in page and sentences[2] in html and "![Line plot" in page
    assert "<script" not in html and "http" not in html.replace("http-equiv", "")
    assert (tmp_path / "docs" / "slateq-curves.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--slate-size", "4"], "error: --slate-size is not for slateq"),
        (["--users", "1"], "error: users must be in [2, 500000], got 1"),
        (["--seeds", "0"], "error: seeds must be in [1, 100], got 0"),
        (["--profile", "ful"], "error: unknown profile 'ful'; did you mean 'full'?"),
        (["--objective", "click=1"], "error: --objective is for the study log, not for slateq"),
        (["--agents", "slatq"], "error: unknown agent 'slatq'; did you mean 'slateq'?"),
    ],
)
def test_what_cannot_be_is_refused(arguments, line, capsys, tmp_path) -> None:
    command = ["benchmark", "slateq", "--out", str(tmp_path / "new"), *arguments]
    assert answer(build, command) == 2
    assert capsys.readouterr().err.startswith(line)
    assert not (tmp_path / "new").exists()


def test_the_command_repeats_the_study() -> None:
    assert Request("full", seeds=2).command(STUDY) == (
        "slategym benchmark slateq --profile full --seeds 2"
    )


@pytest.mark.slow
def test_with_the_value_of_no_click_learnt_it_passes_the_best_topics_within_60_000_slates() -> None:
    world = make_world(WORLD)
    agent = SlateQ(world, replace(HERE, num_steps=61_440)).learn(world)
    user_U = torch.arange(FIRST_USER, FIRST_USER + 1_000)
    rows = play(world, agent, user_U, seed=1, batch=1_000)
    assert rows["return"].mean() > 266.0
