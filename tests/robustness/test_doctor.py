"""slategym doctor says what is whole, changes nothing, and knows what to do."""

from __future__ import annotations

import json
import os
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
from slategym.agents.registry import make_policy
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.experiments.cli.export_files import write_export
from slategym.experiments.cli.main import answer, build
from slategym.experiments.doctor import Finding, examine
from slategym.experiments.measure.log_folder import write_log_folder
from slategym.experiments.measure.play import play
from slategym.experiments.measure.slate_log import writing
from slategym.experiments.measure.training import Home, Training
from slategym.experiments.runs.store import open_store, write_json, write_parquet
from slategym.experiments.runs.units import Unit
from slategym.models.checksums import sha256_of
from slategym.models.data.folder import CHECKSUMS, WRITING
from slategym.models.files import checked_path, home, kept, kept_path
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


def test_what_a_run_wrote_when_it_was_done() -> None:
    store = open_store(home().parent / "out")
    for name in ("rows.parquet", "curves.parquet"):
        write_parquet(pd.DataFrame({"x": np.arange(9)}), store.folder / name)
    files = [
        {"name": name, "sha256": sha256_of(store.folder / name)}
        for name in ("rows.parquet", "curves.parquet")
    ]
    write_json({"places": []}, store.folder / "study.json")
    write_json({"files": files}, store.folder / "summary.json")
    with checked_path(store.folder / "report.html") as page:
        page.write_text("<p>28.0</p>")
    store.status("finished")
    found = states(store.folder)
    names = ("status.json", "study.json", "summary.json", "rows.parquet", "curves.parquet")
    assert found == dict.fromkeys((*names, "report.html"), "whole")
    for name in ("rows.parquet", "report.html"):
        flip(store.folder / name)
    (store.folder / "study.json").write_text("{")
    (store.folder / "curves.parquet").unlink()
    (store.folder / "gone.html.sha256").write_text("of no file")
    after = states(store.folder)
    assert {name for name, state in after.items() if state == "damaged"} == {
        *("rows.parquet", "curves.parquet", "report.html", "study.json")
    }
    assert after["gone.html.sha256"] == "left over"
    for files in (5, [5], [{}], {"name": "x"}):  # checksums of a stranger's numbers are right
        write_json({"files": files}, store.folder / "summary.json")
        assert states(store.folder)["summary.json"] == "damaged"


def test_a_log_its_slates_and_somebodys_own(tmp_path: Path) -> None:
    world = make_world("Workbench-v0", num_items=8, slate_size=2, horizon=3)
    slates, log = tmp_path / "slates" / "slates.parquet", tmp_path / "log"
    with writing(world, slates, {"world": world.name}) as file:
        play(world, make_policy("random", world), torch.arange(4), seed=0, on_slate=file.add)
    write_log_folder(world, slates, log)
    tables = ("events.parquet", "items.parquet", "users.parquet", "log.toml")
    assert states(log) == dict.fromkeys(tables, "whole")
    assert states(slates.parent) == {"slates.parquet": "whole"}
    assert [one.state for one in examine(slates)] == ["whole"]
    flip(log / "events.parquet")
    flip(slates)
    (log / "users.parquet").unlink()
    with (log / "log.toml").open("a") as file:
        file.write("# mine\n")
    assert states(log) == {
        "events.parquet": "damaged",
        "items.parquet": "whole",
        "users.parquet": "damaged",
        "log.toml": "unchecked",  # for its owner to correct
    }
    assert states(slates.parent) == {"slates.parquet": "damaged"}
    (log / CHECKSUMS).write_text("../x\n")
    assert states(log) == {CHECKSUMS: "damaged"}
    (log / CHECKSUMS).unlink()
    assert set(states(log).values()) == {"unchecked"}
    (log / WRITING).touch()
    assert states(log) == {".": "unfinished"}


def test_an_exported_policy(tmp_path: Path) -> None:
    where = Home("Workbench-v0", {"num_items": 8, "slate_size": 2})
    write_export("popularity", tmp_path / "policy", home=where)
    assert states(tmp_path / "policy") == {".": "whole"}
    flip(tmp_path / "policy" / "policy.pt")
    assert states(tmp_path / "policy") == {".": "damaged"}
    write_export("popularity", tmp_path / "policy", home=where)
    for text in ("[]", '{"sha256": 5}', '{"sha256": "x"}'):
        (tmp_path / "policy" / "policy.json").write_text(text)
        assert states(tmp_path / "policy") == {".": "damaged"}


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
    assert "is no cache, run, model, trained agent, policy or log" in capsys.readouterr().err


def test_what_is_no_file_is_not_whole(tmp_path: Path) -> None:
    for name in ("numbers.json", "table.json", "page.json"):
        with checked_path(tmp_path / name) as temporary:
            temporary.write_text(name)
    (tmp_path / "table.json").unlink()
    os.mkfifo(tmp_path / "table.json")
    (tmp_path / "page.json.sha256").unlink()
    os.mkfifo(tmp_path / "page.json.sha256")
    expected = {"numbers.json": "whole", "table.json": "damaged", "page.json": "damaged"}
    assert states(tmp_path) == expected
