"""Proto-actions in any world: Gymnasium's two faces and stable-baselines3's of one rule."""

from __future__ import annotations

import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.wrappers import RecordEpisodeStatistics
from own_worlds import OWN
from stable_baselines3 import SAC, TD3
from stable_baselines3.common.env_checker import check_env

from slategym.agents.adapters.gymnasium import (
    FlatObservationVectorWrapper,
    FlatObservationWrapper,
    ProtoActionVectorWrapper,
    ProtoActionWrapper,
)
from slategym.agents.core.inputs import Inputs
from slategym.agents.sb3.item_space import ItemSpace
from slategym.agents.slates.towards import slate_towards
from slategym.envs import engine
from slategym.envs.gym import SlateVectorEnv
from slategym.envs.names import UsageError
from slategym.envs.observation import read
from slategym.envs.registry import make_world
from slategym.envs.types import World

DAY, FRESH = "slategym/DayInLife-v0", "slategym/InterestEvolution-v0"


def point(world: World, *shape: int) -> np.ndarray:
    shape = (*shape, world.catalogue.embedding.shape[1])
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def test_the_slate_is_ranked_by_hand() -> None:
    world = make_world(DAY)
    proto_BD = torch.as_tensor(point(world, 5))
    slate_BK = slate_towards(world, proto_BD)
    for b in range(5):
        score_N = [float(e_D @ proto_BD[b]) for e_D in world.catalogue.embedding]
        best = sorted(range(len(score_N)), key=lambda n: -score_N[n])[: world.slate_size]
        assert slate_BK[b].tolist() == best


def test_of_an_offer_only_what_is_offered_and_allowed_is_ranked() -> None:
    world = make_world(FRESH)
    proto_BD = torch.zeros(1, 20)
    proto_BD[0, 7], proto_BD[0, 3] = 1.0, 0.5
    offer_BC = torch.tensor([[1, 3, 7, 2, 7, 4, 5, 6, 8, 9]], dtype=torch.int32)
    assert set(slate_towards(world, proto_BD, offer_BC)[0].tolist()) == {1, 2, 4}
    allowed_BC = torch.ones(1, 10, dtype=torch.bool)
    allowed_BC[0, 2] = False
    first = slate_towards(world, proto_BD, offer_BC, allowed_BC)[0].tolist()
    assert first[:2] == [4, 1] and 2 not in first


@pytest.mark.parametrize("id", OWN)
def test_sac_learns_through_gymnasium(id: str) -> None:
    env = RecordEpisodeStatistics(ProtoActionWrapper(gym.make(id, max_episode_steps=3)))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*unconventional shape.*")
        check_env(env)
    SAC("MultiInputPolicy", env, learning_starts=4, batch_size=4, buffer_size=50).learn(7)


def test_td3_learns_through_gymnasium() -> None:
    env = ProtoActionWrapper(gym.make(DAY, max_episode_steps=3))
    TD3("MultiInputPolicy", env, learning_starts=4, batch_size=4, buffer_size=50).learn(8)


@pytest.mark.parametrize("as_tensor", [False, True])
@pytest.mark.parametrize("id", [DAY, FRESH])
def test_all_faces_show_the_same_slate(id: str, as_tensor: bool) -> None:
    one = ProtoActionWrapper(gym.make(id))
    many = ProtoActionVectorWrapper(gym.make_vec(id, num_envs=3, as_tensor=as_tensor))
    many.reset(seed=4)
    one.reset(seed=4, options={"user": 0})
    world, view = one.world, ItemSpace(one.world)
    for step in range(3):
        action = point(world, 3) * (step + 1)
        _, reward_B, *_, infos = many.step(torch.as_tensor(action) if as_tensor else action)
        _, reward, *_, info = one.step(action[0])
        assert np.asarray(infos["slate"])[0].tolist() == info["slate"].tolist()
        assert float(reward_B[0]) == pytest.approx(reward, abs=1e-5)
    user_B = torch.arange(3, dtype=torch.int32)
    first = engine.start(world, torch.full_like(user_B, 4), user_B, torch.zeros_like(user_B))
    shown = view.show(world, engine.observe(world, first))
    many.reset(seed=4)
    infos = many.step(torch.as_tensor(action) if as_tensor else action)[-1]
    slate_BK = view.slate(world, shown, torch.as_tensor(action))
    assert np.asarray(infos["slate"]).tolist() == slate_BK.tolist()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_no_number_no_slate(wrong: float) -> None:
    one, many = (
        ProtoActionWrapper(gym.make(DAY)),
        ProtoActionVectorWrapper(gym.make_vec(DAY, num_envs=2)),
    )
    one.reset(seed=0)
    many.reset(seed=0)
    action = point(one.world, 2)
    action[1, 4] = wrong
    with pytest.raises(ValueError, match=r"proto-action must be finite, got \[.*for user 1"):
        many.step(action)
    with pytest.raises(ValueError, match="proto-action must be finite"):
        one.step(action[1])
    with pytest.raises(ValueError, match=r"\(users, 11\); got shape \(1, 3\)"):
        one.step(action[0, :3])


