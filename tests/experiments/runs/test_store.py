"""Results on disk: whole, their own, or not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from toy_units import toy

from slategym.experiments.runs.origin import origin
from slategym.experiments.runs.store import Store, open_store, read_parquet, write_json
from slategym.experiments.runs.units import Unit
from slategym.models.checksums import Damaged, read_json, sha256_of, with_checksum

FRAME = pd.DataFrame(
    {
        "policy": ["a", "b"] * 500,
        "return": np.random.default_rng(0).normal(size=1000),
        "user": np.arange(1000, dtype=np.int32),
    }
)
METRICS = Unit("metrics", "toy_units:metrics", {"model": "x"}, kind="json")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "out")


def test_a_table_comes_back_as_it_was(store: Store) -> None:
    unit = toy(1)
    assert store.state(unit) == "missing"
    store.write(unit, FRAME, 1.5)
    pd.testing.assert_frame_equal(store.read(unit), FRAME)
    assert store.completed(unit) and store.seconds(unit) == 1.5
    stamp = read_parquet(store.path(unit))[1]
    assert stamp["spec"] == {"seed": 1, "deed": "work"}


def test_the_stamp_says_which_code_computed_it_and_when(store: Store) -> None:
    store.write(METRICS, {"auc": 0.5}, 1.0)
    store.write(toy(1), FRAME, 1.0)
    for unit in (METRICS, toy(1)):
        assert origin().items() <= store.stamp(unit).items()


def test_values_come_back_as_they_were(store: Store) -> None:
    store.write(METRICS, {"auc": 0.1 + 0.2, "n": [1, None]}, 0.5)
    assert store.read(METRICS) == {"auc": 0.1 + 0.2, "n": [1, None]}
    assert store.completed(METRICS) and store.seconds(METRICS) == 0.5


@pytest.mark.parametrize("keep", [0, 4, 0.5, 0.99])
def test_a_file_cut_short_is_noticed(store: Store, keep: float) -> None:
    for unit, result in ((toy(1), FRAME), (METRICS, {"auc": 0.5})):
        store.write(unit, result, 1.0)
        data = store.path(unit).read_bytes()
        store.path(unit).write_bytes(data[: int(keep if keep >= 1 else keep * len(data))])
        assert store.state(unit) == "damaged"


def test_altered_bytes_are_noticed(store: Store) -> None:
    unit = toy(1)
    store.write(unit, FRAME, 1.0)
    data = bytearray(store.path(unit).read_bytes())
    data[len(data) // 3] ^= 1
    store.path(unit).write_bytes(data)
    assert store.state(unit) == "damaged"
    store.write(METRICS, {"auc": 0.5}, 1.0)
    altered = store.path(METRICS).read_text().replace("0.5", "0.9")
    store.path(METRICS).write_text(altered)
    assert store.state(METRICS) == "damaged"
    with pytest.raises(ValueError, match="was altered"):
        store.read(METRICS)


def test_a_foreign_file_is_noticed(store: Store) -> None:
    unit, other = toy(1), toy(2)
    FRAME.to_parquet(store.path(unit))
    assert store.state(unit) == "damaged"
    store.write(other, FRAME, 1.0)
    os.replace(store.path(other), store.path(unit))
    assert store.state(unit) == "damaged"
    store.path(METRICS).write_text(json.dumps([1, 2]))
    assert store.state(METRICS) == "damaged"


def test_a_lost_file_of_the_units_own_folder_is_noticed(store: Store) -> None:
    unit = toy(1)
    weights = store.folder_of(unit) / "best" / "weights.bin"
    weights.parent.mkdir()
    weights.write_bytes(b"12345")
    store.write(unit, FRAME, 1.0)
    assert store.completed(unit)
    weights.write_bytes(b"1234")
    assert store.state(unit) == "damaged"
    weights.unlink()
    assert store.state(unit) == "damaged"


def test_nothing_is_left_of_a_write_that_fails(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r"must return JSON values .None, not NaN"):
        store.write(METRICS, {"auc": float("nan")}, 1.0)
    with pytest.raises(ValueError, match=r"must return a DataFrame.*got dict"):
        store.write(toy(1), {}, 1.0)
    unwritable = pd.DataFrame({"x": [object()]})
    with pytest.raises(Exception, match="object"):
        store.write(toy(1), unwritable, 1.0)
    assert not list((store.folder / "units").iterdir())


def test_an_id_follows_function_spec_and_needs_only() -> None:
    unit = toy(1)
    assert replace(unit, label="renamed", cost=9.0).id == unit.id
    others = [toy(2), replace(unit, function="toy_units:metrics"), toy(1, needs=(toy(2),))]
    assert unit.id not in {other.id for other in others}
    assert toy(3, needs=(toy(1),)).id != toy(3, needs=(toy(2),)).id


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write results into .*file/out: Not a directory"):
        open_store(tmp_path / "file" / "out")


def test_a_second_process_is_kept_out_and_leftovers_are_swept(store: Store) -> None:
    half = [store.folder / "units" / ".x-0123456789ab.parquet"]
    half += [store.folder / "work" / "x" / ".agent-0123456789ab.safetensors"]
    half += [store.folder / "work" / "x" / ".model-0123456789ab" / "config.json"]
    own = [store.folder / "units" / name for name in ("notes.md", ".gitkeep", "old/notes.parquet")]
    for path in (*half, *own):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half")
    code = (
        "import sys; from pathlib import Path\n"
        "from slategym.experiments.runs.store import open_store\n"
        "with open_store(Path(sys.argv[1])).lock(): pass"
    )
    command = [sys.executable, "-c", code, str(store.folder)]
    with store.lock():
        assert not any(path.exists() for path in half) and all(path.exists() for path in own)
        second = subprocess.run(command, capture_output=True, text=True)
    assert second.returncode == 1
    assert f"another run is writing into {store.folder}" in second.stderr
    assert subprocess.run(command, capture_output=True).returncode == 0


def test_json_files(tmp_path: Path) -> None:
    write_json({"a": [1, 2.5]}, tmp_path / "a.json")
    kept = {"format": 1, "status": "finished", "a": [1, 2.5]}
    assert json.loads((tmp_path / "a.json").read_text()) == with_checksum(kept)
    write_json({10: "b", 2: "a"}, tmp_path / "b.json")  # keys are sorted as texts when it is read
    assert read_json(tmp_path / "b.json")["10"] == "b"
    (tmp_path / "b.json").write_text((tmp_path / "b.json").read_text().replace('"b"', '"c"'))
    with pytest.raises(Damaged, match="was altered"):
        read_json(tmp_path / "b.json")
    (tmp_path / "b.json").unlink()
    with pytest.raises(ValueError):
        write_json(float("inf"), tmp_path / "b.json")
    assert not (tmp_path / "b.json").exists()
    digest = sha256_of(tmp_path / "a.json")
    assert len(digest) == 64
