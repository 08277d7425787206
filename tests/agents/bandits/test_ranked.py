"""linear-bandit: optimism where little was read, and none where it serves."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_worlds import learned_world

from slategym.agents.bandits.ranked import RankedBandit, RankedBanditSettings
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.types import Observation, World

FEW = RankedBanditSettings(num_steps=256, num_users=32, rollout=2)


def first(world: World) -> tuple[Observation, Luck]:
    """What ten users show at their first request."""
    zero_B = torch.zeros(10, dtype=torch.int32)
    session = engine.start(world, zero_B, torch.arange(10, dtype=torch.int32), zero_B)
    return engine.observe(world, session), Luck(zero_B)


def test_without_exploration_it_explores_what_it_serves() -> None:
    world = learned_world()
    observation, luck = first(world)
    agent = RankedBandit(world, replace(FEW, exploration=0.0)).learn(world)
    served = agent.act(observation, luck).slate
    assert torch.equal(agent.explore(observation, luck).slate, served)
    optimist = RankedBandit(world, replace(FEW, exploration=30.0)).learn(world)
    served = optimist.act(observation, luck).slate
    assert not torch.equal(optimist.explore(observation, luck).slate, served)


@pytest.mark.parametrize("changes", [{"ridge": 0.0}, {"exploration": -1.0}])
def test_a_regression_that_cannot_be_solved_is_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="exploration must be 0 or more and ridge above 0"):
        replace(FEW, **changes)
