"""Proto-actions on top of a ranker: from a direction to a slate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_worlds import learned_world, ranker_in, recent_in

from slategym.agents.core.supervised import Supervised
from slategym.agents.sb3.env import SlateVecEnv
from slategym.agents.sb3.proto_action import ProtoView
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.types import Observation, World

C, K, B, D, G = 12, 3, 10, 16, 3


@pytest.fixture(scope="module")
def world() -> World:
    return learned_world(slate_size=K)


def view_of(world: World, residual: bool = True) -> ProtoView:
    return ProtoView(ranker_in(world), recent_in(world), C, K, residual)


def observed(world: World) -> tuple[Observation, Luck]:
    user_B = torch.arange(B, dtype=torch.int32)
    session = engine.start(world, user_B, user_B, torch.zeros_like(user_B))
    return engine.observe(world, session), Luck.at(session.key, session.step)


def test_no_direction_is_the_rankers_own_slate(world: World) -> None:
    observation, now = observed(world)
    view = view_of(world)
    shown = view.show(world, observation)
    slate_BK = view.slate(world, shown, torch.zeros(B, D + G))
    greedy = Supervised(ranker_in(world), world.catalogue.topic.long(), K)
    assert torch.equal(slate_BK, greedy.act(observation, now).slate)


@pytest.mark.parametrize("residual", [True, False])
def test_a_direction_ranks_the_candidates_by_hand(world: World, residual: bool) -> None:
    observation, _ = observed(world)
    view = view_of(world, residual)
    shown = view.show(world, observation)
    action = torch.rand(B, D + G, generator=torch.Generator().manual_seed(0)) * 2 - 1
    slate_BK = view.slate(world, shown, action)
    items_ND = ranker_in(world).unit_items
    torch.testing.assert_close(items_ND.var(1, unbiased=False), torch.ones(40), atol=1e-3, rtol=0)
    for b in range(B):
        worth = []
        for id, score in zip(shown["id"][b].tolist(), shown["score"][b].tolist(), strict=True):
            along = float(items_ND[id] @ action[b, :D]) / D
            along += float(action[b, D + int(world.catalogue.topic[id])])
            worth.append((1.5 * along + (4.0 * score if residual else 0.0), id))
        assert slate_BK[b].tolist() == [id for _, id in sorted(worth, reverse=True)[:K]]


def test_a_topic_axis_brings_its_topic(world: World) -> None:
    observation, _ = observed(world)
    view = replace(view_of(world), reach=100.0)
    shown = view.show(world, observation)
    for topic in range(G):
        action = torch.zeros(B, D + G)
        action[:, D + topic] = 1.0
        slate_BK = view.slate(world, shown, action)
        there_B = (world.catalogue.topic[shown["id"]] == topic).sum(1).clamp(max=K)
        assert torch.equal((world.catalogue.topic[slate_BK.long()] == topic).sum(1), there_B)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_no_number_no_slate(world: World, wrong: float) -> None:
    observation, _ = observed(world)
    view = view_of(world)
    action = torch.zeros(B, D + G)
    action[3, 1] = wrong
    with pytest.raises(ValueError, match="must be finite"):
        view.slate(world, view.show(world, observation), action)


def test_spaces_fit_what_is_shown(world: World) -> None:
    env = SlateVecEnv(world, B, view_of(world))
    seen = env.reset()["seen"]
    width = D + 9 * G + 14  # of a world that remembers slates
    assert seen.shape == (B, width) == (B, env.observation_space["seen"].shape[0])
    assert env.action_space.shape == (D + G,)
    env.step(np.zeros((B, D + G), np.float32))
