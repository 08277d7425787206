"""stable-baselines3's own zips: only on the user's word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO, SAC

from slategym.agents.sb3.env import RawView, SlateVecEnv
from slategym.agents.sb3.item_space import ItemSpace
from slategym.agents.sb3.zip import load_sb3_zip
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.envs.types import World

USERS = torch.arange(5, dtype=torch.int32)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world("Workbench-v0", history_size=4)


@pytest.fixture(scope="module")
def saved(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("zip") / "model.zip"
    env = SlateVecEnv(world, 4, ItemSpace(world), seed=1)
    with torch.random.fork_rng():
        SAC("MultiInputPolicy", env, policy_kwargs={"net_arch": [8]}, buffer_size=50).save(path)
    return path


def test_without_the_users_word_it_stays_shut(world: World, saved: Path) -> None:
    with pytest.raises(UsageError, match=r"runs code that is pickled in it; .* trust=True"):
        load_sb3_zip(saved, SAC, world, ItemSpace(world))


def test_a_trusted_zip_serves_its_mean_action_after_a_warning(world: World, saved: Path) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    view = ItemSpace(world)
    with pytest.warns(UserWarning, match="runs code that is pickled in it"):
        policy = load_sb3_zip(saved, SAC, world, view, trust=True)
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    session = engine.start(world, USERS, USERS, torch.zeros_like(USERS))
    observation = engine.observe(world, session)
    action = policy.act(observation, Luck.at(session.key, session.step))
    proto, _ = SAC.load(saved).predict({"seen": _seen(view, world)}, deterministic=True)
    shown = view.show(world, observation)
    assert torch.equal(action.slate, view.slate(world, shown, torch.as_tensor(proto)))
    assert policy.name == "sac" and not policy.privileged


def _seen(view: ItemSpace, world: World) -> np.ndarray:
    session = engine.start(world, USERS, USERS, torch.zeros_like(USERS))
    return view.show(world, engine.observe(world, session))["seen"].numpy()


def test_positions_serve_too(world: World, tmp_path: Path) -> None:
    path = tmp_path / "ppo.zip"
    with torch.random.fork_rng():
        PPO("MultiInputPolicy", SlateVecEnv(world, 2, RawView()), n_steps=4, batch_size=8).save(
            path
        )
    with pytest.warns(UserWarning, match="pickled"):
        policy = load_sb3_zip(path, PPO, world, trust=True)
    session = engine.start(world, USERS, USERS, torch.zeros_like(USERS))
    slate_BK = policy.act(engine.observe(world, session), Luck.at(session.key, session.step)).slate
    assert slate_BK.shape == (5, world.slate_size) and slate_BK.dtype == torch.int32


@pytest.mark.filterwarnings("ignore:reading")
def test_what_does_not_fit_is_said(world: World, saved: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no file nowhere\.zip"):
        load_sb3_zip("nowhere.zip", SAC, world, trust=True)
    other = make_world("TopicRec-TopDown-Focused-v0")
    with pytest.raises(UsageError, match=r"was not trained for .*TopicRec.* spaces do not match"):
        load_sb3_zip(saved, SAC, other, ItemSpace(other), trust=True)
