"""Folders from somebody else: pickles in place of files, names that lead out, words that act."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_agents import Counting, CountingSettings
from small_worlds import loud_bert

from slategym.agents.core.files import BEGUN, CHECKPOINT, WEIGHTS
from slategym.agents.entries import POLICIES, PolicyEntry
from slategym.agents.registry import load_agent
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.experiments.cli.main import answer, build
from slategym.experiments.measure.offline import read_slates
from slategym.experiments.measure.training import Training
from slategym.experiments.runs.store import STATUS, Store, open_store, write_parquet
from slategym.experiments.runs.units import Unit
from slategym.models.checksums import (
    Damaged,
    checksum_lines,
    checksum_path,
    inside,
    sha256_of,
    with_checksum,
)
from slategym.models.files import kept, place_of
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.tensor_files import load_checkpoint

WORLD = "Sardine-SlateTopK-Bored-v0"
ACTS = "\x1b]0;owned\x07[/b][link=http://x]here"  # upon a terminal, and upon rich markup


class Evil:
    """Leaves a mark where it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, ("PWNED", "w")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLATEGYM_HOME", str(tmp_path / "home"))
    entry = PolicyEntry("learner", "counts", None, f"{Counting.__module__}:Counting")
    monkeypatch.setitem(POLICIES, "counting", entry)
    yield
    assert not Path("PWNED").exists()


def put_pickle(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(Evil()))
    return path


def trained(folder: Path) -> Training:
    settings = CountingSettings(num_steps=160, num_users=4)
    training = Training("counting", WORLD, {"num_items": 50}, settings, (0,))
    training.run(folder, checkpoint_every=0.0)
    return training


def state_anew(folder: Path, name: str, **values: object) -> None:
    """As somebody does who may write into the folder: with checksums that are right."""
    path = folder / name
    told = json.loads(path.read_text()) | values
    path.write_text(json.dumps(with_checksum(told)))


def test_a_pickle_would_leave_a_mark() -> None:
    pickle.loads(pickle.dumps(Evil())).close()
    assert Path("PWNED").exists()
    Path("PWNED").unlink()


def test_pickles_in_an_agents_folder_do_not_run(tmp_path: Path) -> None:
    training = trained(tmp_path / "run")
    weights = put_pickle(tmp_path / "run" / WEIGHTS)
    state_anew(tmp_path / "run", "agent.json", sha256={WEIGHTS: sha256_of(weights)})
    with pytest.raises((UsageError, ValueError)):
        load_agent(tmp_path / "run", make_world(WORLD, num_items=50))
    shutil.rmtree(tmp_path / "run")
    training = trained(tmp_path / "run")
    for name in (WEIGHTS, CHECKPOINT, "checkpoint-before.safetensors"):
        put_pickle(tmp_path / "run" / name)
    (tmp_path / "run" / "agent.json").unlink()
    training.run(tmp_path / "run")  # the checkpoint is set aside
    assert load_checkpoint(put_pickle(tmp_path / "alone.safetensors")) is None


def test_pickles_in_a_model_and_in_the_cache_do_not_run(tmp_path: Path) -> None:
    loud_bert(12).save_pretrained(tmp_path / "model")
    weights = put_pickle(tmp_path / "model" / "model.safetensors")
    told = json.loads((tmp_path / "model" / "config.json").read_text())["sha256"]
    hashes = told | {"model.safetensors": sha256_of(weights)}
    state_anew(tmp_path / "model", "config.json", sha256=hashes)
    with pytest.raises(Exception, match=r"(?i)header|safetensors|invalid"):
        MultiTaskBert.from_pretrained(tmp_path / "model")
    kept("constants/choice", 1, lambda: 5)
    path = put_pickle(place_of("constants/choice.json", 1))
    checksum_path(path).write_text(checksum_lines(path, path.name))
    assert kept("constants/choice", 1, lambda: 5) == 5


def test_pickles_among_the_results_of_a_run_do_not_run(tmp_path: Path) -> None:
    unit = Unit("one", "somewhere:f", {}, ())
    store = open_store(tmp_path / "out")
    store.write(unit, pd.DataFrame({"x": [1.0]}), 1.0)
    path = put_pickle(store.path(unit))
    checksum_path(path).write_text(checksum_lines(path, path.name))
    assert store.state(unit) == "damaged"
    with pytest.raises(UsageError, match="is no log of slates"):
        read_slates(put_pickle(tmp_path / "slates.parquet"))
    Path("log").mkdir()
    put_pickle(Path("log/events.parquet"))
    assert answer(build, ["data", "check", "log"]) != 0


@pytest.mark.parametrize("name", ["../mine.txt", "/dev/zero", "link"])
def test_a_run_names_no_file_outside_of_its_folder(name: str, tmp_path: Path) -> None:
    """Not even to read it: /dev/zero would be read for ever."""
    mine = tmp_path / "mine.txt"
    mine.write_text("")
    unit, store = Unit("one", "somewhere:f", {}, ()), open_store(tmp_path / "out")
    store.write(unit, pd.DataFrame({"x": [1.0]}), 1.0)
    (tmp_path / "out" / "link").symlink_to("/dev/zero")
    stamp = store.stamp(unit) | {"files": {name: 0}, "hashes": {name: sha256(b"").hexdigest()}}
    path = store.path(unit)
    write_parquet(pd.DataFrame({"x": [1.0]}), path, stamp)
    checksum_path(path).write_text(checksum_lines(path, path.name))
    assert store.state(unit) == "damaged"


