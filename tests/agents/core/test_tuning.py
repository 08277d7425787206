"""Tuning: the best of a grid, on other people than are read, once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from five_items import five_items
from small_worlds import learned_world

from slategym.agents.core import tuning
from slategym.agents.core.tuning import (
    KEPT,
    WHOLE,
    Budget,
    Tuning,
    at_edge,
    best,
    halve,
    noted,
    once_per_world,
    said,
    shown_in,
    tune,
)
from slategym.agents.registry import make_policy
from slategym.agents.types import Action
from slategym.envs.luck import Luck
from slategym.envs.registry import make_world
from slategym.envs.types import Observation, Population, World
from slategym.envs.users.assumed import Assumed
from slategym.envs.users.patience import Patience
from slategym.envs.users.satiation import GenreSatiation
from slategym.experiments.measure.play import play
from slategym.models.checksums import checksum_lines, checksum_path

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
    """Nothing kept, and the rounds that users get (`conftest.py` leaves all but one out)."""
    monkeypatch.setenv("SLATEGYM_HOME", str(tmp_path))
    monkeypatch.setattr(tuning, "KEPT", KEPT)
    yield tmp_path


@pytest.fixture
def world() -> World:
    people = replace(five_items(), population=Population(size=600))
    return replace(people, selection=lambda: people)


def make(world: World, setting: Mapping[str, Any]) -> Fixed:
    return Fixed(setting["which"])


def settings(*which: int) -> list[dict[str, Any]]:
    return [{"which": w} for w in which]


def test_the_best_is_chosen_and_what_was_tried_is_told(world: World) -> None:
    found = tune(world, "best-of-three", settings(0, 1, 2), make, Budget(3_000))
    assert found.chosen == {"which": 1} and len(found.tried) == 3
    assert found.slates == 3_000 and found.where == world.name
    sessions = found.tried[1].sessions
    order = torch.randperm(600, generator=torch.Generator().manual_seed(tuning.LUCK))
    users = order[:sessions].sort().values.int()
    rows = play(world, Fixed(1), users, seed=tuning.LUCK)
    assert found.best_mean == pytest.approx(rows["expected_return"].mean(), rel=1e-5)
    assert str(found).startswith("best-of-three: which 1, the best of 3 settings on the selection")


def test_of_equals_the_first(world: World) -> None:
    equal = [{"which": 1, "other": x} for x in (5, 7)]
    found = tune(world, "equals", equal, make, Budget(1_000))
    assert found.tried[0].mean == found.tried[1].mean and found.chosen == equal[0]
    assert tune(world, "order", settings(2, 1), make, Budget(1_000)).chosen == {"which": 1}


@pytest.mark.parametrize("slates", [600, 5_000, 40_000])
def test_the_budget_is_kept_and_used(world: World, slates: int) -> None:
    policies = [Fixed(w % 3) for w in range(8)]
    told = list[int]()
    found = halve(world, policies, slates, told.append)
    shown = sum(policy.shown for policy in policies)
    assert 0.7 * slates < shown <= slates and told[-1] == shown
    assert [policy.shown for policy in policies] == [8 * sessions for sessions, _ in found]


def test_the_better_half_goes_on_before_the_same_people(world: World) -> None:
    found = halve(world, [Fixed(w) for w in (0, 1, 2, 0, 0, 0)], 20_000)
    sessions = [n for n, _ in found]
    assert sessions[1] == sessions[2] == max(sessions) > 2 * min(sessions)
    assert found[0] == found[3] == found[4] == found[5] or sessions[0] > sessions[5]
    rows = [tuning.Tried({}, *f) for f in found]
    assert best(rows) == rows[1]


def test_side_by_side_is_one_after_the_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    policies = [Fixed(0), Fixed(1), Fixed(2)]
    together = halve(world, policies, 6_000)
    monkeypatch.setattr(tuning, "BATCH", 10)
    apart = halve(world, policies, 6_000)
    for (n, mean), (m, other) in zip(together, apart, strict=True):
        assert n == m and mean == pytest.approx(other, rel=1e-6)


def test_people_come_again_with_other_luck() -> None:
    """Twenty people who change: their second session is another one."""
    few = learned_world()
    policy = make_policy("supervised-untuned", few)
    assert halve(few, [policy], 500)[0][0] > 20
    first, again, second = (tuning._earned(few, [policy], a, a + 20)[0][0] for a in (0, 0, 20))
    assert first == again != second


def test_it_is_done_once_for_worlds_alike(world: World, home: Path) -> None:
    tune(world, "once", settings(0, 1), make, Budget(1_000))
    (path,) = (home / "constants").glob("*.json")
    kept = json.loads(path.read_text())
    kept["tried"][0]["mean"] = 99.0
    path.write_text(json.dumps(kept))
    checksum_path(path).write_text(checksum_lines(path, path.name))
    assert tune(world, "once", settings(0, 1), make, Budget(1_000)).chosen == {"which": 0}
    other = replace(world, objective=(2.0,))
    other = replace(other, selection=lambda: replace(other, selection=None))
    assert tune(other, "once", settings(0, 1), make, Budget(1_000)).chosen == {"which": 1}
    assert tune(world, "once", settings(0, 1, 2), make, Budget(1_000)).chosen == {"which": 1}
    assert tune(world, "once", settings(0, 1), make, Budget(1_100)).chosen == {"which": 1}


def test_worlds_and_policies_that_differ_in_one_thing_are_told_apart() -> None:
    world = learned_world()
    assert isinstance(world.users, Assumed) and isinstance(world.users.satiation, GenreSatiation)
    bored = replace(world.users, satiation=replace(world.users.satiation, penalty=4.1))
    hasty = replace(world.users, patience=Patience(1.0))
    others = [replace(world, users=users) for users in (bored, hasty)]
    others += [replace(world, objective=(1.0, 1.1, 0.0)), replace(world, slate_size=2)]
    policy = make_policy("supervised-untuned", world)
    found = {shown_in(where, policy) for where in (world, *others)}
    assert len(found) == 5
    assert shown_in(replace(world), policy) in found  # an equal one
    assert shown_in(world, make_policy("random", world)) not in found


def test_selection_people_decide_and_no_others(world: World) -> None:
    """The twin pays for what nobody clicks."""
    odd = replace(world, objective=(-1.0,))
    with_twin = replace(world, selection=lambda: odd)
    assert tune(with_twin, "twin", settings(0, 1, 2), make, Budget(3_000)).chosen == {"which": 0}
    alone = replace(world, selection=None)
    found = tune(alone, "alone", settings(2, 1), make)
    assert found == Tuning("alone", {"which": 2})
    assert str(found) == "alone: not tuned, there are no selection people; which 2"


def test_what_was_chosen_elsewhere_stands(world: World) -> None:
    pinned = replace(world, chosen={"pinned": {"which": 2}})
    assert tune(pinned, "pinned", settings(0, 1), make) == Tuning(
        "pinned", {"which": 2}, untried="tuned elsewhere"
    )


def test_settings_may_follow_from_the_people_they_are_tried_on(world: World) -> None:
    seen = []

    def follow(where: World) -> list[dict[str, Any]]:
        seen.append(where)
        return settings(1, 0)

    assert tune(world, "follow", follow, make, Budget(1_000)).chosen == {"which": 1}
    assert world.selection is not None and seen == [world.selection()]


def test_a_setting_in_words() -> None:
    assert said({"fade": 0.85, "cap": 2, "nothing": None}) == "fade 0.85, cap 2, nothing none"


def test_an_edge_is_where_a_better_value_may_lie_beyond() -> None:
    tried = (0.0, 0.5, 1.0)
    assert at_edge("share", 1.0, tried) == "share at the edge: 1 is the highest tried"
    assert at_edge("share", 0.0, tried) == "share at the edge: 0 is the lowest tried"
    assert at_edge("share", 0.0, tried, ends=(0.0,)) == at_edge("share", 0.5, tried) == ""
    assert at_edge("share", 2.0, (2.0,)) == ""  # there was no choice
    assert noted("a", "", "b") == "a; b"


def test_a_world_that_lives_is_asked_once() -> None:
    asked: list[tuple[str, int]] = []

    @once_per_world
    def find(world: World, name: str, budget: Budget = WHOLE) -> Tuning:
        asked.append((name, budget.total))
        return Tuning(name, {})

    world = make_world("Workbench-v0")
    other = replace(world)  # equal, and another one
    for _ in range(2):
        find(world, "a")
        find(world, "b")
        find(world, "a", Budget(100))
        find(world, "a", budget=Budget(100))
        find(other, "a")
    total = WHOLE.total
    assert asked == [("a", total), ("b", total), ("a", 100), ("a", 100), ("a", total)]
