"""A full disk or a quota in the middle of a file: one line that names it, no half file, and on."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pandas as pd
import pytest
import torch

from slategym.agents.core.files import BEGUN, WEIGHTS
from slategym.agents.entries import POLICIES, PolicyEntry
from slategym.experiments.cli.main import answer, build
from slategym.experiments.runs.store import write_parquet
from slategym.models.checksums import read_json
from slategym.models.files import is_temporary, kept, place_of
from slategym.models.tensor_files import write_tensors

resource = pytest.importorskip("resource", reason="needs limits of a process")

Train = Callable[[Path, int], tuple[int, str]]


@contextmanager
def files_of(most: int) -> Iterator[None]:
    """Within, no file of this process has more bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Train:
    """`slategym train` with files of so many bytes at most, 0: of any; its code and its errors."""
    counting = PolicyEntry("learner", "counts", None, "small_agents:Counting")
    monkeypatch.setitem(POLICIES, "counting", counting)
    small = ("--set", "num_items=50", "--steps", "400", "--checkpoint-every", "0")
    words = ["train", "counting", "--world", "Sardine-SlateTopK-Bored-v0", *small, "--out"]

    def run(out: Path, most: int) -> tuple[int, str]:
        with files_of(most) if most else nullcontext():
            code = answer(build, [*words, str(out)])
        return code, capsys.readouterr().err

    return run


def test_a_training_goes_on_when_there_is_room(tmp_path: Path, train: Train) -> None:
    out = tmp_path / "out"
    code, errors = train(out, 3_000)
    assert code == 1 and errors.count("\n") == 1
    assert errors.startswith(f"error: File too large: {out}/checkpoint")
    assert read_json(out / BEGUN)["status"] == "failed"
    assert {path.name for path in out.iterdir()} - {".lock"} == {BEGUN}
    assert train(out, 0)[0] == 0 and (out / WEIGHTS).is_file()
    assert read_json(out / BEGUN)["status"] == "finished"


@pytest.mark.slow
def test_a_disk_that_is_full_and_then_is_not(tmp_path: Path, train: Train) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    small = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)]
    if os.getuid() or subprocess.run(small, capture_output=True).returncode:
        pytest.skip("needs to mount a small disk")
    try:
        code, errors = train(disk / "out", 0)
        assert code == 1 and errors.count("\n") == 1
        assert errors.startswith(f"error: No space left on device: {disk / 'out'}/")
        assert not [path for path in disk.rglob("*") if is_temporary(path)]
        subprocess.run(["mount", "-o", "remount,size=1m", str(disk)], check=True)
        assert train(disk / "out", 0)[0] == train(tmp_path / "whole", 0)[0] == 0
        mine, theirs = (at / WEIGHTS for at in (disk / "out", tmp_path / "whole"))
        assert mine.read_bytes() == theirs.read_bytes()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


WRITE = {
    "tensors": lambda path: write_tensors(path, {"x": torch.zeros(50_000)}, {}),
    "table": lambda path: write_parquet(pd.DataFrame({"x": torch.randn(50_000).numpy()}), path),
}


@pytest.mark.parametrize("kind", WRITE)
def test_a_file_that_does_not_fit_is_named_and_not_there(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    with files_of(20_000), pytest.raises(OSError) as caught:
        WRITE[kind](path)
    assert caught.value.errno == errno.EFBIG and caught.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []


def test_slates_that_do_not_fit_are_one_line_and_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "slates.parquet"
    call = ["simulate", "Workbench-v0", "--users", "100", "--out", str(path)]
    with files_of(20_000):
        assert answer(build, call) == 1
    assert capsys.readouterr().err == f"error: File too large: {path}\n"
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit_the_cache_is_made_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLATEGYM_HOME", str(tmp_path))
    with files_of(20_000), pytest.raises(OSError, match="File too large"):
        kept("constants/large", 1, lambda: ["x" * 100] * 1_000)
    assert not place_of("constants/large.json", 1).exists()
    assert kept("constants/large", 1, lambda: 5) == 5
