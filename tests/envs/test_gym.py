"""The Gymnasium faces: spaces, seeding, auto-reset modes, tensors, saving, mistakes."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import RecordEpisodeStatistics as OneStatistics
from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics

import slategym  # noqa: F401  registers the worlds
from slategym.envs.gym import SlateVectorEnv
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.envs.single import SlateEnv

BORED, SHORT = "Sardine-SlateTopK-Bored-v0", {"max_episode_steps": 3}
MODES = ["SAME_STEP", "NEXT_STEP", "DISABLED"]


def run(env, num_steps, seed=0):
    """Random actions from the action space's own seed; list of step results."""
    env.reset(seed=seed)
    env.action_space.seed(seed)
    return [env.step(env.action_space.sample()) for _ in range(num_steps)]


def go_on(env, slates):
    """A step; whom it ended begins anew, where the environment leaves that to its caller."""
    told = env.step(slates)
    if env.autoreset_mode is AutoresetMode.DISABLED and (ended_B := told[2] | told[3]).any():
        env.reset(options={"reset_mask": ended_B})
    return told


def test_gymnasium_check_env(world_id):
    check_env(gym.make(world_id, render_mode="ansi").unwrapped)


def test_gym_make_and_make_vec(world_id):
    env = gym.make(world_id, max_episode_steps=4)
    env.reset(seed=0)
    assert [env.step(env.action_space.sample())[3] for _ in range(4)][-1]
    envs = gym.make_vec(world_id, num_envs=3, max_episode_steps=4)
    assert isinstance(envs.unwrapped, SlateVectorEnv) and envs.num_envs == 3
    *_, (_, _, terminated_B, truncated_B, _) = run(envs, 4)
    assert (terminated_B | truncated_B).all()
    assert gym.make("slategym:" + world_id.split("/")[1]).unwrapped.world.name


def test_sync_vectorization_equals_the_native_one(world_id):
    """Gymnasium's loop over single environments, where the seed chooses the person as well."""
    native = SlateVectorEnv(make_world(world_id), 1, max_episode_steps=6)
    looped = gym.make_vec(world_id, 1, vectorization_mode="sync", max_episode_steps=6)
    (a, _), (b, _) = native.reset(seed=4, options={"user": 4}), looped.reset(seed=4)
    assert data_equivalence(a, b)
    native.action_space.seed(0)
    for _ in range(5):
        action = native.action_space.sample()
        x, y = native.step(action), looped.step(action)
        assert data_equivalence(x[0], y[0])
        assert x[1] == pytest.approx(y[1])


def test_observations_lie_in_their_space(world):
    env = SlateVectorEnv(world, num_envs=16, max_episode_steps=7)
    obs, _ = env.reset(seed=0)
    assert obs in env.observation_space
    for obs, reward_B, terminated_B, _, infos in run(env, 20):
        assert obs in env.observation_space
        assert reward_B.shape == terminated_B.shape == (16,)
        assert reward_B.dtype == np.float32 and terminated_B.dtype == np.bool_
        for lane in np.flatnonzero(infos.get("_final_obs", [])):
            assert infos["final_obs"][lane] in env.single_observation_space


def test_the_seed_determines_everything(world):
    a, b = (run(SlateVectorEnv(world, num_envs=8, max_episode_steps=7), 20) for _ in range(2))
    for x, y in zip(a, b, strict=True):
        assert data_equivalence(x, y)


def test_a_single_environment_is_a_lane_of_the_batch(world):
    single, batch = SlateEnv(world), SlateVectorEnv(world, num_envs=5)
    single.reset(seed=9, options={"user": 0})
    batch.reset(seed=9)
    batch.action_space.seed(0)
    for _ in range(6):
        action_BK = batch.action_space.sample()
        obs, reward, *_, info = single.step(action_BK[0])
        many, reward_B, *_, infos = batch.step(action_BK)
        assert reward == pytest.approx(float(reward_B[0]), abs=1e-5)
        np.testing.assert_allclose(info["expected"], infos["expected"][0], atol=1e-5)
        for name, x in obs.items():
            np.testing.assert_allclose(x, many[name][0], atol=1e-5)


