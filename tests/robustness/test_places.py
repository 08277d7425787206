"""Where people keep things: names with blanks and umlauts, links, folders where files are meant."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from small_agents import Counting, CountingSettings

from slategym.agents.core.files import ABOUT
from slategym.agents.entries import POLICIES, PolicyEntry
from slategym.agents.registry import load_agent
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.experiments.cli.main import answer, build
from slategym.experiments.measure.training import Training
from slategym.experiments.runs.store import open_store, write_json, write_parquet
from slategym.experiments.runs.units import Unit
from slategym.models.files import home, kept

WORLD = "Sardine-SlateTopK-Bored-v0"


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"{Counting.__module__}:Counting"
    monkeypatch.setitem(POLICIES, "counting", PolicyEntry("learner", "counts", None, path))


def training(num_steps: int = 80) -> Training:
    settings = CountingSettings(num_steps=num_steps, num_users=8)
    return Training("counting", WORLD, {"num_items": 50}, settings, (0,))


@pytest.mark.parametrize(
    "name", ["with blanks", "ümläut", "漢字", "[red]x[/]", "up/../here", "link"]
)
def test_homes_and_folders_of_any_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "link":
        (tmp_path / "far").mkdir()
        (tmp_path / name).symlink_to(tmp_path / "far")
    (tmp_path / "up").mkdir()
    monkeypatch.setenv("SLATEGYM_HOME", str(tmp_path / name / "home"))
    assert kept("constants/choice", 1, lambda: 5) == kept("constants/choice", 1, lambda: 6) == 5
    run = tmp_path / name / "run"
    training().run(run)
    assert load_agent(run, make_world(WORLD, num_items=50)).steps == 80
    assert answer(build, ["doctor", str(run)]) == answer(build, ["doctor", str(home())]) == 0
    assert "damaged" not in capsys.readouterr().out


def test_a_home_that_is_a_file_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("SLATEGYM_HOME", str(tmp_path / "file"))
    with pytest.raises(OSError, match="set SLATEGYM_HOME to a folder that you may write to"):
        kept("constants/choice", 1, lambda: 5)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_home_of_nobody_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLATEGYM_HOME", "")
    for name in ("XDG_CACHE_HOME", "SLATEGYM_HOME"):
        monkeypatch.setenv(name, "~nobody-of-this-name/cache")
        with pytest.raises(UsageError, match=r"^~nobody-of-this-name/cache: no such home here"):
            home()


def test_a_folder_that_is_gone_is_one_line(tmp_path: Path) -> None:
    """Where a process stands: the libraries that it loads would end it without a word."""
    (tmp_path / "gone").mkdir()
    program = (
        "import os, sys; os.rmdir(os.getcwd()); from slategym.experiments.cli.main import main"
    )
    told = subprocess.run(
        [sys.executable, "-c", f"{program}; sys.exit(main())"],
        cwd=tmp_path / "gone", capture_output=True, text=True,
    )  # fmt: skip
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr == "error: the folder that this was started in is gone; go to another\n"


def test_links_and_folders_in_place_of_results(tmp_path: Path) -> None:
    """A link is replaced, and what it led to is as it was; a folder is named, and left."""
    mine = tmp_path / "mine.json"
    mine.write_text("mine")
    (tmp_path / "found.json").symlink_to(mine)
    write_json({"a": 1}, tmp_path / "found.json")
    assert mine.read_text() == "mine" and not (tmp_path / "found.json").is_symlink()
    (tmp_path / "rows.parquet").mkdir()
    (tmp_path / "rows.parquet" / "notes.md").write_text("mine")
    with pytest.raises(OSError) as error:
        write_parquet(pd.DataFrame({"x": [1.0]}), tmp_path / "rows.parquet")
    assert error.value.filename == str(tmp_path / "rows.parquet")
    assert {path.name for path in tmp_path.iterdir()} == {"mine.json", "found.json", "rows.parquet"}
    assert (tmp_path / "rows.parquet" / "notes.md").is_file()


def test_units_elsewhere_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "units").symlink_to(tmp_path / "disk")
    store, unit = open_store(tmp_path / "out"), Unit("one", "toy:run", {})
    with store.lock():
        store.write(unit, pd.DataFrame({"x": [1.0]}), 1.0)
    assert store.state(unit) == "done" and list((tmp_path / "disk").glob("one*.parquet"))


def test_other_settings_in_the_same_folder_are_kept_beside(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    one, other = (Unit("one", "toy:run", {"seed": seed}) for seed in (0, 1))
    for unit in (one, other):
        store.write(unit, pd.DataFrame({"x": [1.0]}), 1.0)
    assert store.state(one) == store.state(other) == "done"


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_trainings_leave_no_descriptor(tmp_path: Path) -> None:
    """Neither those that finish, with event files, nor those that fail on the way."""

    def fails(*_: object) -> None:
        raise RuntimeError("on the way")

    counts = []
    for number in range(4):
        events = tmp_path / f"events {number}"
        training().run(tmp_path / f"run {number}", tensorboard=events)
        with pytest.raises(RuntimeError, match="on the way"):
            training().run(tmp_path / f"failed {number}", callback=fails, tensorboard=events)
        assert not (tmp_path / f"failed {number}" / ABOUT).exists()
        counts.append(len(os.listdir("/proc/self/fd")))
    assert counts[1] == counts[-1]
