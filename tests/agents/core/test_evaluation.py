"""A learner read while it learns: points with intervals, the best kept, an end in time."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from five_items import BEST, five_items
from small_agents import Counting, CountingSettings

from slategym.agents.core.agent import Progress
from slategym.agents.core.earned import earned
from slategym.agents.core.evaluation import Evaluation
from slategym.agents.core.step_back import LUCK
from slategym.envs.names import UsageError

FAST = CountingSettings(num_steps=2_000, learning_rate=0.2, explore_prob=0.3)


def test_it_is_read_as_it_learns_and_its_best_is_kept(tmp_path: Path) -> None:
    world = five_items()
    agent = Counting(world, FAST, seeds=[0, 1])
    told: list[int] = []
    watched = Evaluation(
        agent,
        world,
        every=400,
        sessions=50,
        folder=tmp_path,
        about={"world": "five"},
        tell=lambda steps, figures: told.append(steps),
    )
    agent.learn(world, callback=watched)
    steps = [point.steps for point in watched.points]
    assert steps == told and len(steps) >= 4 and steps[-1] == agent.steps
    assert all(b - a >= 400 or b == steps[-1] for a, b in itertools.pairwise(steps))
    last = watched.points[-1]
    user_x = torch.randperm(world.population.size, generator=torch.Generator().manual_seed(LUCK))
    by_hand = torch.stack(
        [earned(world, agent.of_seed(seed), user_x[:50].int(), LUCK) for seed in (0, 1)]
    ).mean(0)
    assert last.value == pytest.approx(float(by_hand.mean()))
    assert last.high - last.value == pytest.approx(1.96 * float(by_hand.std()) / 50**0.5, rel=1e-4)
    best = watched.best
    assert best is not None and best.value == max(point.value for point in watched.points)
    kept = Counting.load(tmp_path, world)
    assert kept.steps == best.steps
    found = json.loads((tmp_path / "evaluations.json").read_text())["points"]
    assert [point["steps"] for point in found] == steps
    assert set(kept.value_SN[0].topk(2).indices.tolist()) == BEST


def test_it_ends_where_nothing_is_gained() -> None:
    world = five_items()
    agent = Counting(world, replace(FAST, num_steps=100_000))
    watched = Evaluation(agent, world, every=100, sessions=20, patience=3)
    agent.learn(world, callback=watched)
    assert agent.steps < 50_000
    since = [point.best for point in watched.points][-4:]
    assert since == [True, False, False, False]


def test_people_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several arrivals of a person are one opinion, in mean and interval alike."""
    world = five_items()
    person = torch.tensor([0, 0, 0, 1], dtype=torch.int32)
    some = replace(world, population=replace(world.population, size=4, person=person))
    watched = Evaluation(Counting(some), some, every=1)
    value = {0: 1.0, 1: 2.0, 2: 3.0, 3: 10.0}
    monkeypatch.setattr(
        "slategym.agents.core.evaluation.earned",
        lambda world, policy, user_B, seed: torch.tensor([value[int(u)] for u in user_B]),
    )
    watched(Progress(10, 10, 0.0, {}))
    (point,) = watched.points
    assert point.value == 6.0  # (2 + 10) / 2
    assert point.high - point.value == pytest.approx(1.96 * 32**0.5 / 2**0.5)


@pytest.mark.parametrize("name", ["every", "sessions", "patience"])
def test_numbers_out_of_range_are_refused(name: str) -> None:
    world = five_items()
    with pytest.raises(UsageError, match=f"{name} must be at least"):
        Evaluation(Counting(world), world, **{name: -1})


def test_whose_people_are_asked() -> None:
    world = five_items()
    assert Evaluation(Counting(world)).world is world  # drawn from a luck of their own
    aside = replace(world, name="aside")
    assert Evaluation(Counting(replace(world, selection=lambda: aside))).world is aside
    logged = replace(world, population=replace(world.population, history=torch.zeros(9, 2).int()))
    with pytest.raises(UsageError, match="sets no selection people aside"):
        Evaluation(Counting(logged))
