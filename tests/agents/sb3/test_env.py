"""The stable-baselines3 face: its checker, its learners, and the same story as Gymnasium's."""

import warnings

import numpy as np
import pytest
import torch
from own_worlds import OWN
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.evaluation import evaluate_policy

from slategym.agents.sb3.env import SlateVecEnv
from slategym.agents.sb3.item_space import ItemSpace
from slategym.envs.gym import SlateVectorEnv
from slategym.envs.registry import make_world
from slategym.envs.single import SlateEnv

torch.set_num_threads(1)
BORED = "Sardine-SlateTopK-Bored-v0"


@pytest.mark.parametrize("id", OWN)
def test_its_checker_passes(id):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*unconventional shape.*")
        check_env(SlateEnv(id))


@pytest.mark.parametrize("id", OWN)
def test_ppo_learns_from_it(id):
    env = SlateVecEnv(id, 4, max_episode_steps=3)
    model = PPO("MultiInputPolicy", env, n_steps=8, batch_size=16, n_epochs=1)
    model.learn(32)
    assert len(model.ep_info_buffer) >= 8
    assert all(episode["l"] <= 3 for episode in model.ep_info_buffer)


@pytest.mark.parametrize("id", OWN)
def test_sac_learns_proto_actions(id):
    env = SlateVecEnv(id, 2, ItemSpace(make_world(id)), max_episode_steps=3)
    SAC("MultiInputPolicy", env, learning_starts=4, batch_size=4, buffer_size=50).learn(10)


def test_evaluate_policy_needs_no_monitor():
    env = SlateVecEnv(BORED, 4, ItemSpace(make_world(BORED)), max_episode_steps=5)
    model = SAC("MultiInputPolicy", env, buffer_size=10)
    returns, lengths = evaluate_policy(model, env, 4, return_episode_rewards=True)
    assert len(returns) >= 4 and set(lengths) == {5}


def test_it_tells_gymnasiums_story():
    world = make_world("InterestEvolution-v0", num_candidates=5)
    ours, theirs = SlateVecEnv(world, 5, seed=3), SlateVectorEnv(world, 5)
    first, (other, _) = ours.reset(), theirs.reset(seed=3)
    theirs.action_space.seed(0)
    assert set(first) == set(other)
    ended = 0
    for _ in range(120):
        action = theirs.action_space.sample()
        obs, reward_B, done_B, infos = ours.step(action)
        seen, too_B, left_B, cut_B, told = theirs.step(action)
        np.testing.assert_allclose(reward_B, too_B, atol=1e-5)
        assert (done_B == (left_B | cut_B)).all()
        for name, x in obs.items():
            np.testing.assert_allclose(x, seen[name], atol=1e-5)
        for lane in np.flatnonzero(done_B):
            ended += 1
            for name, x in infos[lane]["terminal_observation"].items():
                np.testing.assert_allclose(x, told["final_obs"][lane][name], atol=1e-5)
    assert ended > 3


def test_only_finished_sessions_have_infos_and_each_has_its_own():
    env = SlateVecEnv("InterestEvolution-v0", 16)
    env.reset()
    totals_B, counts_B, finished = np.zeros(16), np.zeros(16), 0
    for _ in range(200):
        _, reward_B, done_B, infos = env.step(np.zeros((16, 3), np.int32))
        totals_B += reward_B
        counts_B += 1
        for lane, info in enumerate(infos):
            assert bool(info) == bool(done_B[lane])
            if info:
                finished += 1
                assert info["episode"]["r"] == pytest.approx(totals_B[lane], abs=1e-3)
                assert info["episode"]["l"] == counts_B[lane]
                assert info["TimeLimit.truncated"] is False  # they left
                totals_B[lane] = counts_B[lane] = 0
        assert len({id(info) for info in infos}) == 16  # who writes into one writes into no other
    assert finished >= 8


@pytest.mark.parametrize("bootstrap", [True, False])
def test_the_limit_counts_as_an_end_only_on_request(bootstrap):
    env = SlateVecEnv(BORED, 2, max_episode_steps=2, bootstrap_at_limit=bootstrap)
    env.reset()
    env.step(np.zeros((2, 10), np.int32))
    _, _, done_B, infos = env.step(np.zeros((2, 10), np.int32))
    assert done_B.all()
    assert [info["TimeLimit.truncated"] for info in infos] == [bootstrap] * 2


def test_seeding_and_going_on():
    env = SlateVecEnv(BORED, 3)
    env.reset()
    assert env._session.user_id.tolist() == [0, 1, 2]
    env.reset()
    assert env._session.user_id.tolist() == [3, 4, 5]
    env.seed(7)
    env.reset()
    assert env._session.user_id.tolist() == [0, 1, 2] and env._session.seed.tolist() == [7, 7, 7]


def test_a_diverged_learner_and_bad_slates_are_named():
    env = SlateVecEnv(BORED, 2, ItemSpace(make_world(BORED)))
    env.reset()
    action = np.zeros((2, 10), np.float32)
    action[1, 3] = np.nan
    with pytest.raises(ValueError, match=r"actions must be finite, got .*nan.* for user 1"):
        env.step(action)
    env = SlateVecEnv(BORED, 2)
    env.reset()
    with pytest.raises(ValueError, match=r"in \[0, 1000\)"):
        env.step(np.full((2, 10), 1000))


def test_attributes_are_shared():
    env = SlateVecEnv(BORED, 3)
    assert env.get_attr("num_envs") == [3, 3, 3]
    env.set_attr("bootstrap_at_limit", False)
    assert env.get_attr("bootstrap_at_limit", [1]) == [False]
    with pytest.raises(ValueError, match="all users share"):
        env.set_attr("bootstrap_at_limit", True, [1])


def test_a_saved_instant_goes_on_exactly_in_an_equal_environment():
    def steps(env, count):
        told = []
        for _ in range(count):
            observation, reward_B, _, infos = env.step(actions.sample((6,)).numpy())
            episodes = [(info["episode"]["r"], info["episode"]["l"]) for info in infos if info]
            told.append((observation["history_item"].tolist(), reward_B.tolist(), episodes))
        return told

    world = make_world(BORED, history_size=4)
    uniform = torch.full((10, 1000), 1 / 1000)
    actions = torch.distributions.Categorical(uniform)
    env = SlateVecEnv(world, 6, seed=3, max_episode_steps=7)
    with pytest.raises(RuntimeError, match=r"call reset\(\) before get_state"):
        env.get_state()
    env.reset()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        steps(env, 10)
        saved, generator = env.get_state(), torch.get_rng_state()
        expected = steps(env, 15)
        assert any(episodes for *_, episodes in expected)
        other = SlateVecEnv(world, 6, seed=9, max_episode_steps=7)
        other.reset()
        for fresh in (other, env):  # the same state twice: it was not moved along
            seen = fresh.set_state(saved)
            assert seen["history_item"].tolist() == saved.shown["history_item"].tolist()
            torch.set_rng_state(generator)
            assert steps(fresh, 15) == expected
