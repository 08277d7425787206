"""Policies before the same people: paired differences, any world, names and folders alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from small_agents import Counting
from small_worlds import learned_world

import slategym as sg
from slategym.agents.entries import POLICIES, PolicyEntry
from slategym.envs.names import UsageError
from slategym.experiments.cli.main import answer, build
from slategym.experiments.measure.compare import comparison

WORLD = "Sardine-SlateTopK-Bored-v0"
SMALL = {"num_items": 50, "slate_size": 4}


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    entry = PolicyEntry("learner", "counts", None, f"{Counting.__module__}:Counting")
    monkeypatch.setitem(POLICIES, "counting", entry)
    monkeypatch.chdir(tmp_path)
    yield


def test_differences_are_taken_user_by_user() -> None:
    world = sg.make_world(WORLD, **SMALL)
    found = sg.compare(world, ["myopic", "random", "popularity"], users=40, seed=3)
    assert [(d.policy, d.minus) for d in found.differences] == [
        ("myopic", "random"),
        ("myopic", "popularity"),
        ("random", "popularity"),
    ]
    alone = {name: sg.play(world, name, 40, seed=3)["return"] for name in ("myopic", "random")}
    first = found.differences[0]
    assert first.estimate.value == pytest.approx((alone["myopic"] - alone["random"]).mean())
    half = 1.96 * (alone["myopic"] - alone["random"]).std() / 40**0.5
    assert first.estimate.high - first.estimate.low == pytest.approx(2 * half, rel=0.15)
    assert found.means["random"].value == pytest.approx(alone["random"].mean())
    assert first.clear and "myopic - random: +" in str(found) and "[95 % interval" in str(found)


def test_people_with_several_sessions_are_one_cluster() -> None:
    """Sessions that repeat their person's narrow no interval."""
    rng = np.random.default_rng(0)
    once = pd.DataFrame({"user": range(30), "person": range(30), "return": rng.normal(size=30)})
    often = pd.concat([once.assign(user=once["user"] + 30 * i) for i in range(4)])
    widths = {}
    for name, rows in (("once", once), ("often", often)):
        rows = rows.assign(policy="a", seed=0, trained_in="")
        other = rows.assign(policy="b", **{"return": 0.0})
        found = comparison("w", pd.concat([rows, other]))
        estimate = found.differences[0].estimate
        assert estimate.num_people == 30 and estimate.value == pytest.approx(once["return"].mean())
        widths[name] = estimate.high - estimate.low
    assert widths["often"] == pytest.approx(widths["once"])


def test_equal_policies_differ_by_nothing_and_that_is_not_called_clear() -> None:
    found = sg.compare("InterestEvolution-v0", ["random", "slategym.agents.policies:random"], 10)
    (difference,) = found.differences
    assert (
        difference.estimate.value == 0 and not difference.clear and "not clear" in str(difference)
    )


def test_rows_of_the_population_may_be_named() -> None:
    world = sg.make_world(WORLD, **SMALL)
    rows = sg.play(world, "random", torch.tensor([7, 3]), seed=0)
    assert rows["user"].tolist() == [7, 3]
    pd.testing.assert_frame_equal(rows, sg.play(world, "random", [7, 3]))
    pd.testing.assert_frame_equal(
        sg.play(world, "random", 8).iloc[[7, 3]].reset_index(drop=True), rows
    )


def test_what_cannot_be_is_refused() -> None:
    world = sg.make_world(WORLD, **SMALL)
    size = world.population.size
    for users, message in {
        0: r"users must be in \[1, ",
        size + 1: r"users must be in \[1, ",
        (): "one axis of integers",
        (0.5,): "one axis of integers",
        (-1,): r"rows of the population are in \[0, ",
        (size,): r"rows of the population are in \[0, ",
    }.items():
        with pytest.raises(UsageError, match=message):
            sg.play(world, "random", users)
    with pytest.raises(UsageError, match="two policies or more, got 1"):
        sg.compare(world, ["random"], 5)
    with pytest.raises(UsageError, match=r"a list, as \['random', 'myopic'\]; got 'random,myopic'"):
        sg.compare(world, "random,myopic", 5)
    with pytest.raises(UsageError, match="'random' is given twice"):
        sg.compare(world, ["random", "random"], 5)
    with pytest.raises(UsageError, match="settings are for a world given by name"):
        sg.compare(world, ["random", "myopic"], 5, settings={"seed": 1})
    with pytest.raises(UsageError, match="two users or more"):
        sg.compare(world, ["random", "myopic"], 1)


