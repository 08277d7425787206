"""slategym doctor says what is whole, changes nothing, and knows what to do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from small_agents import Counting, CountingSettings
from small_worlds import loud_bert

from slategym.agents.core.files import BEGUN, WEIGHTS
from slategym.agents.entries import POLICIES, PolicyEntry
from slategym.envs.names import UsageError
from slategym.experiments.cli.main import answer, build
from slategym.experiments.doctor import Finding, examine
from slategym.experiments.measure.training import Training
from slategym.experiments.runs.store import open_store
from slategym.experiments.runs.units import Unit
from slategym.models.files import home, kept, kept_path
from slategym.models.status import write_status
from slategym.models.tensor_files import save_checkpoint

WORLD = "Sardine-SlateTopK-Bored-v0"


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLATEGYM_HOME", str(tmp_path / "home"))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def states(folder: Path) -> dict[str, str]:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    found = {finding.path: finding.state for finding in examine(folder)}
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    return found


def test_the_cache() -> None:
    for number in (1, 2, 3):
        kept(f"constants/choice{number}", number, lambda: 5)

    def people(folder: Path) -> None:
        folder.mkdir()
        (folder / "config.json").write_text("{}")

    folder = kept_path("models/people", 1, people)
    loud_bert(12).save_pretrained(home() / "models" / "bert")
    loud_bert(12).save_pretrained(home() / "models" / "other")
    begun = home() / "models" / "begun"
    save_checkpoint(begun / "checkpoint.safetensors", {"x": torch.ones(1)}, {})
    (home() / "assets" / "movielens-100k").mkdir(parents=True)
    one, two, three = sorted((home() / "constants").glob("*.json"))
    flip(one)
    two.with_name(two.name + ".sha256").unlink()
    flip(home() / "models" / "other" / "model.safetensors")
    left = ".rows-0123456789ab.json"  # of a process that was killed while it wrote
    (home() / "constants" / left).write_text("half")
    found = states(home())
    assert found == {
        "assets/movielens-100k": "damaged",
        f"constants/{one.name}": "damaged",
        f"constants/{two.name}": "unchecked",
        f"constants/{three.name}": "whole",
        f"constants/{left}": "left over",
        f"models/{folder.name}": "whole",
        "models/bert": "whole",
        "models/other": "damaged",
        "models/begun": "unfinished",
    }


def test_a_run() -> None:
    store = open_store(home().parent / "out")
    frame = pd.DataFrame({"x": np.arange(9)})
    units = [Unit(f"toy {n}", "toy:run", {"seed": n}) for n in range(4)]
    for unit in units:
        (store.folder_of(unit) / "agent.bin").write_bytes(b"12345")
        store.write(unit, frame, 1.0)
    store.status("killed", "interrupted")
    flip(store.path(units[0]))
    flip(store.folder_of(units[1]) / "agent.bin")
    store.path(units[2]).unlink()
    (store.folder / "units" / "notes.md").write_text("mine")
    found = states(store.folder)
    assert found == {
        "status.json": "unfinished",
        f"units/{units[0].name}.parquet": "damaged",
        f"units/{units[1].name}.parquet": "damaged",
        f"units/{units[3].name}.parquet": "whole",
        f"work/{units[2].name}": "unfinished",
        "units/notes.md": "not ours",
    }


def test_a_training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    entry = PolicyEntry("learner", "counts", None, f"{Counting.__module__}:Counting")
    monkeypatch.setitem(POLICIES, "counting", entry)
    run, settings = tmp_path / "run", CountingSettings(num_steps=80, num_users=8)
    Training("counting", WORLD, {"num_items": 50}, settings).run(run)
    assert states(run) == {".": "whole", "checkpoint.safetensors": "whole"}
    flip(run / WEIGHTS)
    flip(run / "checkpoint.safetensors")
    assert states(run) == {".": "damaged", "checkpoint.safetensors": "damaged"}
    (run / BEGUN).write_text("")
    assert states(run)[BEGUN] == "damaged"
    shutil.rmtree(run)
    with pytest.raises(UsageError, match="no such folder"):
        states(run)


def test_a_fit(tmp_path: Path) -> None:
    """Under way, failed or killed: what its folder says until the model is whole."""
    folder = home() / "models" / "bert"
    for status, told in (
        ("training", "its fit is under way or was killed"),
        ("failed", "its fit failed: Diverged at epoch 2"),
    ):
        reason = "Diverged at epoch 2" if status == "failed" else ""
        write_status(folder / "fit.json", {"format": 7}, status, reason)
        for where in (home(), folder):
            (found,) = examine(where)
            assert (found.state, found.reason) == ("unfinished", told)
    (folder / "fit.json").unlink()
    loud_bert(12).save_pretrained(folder)
    assert [finding.state for finding in examine(folder)] == ["whole"]
    assert json.loads((folder / "config.json").read_text())["status"] == "finished"


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    model = tmp_path / "model[red]"
    loud_bert(12).save_pretrained(model)
    assert answer(build, ["doctor", str(model)]) == 0
    assert "whole: 1 model" in capsys.readouterr().out
    flip(model / "model.safetensors")
    assert answer(build, ["doctor", str(model)]) == 1
    out = capsys.readouterr().out
    assert "damaged: model . (" in out and "model.safetensors was altered" in out
    assert "call slategym fit again" in out and "[red]" in out
    assert answer(build, ["doctor", str(model), "--json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)["found"]
    assert Finding(**found).state == "damaged"
    assert answer(build, ["doctor", str(tmp_path)]) == 2
    assert "is no cache, run, model or trained agent" in capsys.readouterr().err
