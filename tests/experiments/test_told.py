"""A learner that is told what greedy is told: it begins as greedy, and learns what comes later."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from slategym.agents.core.earned import earned
from slategym.agents.references.myopic import Myopic
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.registry import make_world
from slategym.envs.types import World
from slategym.experiments.measure.told import ToldPlackettLuce

FEW = replace(
    ToldPlackettLuce.default_settings(), num_steps=512, num_users=16, rollout=16, minibatch=128
)


@pytest.fixture(scope="module", params=["News", "Health"])  # several clicks a slate; a mask
def scenario(request: pytest.FixtureRequest) -> World:
    return make_world(f"Scenario-{request.param}-v0", num_items=40)


def test_it_begins_as_greedy_and_comes_to_differ(scenario: World) -> None:
    agent, greedy = ToldPlackettLuce(scenario, FEW), Myopic(scenario)
    user_B = torch.arange(64, dtype=torch.int32)
    session = engine.start(scenario, 0 * user_B, user_B, 0 * user_B)
    luck = Luck.at(session.key, session.step)
    told = replace(engine.observe(scenario, session), hidden=session)
    assert torch.equal(agent.act(told, luck).slate, greedy.act(told, luck).slate)
    before = earned(scenario, agent, user_B, 1)
    torch.testing.assert_close(before, earned(scenario, greedy, user_B, 1))
    agent.learn(scenario)
    assert not torch.equal(earned(scenario, agent, user_B, 1), before)


def test_without_the_truth_it_says_what_it_lacks(scenario: World) -> None:
    user_B = torch.arange(4, dtype=torch.int32)
    session = engine.start(scenario, 0 * user_B, user_B, 0 * user_B)
    with pytest.raises(ValueError, match=r"needs observation\.hidden"):
        ToldPlackettLuce(scenario, FEW).act(
            engine.observe(scenario, session), Luck.at(session.key, session.step)
        )


@pytest.mark.slow  # half a minute: it learns
def test_it_learns_to_teach_what_comes_first() -> None:
    """In Learning greedy shows what pays now; half of it more is had by looking ahead."""
    world = make_world("Scenario-Learning-v0")
    agent = ToldPlackettLuce(world, replace(ToldPlackettLuce.default_settings(), num_steps=30_720))
    agent.learn(world)
    user_U = torch.arange(700_000, 700_128, dtype=torch.int32)
    greedy_U = earned(world, Myopic(world), user_U, 1_022)
    assert float(earned(world, agent, user_U, 1_022).mean()) > 1.5 * float(greedy_U.mean())