def test_nor_does_a_model_or_an_agent(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    trained(tmp_path / "run")
    state_anew(tmp_path / "run", "agent.json", sha256={"../mine.txt": sha256_of(mine)})
    with pytest.raises(UsageError, match="lies outside"):
        load_agent(tmp_path / "run", make_world(WORLD, num_items=50))
    loud_bert(12).save_pretrained(tmp_path / "model")
    state_anew(tmp_path / "model", "config.json", sha256={"../mine.txt": sha256_of(mine)})
    with pytest.raises(Damaged, match="lies outside"):
        MultiTaskBert.from_pretrained(tmp_path / "model")


def test_links_in_a_run_folder_lead_to_no_harm(tmp_path: Path) -> None:
    """What looks half written is removed; what it links to is not."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / ".half-0123456789ab").write_text("mine")
    out = tmp_path / "out"
    store = open_store(out)
    (out / "work").mkdir()
    (out / "work" / ".half-0123456789ab").symlink_to(mine)
    (out / "work" / "unit").symlink_to(mine)
    with store.lock():
        pass
    assert (mine / ".half-0123456789ab").read_text() == "mine"
    assert not (out / "work" / ".half-0123456789ab").is_symlink()


def test_words_of_a_folder_do_not_act_upon_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`slategym doctor` prints names, reasons and paths that others chose."""
    out = tmp_path / "out"
    Store(out).folder.mkdir()
    (out / "units").mkdir()
    (out / "units" / ACTS.replace("/", "")).write_text("")
    values = {"format": 1, "status": ACTS, "reason": ACTS}
    (out / STATUS).write_text(json.dumps(with_checksum(values)))
    trained(tmp_path / "run")
    state_anew(tmp_path / "run", BEGUN, status=ACTS)
    (tmp_path / "run" / "agent.json").unlink()
    for folder in (out, tmp_path / "run"):
        answer(build, ["doctor", str(folder)])
        said = "".join(capsys.readouterr())
        assert "owned" in said and "\x1b]0" not in said and "\x07" not in said
        assert "[/b]" in said or "[b]" in said


def test_a_strangers_settings_are_checked_as_everybodys(tmp_path: Path) -> None:
    """Sizes that would take the machine, kinds that are none."""
    trained(tmp_path / "run")
    for wrong in ({"num_items": 10**12}, {"num_items": "many"}, {"nothing": 1}):
        about = json.loads((tmp_path / "run" / "agent.json").read_text())["about"]
        changed = about | {"world_settings": wrong}
        state_anew(tmp_path / "run", "agent.json", about=changed)
        call = ["simulate", WORLD, "--policy", "run", "--users", "4"]
        assert answer(build, call) == 2


def test_an_agent_of_any_size_is_one_line(tmp_path: Path) -> None:
    """A replay buffer, layers of 10^9: one line that names the file, and no raw words."""
    world = make_world("InterestEvolution-v0")
    for name, settings in (("hac", {"buffer": 10**9}), ("proto-sac", {"hidden": [10**9, 10**9]})):
        about = {
            "agent": name,
            "about": {},
            "seeds": [0],
            "steps": 1,
            "slate_size": world.slate_size,
        }
        (tmp_path / "agent.json").write_text(json.dumps(about | {"settings": settings}))
        (tmp_path / WEIGHTS).write_bytes(b"\x02\0\0\0\0\0\0\0{}")
        with pytest.raises(UsageError, match=r"agent\.json describes an agent that cannot be made"):
            load_agent(tmp_path, world)


def test_the_hubs_own_cache_is_read_and_no_further(tmp_path: Path) -> None:
    """There a repository's files are links into blobs, beside its snapshots."""
    run = tmp_path / "run"
    trained(run)
    repository = tmp_path / "hub" / "models--me--agent"
    snapshot, blobs = repository / "snapshots" / ("a" * 40), repository / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for name in ("agent.json", WEIGHTS):
        shutil.copy(run / name, blobs / name)
        (snapshot / name).symlink_to(Path("../../blobs") / name)
    world = make_world(WORLD, num_items=50)
    assert load_agent(snapshot, world).steps == load_agent(run, world).steps
    (blobs / WEIGHTS).unlink()
    (blobs / WEIGHTS).symlink_to(run / WEIGHTS)  # a link that leads on
    with pytest.raises(UsageError, match="lies outside"):
        load_agent(snapshot, world)
    with pytest.raises(Damaged, match="lies outside"):
        inside(snapshot, f"../../blobs/{WEIGHTS}")


class Stranger:
    """A model's folder whose writer keeps its checksums right."""

    def __init__(self, folder: Path) -> None:
        loud_bert(12).save_pretrained(folder)
        self.folder = folder
        self.config = json.loads((folder / "config.json").read_text())
        self.weights = load_file(folder / "model.safetensors")

    def write(
        self,
        where: tuple[str | int, ...] = (),
        value: object = None,
        **weights: torch.Tensor | None,
    ) -> None:
        """With another value in config.json, and other tensors; None: without it."""
        config = json.loads(json.dumps(self.config))
        if where:
            node: Any = config
            for name in where[:-1]:
                node = node[name]
            node[where[-1]] = value
        found = {n: x for n, x in {**self.weights, **weights}.items() if x is not None}
        save_file(found, self.folder / "model.safetensors", metadata={"format": "pt"})
        config["sha256"]["model.safetensors"] = sha256_of(self.folder / "model.safetensors")
        (self.folder / "config.json").write_text(json.dumps(with_checksum(config)))


def refused(folder: Path) -> str:
    with pytest.raises(ValueError) as caught:
        MultiTaskBert.from_pretrained(folder)
    said = str(caught.value)
    assert isinstance(caught.value, UsageError | Damaged), repr(caught.value)
    assert "\n" not in said and len(said) < 500 and str(folder) in said, said
    return said


def test_weights_of_a_stranger_are_numbers_of_this_network(tmp_path: Path) -> None:
    stranger = Stranger(tmp_path / "model")
    MultiTaskBert.from_pretrained(stranger.folder)
    for name, value in stranger.weights.items():
        if value.is_floating_point():
            changed = value.clone()
            changed.view(-1)[-1] = float("nan")
            stranger.write(**{name: changed})
            assert f"{name} is not a number" in refused(stranger.folder)
    name = "item_bias_YN"
    stranger.write(**{name: None})
    assert f"lacks {name}" in refused(stranger.folder)
    stranger.write(zz=torch.ones(1))
    assert "holds zz" in refused(stranger.folder)
    stranger.write(**{name: torch.ones(1)})
    assert f"{name} is (1,), not (4, 12)" in refused(stranger.folder)


@pytest.mark.parametrize(
    ("where", "values"),
    [
        (("tasks",), ([], None, 5, [{}], [{"signal": ["click"], "fitted": {}}])),
        (("tasks", 0, "signal", 0), (7, None, [], "other")),  # the first is called click
        (("tasks", 1, "signal", 0), (7, None, "click")),
        (("tasks", 1, "signal", 1), (7, None, "x")),
        (("tasks", 1, "signal", 2), (7, None)),
        (("tasks", 1, "signal", 3), ("x", None, float("nan"), 10**9)),
        (("tasks", 1, "signal", 6), ("x", None, float("nan"))),
        (("tasks", 1, "fitted"), (None, {"zz": 1}, {"given": 7})),
        (("settings",), (None, [], {"depth": 2}, {"items": {"media": 5}}, {"text": {"rank": "x"}})),
        (("settings", "width"), (10**9, 2**70, -2, 0, "x", None, 2.5)),
        (("settings", "num_layers"), (10**9, -1, "x", None, [])),
        (("settings", "num_heads"), (10**9, 0, "x")),
        (("settings", "max_history"), (10**9, 0, "x")),
        (("settings", "dropout"), (float("nan"), -1, "x")),
        (("num_items",), (10**12, 2**70, -1, "x", None, 2.5)),
        (("num_slots",), (10**12, -1, "x", None)),
        (("profile_sizes",), ([10**12], [-1], "x", None, 5, [[]])),
        (("context",), ([["hour"]], [[5, [], "", 0, 1]], "x", 5)),
        (("text_width",), (10**12, -1, "x", None)),
        (("extra_widths",), ([10**12], 5, "x")),
        (("wide",), (5, {"blocks": 3}, "x")),
    ],
    ids=lambda x: ".".join(map(str, x)) if x and isinstance(x[0], str) else "",
)
def test_a_models_config_of_a_stranger_is_one_line(
    tmp_path: Path, where: tuple[str | int, ...], values: tuple[object, ...]
) -> None:
    """Whatever it says of sizes and kinds: refused before it takes memory, naming the folder."""
    stranger = Stranger(tmp_path / "model")
    for value in values:
        stranger.write(where, value)
        refused(stranger.folder)


def test_weights_of_a_strangers_agent_are_numbers_of_its_shapes(tmp_path: Path) -> None:
    trained(tmp_path / "run")
    world = make_world(WORLD, num_items=50)
    weights = load_file(tmp_path / "run" / WEIGHTS)
    ((name, value),) = weights.items()
    about = json.loads((tmp_path / "run" / "agent.json").read_text())
    nan = value.clone()
    nan.view(-1)[0] = float("nan")
    for changed in ({name: nan}, {name: value[:, :1]}, {name: value, "zz": value.clone()}, {}):
        save_file({n: x.contiguous() for n, x in changed.items()}, tmp_path / "run" / WEIGHTS)
        about["sha256"] = {WEIGHTS: sha256_of(tmp_path / "run" / WEIGHTS)}
        (tmp_path / "run" / "agent.json").write_text(json.dumps(with_checksum(about)))
        with pytest.raises(UsageError, match="does not fit") as caught:
            load_agent(tmp_path / "run", world)
        assert "\n" not in str(caught.value)
