"""Learners in the world of a plain log: few items, no topics, no profile that says anything."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_worlds import learned_world

from slategym.agents.policy_gradient.network import Shortlist
from slategym.agents.policy_gradient.ppo import PlackettLuce, PPOSettings
from slategym.agents.registry import find_agent, make_policy
from slategym.agents.sb3.algorithms import StablePPO, StableSAC
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.types import World

SHORT = {
    "plackett-luce": PPOSettings(num_steps=24, num_users=4, rollout=3, epochs=1, minibatch=6),
    "proto-sac": StableSAC(num_steps=12, num_users=2, updates=1, batch=4, buffer=20, warm_up=4),
    "fusion-ppo": StablePPO(num_steps=16, num_users=2, rollout=4, batch=4, epochs=1),
}


@pytest.fixture(scope="module")
def world() -> World:
    """Twelve items, fewer than any shortlist, all of one topic."""
    world = learned_world(num_items=12)
    one = torch.zeros(12, dtype=torch.int32)
    return replace(world, catalogue=replace(world.catalogue, topic=one, topics=("any",)))


def slate_of(world: World, policy: object) -> torch.Tensor:
    user_B = torch.arange(8, dtype=torch.int32)
    session = engine.start(world, user_B, user_B, torch.zeros_like(user_B))
    luck = Luck.at(session.key, session.step)
    slate_BK: torch.Tensor = policy.act(engine.observe(world, session), luck).slate  # type: ignore[attr-defined]
    assert engine.pick(world, session, slate_BK)[1].all()
    return slate_BK


@pytest.mark.parametrize("name", SHORT)
def test_learners_learn_and_serve(world: World, name: str) -> None:
    agent = find_agent(name)(world, SHORT[name]).learn(world)
    assert slate_of(world, agent).shape == (8, world.slate_size)


@pytest.mark.parametrize(
    "name", ["random", "popularity", "supervised", "supervised-cap1", "supervised-mmr1"]
)
def test_policies_serve(world: World, name: str) -> None:
    assert slate_of(world, make_policy(name, world)).shape == (8, world.slate_size)


def test_where_there_is_a_ranker_it_is_corrected_unless_all_are_wanted(world: World) -> None:
    agent = PlackettLuce(world, SHORT["plackett-luce"])
    assert isinstance(agent.face, Shortlist) and agent.face.num_candidates == 12
    assert torch.equal(slate_of(world, agent), slate_of(world, make_policy("supervised", world)))
    whole = PlackettLuce(world, replace(SHORT["plackett-luce"], shortlist=0))
    blind = PlackettLuce(replace(world, observer=None), SHORT["plackett-luce"])
    assert not isinstance(whole.face, Shortlist) and not isinstance(blind.face, Shortlist)
