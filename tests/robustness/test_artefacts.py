"""Whatever is kept says which format it has and how it stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet
import pytest
import torch
from safetensors import safe_open
from small_agents import Counting, CountingSettings
from small_worlds import small_log

from slategym.agents.core.files import ABOUT, BEGUN, CHECKPOINT, WEIGHTS
from slategym.agents.entries import POLICIES, PolicyEntry
from slategym.agents.registry import make_policy
from slategym.agents.serving.serve import Policy
from slategym.envs.registry import make_world
from slategym.experiments.cli.export_files import write_export
from slategym.experiments.cli.main import answer, build
from slategym.experiments.measure.log_folder import write_log_folder
from slategym.experiments.measure.play import play
from slategym.experiments.measure.slate_log import ABOUT as ABOUT_SLATES
from slategym.experiments.measure.slate_log import writing
from slategym.experiments.measure.training import Home, Training
from slategym.experiments.report.markup import Html
from slategym.experiments.report.page import page
from slategym.experiments.runs.store import STAMP, STATUS, open_store, write_json, write_parquet
from slategym.experiments.runs.units import Unit
from slategym.models.checksums import FINISHED, checksum_path
from slategym.models.data.folder import load_folder, write_folder
from slategym.models.files import kept, place_of
from slategym.models.tensor_files import load_checkpoint

SARDINE = "Sardine-SlateTopK-Bored-v0"


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = f"{Counting.__module__}:Counting"
    monkeypatch.setitem(POLICIES, "counting", PolicyEntry("learner", "counts", None, path))
    monkeypatch.setenv("SLATEGYM_HOME", str(tmp_path / "home"))


def json_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def json_of_list(path: Path) -> list[Any]:
    found: list[Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def stands(values: dict[str, Any], status: str = "finished") -> None:
    """They have a format, and that status."""
    assert values["status"] == status and values["format"] in (*range(1, 20), "1"), values


def in_parquet(path: Path, key: bytes = STAMP) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(pyarrow.parquet.read_schema(path).metadata[key])
    return found


def test_a_training_its_checkpoint_and_its_agent(tmp_path: Path) -> None:
    training = Training(
        "counting", SARDINE, {"num_items": 50}, CountingSettings(num_steps=160, num_users=8), (0,)
    )
    seen = []

    def meanwhile(*_: object) -> None:
        if (tmp_path / CHECKPOINT).is_file():
            found = load_checkpoint(tmp_path / CHECKPOINT)
            assert found is not None
            stands(found[1], "training")
            stands(json_of(tmp_path / BEGUN), "training")
            seen.append(True)

    training.run(tmp_path, callback=meanwhile, checkpoint_every=0.0)
    assert seen
    stands(json_of(tmp_path / ABOUT))
    with safe_open(tmp_path / WEIGHTS, framework="pt") as file:
        assert file.metadata() == {"format": "pt"}  # as the Hugging Face hub reads weights
    stands(json_of(tmp_path / BEGUN))


def test_the_cache() -> None:
    kept("constants/choice", 1, lambda: 5)
    assert checksum_path(place_of("constants/choice.json", 1)).read_text().startswith(FINISHED)
    assert FINISHED.startswith("# slategym format 1: finished")


def test_a_run_its_units_and_its_tables(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    table, number = Unit("table", "toy:run", {}), Unit("number", "toy:run", {}, (), "json")
    store.write(table, pd.DataFrame({"x": [1.0]}), 1.0)
    store.write(number, {"x": 1.0}, 1.0)
    stands(in_parquet(store.path(table)))
    stands(json_of(store.path(number)))
    for status in ("running", "finished", "failed", "killed"):
        store.status(status)
        stands(json_of(tmp_path / STATUS), status)
    write_json({"places": []}, tmp_path / "study.json")
    write_parquet(pd.DataFrame({"x": [1.0]}), tmp_path / "rows.parquet")
    stands(json_of(tmp_path / "study.json"))
    stands(in_parquet(tmp_path / "rows.parquet"))
    assert '<meta name="slategym" content="format 1: finished">' in page("t", Html(""), [], [])


def test_logs(tmp_path: Path) -> None:
    """What a world wrote, what a log was written as; both are read as before."""
    world = make_world("Workbench-v0", num_items=8, slate_size=2, horizon=3)
    slates = tmp_path / "slates.parquet"
    with writing(world, slates, {"world": world.name}) as log:
        play(world, make_policy("random", world), torch.arange(4), seed=0, on_slate=log.add)
    stands(in_parquet(slates, ABOUT_SLATES))
    folder = write_log_folder(world, slates, tmp_path / "log")
    stands(in_parquet(folder / "events.parquet", ABOUT_SLATES))
    again = write_folder(small_log(num_items=12), tmp_path / "again", "csv")
    for place in (folder, again):
        assert (place / "log.toml").read_text().startswith(FINISHED)
        assert load_folder(place)


def test_an_export(tmp_path: Path) -> None:
    home = Home("Workbench-v0", {"num_items": 8, "slate_size": 2})
    write_export("popularity", tmp_path / "policy", home=home)
    about = tmp_path / "policy" / "policy.json"
    stands(json_of(about))
    assert Policy(about.parent)(json_of_list(about.with_name("examples.json"))[:1])
    about.write_text(about.read_text().replace('"num_items": 8', '"num_items": 9'))
    with pytest.raises(ValueError, match=r"policy\.json was altered; export the policy again"):
        Policy(about.parent)


def test_numbers_written_by_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "found.json"
    call = ["diagnose", "Workbench-v0", "--users", "2", "--rollouts", "1", "--out", str(out)]
    assert answer(build, [*call, "--set", "horizon=2", "--set", "num_items=6"]) == 0
    stands(json_of(out))
