"""Kept once under the hash of all that decides it; whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from slategym.models.checksums import checksum_path, state_of
from slategym.models.files import checked_path, home, kept, kept_path, place_of


@dataclass(frozen=True)
class Settings:
    width: float = 64.0
    names: tuple[str, ...] = ("a", "b")


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLATEGYM_HOME", str(tmp_path / "home"))


def test_a_value_is_computed_once_for_what_decides_it() -> None:
    calls: list[int] = []

    def compute() -> dict[str, list[float]]:
        calls.append(1)
        return {"values": [0.1, 2.5]}

    first = kept("constants/toy", [Settings(), 3], compute)
    again = kept("constants/toy", [Settings(), 3], compute)
    assert first == again == {"values": [0.1, 2.5]} and len(calls) == 1
    kept("constants/toy", [Settings(width=65.0), 3], compute)
    kept("constants/other", [Settings(), 3], compute)
    assert len(calls) == 3


def test_names_keep_their_suffix_and_their_dots() -> None:
    for name, begins, suffix in (
        ("toy.json", "toy-", ".json"),
        ("ml-0.5", "ml-0.5-", ""),
        ("folder", "folder-", ""),
    ):
        found = place_of(f"x/{name}", 1)
        assert found.parent == home() / "x"
        assert found.name.startswith(begins) and found.name.endswith(suffix)


def test_what_fails_leaves_nothing_and_is_made_the_next_time() -> None:
    def fail(path: Path) -> None:
        path.write_text("half")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        kept_path("text/toy.txt", 1, fail)
    left = [path for path in home().rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert left == []

    def fill(path: Path) -> None:
        path.mkdir()
        (path / "weights").write_text("whole")

    assert (kept_path("models/toy", 1, fill) / "weights").read_text() == "whole"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_cache_that_cannot_be_written_to_serves() -> None:
    first = kept("constants/toy", 1, lambda: 5)
    for path in [home() / "constants", home()]:
        path.chmod(0o500)
    try:
        assert kept("constants/toy", 1, lambda: 6) == first
        with pytest.raises(OSError, match=r"cannot write to .* set SLATEGYM_HOME"):
            kept("constants/toy", 2, lambda: 6)
    finally:
        for path in [home(), home() / "constants"]:
            path.chmod(0o700)


def test_what_is_kept_is_readable_as_any_new_file() -> None:
    """Some libraries, safetensors among them, write for their owner alone."""

    def closed(path: Path) -> None:
        path.write_text("weights")
        path.chmod(0o600)

    def folder(path: Path) -> None:
        path.mkdir()
        closed(path / "weights")

    (home() / "x").mkdir(parents=True)
    (home() / "x" / "new").write_text("")
    wanted = (home() / "x" / "new").stat().st_mode
    assert kept_path("x/file.bin", 1, closed).stat().st_mode == wanted
    assert (kept_path("x/folder", 1, folder) / "weights").stat().st_mode == wanted


def test_looking_writes_nothing() -> None:
    kept("constants/toy", 1, lambda: 5)
    before = {path: path.stat().st_mtime_ns for path in home().rglob("*")}
    (lock,) = home().rglob("*.lock")
    lock.unlink()
    assert kept("constants/toy", 1, lambda: 6) == 5
    after = {path: path.stat().st_mtime_ns for path in home().rglob("*") if path.is_file()}
    assert after.items() <= before.items() and lock not in after


@pytest.mark.parametrize("checked", [True, False])
def test_damage_is_named_set_aside_and_mended(
    checked: bool, caplog: pytest.LogCaptureFixture
) -> None:
    kept("constants/toy", 1, lambda: [1, 2, 3])
    path = place_of("constants/toy.json", 1)
    path.write_text("[1, 2" if not checked else "[1, 2, 4]")
    if not checked:  # as earlier versions left it
        checksum_path(path).unlink()
    assert kept("constants/toy", 1, lambda: 5) == 5 == kept("constants/toy", 1, lambda: 6)
    (said,) = caplog.messages
    assert said.startswith(str(path)) and f"set aside as {path.name}.damaged" in said
    assert path.with_name(f"{path.name}.damaged").is_file() and checksum_path(path).is_file()


def test_killed_before_its_checksum_a_file_has_none_and_not_anothers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    with checked_path(path) as temporary:
        temporary.write_text("1")
    assert state_of(path) == "whole"
    replace = os.replace

    def ended(old: Path, new: Path) -> None:
        if new == checksum_path(path):
            raise KeyboardInterrupt
        replace(old, new)

    monkeypatch.setattr(os, "replace", ended)
    with pytest.raises(KeyboardInterrupt), checked_path(path) as temporary:
        temporary.write_text("2")
    assert path.read_text() == "2" and state_of(path) == "unchecked"


def test_of_several_processes_one_computes(tmp_path: Path) -> None:
    code = (
        "import sys, time, os\n"
        "from slategym.models.files import kept\n"
        "def compute():\n"
        "    open(sys.argv[1], 'a').write('x')\n"
        "    time.sleep(0.3)\n"
        "    return os.getpid()\n"
        "print(kept('constants/shared', 1, compute))\n"
    )
    tally = tmp_path / "tally"
    command = [sys.executable, "-c", code, str(tally)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = {process.communicate()[0] for process in running}
    assert len(said) == 1 and tally.read_text() == "x"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.timeout(30)
def test_a_pipe_in_the_place_of_a_kept_file_is_not_read_for_ever() -> None:
    assert kept("constants/toy", 1, lambda: [1]) == [1]
    path = place_of("constants/toy.json", 1)
    path.unlink()
    os.mkfifo(path)
    assert state_of(path) == "damaged"
    assert kept("constants/toy", 1, lambda: [2]) == [2]
