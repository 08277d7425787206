"""The control: a position per slot, its law exact, and what it can learn."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_worlds import fixed_world, plain_taste

from slategym.agents.sb3.algorithms import StablePPO
from slategym.agents.sb3.multidiscrete import PPOMultiDiscrete
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.registry import make_world
from slategym.envs.types import Observation, World

PPO = StablePPO(
    num_steps=12_000,
    num_users=100,
    rollout=5,
    batch=500,
    epochs=5,
    learning_rate=3e-3,
    entropy=0.02,
    gamma=0.0,
    hidden=(16,),
)


def five_items() -> World:
    taste = plain_taste([-3.0, 0.0, -4.0, -0.5, -5.0], [-9.0] * 5)
    world = fixed_world(taste, [0, 1, 2, 0, 1], [0.0] * 5, slate_size=2, horizon=4)
    return replace(world, observer=None)


def observed(world: World, count: int) -> tuple[Observation, Luck]:
    user_B = torch.arange(count, dtype=torch.int32)
    session = engine.start(world, user_B, user_B, torch.zeros_like(user_B))
    return engine.observe(world, session), Luck.at(session.key, session.step)


def test_it_finds_the_best_two_of_five() -> None:
    world = five_items()
    agent = PPOMultiDiscrete(world, PPO).learn(world)
    assert [set(x) for x in agent.act(*observed(world, 20)).slate.tolist()] == [{1, 3}] * 20


def test_how_likely_a_slate_was_is_exact() -> None:
    world = five_items()
    agent = PPOMultiDiscrete(world, replace(PPO, num_steps=1_000)).learn(world)
    observation, _ = observed(world, 1)
    observation = engine.observe(world, engine.start(world, *[torch.zeros(8_000).int()] * 3))
    action = agent.explore(observation, Luck(torch.arange(8_000, dtype=torch.int32)))
    assert action.logp is not None
    code_B = action.slate[:, 0] * 5 + action.slate[:, 1]
    seen = torch.zeros(25, dtype=torch.float64)
    for code in range(25):
        mine_B = code_B == code
        if mine_B.any():
            prob_B = action.logp[mine_B].exp()
            torch.testing.assert_close(prob_B, prob_B[:1].expand_as(prob_B))
            seen[code] = prob_B[0]
            assert mine_B.float().mean() == pytest.approx(float(prob_B[0]), abs=0.02)
    assert float(seen.sum()) == pytest.approx(1.0, abs=0.01)
    assert action.slot_logp is not None and torch.equal(action.slot_logp.sum(1), action.logp)
    assert torch.equal(action.position_logp, action.slot_logp)  # slots are drawn by themselves


def test_changing_candidates_are_seen() -> None:
    world = make_world("InterestEvolution-v0")
    observation, _ = observed(world, 6)
    agent = PPOMultiDiscrete(world, replace(PPO, hidden=(8,)))
    seen = agent.view.show(world, observation)["seen"]
    assert observation.candidates is not None
    offered = world.catalogue.embedding[observation.candidates.long()].flatten(1)
    torch.testing.assert_close(seen[:, -offered.shape[1] :], offered)
    assert agent.view.action_space(world).nvec.tolist() == [10] * 3  # type: ignore[attr-defined]
