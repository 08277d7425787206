"""The recipes in CONTRIBUTING.md work as they stand there."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import pytest
import torch

from slategym.agents.core.random_slates import Random
from slategym.envs import engine
from slategym.envs.gym import SlateVectorEnv
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.experiments.measure.play import play

RECIPES = re.findall(
    r"```python\n(.*?)```", (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(), re.DOTALL
)


@pytest.fixture(scope="module")
def recipes() -> dict[str, Any]:
    """Everything the recipes define, run one after the other."""
    names: dict[str, Any] = {"__name__": "recipes"}
    for recipe in RECIPES:
        exec(compile(recipe, "CONTRIBUTING.md", "exec", dont_inherit=True), names)
    return names


def test_the_world_steps_through_gymnasium(recipes: dict[str, Any]) -> None:
    env = SlateVectorEnv(recipes["habits"](), num_envs=4)
    assert isinstance(env, gymnasium.vector.VectorEnv)
    env.reset(seed=0)
    observation, reward, *_ = env.step(env.action_space.sample())
    assert env.observation_space.contains(observation)
    assert reward.shape == (4,)


def test_the_policy_earns_more_than_the_same_slate_again(recipes: dict[str, Any]) -> None:
    world = recipes["habits"]()
    policy = recipes["Sticky"](world.catalogue.topic, world.slate_size)
    earned = {}
    for name in ("sticky", "fixed"):
        user_B = torch.arange(64, dtype=torch.int32)
        session = engine.start(world, user_B * 0, user_B, user_B * 0)
        total = 0.0
        for _ in range(20):
            luck = Luck.at(session.key, session.step)
            slate_BK = torch.arange(3, dtype=torch.int32).expand(64, 3)
            if name == "sticky":
                slate_BK = policy.act(engine.observe(world, session), luck).slate
            session, outcome = engine.transition(world, session, slate_BK)
            total += float(outcome.expected_reward.sum())
        earned[name] = total
    assert earned["sticky"] > 1.1 * earned["fixed"]


def test_the_learner_learns_saves_and_resumes(recipes: dict[str, Any], tmp_path: Path) -> None:
    world = make_world("Sardine-SingleItem-Static-v0", num_items=12)
    make = recipes["GreedyCounts"]
    settings = recipes["GreedyCountsSettings"](num_steps=12_800)
    whole = make(world, settings).learn(world)
    stopped = make(world, settings).learn(world, num_steps=6_400, folder=tmp_path)
    assert stopped.steps == 6_400
    resumed = make(world, settings).learn(world, folder=tmp_path)
    for name, x in whole.state_dict().items():
        assert torch.equal(x, resumed.state_dict()[name]), name

    user_U = torch.arange(200)
    served = make.load(tmp_path, world)
    earned = {
        policy.name: play(world, policy, user_U, seed=1)["return"].mean()
        for policy in (served, Random(world.num_candidates, world.slate_size))
    }
    assert earned["greedy-counts"] > 1.2 * earned["random"]
    with pytest.raises(UsageError, match=r"other settings \(num_users 64 there, 32 here\)"):
        make(world, replace(settings, num_users=32)).learn(world, folder=tmp_path)
