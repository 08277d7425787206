"""What training did not clearly improve is not served."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from small_worlds import fixed_world, plain_taste

from slategym.agents.core.step_back import Served, as_json, decide, from_json, paired_interval
from slategym.agents.policies import supervised
from slategym.agents.policy_gradient.ppo import PlackettLuce, PPOSettings
from slategym.agents.types import Action
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.types import Observation, World

SHORT = PPOSettings(num_steps=7_680, num_users=64, rollout=10, minibatch=160, learning_rate=5e-3)
WILD = replace(SHORT, num_steps=640, learning_rate=3.0)  # moves far, and anywhere


@dataclass(frozen=True)
class Always:
    """The same slate for everybody."""

    items: tuple[int, ...]
    name: str = "always"
    privileged: bool = False

    def act(self, observation: Observation, luck: Luck) -> Action:
        """That."""
        return Action(torch.tensor(self.items, dtype=torch.int32).repeat(len(observation.step), 1))


def world_where(believed: list[float]) -> World:
    """Topic 1 is wanted, topic 0 is not; what the ranker believes is another matter."""
    taste = plain_taste([-2.0, -2.0, -2.0, 1.0, 1.0, 1.0], [-2.0] * 3 + [1.0] * 3)
    world = fixed_world(taste, [0, 0, 0, 1, 1, 1], believed, slate_size=2, horizon=10)
    chosen = {
        "ranker": {"heads": {"click": 1.0}, "nothing": None},
        "supervised": {"kind": "none", "strength": 0.0},
    }
    return replace(world, selection=lambda: world, chosen=chosen)


RIGHT, WRONG = [0.0, 0.0, 0.0, 1.0, 1.1, 1.2], [0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
GOOD, BAD, MIXED = Always((3, 4)), Always((0, 1)), Always((3, 0))


def slates(world: World, policy: PlackettLuce) -> torch.Tensor:
    user_B = torch.arange(8, dtype=torch.int32)
    session = engine.start(world, user_B, user_B, 0 * user_B)
    return policy.act(engine.observe(world, session), Luck.at(session.key, session.step)).slate


def test_selection_people_decide_for_each_seed() -> None:
    better, worse, same = decide(world_where(RIGHT), MIXED, [GOOD, BAD, MIXED], 10_000)
    assert (better.policy, worse.policy, same.policy) == ("trained", "start", "start")
    assert better.low > 0 > worse.high and same.gain == same.low == same.high == 0.0
    assert (better.sessions, better.people) == (64, 32)  # two arrivals of each
    assert "which is not clear" in str(same) and "+0.00 [+0.00, +0.00]" in str(same)


def test_without_selection_people_nobody_decides() -> None:
    world = replace(world_where(WRONG), selection=None)
    agent = PlackettLuce(world, SHORT).learn(world)
    assert agent.served == () and not torch.equal(
        slates(world, agent), slates(world, agent.at_start())
    )


def test_people_are_resampled_whole() -> None:
    """Ten sessions of each of two people say no more than one of each."""
    gain_x = torch.tensor([1.0, -0.5]).repeat_interleave(10).double()
    mean, low, high = paired_interval(gain_x, torch.tensor([0, 1]).repeat_interleave(10))
    assert (mean, low, high) == pytest.approx((0.25, -0.5, 1.0))
    assert paired_interval(gain_x, torch.zeros(20))[1:] == (-float("inf"), float("inf"))
    normal_x = torch.randn(400, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    mean, low, high = paired_interval(normal_x, torch.arange(400))
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.1)


def test_a_step_forward_is_served(tmp_path: Path) -> None:
    world = world_where(WRONG)
    agent = PlackettLuce(world, SHORT, seeds=[0, 1]).learn(world, folder=tmp_path)
    assert [one.policy for one in agent.served] == ["trained", "trained"]
    assert (slates(world, agent) == 3).any(1).all() and not (
        slates(world, agent.at_start()) == 3
    ).any()
    kept = json.loads((tmp_path / "agent.json").read_text())["served"]
    assert [one["policy"] for one in kept] == ["trained"] * 2 and kept[0]["low"] > 0
    assert PlackettLuce.load(tmp_path, world).served == agent.served


def test_a_step_back_is_not_served_and_training_goes_on_from_it(tmp_path: Path) -> None:
    world = world_where(RIGHT)
    agent = PlackettLuce(world, WILD).learn(world, folder=tmp_path)
    assert agent.served[0].policy == "start" and agent.served[0].gain <= 0
    theirs = supervised(world).act(*_first(world)).slate
    trained = {name: x.clone() for name, x in agent.policy.weights.items()}
    for served in (agent, PlackettLuce.load(tmp_path, world)):
        assert torch.equal(slates(world, served), theirs)
        assert not torch.equal(
            served.weights()["network.topics.4.weight"], trained["network.topics.4.weight"]
        )
    again = PlackettLuce(world, WILD)
    again.learn(world, folder=tmp_path)  # is done already: decides the same once more
    assert again.served == agent.served
    for name, x in again.policy.weights.items():
        assert torch.equal(x, trained[name])


def _first(world: World) -> tuple[Observation, Luck]:
    user_B = torch.arange(8, dtype=torch.int32)
    session = engine.start(world, user_B, user_B, 0 * user_B)
    return engine.observe(world, session), Luck.at(session.key, session.step)


def test_of_one_person_there_is_no_interval_in_what_is_kept() -> None:
    one = Served("start", 0.25, -float("inf"), float("inf"), 1, 64, "a world")
    kept = as_json([one, replace(one, low=-0.5, high=1.0)])
    assert [(x["low"], x["high"]) for x in kept] == [(None, None), (-0.5, 1.0)]
    assert from_json(json.loads(json.dumps(kept, allow_nan=False)))[0] == one
    assert "gained +0.25 without an interval" in str(one)
