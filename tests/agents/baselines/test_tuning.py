"""Tuning: the best of a grid, on other people than are read, once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from five_items import five_items

from slategym.agents.baselines import tuning
from slategym.agents.baselines.tuning import try_all, tuned
from slategym.agents.types import Action
from slategym.envs.luck import Luck
from slategym.envs.types import Observation, Population, World
from slategym.experiments.measure.play import play

SLATES = torch.tensor([[0, 2], [1, 4], [1, 3]], dtype=torch.int32)  # the middle one is best


@dataclass
class Fixed:
    """One slate, always; remembers how many it has shown."""

    which: int
    name: str = "fixed"
    privileged: bool = False
    shown: int = 0

    def act(self, observation: Observation, luck: Luck) -> Action:
        self.shown += len(observation.step)
        return Action(SLATES[self.which].expand(len(observation.step), -1))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SLATEGYM_HOME", str(tmp_path))
    yield tmp_path


@pytest.fixture
def world() -> World:
    return replace(five_items(), population=Population(size=600))


def make(world: World, which: float) -> Fixed:
    return Fixed(int(which))


def test_the_best_is_chosen_and_what_was_tried_is_told(world: World) -> None:
    policy = tuned(world, "best-of-three", make, (0, 1, 2))
    assert policy.inner == Fixed(1) and policy.name == "best-of-three"
    users = torch.arange(600, dtype=torch.int32)
    for which, told in policy.tried:
        rows = play(world, Fixed(int(which)), users, seed=tuning.LUCK)
        assert told == pytest.approx(rows["expected_return"].mean(), rel=1e-5)


def test_of_equals_the_first(world: World) -> None:
    policy = tuned(world, "equals", lambda w, strength: Fixed(1), (5.0, 7.0))
    assert policy.tried[0][1] == policy.tried[1][1]
    assert tuned(world, "order", make, (2, 1)).inner == Fixed(1)


def test_the_budget_is_kept(world: World) -> None:
    policies = [Fixed(0), Fixed(1)]
    try_all(world, policies, slates=1_000)
    assert [policy.shown for policy in policies] == [62 * 8, 62 * 8]


def test_it_is_done_once_for_worlds_alike(world: World, home: Path) -> None:
    tuned(world, "once", make, (0, 1))
    (path,) = (home / "constants").iterdir()
    kept = json.loads(path.read_text())
    kept["returns"]["0"] = 99.0
    path.write_text(json.dumps(kept))
    assert tuned(world, "once", make, (0, 1)).inner == Fixed(0)
    other = replace(world, objective=(2.0,))
    assert tuned(other, "once", make, (0, 1)).inner == Fixed(1)
    assert tuned(world, "once", make, (0, 1, 2)).inner == Fixed(1)


def test_other_people_decide_where_there_are_such(world: World) -> None:
    """The twin pays for what nobody clicks."""
    odd = replace(world, objective=(-1.0,))
    with_twin = replace(world, selection=lambda: odd)
    assert tuned(with_twin, "twin", make, (0, 1, 2)).inner == Fixed(0)
