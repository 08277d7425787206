"""Told to end, a command leaves a whole terminal, one line, its exit code and no child."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slategym.agents.core.files import ABOUT, BEGUN, CHECKPOINT
from slategym.models.checksums import read_json
from slategym.models.tensor_files import read_tensors

pty = pytest.importorskip("pty", reason="needs a terminal")

TESTS = Path(__file__).parents[1]
WORLD = "Sardine-SlateTopK-Bored-v0"
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
HEAD = f"""
import sys
sys.path[:0] = [{str(TESTS)!r}, {str(TESTS / "experiments")!r}]
"""
TRAIN = (
    HEAD
    + f"""
from slategym.agents.entries import POLICIES, PolicyEntry
from slategym.experiments.cli.main import main
POLICIES["counting"] = PolicyEntry("learner", "counts", None, "small_agents:Counting")
sys.argv[1:] = ["train", "counting", "--world", {WORLD!r}, "--set", "num_items=50", *sys.argv[1:]]
sys.exit(main())
"""
)
STUDY = (
    HEAD
    + """
from pathlib import Path
import typer
from toy_units import toy
from slategym.experiments.cli import main as cli
from slategym.experiments.runs.run import run_units
from slategym.experiments.runs.store import open_store

def app():
    made = typer.Typer()
    @made.command()
    def study(out: Path, marks: str):
        units = [toy(2, "sleep"), toy(3, "sleep")]
        run_units(units, open_store(out), workers=2, settings={"marks": marks})
    return made

if __name__ == "__main__":
    cli.build = app
    sys.exit(cli.main())
"""
)


def quick(*these: signal.Signals) -> list[Any]:
    """All signals, of which the others are for the slow tests."""
    return [how if how in these else pytest.param(how, marks=pytest.mark.slow) for how in CODES]


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, program: Path, *arguments: str) -> None:
        self.ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, str(program), *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"},
        )
        os.close(theirs)
        self.shown = b""

    def read(self, until: Callable[[], bool], seconds: float = 60.0) -> None:
        """Take what it shows until that is so."""
        deadline = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < deadline, self.shown.decode(errors="replace")[-2000:]
            if select.select([self.ours], [], [], 0.02)[0]:
                try:
                    self.shown += os.read(self.ours, 65536)
                except OSError:  # the terminal is closed
                    time.sleep(0.02)

    def end(self, how: signal.Signals) -> str:
        """Send it; what was shown in all, once it is gone."""
        self.process.send_signal(how)
        self.read(lambda: self.process.poll() is not None)
        while select.select([self.ours], [], [], 0.05)[0]:
            try:
                self.shown += os.read(self.ours, 65536)
            except OSError:
                break
        os.close(self.ours)
        return self.shown.decode(errors="replace")


def check_ending(shown: str, how: signal.Signals) -> None:
    """The cursor is back, and the last thing said is one line."""
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") > 0
    word = "interrupted" if how == signal.SIGINT else f"ended by {how.name}"
    assert shown.count(f"error: {word}; what was finished is kept") == 1
    assert "Traceback" not in shown


@pytest.mark.parametrize("how", quick(signal.SIGTERM))
def test_a_training_keeps_a_checkpoint(how: signal.Signals, tmp_path: Path) -> None:
    program, out = tmp_path / "program.py", tmp_path / "run"
    program.write_text(TRAIN)
    call = ["--steps", "10000000", "--checkpoint-every", "1000", "--out", str(out)]
    terminal = Terminal(program, *call)
    terminal.read(lambda: b"user-steps/s" in terminal.shown)
    check_ending(terminal.end(how), how)
    assert terminal.process.returncode == CODES[how]
    assert read_json(out / BEGUN)["status"] == "killed" and not (out / ABOUT).exists()
    assert int(read_tensors(out / CHECKPOINT)[0]["steps"]) > 0
    assert {path.name for path in out.iterdir()} - {".lock"} == {BEGUN, CHECKPOINT}


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("how", [*quick(signal.SIGTERM), signal.SIGKILL])
def test_a_study_leaves_no_worker(how: signal.Signals, tmp_path: Path) -> None:
    program, marks = tmp_path / "program.py", tmp_path / "marks"
    program.write_text(STUDY)
    marks.mkdir()
    terminal = Terminal(program, str(tmp_path / "out"), str(marks))
    begun = [marks / "pid-2", marks / "pid-3"]
    terminal.read(lambda: all(mark.exists() and mark.read_text() for mark in begun))
    workers = [int(mark.read_text()) for mark in begun]
    shown = terminal.end(how)
    status = read_json(tmp_path / "out" / "status.json")["status"]
    if how == signal.SIGKILL:  # nothing can be said, and nothing outlives it
        assert status == "running"
        time.sleep(0.5)
    else:
        check_ending(shown, how)
        assert terminal.process.returncode == CODES[how] and status == "killed"
    assert not any(_alive(pid) for pid in workers)


@pytest.mark.slow
def test_what_nohup_has_ignored_stays_ignored(tmp_path: Path) -> None:
    program, out = tmp_path / "program.py", tmp_path / "run"
    program.write_text("import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + TRAIN)
    process = subprocess.Popen(
        [sys.executable, str(program), "--steps", "4000", "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not (out / BEGUN).exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 0 and (out / ABOUT).exists()


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
