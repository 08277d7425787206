"""stable-baselines3 under the contract: its own training, stopped anywhere, resumed exactly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_worlds import learned_world

from slategym.agents.core.agent import Agent, Progress
from slategym.agents.registry import find_agent, load_agent
from slategym.agents.sb3.algorithms import StablePPO, StableSAC, StableTD3
from slategym.agents.types import Action
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.registry import make_world
from slategym.envs.types import Observation, World

SAC = StableSAC(
    num_steps=320, num_users=20, updates=2, batch=16, buffer=200, warm_up=60, hidden=(16, 16)
)
TD3 = StableTD3(
    num_steps=320, num_users=20, updates=2, batch=16, buffer=200, warm_up=60, hidden=(16, 16)
)
PPO = StablePPO(num_steps=320, num_users=20, rollout=4, batch=20, epochs=2, hidden=(16,))
SETTINGS = {
    "proto-sac": SAC,
    "proto-td3": TD3,
    "fusion-sac": SAC,
    "fusion-ppo": PPO,
    "ppo-multidiscrete": PPO,
}
NAMES = list(SETTINGS)
ANYWHERE = ["proto-sac", "proto-td3", "ppo-multidiscrete"]


@pytest.fixture(scope="module")
def world() -> World:
    return learned_world()


def make(name: str, world: World, **changes: Any) -> Agent:
    return find_agent(name)(world, replace(SETTINGS[name], **changes), seeds=(3,))


def stop_at(steps: int) -> Any:
    return lambda progress: progress.steps < steps


def observed(world: World, count: int = 9) -> tuple[Observation, Luck]:
    user_B = torch.arange(count, dtype=torch.int32)
    session = engine.start(world, user_B, user_B, torch.zeros_like(user_B))
    return engine.observe(world, session), Luck.at(session.key, session.step)


def differing(a: Agent, b: Agent) -> list[str]:
    mine, theirs = a.state_dict(), b.state_dict()
    assert mine.keys() == theirs.keys()
    return [name for name, x in mine.items() if not torch.equal(x, theirs[name])]


@pytest.mark.parametrize("name", ["proto-sac", "proto-td3", "ppo-multidiscrete"])
def test_it_is_stable_baselines3s_own_training_bit_for_bit(world: World, name: str) -> None:
    agent = make(name, world).learn(world)
    with torch.random.fork_rng():
        plain = agent.settings.make(agent._users(world), seed=3).model
        plain.learn(agent.settings.num_steps)
    ours, theirs = agent.model.policy.state_dict(), plain.policy.state_dict()
    assert all(torch.equal(x, theirs[key]) for key, x in ours.items())
    assert agent.steps == plain.num_timesteps
    start = make(name, world).model.policy.state_dict()
    assert not all(torch.equal(x, start[key]) for key, x in ours.items())


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_training_ends_where_the_unbroken_one_does(
    world: World, name: str, tmp_path: Path
) -> None:
    unbroken = make(name, world).learn(world)
    make(name, world).learn(world, folder=tmp_path, callback=stop_at(160))
    torch.manual_seed(77)  # another process has other generators
    np.random.seed(77)  # noqa: NPY002
    resumed = make(name, world)
    began: list[Progress] = []
    resumed.learn(world, folder=tmp_path, callback=began.append)
    assert 160 < began[0].steps < 320 == resumed.steps
    assert differing(unbroken, resumed) == []


def test_a_training_killed_in_the_warm_up_too(world: World, tmp_path: Path) -> None:
    unbroken = make("proto-sac", world, num_steps=120).learn(world)
    make("proto-sac", world, num_steps=120).learn(world, folder=tmp_path, callback=stop_at(20))
    resumed = make("proto-sac", world, num_steps=120).learn(world, folder=tmp_path)
    assert differing(unbroken, resumed) == []


@pytest.mark.parametrize("name", NAMES)
def test_what_is_saved_explores_the_same_way_and_has_no_critics(
    world: World, name: str, tmp_path: Path
) -> None:
    agent = make(name, world).learn(world, folder=tmp_path)
    observation, luck = observed(world)
    kept = load_agent(tmp_path, world)
    explored = agent.explore(observation, luck)
    assert torch.equal(kept.explore(observation, luck).slate, explored.slate)
    assert not torch.equal(kept.act(observation, luck).slate, explored.slate)
    few = observed(world, 4)  # nobody is served by who else is there
    assert torch.equal(kept.explore(*few).slate, explored.slate[:4])
    assert not any("critic" in key for key in kept.weights())


@pytest.mark.parametrize("name", ANYWHERE)
@pytest.mark.parametrize("id", ["InterestEvolution-v0", "Sardine-SlateTopK-Bored-v0"])
def test_they_learn_in_any_world(name: str, id: str) -> None:
    world = make_world(id)
    figures: dict[str, float] = {}
    agent = make(name, world, num_steps=100)
    agent.learn(world, callback=lambda progress: figures.update(progress.figures))
    action: Action = agent.act(*observed(world))
    assert action.slate.shape == (9, world.slate_size) and action.slate.dtype == torch.int32
    losses = {"proto-sac": "critic_loss", "proto-td3": "actor_loss"}
    assert f"train/{losses.get(name, 'value_loss')}" in figures
    assert figures["train/n_updates"] > 0 and figures["time/total_timesteps"] >= 100


def test_the_mean_return_is_that_of_sessions_that_ended(world: World) -> None:
    told: list[Progress] = []
    make("proto-sac", world, num_steps=200).learn(world, callback=told.append)
    ended = [p.figures["rollout/ep_len_mean"] for p in told if "rollout/ep_len_mean" in p.figures]
    assert ended and all(1 <= length <= world.horizon for length in ended)
