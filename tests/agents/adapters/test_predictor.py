"""stable-baselines3's own evaluation asks a slate agent, and finds what `play` finds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from five_items import BEST, five_items
from small_agents import Counting, CountingSettings
from stable_baselines3.common.evaluation import evaluate_policy

from slategym.agents.adapters.predictor import StablePredictor
from slategym.agents.sb3.env import SlateVecEnv
from slategym.envs.gym import SlateVectorEnv


@pytest.fixture(scope="module")
def agent() -> Counting:
    world = five_items()
    settings = CountingSettings(num_steps=2_000, explore_prob=0.5)
    return Counting(world, settings).learn(world)


@pytest.mark.filterwarnings("ignore:Evaluation environment is not wrapped")
def test_evaluate_policy_finds_what_it_earns(agent: Counting) -> None:
    world = five_items()
    mean, _ = evaluate_policy(StablePredictor(agent), SlateVecEnv(world, 16), 64)  # type: ignore[arg-type]
    worst = Counting(world, CountingSettings())
    worst.value_SN.copy_(torch.tensor([1.0, 0.0, 2.0, 0.5, 0.1]))
    less, _ = evaluate_policy(StablePredictor(worst), SlateVecEnv(world, 16), 64)  # type: ignore[arg-type]
    assert float(mean) > float(less) + 5


def test_it_serves_when_told_and_explores_else(agent: Counting) -> None:
    world = five_items()
    shown, _ = SlateVectorEnv(world, 32).reset(seed=0)
    asked = StablePredictor(agent)
    memory = (np.zeros(1),)
    slate, state = asked.predict(shown, memory, deterministic=True)
    assert state is memory and slate.dtype == np.int32 and slate.shape == (32, 2)
    assert all(set(row) == BEST for row in slate.tolist())
    first, second = (asked.predict(shown)[0] for _ in range(2))
    assert (first != second).any()  # luck of their own at every call
    one, none = asked.predict({name: x[0] for name, x in shown.items()}, deterministic=True)
    assert one.shape == (2,) and none is None