def test_same_step_returns_the_last_and_the_first_observation():
    env = SlateVectorEnv(BORED, num_envs=4, **SHORT)
    *_, (obs, _, _, truncated_B, infos) = run(env, 3)
    assert truncated_B.all() and infos["_final_obs"].all()
    assert [last["step"].item() for last in infos["final_obs"]] == [3] * 4
    assert not obs["step"].any()
    assert env._session.user_id.tolist() == [4, 5, 6, 7]


def test_next_step_ignores_the_action_after_an_end():
    env = SlateVectorEnv(BORED, num_envs=4, autoreset_mode="NEXT_STEP", **SHORT)
    *_, third, fourth, fifth = run(env, 5)
    assert third[3].all() and third[0]["step"].tolist() == [[3]] * 4
    assert not fourth[3].any() and not fourth[0]["step"].any() and not fourth[1].any()
    assert fifth[0]["step"].tolist() == [[1]] * 4


def test_disabled_waits_for_a_reset_mask():
    env = SlateVectorEnv(BORED, num_envs=4, autoreset_mode=AutoresetMode.DISABLED, **SHORT)
    *_, last = run(env, 3)
    assert last[3].all()
    obs, _ = env.reset(options={"reset_mask": np.array([True, False, False, True])})
    assert obs["step"].flatten().tolist() == [0, 3, 3, 0]
    assert env._session.user_id.tolist() == [4, 1, 2, 7]


def test_modes_tell_the_same_story():
    """The second users' returns do not depend on how resets are reported."""
    returns = {}
    for mode, extra in (("SAME_STEP", 0), ("NEXT_STEP", 1)):
        env = SlateVectorEnv(BORED, num_envs=4, autoreset_mode=mode, max_episode_steps=30)
        env.reset(seed=0)
        slate = np.tile(np.arange(10, dtype=np.int32), (4, 1))
        rewards = [env.step(slate)[1] for _ in range(60 + extra)]
        returns[mode] = sum(rewards[30 + extra :]).tolist()
    assert returns["SAME_STEP"] == returns["NEXT_STEP"] and any(returns["SAME_STEP"])


def test_reset_without_a_seed_goes_on_with_the_next_users():
    env = SlateVectorEnv(BORED, num_envs=3)
    env.reset(seed=0)
    env.reset()
    assert env._session.user_id.tolist() == [3, 4, 5]
    env.reset(seed=0)
    assert env._session.user_id.tolist() == [0, 1, 2]


@pytest.mark.parametrize("mode", MODES)
def test_a_saved_state_goes_on_exactly(world, mode):
    make = lambda: SlateVectorEnv(world, 6, autoreset_mode=mode, max_episode_steps=5)  # noqa: E731
    env = make()
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(4):
        go_on(env, env.action_space.sample())
    saved = env.get_state()
    slates = [env.action_space.sample() for _ in range(6)]
    future = [go_on(env, slate) for slate in slates]
    other = make()
    obs = other.set_state(saved)
    assert obs in other.observation_space
    assert data_equivalence(future, [go_on(other, slate) for slate in slates])
    env.set_state(saved)
    assert data_equivalence(future, [go_on(env, slate) for slate in slates])


def test_tensors_stay_tensors_and_train():
    """Observations may enter a graph: they are no inference-mode tensors."""
    env = SlateVectorEnv("InterestEvolution-v0", num_envs=4, as_tensor=True)
    env.reset(seed=0)
    obs, reward_B, *_ = env.step(torch.zeros(4, 3, dtype=torch.int32))
    assert all(isinstance(x, torch.Tensor) for x in (*obs.values(), reward_B))
    weight = torch.zeros(21, 1, requires_grad=True)
    (obs["user"] @ weight).sum().backward()
    assert weight.grad.any()


