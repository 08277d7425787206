"""How a run stands, and what a word on the command line stands for."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from torch.utils.tensorboard import SummaryWriter

from slategym.envs.names import UsageError
from slategym.experiments.cli.commands import app as command
from slategym.experiments.cli.main import answer, build
from slategym.experiments.workbench.settings import DEFAULT, PLAIN, PageSettings, asked_of, label_of
from slategym.experiments.workbench.watch import watch

WORLD = "slategym/Sardine-SlateTopK-Bored-v0"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study under way: two trainings and one reading are done."""
    folder = tmp_path / "study"
    (folder / "units").mkdir(parents=True)
    for number, name in enumerate(("random-home", "slateq-home-seed-0", "slateq-home-seed-1")):
        path = folder / "units" / f"{name}-0123456789ab.parquet"
        path.write_text("")
        path.with_name(f"{path.name}.sha256").write_text("")
        os.utime(path, (1_000_000 + number,) * 2)
    place = {"name": "home", "role": "open", "world": WORLD, "settings": {"num_items": 50}}
    (folder / "study.json").write_text(json.dumps({"places": [place]}))
    (folder / "status.json").write_text(json.dumps({"status": "running"}))
    writer = SummaryWriter(str(folder / "tensorboard" / "slateq-home-seed-0-0123456789ab"))
    for step in (100, 200):
        writer.add_scalar("rollout/ep_rew_mean", step / 10, step)
        writer.add_scalar("train/loss", 1.0, step)
    writer.close()
    return folder


def test_a_running_study_says_how_far_it_is(study: Path) -> None:
    standing = watch(study)
    assert (standing.status, standing.verdict, standing.report) == ("running", "", None)
    assert standing.done == {"train": 2, "random": 1}
    assert [name for name, _ in standing.newest] == [
        "slateq-home-seed-1",
        "slateq-home-seed-0",
        "random-home",
    ]
    assert standing.newest[0][1] < standing.newest[2][1]
    curve = standing.curves
    assert list(curve["run"].unique()) == ["slateq-home-seed-0"]
    assert list(curve["steps"]) == [100, 200] and list(curve["return"]) == [10.0, 20.0]
    (study / "status.json").write_text('{"status": "run')  # being written
    assert watch(study).status == "unknown"
    (study / "summary.json").write_text(json.dumps({"verdict": "It pays.", "means": {}}))
    assert watch(study).verdict == "It pays."


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no study and no training"):
        watch(tmp_path)
    with pytest.raises(UsageError, match="there is no folder runs/nope"):
        asked_of("runs/nope")
    with pytest.raises(UsageError, match="holds no trained policy"):
        asked_of(str(tmp_path))
    with pytest.raises(UsageError, match="did you mean 'InterestEvolution-v0'"):
        asked_of("InterestEvolutoin-v0")


def test_a_word_stands_for_a_world_or_a_run(study: Path) -> None:
    assert asked_of("") == PageSettings(f"slategym/{DEFAULT}", {}, PLAIN)
    asked = asked_of("DayInLife-v0", policies=("myopic", "random"))
    assert (asked.world, asked.policies) == ("slategym/DayInLife-v0", ("myopic", "random"))
    assert PageSettings.from_text(asked.as_text()) == asked
    found = asked_of(str(study))
    assert (found.world, found.settings) == (WORLD, {"num_items": 50})
    assert (found.policies, found.run) == (PLAIN, str(study))
    means = {"home": {"random": 1.0, "slateq": 3.0, "myopic": 2.0}}
    (study / "summary.json").write_text(json.dumps({"means": means}))
    assert asked_of(str(study)).policies == ("myopic", "random")  # slateq's folder is gone
    trained = study / "work" / "slateq-home-seed-0-0123456789ab"
    trained.mkdir(parents=True)
    (trained / "agent.json").write_text("{}")
    assert asked_of(str(study)).policies == (str(trained), "myopic", "random")
    assert [label_of(name) for name in (str(trained), "myopic")] == ["slateq-home-seed-0", "myopic"]


def test_the_page_is_for_this_machine_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = command.command_of("{}", 8999)
    for option, value in (
        ("--server.address", "127.0.0.1"),
        ("--browser.gatherUsageStats", "false"),
        ("--server.port", "8999"),
    ):
        assert words[words.index(option) + 1] == value
    assert words[-2:] == ["--", "{}"] and Path(words[4]).name == "page.py"
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    assert answer(build, ["app", "DayInLife-v0"]) == 2
    assert "pip install 'slategym[app]'" in capsys.readouterr().err
