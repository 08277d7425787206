"""Whatever is cut short or altered is named, set aside and made anew; nothing wrong is served."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from small_agents import Counting, CountingSettings
from small_worlds import small_log

from slategym.agents.core.agent import Progress
from slategym.agents.core.files import ABOUT, BEGUN, CHECKPOINT, WEIGHTS
from slategym.agents.entries import POLICIES, PolicyEntry
from slategym.agents.registry import load_agent, seeds_of
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.experiments.cli.main import answer, build
from slategym.experiments.measure.training import Training, trained_in
from slategym.experiments.runs.store import open_store, write_parquet
from slategym.experiments.runs.units import Unit
from slategym.models.checksums import Damaged, checksum_path, read_json, with_checksum
from slategym.models.files import atomic_path, home, kept, kept_path, place_of
from slategym.models.finite import NotFinite
from slategym.models.multitask.network import MultiTaskBert, MultiTaskSettings
from slategym.models.multitask.train import TrainingSettings, train_multitask
from slategym.models.tensor_files import (
    load_checkpoint,
    previous,
    read_tensors,
    remove_checkpoints,
    save_checkpoint,
    write_tensors,
)

WORLD = "Sardine-SlateTopK-Bored-v0"


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = f"{Counting.__module__}:Counting"
    monkeypatch.setitem(POLICIES, "counting", PolicyEntry("learner", "counts", None, path))
    monkeypatch.setenv("SLATEGYM_HOME", str(tmp_path / "home"))


def training(seed: int = 0, num_steps: int = 400) -> Training:
    settings = CountingSettings(num_steps=num_steps, num_users=8)
    return Training("counting", WORLD, {"num_items": 50}, settings, (seed,))


def flip(path: Path, at: float = 0.9) -> None:
    """One bit, at that share of the file."""
    data = bytearray(path.read_bytes())
    data[int(at * len(data))] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


HOW = {"flip": flip, "cut": cut, "empty": empty}


# the cache


@pytest.mark.parametrize("how", HOW)
def test_a_constant(how: str, caplog: pytest.LogCaptureFixture) -> None:
    kept("constants/choice", 1, lambda: {"temperature": 0.7})
    path = place_of("constants/choice.json", 1)
    HOW[how](path)
    assert kept("constants/choice", 1, lambda: {"temperature": 0.7}) == {"temperature": 0.7}
    assert str(path) in caplog.text and "set aside as" in caplog.text
    assert path.with_name(path.name + ".damaged").exists()


def test_a_negated_constant_is_not_served() -> None:
    kept("constants/choice", 1, lambda: {"temperature": 0.7})
    path = place_of("constants/choice.json", 1)
    path.write_text(path.read_text().replace("0.7", "-0.7"))
    assert kept("constants/choice", 1, lambda: {"temperature": 0.7}) == {"temperature": 0.7}


@pytest.mark.parametrize("how", HOW)
def test_a_folder_of_people(how: str) -> None:
    made = []

    def make(folder: Path) -> None:
        folder.mkdir()
        (folder / "config.json").write_text('{"tasks": []}')
        (folder / "README.md").write_text("a card")
        made.append(folder)

    folder = kept_path("models/people", 1, make)
    (folder / "README.md").write_text("a card that says more")  # is no damage
    assert kept_path("models/people", 1, make) == folder and len(made) == 1
    HOW[how](folder / "config.json")
    assert kept_path("models/people", 1, make) == folder and len(made) == 2
    assert read_json(folder / "config.json") == {"tasks": []}


def test_what_an_earlier_version_left_is_taken_as_it_is() -> None:
    kept("constants/choice", 1, lambda: 3)
    checksum_path(place_of("constants/choice.json", 1)).unlink()
    assert kept("constants/choice", 1, lambda: 4) == 3


def test_killed_between_checksum_and_file_it_is_made_again() -> None:
    kept("constants/choice", 1, lambda: 3)
    place_of("constants/choice.json", 1).unlink()
    assert kept("constants/choice", 1, lambda: 4) == 4 == kept("constants/choice", 1, lambda: 5)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("folder", [False, True])
def test_what_is_renamed_is_on_the_disk_already(
    folder: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, rename = os.fsync, os.replace

    def fsync(handle: int) -> None:
        done.append(os.readlink(f"/proc/self/fd/{handle}"))
        sync(handle)

    def replace(a: Path, b: Path) -> None:
        done.append("renamed")
        rename(a, b)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    with atomic_path(tmp_path / "new.json") as path:
        place = path / "part.json" if folder else path
        place.parent.mkdir(exist_ok=True)
        place.write_text("5")
    before = done[: done.index("renamed")]
    assert str(place) in before and str(path) in before
    assert done[-1] == str(tmp_path)  # the folder, so that the name is there too


# models


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "model"
    fit(folder)
    return folder


def fit(folder: Path, learning_rate: float = 1e-3) -> MultiTaskBert:
    log, width = small_log(num_users=12, num_items=12), 8
    return train_multitask(
        log,
        np.arange(10),
        MultiTaskSettings(width=width, feedforward=8, max_history=8),
        TrainingSettings(epochs=1, batch_events=64, learning_rate=learning_rate),
        folder,
        validation=np.arange(10, 12),
        text_vectors_ND0=torch.zeros(12, 4),
        progress=False,
    )


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("model.safetensors", "flip"),
        ("model.safetensors", "gone"),
        ("config.json", "flip"),
        ("config.json", "empty"),
        ("vocabulary.json", "cut"),
    ],
)
def test_a_model_is_trained_again(
    fitted: Path, tmp_path: Path, name: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(fitted, folder)
    if how == "gone":
        (folder / name).unlink()
    else:
        HOW[how](folder / name)
    with pytest.raises(ValueError, match=name.replace(".", r"\.")):
        MultiTaskBert.from_pretrained(folder)
    again = fit(folder)
    assert (how, name) == ("gone", "config.json") or str(folder / name) in caplog.text
    wanted = MultiTaskBert.from_pretrained(fitted).state_dict()
    assert all(torch.equal(x, wanted[n]) for n, x in again.state_dict().items())


def test_a_fit_that_diverges_stops_and_leaves_no_model(tmp_path: Path) -> None:
    with pytest.raises(NotFinite, match=r"training diverged: .* in epoch 1"):
        fit(tmp_path / "model", learning_rate=1e30)
    assert not (tmp_path / "model" / "config.json").exists()
    said = read_json(tmp_path / "model" / "fit.json")
    assert said["status"] == "failed" and "diverged" in said["reason"] and "format" in said
    fit(tmp_path / "model")
    assert not (tmp_path / "model" / "fit.json").exists()


# checkpoints


def test_the_last_two_checkpoints_are_kept_and_the_older_one_helps(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    for step in (1, 2, 3):
        save_checkpoint(path, {"x": torch.tensor([step])}, {"step": str(step)})
    assert set(tmp_path.iterdir()) == {path, previous(path)}
    flip(path)
    found = load_checkpoint(path)
    assert found is not None and found[1]["step"] == "2" and found[0]["x"].item() == 2
    assert str(path) in caplog.text and "going on from the one before it" in caplog.text
    empty(previous(path))
    assert load_checkpoint(path) is None and "starting anew" in caplog.text
    save_checkpoint(path, {"x": torch.ones(1)}, {})
    remove_checkpoints(path, but_last=True)  # what was set aside may hold a seed of private noise
    assert list(tmp_path.iterdir()) == [path]
    remove_checkpoints(path)
    assert not list(tmp_path.iterdir())


HALF = "-0123456789ab"  # what killed processes call half a file: `.NAME-....SUFFIX`


def test_half_a_checkpoint_does_not_stay(tmp_path: Path) -> None:
    path, half = tmp_path / CHECKPOINT, tmp_path / f".checkpoint.new{HALF}.safetensors"
    other = tmp_path / f".else{HALF}.safetensors"
    for file in (half, other):
        file.write_text("half")
    save_checkpoint(path, {"x": torch.ones(1)}, {})
    assert set(tmp_path.iterdir()) == {path, other}
    half.write_text("half, with a seed of private noise")
    remove_checkpoints(path)
    assert list(tmp_path.iterdir()) == [other]


def test_half_files_in_a_models_and_a_trainings_folder_do_not_stay(tmp_path: Path) -> None:
    model, run = tmp_path / "model", tmp_path / "run"
    left = [
        *(model / f".{name}" for name in (f"model{HALF}.safetensors", f"config{HALF}.json")),
        model / f".fit{HALF}.json",
        *(run / f".{name}{HALF}.json" for name in ("training", "agent")),
        run / f".agent{HALF}.safetensors",
    ]
    for file in left:
        file.parent.mkdir(exist_ok=True)
        file.write_text("half")
    fit(model)
    training().run(run)
    assert not [file for file in left if file.exists()]


@pytest.mark.parametrize("at", [0.3, 0.6, 0.99])
def test_any_bit_of_tensors_and_notes_counts(tmp_path: Path, at: float) -> None:
    path = tmp_path / "x.safetensors"
    write_tensors(path, {"x": torch.ones(3), "y": torch.tensor(True)}, {"note": "hello" * 20})
    flip(path, at)
    with pytest.raises(Damaged, match=str(path)):
        read_tensors(path)


# trainings


@pytest.mark.parametrize(
    ("name", "how"),
    [
        *((CHECKPOINT, how) for how in ("flip", "empty")),
        *((BEGUN, how) for how in ("empty", "gone")),
        *((ABOUT, how) for how in ("flip", "cut", "empty", "gone")),
        *((WEIGHTS, how) for how in ("flip", "cut", "gone")),
    ],
)
def test_a_finished_training_is_mended(tmp_path: Path, name: str, how: str) -> None:
    folder, whole = tmp_path / "run", training()
    whole.run(folder)
    assert whole.finished(folder) and read_json(folder / BEGUN)["status"] == "finished"
    before = (folder / WEIGHTS).read_bytes()
    if how == "gone":
        (folder / name).unlink()
    else:
        HOW[how](folder / name)
    world = make_world(WORLD, num_items=50)
    if name in (ABOUT, WEIGHTS):
        with pytest.raises(UsageError, match=re.escape(name) + "|is not finished"):
            load_agent(folder, world)
        assert not whole.finished(folder)
    whole.run(folder)
    assert whole.finished(folder) and (folder / WEIGHTS).read_bytes() == before
    load_agent(folder, world)


def test_the_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    training(seed=2).run(tmp_path / "two")
    mine = tmp_path / "one"
    training(seed=1).run(mine)
    (mine / ABOUT).unlink()
    shutil.copy(tmp_path / "two" / CHECKPOINT, mine / CHECKPOINT)
    with pytest.raises(UsageError, match="checkpoint of another training"):
        training(seed=1).run(mine)


def test_two_trainings_do_not_meet_in_one_folder(tmp_path: Path) -> None:
    def meanwhile(now: Progress) -> bool:
        with pytest.raises(UsageError, match="another process is training in"):
            training().run(tmp_path / "run")
        return False

    training().run(tmp_path / "run", callback=meanwhile)
    assert read_json(tmp_path / "run" / BEGUN)["status"] == "stopped"
    training().run(tmp_path / "run")
    assert training().finished(tmp_path / "run")


def test_a_training_that_diverges_stops_and_is_not_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cycle = Counting.cycle

    def diverging(self: Counting) -> tuple[int, dict[str, float]]:
        shown, figures = cycle(self)
        return shown, figures | {"train/loss": float("nan") if self.steps > 100 else 0.1}

    monkeypatch.setattr(Counting, "cycle", diverging)
    with pytest.raises(NotFinite, match=r"train/loss is nan after \d+ slates"):
        training().run(tmp_path / "run")
    assert read_json(tmp_path / "run" / BEGUN)["status"] == "failed"
    assert not (tmp_path / "run" / ABOUT).exists() and not training().finished(tmp_path / "run")


def test_nan_weights_are_never_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counting, "weights", lambda self: {"w": torch.tensor([1.0, torch.nan])})
    with pytest.raises(NotFinite, match="w is nan"):
        training().run(tmp_path / "run", checkpoint_every=0.0)
    assert {path.name for path in (tmp_path / "run").iterdir()} - {".lock"} == {BEGUN}


ALTERED = {
    "a list": [],
    "no agent": {"agent": None},
    "agent a number": {"agent": 3},
    "settings a list": {"settings": []},
    "unknown setting": {"settings": {"wings": 2}},
    "seeds a word": {"seeds": "0"},
    "no seeds": {"seeds": []},
    "seeds of words": {"seeds": ["a"]},
    "steps a word": {"steps": "many"},
    "steps true": {"steps": True},
    "about a list": {"about": []},
    "world a number": {"about": {"world": 3, "world_settings": {}}},
    "no settings of the world": {"about": {"world": WORLD}},
    "a later format": {"format": 2},
    "slots": {"slate_size": 10**9},
}


@pytest.mark.parametrize("change", ALTERED.values(), ids=list(ALTERED))
def test_a_foreign_agent_json_is_one_line(tmp_path: Path, change: object) -> None:
    training().run(tmp_path)
    values = read_json(tmp_path / ABOUT)
    values = change if isinstance(change, list) else with_checksum({**values, **change})  # type: ignore[dict-item]
    (tmp_path / ABOUT).write_text(json.dumps(values))
    world = make_world(WORLD, num_items=50)
    with pytest.raises(UsageError):
        load_agent(tmp_path, world)
        trained_in(tmp_path)
        seeds_of(tmp_path)


# run folders

FRAME = pd.DataFrame({"user": np.arange(50), "return": np.linspace(0, 1, 50)})


def test_any_bit_of_a_unit_counts(tmp_path: Path) -> None:
    unit, store = Unit("toy", "toy:run", {"seed": 1}), open_store(tmp_path / "out")
    store.write(unit, FRAME, 1.0)
    assert store.state(unit) == "done"
    for at in np.random.default_rng(0).random(40):
        flip(store.path(unit), float(at))
        assert store.state(unit) == "damaged"
        flip(store.path(unit), float(at))
    assert store.state(unit) == "done"


def test_a_renamed_column_is_computed_anew(tmp_path: Path) -> None:
    unit, store = Unit("toy", "toy:run", {"seed": 1}), open_store(tmp_path / "out")
    store.write(unit, FRAME, 1.0)
    stamp = store.stamp(unit)
    assert (stamp["status"], stamp["format"]) == ("finished", 1)
    write_parquet(FRAME.rename(columns={"return": "retrun"}), store.path(unit), stamp)
    assert store.state(unit) == "damaged"


def test_one_bit_of_a_units_weights_counts(tmp_path: Path) -> None:
    unit, store = Unit("toy", "toy:run", {"seed": 1}), open_store(tmp_path / "out")
    weights = store.folder_of(unit) / "agent.safetensors"
    weights.write_bytes(b"x" * 100)
    for left in (".agent-0123456789ab.safetensors", "checkpoint.safetensors.damaged"):
        weights.with_name(left).write_text("of a killed worker")
    store.write(unit, FRAME, 1.0)
    assert list(store.stamp(unit)["files"]) == [f"work/{unit.name}/{weights.name}"]
    assert store.state(unit) == "done"
    flip(weights)
    assert store.state(unit) == "damaged"


@pytest.mark.parametrize("place", ["", "models", "models/mine"])
def test_results_do_not_go_into_the_cache(place: str) -> None:
    with pytest.raises(UsageError, match="choose another place"):
        open_store(home() / place)


@pytest.mark.parametrize(
    "command",
    [
        "benchmark sardine",
        "compare Workbench-v0 --policies random,popularity",
        "diagnose Workbench-v0",
        "export runs/x",
        "fit movielens-100k",
        "refit runs/x movielens-100k",
        "simulate Workbench-v0 --policy random",
        "train slateq --world Workbench-v0",
    ],
)
def test_where_results_go_is_checked_before_anything_else(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for where in ("", str(home() / "models")):
        assert answer(build, [*command.split(), "--out", where]) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: Invalid value for '--out': ") and said.count("\n") == 1