def test_every_world_has_its_episodes_recorded(world_id):
    env = OneStatistics(gym.make(world_id, **SHORT))
    env.reset(seed=0)
    *_, info = [env.step(env.action_space.sample()) for _ in range(3)][-1]
    assert info["episode"]["l"] == 3 == env.length_queue[0]
    envs = RecordEpisodeStatistics(gym.make_vec(world_id, num_envs=2, **SHORT))
    *_, (_, _, _, _, infos) = run(envs, 3)
    assert infos["episode"]["l"].tolist() == [3, 3]


@pytest.mark.parametrize("mode", MODES)
def test_record_episode_statistics(mode):
    env = RecordEpisodeStatistics(SlateVectorEnv(BORED, num_envs=4, autoreset_mode=mode, **SHORT))
    *_, (_, _, _, _, infos) = run(env, 3)
    assert (infos["episode"]["l"] == 3).all()
    assert infos["episode"]["r"] == pytest.approx(np.array(env.return_queue))


def test_infos_follow_gymnasiums_form():
    env = DictInfoToList(SlateVectorEnv(BORED, num_envs=4, **SHORT))
    *_, (_, reward_B, _, _, infos) = run(env, 2)
    assert [info["feedback"].sum() for info in infos] == reward_B.tolist()


WRONG = [
    (np.zeros((2, 9), np.int32), r"shape \(users, slots\) = \(2, 10\), got \(2, 9\)"),
    (np.zeros((3, 10), np.int32), r"got \(3, 10\)"),
    (np.zeros((2, 10)), r"integer positions in \[0, 1000\), got float64"),
    (np.full((2, 10), np.nan), "float64 with NaN"),
    (np.full((2, 10), 1000), r"in \[0, 1000\).*got 1000"),
    (np.full((2, 10), -1), r"in \[0, 1000\).*got -1"),
    (np.full((2, 10), 2**40), "got 1099511627776"),
    (torch.full((2, 10), -3), "got -3"),
    (torch.zeros(2, 10, dtype=torch.bool), "got torch.bool"),
    (torch.zeros(2, 10), "got torch.float32"),
    (torch.zeros(2, 10, dtype=torch.int32, device="meta"), "on the world's device cpu, got meta"),
]


@pytest.mark.parametrize(("slate", "message"), WRONG)
def test_bad_slates_are_named_and_change_nothing(slate, message):
    env = SlateVectorEnv(BORED, num_envs=2)
    env.reset(seed=0)
    before = env.get_state()
    with pytest.raises(ValueError, match=message):
        env.step(slate)
    assert data_equivalence(before.session.key.numpy(), env.get_state().session.key.numpy())
    assert env.get_state().session.step.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"autoreset_mode": "SAME"}, "did you mean 'SAME_STEP'"),
        ({"num_envs": 0}, "num_envs must be positive, a whole number; got 0"),
        ({"num_envs": 2.0}, "num_envs must be positive, a whole number; got 2.0"),
        ({"max_episode_steps": 0}, "max_episode_steps must be positive, a whole number; got 0"),
        ({"max_episode_steps": 1.5}, "a whole number; got 1.5"),
        ({"render_mode": "human"}, "unknown render mode 'human'"),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(UsageError, match=message):
        SlateVectorEnv(BORED, **options)


def test_stepping_before_reset_is_refused():
    with pytest.raises(gym.error.ResetNeeded):
        SlateVectorEnv(BORED).step(np.zeros((1, 10), np.int32))


def test_a_state_of_another_size_is_refused():
    env, other = SlateVectorEnv(BORED, 2), SlateVectorEnv(BORED, 3)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="holds 2 users, this environment 3"):
        other.set_state(env.get_state())


@pytest.mark.slow
def test_a_compiled_environment_equals_an_eager_one(world):
    settings = {"num_envs": 8, "max_episode_steps": 7}
    eager, fast = (run(SlateVectorEnv(world, compile=c, **settings), 20) for c in (False, True))
    for (obs, reward_B, *_), (seen, reward_too_B, *_) in zip(eager, fast, strict=True):
        np.testing.assert_allclose(reward_B, reward_too_B, atol=1e-4)
        for name, x in obs.items():
            np.testing.assert_allclose(x, seen[name], atol=1e-4)
