"""A search: as many slates for each policy, resumed where it stopped."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from rich.console import Console

from slategym.agents.core.supervised import RANKER, SUPERVISED
from slategym.envs.names import UsageError
from slategym.experiments.measure.search import (
    Numbers,
    Search,
    Trial,
    Words,
    best,
    chosen_of,
    earned_in,
    search,
    space_of,
)
from slategym.experiments.measure.units import world_of
from slategym.experiments.runs.run import Summary, run_units
from slategym.experiments.runs.store import open_store
from slategym.experiments.runs.units import Unit

WORLD = "small_worlds:learned_world"
LEARNER = {"num_users": 8, "minibatch": 40, "rollout": 5}


def test_a_setting_of_supervised_is_what_worlds_keep_as_chosen() -> None:
    setting = {"click": 2.0, "share of like": 0.5, "kind": "mmr", "strength of mmr": 0.3}
    assert chosen_of(setting) == {
        RANKER: {"heads": {"click": 2.0, "like": 1.0}, "nothing": None},
        SUPERVISED: {"kind": "mmr", "strength": 0.3},
    }
    plain = chosen_of({"click": 1.0, "share of like": 0.0, "kind": "none", "strength of mmr": 0.3})
    assert plain[RANKER]["heads"] == {"click": 1.0}
    assert plain[SUPERVISED] == {"kind": "none", "strength": 0.0}


def test_what_is_searched_by_default() -> None:
    world = world_of(WORLD, {}, "cpu")
    space = space_of(SUPERVISED, world)
    assert space["click"] == Numbers(0.125, 4.0, log=True) and "share of like" in space
    assert isinstance(space["kind"], Words) and "none" in space["kind"].values
    assert space["strength of cap"] == Words((2.0, 1.0))  # of slates of three
    own = space_of("plackett-luce", world)
    rate = own["learning_rate"]
    assert isinstance(rate, Numbers) and math.isclose(rate.high / rate.low, 100.0) and rate.log
    assert "gamma" in own and "gamma" not in space_of("plackett-luce-gamma0", world)
    with pytest.raises(UsageError, match="plackett-luce"):
        space_of("plackett-lice", world)


def test_equal_budgets_resumed_and_the_best_is_taken(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="needs the extra search")
    store = open_store(tmp_path / "out")
    told: list[Summary] = []

    def run(units: list[Unit]) -> None:
        told.append(run_units(units, store, console=Console(quiet=True)))

    space = dict(space_of(SUPERVISED, world_of(WORLD, {}, "cpu")))
    fixed = {name: Words((value,)) for name, value in LEARNER.items()}
    asked = [
        Search(SUPERVISED, WORLD, {}, space, trials=4, slates=400, together=2),
        Search(
            "plackett-luce",
            WORLD,
            {},
            {"learning_rate": Numbers(1e-3, 1e-1, log=True), **fixed},
            trials=2,
            slates=400,
            together=2,
        ),
    ]
    found = [search(each, store, run) for each in asked]
    assert [len(trials) for trials in found] == [4, 2]
    for each, trials in zip(asked, found, strict=True):
        units = [each.unit(at, trial.setting) for at, trial in enumerate(trials)]
        assert {store.read(unit)["slates"] for unit in units} == {400}
        assert len({unit.id for unit in units}) == len(units)
        assert best(trials).mean == max(trial.mean for trial in trials)
    learned = store.read(asked[1].unit(0, found[1][0].setting))
    assert learned["trained"] == 300 and learned["sessions"] >= 16
    told.clear()
    assert [search(each, store, run) for each in asked] == found
    assert sum(summary.computed for summary in told) == 0


@pytest.mark.parametrize(
    "result",
    [{}, [], {"mean": "1", "sessions": 9}, {"mean": 10**400, "sessions": 9}, {"mean": 1.0}],
    ids=repr,
)
def test_a_trial_of_a_stranger_that_is_none_is_one_line(tmp_path: Path, result: object) -> None:
    """Its checksum is right, so that it counts as done."""
    store, asked = open_store(tmp_path / "out"), Search(SUPERVISED, WORLD, {}, {}, 1, 400)
    unit = asked.unit(0, {"click": 1.0})
    store.write(unit, result, 0.0)
    with pytest.raises(UsageError, match=r"is no trial's result.*delete it") as caught:
        earned_in(store, unit)
    said = str(caught.value)
    assert str(store.path(unit)) in said and "\n" not in said and len(said) < 600
    store.write(unit, {"mean": 2, "sessions": 9}, 0.0)
    assert earned_in(store, unit) == (2.0, 9)


def test_of_equals_the_first_is_best() -> None:
    trials = [Trial({"n": n}, mean, 10) for n, mean in enumerate((1.0, 3.0, 3.0))]
    assert best(trials).setting == {"n": 1}