def test_a_trained_folder_is_compared_where_it_learned(capsys: pytest.CaptureFixture[str]) -> None:
    call = ["train", "counting", "--world", WORLD, "--steps", "160", "--device", "cpu"]
    for out, items in (("one", 50), ("two", 60)):
        more = ["--out", out, "--set", f"num_items={items}", "--set", "slate_size=4"]
        assert answer(build, [*call, *more]) == 0
    capsys.readouterr()
    words = ["compare", WORLD, "--policies", "one,random", "--users", "12", "--device", "cpu"]
    assert answer(build, [*words, "--json", "--out", "rows.parquet"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["notes"] == ["the world as in training: num_items=50, slate_size=4"]
    (difference,) = found["differences"]
    assert (difference["policy"], difference["minus"]) == ("one", "random")
    assert difference["low"] <= difference["value"] <= difference["high"]
    rows = pd.read_parquet("rows.parquet").pivot(index="user", columns="policy", values="return")
    assert difference["value"] == pytest.approx((rows["one"] - rows["random"]).mean())

    words[3] = "one,two"
    assert answer(build, words) == 2
    assert "one was trained with num_items=50, two with num_items=60" in capsys.readouterr().err


def test_a_folder_of_several_seeds_is_read_with_all() -> None:
    world = sg.make_world(WORLD, **SMALL)
    agent = Counting(world, Counting.default_settings(), seeds=[4, 7])
    agent.learn(world, num_steps=160, folder="several")
    for given in ("several", agent):
        found = sg.compare(world, [given, "random"], users=12)
        name = "several" if given == "several" else "counting"
        seeds = found.rows.groupby("policy")["seed"].unique()
        assert list(seeds[name]) == [4, 7] and len(seeds["random"]) == 1
        estimate = found.differences[0].estimate
        assert estimate.num_seeds == 2 and found.notes == (
            f"{name}: 2 training seeds; its intervals are over them, too",
        )
        one = [sg.play(world, agent.of_seed(seed), 12)["return"].mean() for seed in (4, 7)]
        random = sg.play(world, "random", 12)["return"].mean()
        assert estimate.value == pytest.approx(sum(one) / 2 - random)


def test_any_user_model_and_a_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", "Workbench-v0", "--policies", "popularity, random", "--users", "10"]
    assert answer(build, [*words, "--set", "users=boredom", "--set", "horizon=5"]) == 0
    out, err = capsys.readouterr()
    assert "popularity - random: " in out and "10 users (10 people)" in out and err == ""


@pytest.mark.parametrize(
    ("policies", "message"),
    [
        ("random,myopicc", "unknown policy 'myopicc'; did you mean 'myopic'"),
        ("random,runs/nope", "there is no folder runs/nope"),
        ("random", "two policies or more"),
    ],
)
def test_mistakes_are_answered(
    policies: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(build, ["compare", WORLD, "--policies", policies]) == 2
    assert message in capsys.readouterr().err


def test_what_was_tuned_of_a_policy_stands_beside_the_numbers() -> None:
    found = sg.compare(learned_world(), ["supervised", "ease", "supervised-untuned"], 10)
    ranker, own, classic = found.notes
    assert ranker.startswith("ranker: not tuned, there are no selection people; click 1, nothing")
    assert own.startswith("supervised: not tuned") and classic.startswith("ease: not tuned")
    assert str(found).endswith("\n".join(found.notes))
