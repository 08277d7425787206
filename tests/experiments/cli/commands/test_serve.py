"""slategym serve: which policy of a folder, and a load run on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_agents import Counting

from slategym.agents.entries import POLICIES, PolicyEntry
from slategym.agents.serving import service
from slategym.envs.names import UsageError
from slategym.experiments.cli.main import answer, build
from slategym.experiments.cli.served_run import best_of_study, exported_in

WORLD = "Sardine-SlateTopK-Bored-v0"


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    entry = PolicyEntry("learner", "counts", None, f"{Counting.__module__}:Counting")
    monkeypatch.setitem(POLICIES, "counting", entry)
    monkeypatch.chdir(tmp_path)
    yield


def train(out: str, steps: str = "160") -> None:
    call = ["train", "counting", "--world", WORLD, "--steps", steps, "--out", out]
    assert answer(build, [*call, "--set", "num_items=50", "--set", "history_size=4"]) == 0


def study(folder: Path, means: dict[str, float]) -> None:
    folder.mkdir()
    place = {"name": "home", "role": "open", "world": f"slategym/{WORLD}", "settings": {}}
    (folder / "study.json").write_text(json.dumps({"places": [place]}))
    (folder / "summary.json").write_text(json.dumps({"means": {"home": means}}))


def test_a_training_is_exported_once_and_served(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("fastapi", reason="needs the extra serve")
    train("run")
    assert exported_in("run") is None
    for number in range(2):
        assert answer(build, ["serve", "run", "--load", "30"]) == 0
        out, err = capsys.readouterr()
        assert "30 requests, 8 at once, over 127.0.0.1: p50 " in out and "0 failed" in out
        assert ("exported to run/export" in err) == (number == 0)
    assert exported_in("run") == exported_in("run/export") == Path("run/export")
    assert exported_in("run", "onnxruntime") is None
    about = json.loads(Path("run/export/policy.json").read_text())
    about["slates_of_training"] = 100  # an earlier training's
    del about["checksum"]
    Path("run/export/policy.json").write_text(json.dumps(about))
    assert exported_in("run") is None


def test_the_best_of_a_study_is_no_reference() -> None:
    study(Path("runs"), {"random": 1.0, "myopic": 9.0, "popularity": 2.0})
    best = best_of_study("runs")
    assert best is not None and (best.policy, best.place, best.value) == ("popularity", "home", 2.0)
    assert (best.run, best.world) == ("popularity", f"slategym/{WORLD}")
    study(Path("learnt"), {"random": 1.0, "counting": 3.0})
    best = best_of_study("learnt")
    assert best is not None and best.policy == "random"  # the training is gone
    trained = Path("learnt/work/counting-home-seed-0-abc")
    train(str(trained))
    best = best_of_study("learnt")
    assert best is not None and best.run == str(trained)
    study(Path("own"), {"a name of the study's own": 9.0, "counting, late": 5.0, "random": 1.0})
    late = Path("own/work/counting, late-home-seed-0-abc")
    train(str(late))
    best = best_of_study("own")
    assert best is not None and (best.policy, best.run) == ("counting, late", str(late))
    study(Path("told"), {"myopic": 9.0})
    with pytest.raises(UsageError, match="has nothing to serve in home"):
        best_of_study("told")
    Path("told/summary.json").unlink()
    with pytest.raises(UsageError, match="a study without a result"):
        best_of_study("told")
    assert best_of_study("nowhere") is None


WRONG: list[tuple[list[str], str]] = [
    (["runs/nope"], "there is no folder runs/nope"),
    (["supervizd"], "did you mean 'supervised'"),
    (["popularity"], "popularity was not trained anywhere: say where it acts with --world"),
    (["popularity", "--world", WORLD], "say where to write with --out"),
    (["popularity", "--set", "seed=1"], "--set is for a world given with --world"),
    (["popularity", "--runtime", "tensorrt"], "unknown runtime 'tensorrt'"),
    (["random", "--world", WORLD, "--out", "x"], "draws its slates when it serves"),
    (["myopic", "--world", WORLD, "--out", "x"], "told what no real system knows"),
]


@pytest.mark.parametrize(("words", "line"), WRONG, ids=[line for _, line in WRONG])
def test_what_cannot_be_served_is_one_line(
    words: list[str],
    line: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "check_installed", lambda: None)
    assert answer(build, ["serve", *words]) == 2
    err: Any = capsys.readouterr().err
    assert line in err and err.count("\n") == 1


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"fastapi, uvicorn, .*pip install 'slategym\[serve\]'"):
        service.check_installed()
