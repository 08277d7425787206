"""Worlds and environments are copied, cross processes and go on as the original does."""

import copy
import multiprocessing
import pickle

import numpy as np
import pytest
import torch
from own_worlds import OWN
from small_worlds import learned_world

from slategym.agents.sb3.env import SlateVecEnv
from slategym.envs.gym import SlateVectorEnv
from slategym.envs.registry import make_world
from slategym.envs.single import SlateEnv

ID = "InterestEvolution-v0"
COPIES = {"pickle": lambda x: pickle.loads(pickle.dumps(x)), "deepcopy": copy.deepcopy}


@pytest.fixture(params=COPIES)
def copied(request):
    return COPIES[request.param]


def rewards(env, slates, steps=4):
    return [np.asarray(env.step(slates)[1]).tolist() for _ in range(steps)]


@pytest.mark.parametrize("render_mode", [None, "ansi", "rgb_array"])
def test_a_vector_environment_goes_on(copied, render_mode):
    env = SlateVectorEnv(ID, 3, render_mode=render_mode)
    env.reset(seed=1)
    slates = np.tile(np.arange(3), (3, 1))
    env.step(slates)
    twin = copied(env)
    assert rewards(twin, slates) == rewards(env, slates)


@pytest.mark.parametrize("world_id", OWN)
def test_every_world(copied, world_id):
    env = SlateEnv(make_world(world_id))
    env.reset(seed=2)
    slate = np.arange(env.world.slate_size)
    env.step(slate)
    twin = copied(env)
    assert rewards(twin, slate) == rewards(env, slate)


def test_a_copy_before_the_first_reset(copied):
    env = SlateVectorEnv(ID, 2)
    twin, slates = copied(env), np.tile(np.arange(3), (2, 1))
    env.reset(seed=3)
    twin.reset(seed=3)
    assert rewards(twin, slates) == rewards(env, slates)


def test_the_environment_of_stable_baselines(copied):
    env = SlateVecEnv(ID, 2)
    env.reset()
    twin, slates = copied(env), np.tile(np.arange(3), (2, 1))
    assert rewards(twin, slates) == rewards(env, slates)


def test_a_learned_world():
    """Its networks have run, and what they read is copied with them."""
    env = SlateVectorEnv(learned_world(), 2, max_episode_steps=3)
    env.reset(seed=0)
    slates = np.tile(np.arange(3), (2, 1))
    twins = [copied(env) for copied in COPIES.values()]
    here = rewards(env, slates)  # into the second session: encodes anew
    assert [rewards(twin, slates) for twin in twins] == [here, here]


def _far_away(env):
    torch.set_num_threads(1)
    return rewards(env, np.tile(np.arange(3), (2, 1)))


def test_another_process():
    env = SlateVectorEnv(ID, 2)
    env.reset(seed=0)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply(_far_away, (env,))
    assert there == _far_away(env)


@pytest.mark.slow
def test_a_compiled_one(copied):
    env = SlateVectorEnv(ID, 2, compile=True)
    env.reset(seed=0)
    slates = np.tile(np.arange(3), (2, 1))
    env.step(slates)
    twin = copied(env)
    np.testing.assert_allclose(rewards(twin, slates), rewards(env, slates), atol=1e-5)
