"""What a caller does with what it was given, and when, changes no number without a word."""

import gymnasium as gym
import numpy as np
import pytest
from small_worlds import learned_world

from slategym.agents.sb3.env import SlateVecEnv
from slategym.agents.sb3.flat import Flat
from slategym.agents.sb3.item_space import ItemSpace
from slategym.envs.gym import SlateVectorEnv
from slategym.envs.registry import WORLDS, make_world
from slategym.envs.single import SlateEnv

OWN = sorted(id for id, entry in WORLDS.items() if entry.builder.startswith("slategym.envs."))
IE = "slategym/InterestEvolution-v0"


def overwrite(given):
    """Zero in every array, however deep."""
    if isinstance(given, dict):
        for value in given.values():
            overwrite(value)
    elif isinstance(given, np.ndarray) and given.dtype != object:
        given[...] = 0


def rewards(env, actions, touched, steps=6):
    """What the steps earn where everything that the caller is given is overwritten, or nothing."""
    if isinstance(env, SlateVecEnv):
        env.seed(1)
    given, told = env.reset() if isinstance(env, SlateVecEnv) else env.reset(seed=1)[0], []
    for _ in range(steps):
        if touched:
            overwrite(given)
        given, reward, *rest = env.step(actions)
        told.append(np.array(reward).tolist())
        if touched:
            for part in rest:
                overwrite(part)
        if isinstance(env, SlateEnv) and any(rest[:2]):
            given, _ = env.reset()
    return told


@pytest.mark.parametrize("world_id", OWN)
def test_who_writes_into_what_is_shown_changes_nothing(world_id):
    env = SlateVectorEnv(world_id, 3, max_episode_steps=4)
    slates = np.tile(np.arange(env.world.slate_size), (3, 1))
    assert rewards(env, slates, touched=True) == rewards(env, slates, touched=False)


def test_nor_in_a_learned_world_nor_in_other_faces():
    world = learned_world()
    slate = np.arange(world.slate_size)
    two = np.tile(slate, (2, 1))
    topics = make_world("LongTermSatisfaction-v0")
    flat = SlateVecEnv(topics, 2, Flat(ItemSpace(topics)))
    for env, actions in (
        (SlateVectorEnv(world, 2), two),
        (SlateEnv(world), slate),
        (SlateVecEnv(world, 2), two),
        (flat, np.stack([flat.action_space.sample() for _ in range(2)])),
    ):
        assert rewards(env, actions, touched=True) == rewards(env, actions, touched=False)


def test_rows_that_go_on_show_what_they_showed_whatever_was_written():
    env = SlateVectorEnv(IE, 3)
    env.reset(seed=1)
    given, *_ = env.step(np.tile(np.arange(3), (3, 1)))
    before = {name: x[1:].copy() for name, x in given.items()}
    overwrite(given)
    later, _ = env.reset(options={"reset_mask": np.array([True, False, False])})
    assert later.keys() == env.observation_space.spaces.keys()
    for name, x in before.items():
        np.testing.assert_array_equal(later[name][1:], x)


def test_what_is_told_of_one_user_is_not_told_of_another():
    env = SlateVecEnv(IE, 3)
    env.reset()
    slates = np.tile(np.arange(3), (3, 1))
    *_, infos = env.step(slates)
    infos[0]["mine"] = 1
    *_, later = env.step(slates)
    assert infos[1:] == [{}, {}] and later == [{}, {}, {}]


def test_a_step_that_only_begins_anew_tells_of_no_feedback():
    """Gymnasium's NEXT_STEP: the slate after an end is shown to nobody."""
    env = SlateVectorEnv(IE, 2, autoreset_mode="NEXT_STEP")
    env.reset(seed=0)
    slates, ended_B = np.tile(np.arange(3), (2, 1)), np.zeros(2, bool)
    skipped = 0
    for _ in range(90):
        _, reward_B, left_B, cut_B, infos = env.step(slates)
        for name in ("feedback", "expected", "expected_reward"):
            assert (infos[f"_{name}"] == ~ended_B).all()
            assert not infos[name][ended_B].any()
        assert infos["expected_reward"][~ended_B].all() and not reward_B[ended_B].any()
        skipped += int(ended_B.sum())
        ended_B = left_B | cut_B
    assert skipped == 2  # at different steps: the other row went on


def test_a_session_that_has_ended_is_not_shown_another_slate():
    env = gym.make(IE)
    env.reset(seed=0)
    while True:
        *_, left, cut, _ = env.step(np.arange(3))
        if left or cut:
            break
    with pytest.raises(gym.error.ResetNeeded, match=r"the session has ended; call reset\(\)"):
        env.step(np.arange(3))
    env.reset()
    env.step(np.arange(3))


def test_nor_do_rows_that_wait_for_their_mask():
    env = SlateVectorEnv(IE, 3, autoreset_mode="DISABLED")
    env.reset(seed=0)
    slates, ended_B = np.tile(np.arange(3), (3, 1)), np.zeros(3, bool)
    while not ended_B.any():
        *_, left_B, cut_B, _ = env.step(slates)
        ended_B = left_B | cut_B
    rows = ended_B.nonzero()[0].tolist()
    with pytest.raises(gym.error.ResetNeeded) as error:
        env.step(slates)
    assert f"sessions have ended in rows {rows}; call reset(options=" in str(error.value)
    env.reset(options={"reset_mask": ended_B})
    env.step(slates)
