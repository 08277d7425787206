"""Finished studies side by side, from their files."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from slategym.envs.names import UsageError
from slategym.experiments.cli.main import answer, build
from slategym.experiments.report.side_by_side import read_finished, side_by_side
from slategym.experiments.runs.store import write_json, write_parquet
from slategym.models.checksums import Damaged, sha256_of

PLACES = [
    {"name": "home", "role": "open", "strength": None, "group": "evaluation"},
    {"name": "twin", "role": "control", "strength": None, "group": "evaluation"},
]


def finished(folder: Path, lead: float, policies: tuple[str, ...] = ("random", "slateq")) -> Path:
    """Four people; the learner earns more by `lead` where it was trained."""
    rows = [
        {
            "policy": policy,
            "trained_in": trained,
            "seed": 0,
            "user": user,
            "person": user,
            "variant": "home",
            "group": "evaluation",
            "strength": float("nan"),
            "world": "slategym/Made-v0",
            "return": user + (lead if trained == "home" else 0.0),
        }
        for policy in policies
        for trained in ([""] if policy == "random" else ["home", "twin"])
        for user in range(4)
    ]
    write_parquet(pd.DataFrame(rows), folder / "rows.parquet")
    write_json({"study": "made", "places": PLACES}, folder / "study.json")
    summary = {
        "command": "slategym benchmark made",
        "verdict": f"Ahead by {lead}.",
        "outcomes": {"home": "planning wins"},
        "means": {"home": dict.fromkeys(policies, 0.0)},
        "environment": {"slategym": "0.1.0"},
        "files": [{"name": "rows.parquet", "sha256": sha256_of(folder / "rows.parquet")}],
    }
    write_json(summary, folder / "summary.json")
    return folder


def test_what_each_policy_earned_stands_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, lead in (("a", 2.0), ("b", 3.0)):
        finished(Path(name), lead)
    finished(Path("c"), 0.0, ("random",))
    assert answer(build, ["report", "a", "b", "c", "--json"]) == 0
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert [run["folder"] for run in runs] == ["a", "b", "c"]
    assert [run["means"]["home"]["random"]["value"] for run in runs] == [1.5] * 3
    # only what was trained there is read there
    assert [runs[n]["means"]["home"]["slateq"]["value"] for n in (0, 1)] == [3.5, 4.5]
    assert "slateq" not in runs[2]["means"]["home"]
    low, high = (runs[0]["means"]["home"]["slateq"][end] for end in ("low", "high"))
    assert low < 3.5 < high
    assert answer(build, ["report", "a", "b"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("slateq" in line and "3.50" in line and "4.50" in line for line in lines)
    assert "home: planning wins" in "\n".join(lines) and "Ahead by" not in "\n".join(lines)


def test_one_alone_says_its_verdict(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=100)
    side_by_side([read_finished(finished(tmp_path / "a", 2.0))], console)
    assert "Ahead by 2.0." in console.file.getvalue()  # type: ignore[attr-defined]


def test_what_is_no_finished_study_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        read_finished(tmp_path / "nope")
    with pytest.raises(UsageError, match="holds no study; give the folder that slategym benchmark"):
        read_finished(tmp_path)
    folder = finished(tmp_path / "a", 1.0)
    (folder / "summary.json").unlink()
    with pytest.raises(UsageError, match=r"not finished: there is no summary\.json"):
        read_finished(folder)


@pytest.mark.parametrize("name", ["rows.parquet", "summary.json", "study.json"])
def test_altered_results_are_not_read(name: str, tmp_path: Path) -> None:
    path = finished(tmp_path / "a", 1.0) / name
    data = path.read_bytes()
    at = data.rindex(b"home")  # of Parquet: in its footer, which has no checksum of its own
    path.write_bytes(data[:at] + b"hime" + data[at + 4 :])
    with pytest.raises(Damaged, match=f"{name} was altered"):
        read_finished(path.parent)
