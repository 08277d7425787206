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
from slategym.agents.entries import POLICIES, PolicyEntry
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


def test_a_folder_of_several_seeds_is_read_with_all_of_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call = ["train", "counting", "--world", WORLD, "--steps", "160", "--seeds", "3"]
    small = ["--set", "num_items=50", "--set", "slate_size=4"]
    assert answer(build, [*call, *small, "--out", "three"]) == 0
    play = [*PLAY[:3], "three", *PLAY[4:], "--json"]

    def said(*more: str, policy: str = "three") -> dict[str, object]:
        capsys.readouterr()
        assert answer(build, [*play[:3], policy, *play[4:], *more]) == 0
        found: dict[str, object] = json.loads(capsys.readouterr().out)
        return found

    together = said()
    alone = [said("--which-seed", str(seed)) for seed in (0, 1, 2)]
    assert together["training_seeds"] == [0, 1, 2] and alone[1]["training_seeds"] == [1]
    means = [one["return_mean"] for one in alone]
    assert len(set(means)) > 1 and together["users"] == alone[0]["users"] == 12
    assert together["return_mean"] == pytest.approx(np.mean(means), rel=1e-6)
    assert said(policy="three#2")["return_mean"] == means[2]
    between = np.var(means, ddof=1) / 3  # of the seeds alone; users come on top
    assert together["return_ci95"] > 1.96 * between**0.5
    for more, message in (
        (["--which-seed", "7"], "not among the training seeds of three: 0, 1, 2"),
        (["--out", "slates.parquet"], "choose one by --which-seed, of 0, 1, 2"),
    ):
        assert answer(build, [*play, *more]) == 2
        assert message in capsys.readouterr().err
    assert answer(build, [*play[:3], "three#1", *play[4:], "--which-seed", "1"]) == 2
    assert answer(build, [*play[:3], "random", *play[4:], "--which-seed", "1"]) == 2
    assert "none: it was not trained" in capsys.readouterr().err
    assert answer(build, play[:-1]) == 0
    assert "over 12 users and 3 training seeds" in capsys.readouterr().out


def test_what_comes_next_is_the_same_world_and_another_policy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for policy, other in (("random", "myopic"), ("popularity", "random")):
        call = ["simulate", WORLD, "--policy", policy, "--users", "12", "--set", "num_items=50"]
        assert answer(build, call) == 0
        said = f"next: slategym compare {WORLD} --set num_items=50 --policies {policy},{other}\n"
        assert said in capsys.readouterr().out
