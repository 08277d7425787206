"""`slategym search` from its words to its table, in a small world."""

from __future__ import annotations

import importlib.util
import json

import pytest
import typer
from typer.testing import CliRunner

from slategym.envs.names import UsageError
from slategym.experiments.cli.commands import search

app = typer.Typer()
search.register(app)
WORDS = ("slateq", "--world", "Workbench-v0", "--trials", "2", "--slates", "400")


def call(out, *more):
    return CliRunner().invoke(app, [*WORDS, "--workers", "0", "--out", str(out), *more])


def test_settings_are_found_told_and_kept(tmp_path):
    pytest.importorskip("optuna", reason="needs the extra search")
    out = tmp_path / "found"
    told = call(out)
    assert told.exit_code == 0, told.output
    (found,) = json.loads((out / "found.json").read_text("utf-8"))
    assert found["policy"] == "slateq" and found["trials"] == 2 and found["slates"] == 800
    assert "learning_rate" in found["setting"] and f"{found['mean']:.2f}" in told.output
    before = {path: path.stat().st_mtime_ns for path in (out / "units").glob("*")}
    assert before
    again = call(out, "--json")  # nothing is computed twice
    assert again.exit_code == 0 and json.loads(again.stdout) == [found]
    assert before == {path: path.stat().st_mtime_ns for path in (out / "units").glob("*")}


def test_without_optuna_it_is_one_line(tmp_path, monkeypatch):
    known = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "optuna" else known(name, *a)
    )
    said = call(tmp_path / "found").exception
    assert isinstance(said, UsageError) and "pip install 'slategym[search]'" in str(said)
