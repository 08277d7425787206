"""Somebody else's package: found by its entry points, and used by name like ours."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import slategym as sg
from slategym.envs.registry import worlds
from slategym.experiments.cli.main import answer, build

ROOT = Path(__file__).parents[1]
COFFEE_BAR = ROOT / "examples" / "coffee_bar"


def installed(package: Path, folder: Path) -> None:
    """What an installation of the package leaves for others to find: its name and entry points."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture
def coffee_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    installed(COFFEE_BAR, tmp_path)
    for place in (tmp_path, COFFEE_BAR):
        monkeypatch.syspath_prepend(str(place))
    monkeypatch.chdir(tmp_path)
    importlib.invalidate_caches()
    yield
    for name in [name for name in sys.modules if name.startswith("coffee_bar")]:
        del sys.modules[name]


def test_its_world_policy_and_learner_are_used_by_name(
    coffee_bar: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert "slategym/CoffeeBar-v0" in worlds.all()
    world = sg.make_world("CoffeeBar-v0", slate_size=2)
    sg.check_user_model(world.users, world.catalogue)
    for words in (["worlds"], ["agents"], ["studies"]):
        assert answer(build, words) == 0
    listed = capsys.readouterr().out
    for value in ("world:coffee_bar", "policy:Usual", "agent:Bartender", "study:STUDY"):
        assert f"of coffee-bar (coffee_bar.{value})" in listed
    train = ["train", "bartender", "--world", "CoffeeBar-v0", "--steps", "6400", "--out", "trained"]
    assert answer(build, [*train, "--set", "slate_size=2", "--device", "cpu"]) == 0
    capsys.readouterr()
    compare = ["compare", "CoffeeBar-v0", "--policies", "usual,trained,random", "--users", "200"]
    assert answer(build, [*compare, "--json", "--device", "cpu"]) == 0
    found = json.loads(capsys.readouterr().out)
    earned = {name: numbers["value"] for name, numbers in found["returns"].items()}
    assert earned["usual"] > earned["random"]


@pytest.mark.usefixtures("blank_pictures_here")
def test_its_study_runs_to_a_report(coffee_bar: None, tmp_path: Path) -> None:
    report = sg.run_study("coffee-bar", users=20, seeds=1, out=tmp_path / "run")
    text = report.read_text()
    assert report == tmp_path / "run" / "report.html" and "The coffee bar" in text
    for name in ("bartender", "usual", "static twin"):
        assert name in text


def test_its_log_is_a_log_by_name(coffee_bar: None, capsys: pytest.CaptureFixture[str]) -> None:
    log = sg.load_log("bar-orders")
    assert (log.num_users, log.num_items, len(log.events)) == (6, 8, 72)
    assert [(s.name, s.kind, s.weight) for s in log.signals] == [
        ("click", "binary", 1.0),
        ("tip", "nonnegative", 0.5),
    ]
    assert answer(build, ["data", "check", "bar-orders"]) == 0
    assert "drinks" in capsys.readouterr().out
    assert answer(build, ["fit", "bar-order"]) == 2
    assert "did you mean 'bar-orders'" in capsys.readouterr().err


def test_its_page_is_a_page(coffee_bar: None, capsys: pytest.CaptureFixture[str]) -> None:
    for words, part in (
        (["worlds", "CoffeeBar-v0"], "grow fond of what they drink"),
        (["agents", "bartender"], "share of random slates, in [0, 1]"),
        (["agents", "usual"], "kind that was taken last"),
    ):
        assert answer(build, words) == 0
        assert part in " ".join(capsys.readouterr().out.split())


def test_gymnasium_knows_its_world_and_so_does_a_fresh_process(tmp_path: Path) -> None:
    installed(COFFEE_BAR, tmp_path)
    code = (
        "import gymnasium, slategym\n"
        "env = gymnasium.make('slategym/CoffeeBar-v0', slate_size=2)\n"
        "env.reset(seed=0)\n"
        "assert env.action_space.shape == (2,)\n"
    )
    path = os.pathsep.join([str(tmp_path), str(COFFEE_BAR), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=tmp_path)


def lines_of(path: Path) -> int:
    """Lines of a file that are not blank."""
    return sum(bool(line.strip()) for line in path.read_text().splitlines())


def test_what_it_takes_is_what_the_table_says() -> None:
    """docs/extending.md: lines of each thing in one's own package, entry point included."""
    text = (ROOT / "docs" / "extending.md").read_text()
    table = dict(re.findall(r"^\| `examples/coffee_bar/([\w/]+\.py)` \| (\d+) \|", text, re.M))
    assert table, "the table of the example's files is gone"
    for name, lines in table.items():
        assert lines_of(COFFEE_BAR / name) + 1 == int(lines), name
    points = tomllib.loads((COFFEE_BAR / "pyproject.toml").read_text())["project"]["entry-points"]
    modules = {value.partition(":")[0] for group in points.values() for value in group.values()}
    assert {f"{module.replace('.', '/')}.py" for module in modules} == set(table)
    weary = ROOT / "examples" / "weary_users" / "weary_users.py"
    (told,) = re.findall(r"^\| `examples/weary_users/weary_users.py` \| (\d+) \|", text, re.M)
    assert lines_of(weary) + 1 == int(told)


def test_the_journey_trains_compares_and_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "journey"))
    journey = importlib.import_module("train_and_serve")
    found = journey.main(1_024, 20, tmp_path / "out")
    assert {"plackett-luce", "capped", "myopic", "random"} == set(found.means)
    assert (tmp_path / "out" / "policy.pt").is_file()
    assert "first slate: [" in capsys.readouterr().out
    del sys.modules["train_and_serve"]


def test_settings_are_tuned_with_optuna(monkeypatch: pytest.MonkeyPatch) -> None:
    optuna = pytest.importorskip("optuna", reason="needs optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "tuning"))
    tuning = importlib.import_module("tune_with_optuna")
    study = tuning.tune(trials=2, steps=4_200)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "COMPLETE"]
    values = [trial.value for trial in study.trials]
    assert study.best_value == max(values) > 0
    assert len(study.trials[0].intermediate_values) >= 2
    assert set(study.best_params) == {"learning_rate", "gamma"}
    del sys.modules["tune_with_optuna"]