def test_only_slategym_is_wrapped() -> None:
    with pytest.raises(UsageError, match="wraps a SlateEnv"):
        ProtoActionWrapper(gym.make("CartPole-v1"))
    with pytest.raises(UsageError, match="wraps a SlateVectorEnv"):
        ProtoActionVectorWrapper(gym.make_vec("CartPole-v1", num_envs=2))


@pytest.mark.parametrize("id", OWN)
def test_features_are_of_order_one(id: str) -> None:
    world = make_world(id)
    inputs = Inputs(world)
    user_B = torch.arange(16, dtype=torch.int32)
    session = engine.start(world, user_B * 0, user_B, user_B * 0)
    for step in range(5):
        feature_BX = inputs.vector(engine.observe(world, session))
        assert bool(feature_BX.isfinite().all())
        assert float(feature_BX.abs().max()) < 30.0
        slate_BK = (torch.arange(world.slate_size) * (step + 1)) % world.num_candidates
        session, _ = engine.transition(world, session, slate_BK.int().expand(16, -1))


@pytest.mark.parametrize("as_tensor", [False, True])
def test_flat_observations_are_what_our_own_learners_read(as_tensor: bool) -> None:
    world = make_world(DAY)
    inner = SlateVectorEnv(world, 3, as_tensor=as_tensor, max_episode_steps=2)
    env = FlatObservationVectorWrapper(ProtoActionVectorWrapper(inner))
    bare = SlateVectorEnv(world, 3, as_tensor=True, max_episode_steps=2)
    inputs = Inputs(inner.world)

    def expected(seen: dict[str, torch.Tensor]) -> np.ndarray:
        return inputs.vector(read(world, seen)).numpy()

    flat, shown = env.reset(seed=4)[0], bare.reset(seed=4)[0]
    assert flat.shape == env.observation_space.shape == (3, inputs.width)
    np.testing.assert_array_equal(flat, expected(shown))
    action = point(world, 3)
    for step in range(2):
        flat, _, _, cut, infos = env.step(torch.as_tensor(action) if as_tensor else action)
        slate = torch.as_tensor(infos["slate"])
        shown, _, _, _, theirs = bare.step(slate)
        np.testing.assert_array_equal(flat, expected(shown))
        if step:
            assert cut.all()
            final = np.stack(list(infos["final_obs"]))
            np.testing.assert_array_equal(final, expected(theirs["final_obs"]))


def test_flat_observations_of_one_environment() -> None:
    env = FlatObservationWrapper(ProtoActionWrapper(gym.make(DAY)))
    again = gym.make(env.spec)  # from what its specification says
    seen, theirs = env.reset(seed=2)[0], again.reset(seed=2)[0]
    assert seen in env.observation_space and again.observation_space == env.observation_space
    np.testing.assert_array_equal(seen, theirs)
    for wrong in (FlatObservationWrapper, FlatObservationVectorWrapper):
        make = gym.make if wrong is FlatObservationWrapper else gym.make_vec
        with pytest.raises(UsageError, match=f"{wrong.__name__} wraps a Slate"):
            wrong(make("CartPole-v1"))
