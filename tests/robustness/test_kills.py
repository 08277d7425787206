"""Killed at any moment and called again, everything ends with the very bits of the undisturbed."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kill_units
import pytest
from safetensors.torch import load_file

from slategym.experiments.runs.run import run_units
from slategym.experiments.runs.store import open_store
from slategym.models.checksums import read_json
from slategym.models.files import is_temporary
from slategym.models.tensor_files import read_tensors

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")

HERE = Path(__file__).parent
Work = Callable[[Path, int], Any]
NAMES = {kill_units.fit: "fit", kill_units.train: "training"}
FOLDERS = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])


def start(what: str, out: Path, size: int) -> subprocess.Popen[bytes]:
    call = [sys.executable, str(HERE.parent / "kill_units.py"), what, str(out), str(size)]
    return subprocess.Popen(
        call, env={**os.environ, "PYTHONPATH": FOLDERS}, stderr=subprocess.DEVNULL
    )


def workers_of(parent: int) -> list[int]:
    """Processes of the parent that are at a unit; not what multiprocessing keeps beside them."""
    found = []
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        command = Path(f"/proc/{child}/cmdline").read_bytes()
        if b"spawn_main" in command:
            found.append(int(child))
    return found


def wait_for_checkpoint(out: Path, process: Any, since: float) -> None:
    """Until some checkpoint was written after that moment, or all is over."""
    deadline = time.monotonic() + 120
    going = process.poll if isinstance(process, subprocess.Popen) else lambda: process.exitcode
    while going() is None:
        kept = [p for p in out.rglob("checkpoint.safetensors") if p.exists()]
        if any(path.stat().st_mtime > since for path in kept if path.exists()):
            return
        assert time.monotonic() < deadline
        time.sleep(0.01)


def check_same(out: Path, whole: Path, num_steps: int) -> None:
    mine, theirs = open_store(out), open_store(whole)
    for unit in kill_units.units(num_steps):
        assert mine.read(unit).equals(theirs.read(unit)), unit.label
    for path in sorted(whole.rglob("agent.safetensors")):
        assert path.read_bytes() == (out / path.relative_to(whole)).read_bytes()
    assert not any(is_temporary(path) for path in out.rglob("*"))


def kill_a_study(tmp_path: Path, num_steps: int, kills: int, seed: int) -> list[tuple[str, float]]:
    """Whom each kill met (the parent, a worker or all), and when, in seconds from the start."""
    chance, met = random.Random(seed), []
    while len(met) < kills:
        began = time.time()
        process = start("study", tmp_path / "out", num_steps)
        wait_for_checkpoint(tmp_path / "out", process, began)
        time.sleep(chance.random() * 0.5)
        if process.poll() is not None:
            break
        workers = workers_of(process.pid)
        whom = ("parent", "worker", "all")[len(met) % 3]
        met.append((whom, time.time() - began))
        if whom in ("worker", "all") and workers:
            os.kill(chance.choice(workers), signal.SIGKILL)
        if whom in ("parent", "all"):
            process.kill()
        else:
            time.sleep(chance.random())  # it is tried once more; then the whole is killed
            process.kill()
        process.wait()
    assert start("study", tmp_path / "out", num_steps).wait() == 0
    assert start("study", tmp_path / "whole", num_steps).wait() == 0
    check_same(tmp_path / "out", tmp_path / "whole", num_steps)
    return met


def test_a_run_killed_once(tmp_path: Path) -> None:
    out, began = tmp_path / "out", time.time()
    process = start("alone", out, 80)
    wait_for_checkpoint(out, process, began)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    run_units(kill_units.units(80), open_store(out))
    run_units(kill_units.units(80), open_store(tmp_path / "whole"))
    check_same(out, tmp_path / "whole", 80)


@pytest.mark.slow
def test_a_study_killed_twenty_times(tmp_path: Path) -> None:
    met = kill_a_study(tmp_path, num_steps=6_000, kills=20, seed=1)
    print(met)
    assert len(met) == 20


@pytest.mark.slow
def test_a_killed_worker_is_tried_again(tmp_path: Path) -> None:
    began = time.time()
    process = start("study", tmp_path / "out", 400)
    wait_for_checkpoint(tmp_path / "out", process, began)
    os.kill(workers_of(process.pid)[0], signal.SIGKILL)
    assert process.wait(120) == 0


@pytest.mark.slow
def test_told_to_end_the_trainings_of_a_study_keep_a_checkpoint(tmp_path: Path) -> None:
    out, began = tmp_path / "out", time.time()
    process = start("study", out, 6_000)
    wait_for_checkpoint(out, process, began)
    process.terminate()
    process.wait()
    begun = sorted(out.rglob("training.json"))
    assert begun and {read_json(path)["status"] for path in begun} == {"killed"}
    for path in begun:
        assert int(read_tensors(path.with_name("checkpoint.safetensors"))[0]["steps"]) > 0


def fork(what: Work, out: Path, size: int) -> Any:
    """A process of its own, in which everything is imported already."""
    process = multiprocessing.get_context("fork").Process(target=what, args=(out, size))
    process.start()
    return process


def kill_often(
    what: Work, tmp_path: Path, size: int, kills: int, seed: int, until: float
) -> list[float]:
    """Let one process end, then kill its like again and again, and let it end as a new program.

    Args:
        what: the work, of a folder and a size.
        tmp_path: "whole" and "out" are made there.
        size: epochs or steps.
        kills: how many; a process that ends before its kill does not count, and ends the row.
        seed: of the moments.
        until: seconds after a process's first new checkpoint, within which it is killed.

    Returns:
        Seconds from each start to its kill.
    """
    chance, out, met = random.Random(seed), tmp_path / "out", list[float]()
    what(tmp_path / "whole", size)
    while len(met) < kills:
        began = time.time()
        process = fork(what, out, size)
        wait_for_checkpoint(out, process, began)
        time.sleep(chance.random() * until)
        if not process.is_alive():
            break
        process.kill()
        process.join()
        met.append(time.time() - began)
    assert start(NAMES[what], out, size).wait() == 0
    assert not any(is_temporary(path) for path in out.rglob("*"))
    return met


def check_same_weights(tmp_path: Path, name: str) -> None:
    mine, theirs = (load_file(tmp_path / at / name) for at in ("out", "whole"))
    assert mine.keys() == theirs.keys() and len(mine) > 0
    assert all(mine[name].equal(x) for name, x in theirs.items())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_fit_killed_twenty_times(tmp_path: Path) -> None:
    met = kill_often(kill_units.fit, tmp_path, size=60, kills=20, seed=2, until=0.2)
    print([round(seconds, 1) for seconds in met])
    assert len(met) == 20
    check_same_weights(tmp_path, "model.safetensors")
    for left in ("checkpoint.safetensors", "fit.json"):
        assert not (tmp_path / "out" / left).exists()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_training_killed_twenty_times(tmp_path: Path) -> None:
    met = kill_often(kill_units.train, tmp_path, size=48_000, kills=20, seed=3, until=0.15)
    print([round(seconds, 1) for seconds in met])
    assert len(met) == 20
    check_same_weights(tmp_path, "agent.safetensors")
    assert read_json(tmp_path / "out" / "training.json")["status"] == "finished"


@pytest.mark.slow
def test_of_two_fits_in_one_cache_the_second_goes_on_when_the_first_is_killed(
    tmp_path: Path,
) -> None:
    kill_units.fit(tmp_path / "whole", 20)
    out, began = tmp_path / "out", time.time()
    first = fork(kill_units.fit, out, 20)
    wait_for_checkpoint(out, first, began)
    second = fork(kill_units.fit, out, 20)
    time.sleep(1.0)
    assert first.is_alive() and second.is_alive()
    first.kill()
    first.join()
    second.join()
    assert second.exitcode == 0
    check_same_weights(tmp_path, "model.safetensors")
