"""slategym simulate with a trained learner: in its own world, as it serves and as it explores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_agents import Counting

from slategym.agents.core.random_slates import Random
from slategym.agents.registry import POLICIES, PolicyEntry
from slategym.agents.types import Action
from slategym.envs.luck import Luck
from slategym.envs.types import Observation
from slategym.experiments.cli.main import answer, build

WORLD = "Sardine-SlateTopK-Bored-v0"
PLAY = ["simulate", WORLD, "--policy", "trained", "--users", "12", "--device", "cpu"]


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    entry = PolicyEntry("learner", "counts", None, f"{Counting.__module__}:Counting")
    monkeypatch.setitem(POLICIES, "counting", entry)
    monkeypatch.chdir(tmp_path)
    yield


@pytest.fixture(autouse=True)
def trained(counting: None, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["train", "counting", "--world", WORLD, "--steps", "160", "--out", "trained"]
    assert answer(build, [*call, "--set", "num_items=50", "--set", "slate_size=4"]) == 0
    capsys.readouterr()


def test_the_world_is_that_of_training_and_this_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert answer(build, [*PLAY, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == "the world as in training: num_items=50, slate_size=4\n"
    summary = json.loads(out)
    assert summary["settings"] == {"num_items": 50, "slate_size": 4}
    assert summary["policy"] == "counting" and "explore" not in summary


def test_what_is_set_has_the_last_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(build, [*PLAY, "--set", "static=true", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["settings"] == {"num_items": 50, "slate_size": 4, "static": True}
    assert "static=true" in err
    assert answer(build, [*PLAY, "--set", "slate_size=5"]) == 2
    assert "was trained for slates of 4" in capsys.readouterr().err


def test_another_world_keeps_its_own_settings(capsys: pytest.CaptureFixture[str]) -> None:
    other = ["simulate", "Sardine-SlateTopK-BoredInf-v0", *PLAY[2:]]
    assert answer(build, other) == 2
    assert "pass slate_size=4" in capsys.readouterr().err


def test_exploring_is_logged_with_exact_propensities(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def explore(self: Counting, observation: Observation, luck: Luck) -> Action:
        return Random(self.world.num_candidates, self.world.slate_size).act(observation, luck)

    monkeypatch.setattr(Counting, "explore", explore)
    assert answer(build, [*PLAY, "--explore", "--out", "slates.parquet", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["explore"] is True
    log = pd.read_parquet("slates.parquet")
    np.testing.assert_allclose(log["propensity"], 1 / (50 * 49 * 48 * 47), rtol=1e-5)
    assert log["item"].nunique() == 50  # it explored


def test_a_log_that_could_not_be_exact_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(build, [*PLAY, "--explore"]) == 0
    capsys.readouterr()
    assert answer(build, [*PLAY, "--explore", "--out", "slates.parquet"]) == 2
    assert "counting cannot say how likely the slates are" in capsys.readouterr().err
    assert not Path("slates.parquet").exists()


def test_only_learners_explore(capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(build, ["simulate", WORLD, "--policy", "random", "--explore"]) == 2
    assert "--explore needs the folder of a trained learner" in capsys.readouterr().err


def test_an_unfinished_training_is_said_to_be_one(capsys: pytest.CaptureFixture[str]) -> None:
    Path("trained/agent.json").unlink()
    assert answer(build, PLAY) == 2
    assert "the training in trained is not finished" in capsys.readouterr().err
