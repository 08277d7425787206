"""Seeds choose people in single environments, and no seed, mask or option passes unread."""

import pickle

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.error import ClosedEnvironmentError
from gymnasium.vector import SyncVectorEnv
from stable_baselines3.common.env_util import make_vec_env

from slategym.agents.sb3.env import SlateVecEnv
from slategym.envs import seating
from slategym.envs.gym import SlateVectorEnv
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.envs.single import SlateEnv

ID, DISABLED = "InterestEvolution-v0", {"autoreset_mode": "DISABLED"}
SLATES_3K = np.tile(np.arange(3), (3, 1))


def who(env):
    """The user before a single environment."""
    return int(env.unwrapped.get_state().session.user_id[0])


def keys(env):
    """What happens to each user, as one number."""
    return env.unwrapped.get_state().session.key.tolist()


def met(env, seed):
    env.reset(seed=seed)
    return who(env)


def test_a_seed_per_episode_meets_different_people():
    env = gym.make("slategym:" + ID)
    assert len({met(env, seed) for seed in range(50)}) == 50
    assert met(env, 7) == met(env, 7)


def test_without_a_seed_everybody_comes_before_anybody_comes_again():
    env = SlateEnv(make_world(ID))
    size = env.world.population.size
    assert met(env, 3) == 3
    seen = {3}
    for _ in range(99):
        env.reset()
        seen.add(who(env))
    assert len(seen) == 100
    stride = seating._stride(size)
    assert np.gcd(stride, size) == 1  # so that a round is everybody


@pytest.mark.parametrize("size", [1, 2, 3, 10, 7544])
def test_a_round_is_the_whole_population(size):
    from dataclasses import replace

    world = make_world(ID)
    env = SlateEnv(replace(world, population=replace(world.population, size=size)))
    env.reset(seed=11)
    session = env.get_state().session
    rounds = [(int(session.user_id[0]), int(session.visit[0]))]
    for _ in range(2 * min(size, 10) - 1):
        env.reset()
        session = env.get_state().session
        rounds.append((int(session.user_id[0]), int(session.visit[0])))
    assert len(set(rounds)) == len(rounds)
    if size <= 10:
        assert sorted(rounds) == [(user, visit) for user in range(size) for visit in range(2)]


def test_the_lanes_of_vectorisers_meet_different_people():
    sync = SyncVectorEnv([lambda: SlateEnv(ID, max_episode_steps=1)] * 8)
    sync.reset(seed=11)
    assert [who(env) for env in sync.envs] == list(range(11, 19))
    stable = make_vec_env("slategym/" + ID, 4, seed=3)
    stable.reset()
    assert [who(env) for env in stable.envs] == [3, 4, 5, 6]
    people = set()
    for _ in range(6):
        people |= {who(env) for env in sync.envs}
        for env in sync.envs:
            env.reset()
    assert len(people) == 48


def test_the_first_reset_without_a_seed_draws_one():
    people = set()
    for _ in range(4):
        env = SlateEnv(ID)
        env.reset()
        people.add(who(env))
    assert len(people) > 1


def test_the_native_face_keeps_its_order():
    env = SlateVectorEnv(ID, 3)
    for seed in (0, 5, 2**63):
        env.reset(seed=seed)
        assert env.get_state().session.user_id.tolist() == [0, 1, 2]


def test_a_person_is_asked_for():
    env = SlateEnv(ID)
    env.reset(seed=0, options={"user": 17})
    first = keys(env)
    env.reset(seed=0, options={"user": np.int64(17)})
    assert who(env) == 17 and keys(env) == first
    env.reset(options={"user": 17})
    assert who(env) == 17 and keys(env) != first  # another visit, another luck
    many = SlateVectorEnv(ID, 3)
    many.reset(seed=0, options={"user": [17, 4, 4]})
    assert many.get_state().session.user_id.tolist() == [17, 4, 4]
    assert keys(many)[:1] == first
    many.reset(seed=[1, 2, 3], options={"user": 9})
    assert len(set(keys(many))) == 3
    stable = SlateVecEnv(ID, 2)
    stable.set_options([{"user": 5}, {}])
    stable.reset()
    assert stable.get_state().session.user_id.tolist() == [5, 1]


@pytest.mark.parametrize("user", [-1, 2**20, 1.5, "you", True, None, [1, 2]])
def test_a_person_who_is_not_there(user):
    env = SlateEnv(ID)
    if user is None:  # as good as not said
        env.reset(seed=4, options={"user": None})
        assert who(env) == 4
        return
    with pytest.raises(UsageError, match="option 'user'"):
        env.reset(options={"user": user})


@pytest.mark.parametrize("make", [SlateEnv, lambda id: SlateVectorEnv(id, 2)])
def test_unknown_options_are_refused(make):
    with pytest.raises(UsageError, match="unknown option of reset 'usr'; did you mean 'user'"):
        make(ID).reset(options={"usr": 3})


def test_every_whole_number_is_a_seed_and_all_differ():
    seeds = [0, 1, 5, 2**31 - 1, 2**31, 2**31 + 5, 2**32 - 1, 2**32, 2**32 + 5, 2**63, 2**200]
    seeds += [2**63 + 1, np.int64(6), np.uint64(2**63 + 2), np.array(8)]
    env, many = SlateEnv(ID), SlateVectorEnv(ID, 1)
    assert len({(met(env, seed), *keys(env)) for seed in seeds}) == len(seeds)
    assert len({(many.reset(seed=seed), *keys(many))[1] for seed in seeds}) == len(seeds)


def test_below_2_to_the_31_a_seed_stands_for_itself():
    """So trajectories of the vector face are those of before."""
    assert [seating.seed_word(seed) for seed in (0, 7, 2**31 - 1)] == [0, 7, 2**31 - 1]


@pytest.mark.parametrize("seed", [-1, -5, 1.0, 1.5, "7", True, np.float64(3), float("nan")])
@pytest.mark.parametrize("make", [SlateEnv, lambda id: SlateVectorEnv(id, 1)])
def test_what_is_no_seed(make, seed):
    with pytest.raises(UsageError, match="a seed is a whole number, 0 or more; got"):
        make(ID).reset(seed=seed)


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        ([1, 2, 3], "one for each of 2 users; got 3"),
        ([], "got 0"),
        (np.zeros((2, 1), int), r"got \(2, 1\)"),
        ([-5, 1], "0 or more; got -5"),
        ([1.5, 2], "got 1.5"),
        (torch.tensor([0.5, 1.0]), "0 or more; got"),
        ("12", "got '12'"),
    ],
)
def test_what_are_no_seeds(seed, message):
    with pytest.raises(UsageError, match=message):
        SlateVectorEnv(ID, 2).reset(seed=seed)


def test_a_seed_each_as_gymnasium_has_it():
    env = SlateVectorEnv(ID, 2)
    env.reset(seed=[3, 3])
    theirs = keys(env)
    env.reset(seed=np.array([3, 4]))
    assert keys(env)[0] == theirs[0] and keys(env)[1] != theirs[1]
    env.reset(seed=[3, None])  # drawn
    assert keys(env)[0] == theirs[0]


MASKS = [
    np.array([True, False]),
    np.array([True] * 4),
    np.array([[True, False, True]]),
    np.array([0, 2, 1]),
    np.array([0.0, np.nan, 1.0]),
    np.ma.MaskedArray([True, True, True], [False, True, False]),
    np.zeros(3, bool),
    torch.tensor([1, 0, 1]),
    [True, False, True],
    "all",
]


@pytest.mark.parametrize("mask", MASKS, ids=[str(n) for n in range(len(MASKS))])
def test_what_is_no_mask(mask):
    env = SlateVectorEnv(ID, 3, **DISABLED)
    env.reset(seed=0)
    env.step(SLATES_3K)
    before = keys(env)
    with pytest.raises(UsageError, match="reset_mask"):
        env.reset(options={"reset_mask": mask})
    assert keys(env) == before and env.get_state().session.step.tolist() == [1, 1, 1]


def test_a_mask_before_anybody_is_seated():
    env = SlateVectorEnv(ID, 3, **DISABLED)
    with pytest.raises(UsageError, match="nobody is seated yet"):
        env.reset(options={"reset_mask": np.ones(3, bool)})


def test_a_mask_with_a_seed_or_a_user():
    """A seed beside a mask was not read."""
    env = SlateVectorEnv(ID, 3, **DISABLED)
    env.reset(seed=0)
    first = keys(env)
    env.step(SLATES_3K)
    mask = torch.tensor([True, False, True])
    obs, _ = env.reset(seed=9, options={"reset_mask": mask})
    assert obs["step"].ravel().tolist() == [0, 1, 0]
    session = env.get_state().session
    assert session.seed.tolist() == [9, 0, 9] and session.user_id.tolist() == [0, 1, 2]
    env.reset(options={"reset_mask": mask.numpy(), "user": [8, 8, 9]})
    assert env.get_state().session.user_id.tolist() == [8, 1, 9]
    env.reset(seed=0)
    assert keys(env) == first


def test_a_reset_in_the_middle_of_gymnasiums_next_step():
    """Rows that ended and are not in the mask begin anew at the next step, as they would have."""
    env = SlateVectorEnv(ID, 3, autoreset_mode="NEXT_STEP", max_episode_steps=1)
    env.reset(seed=0)
    env.step(SLATES_3K)
    env.reset(options={"reset_mask": np.array([True, False, False])})
    _, reward_B, _, cut_B, _ = env.step(SLATES_3K)
    assert cut_B.tolist() == [True, False, False] and reward_B[1:].tolist() == [0, 0]


def test_a_state_of_another_world_or_seed_is_refused():
    env = SlateVectorEnv(ID, 2)
    env.reset(seed=0)
    saved = pickle.loads(pickle.dumps(env.get_state()))
    SlateVectorEnv(ID, 2).set_state(saved)
    for other in (
        SlateVectorEnv("LongTermSatisfaction-v0", 2),
        SlateVectorEnv(make_world(ID, seed=1), 2),
        SlateVectorEnv(make_world(ID, choice="cascade"), 2),
        SlateVectorEnv(make_world(ID, choice="cascade", attention=0.6), 2),
        SlateVectorEnv(make_world(ID, static=True), 2),
        SlateVectorEnv(make_world(ID, num_candidates=11), 2),
    ):
        with pytest.raises(UsageError, match=r"another world, or in .* with other settings"):
            other.set_state(saved)
    stable = SlateVecEnv(ID, 2)
    stable.reset()
    with pytest.raises(UsageError, match="another world"):
        SlateVecEnv(make_world(ID, seed=1), 2).set_state(stable.get_state())


def test_nothing_goes_on_after_close():
    single, many = SlateEnv(ID), SlateVectorEnv(ID, 3)
    for env, slates in ((single, SLATES_3K[0]), (many, SLATES_3K)):
        env.reset(seed=0)
        env.close()
        env.close()
        with pytest.raises(ClosedEnvironmentError):
            env.reset()
        with pytest.raises(ClosedEnvironmentError):
            env.step(slates)


def test_nothing_goes_on_after_close_in_stable_baselines():
    env = SlateVecEnv(ID, 2)
    env.reset()
    env.close()
    with pytest.raises(ClosedEnvironmentError):
        env.reset()
    with pytest.raises(ClosedEnvironmentError):
        env.step(np.zeros((2, 3), int))
    with pytest.raises(UsageError, match="a seed is a whole number"):
        SlateVecEnv(ID, 2, seed=1.5)


@pytest.mark.slow
def test_a_seed_per_episode_earns_what_the_people_give():
    """166.6 with a seed per episode, all of them user 0's; 157.3 over the people of the world."""
    env = gym.make("slategym:" + ID)
    env.action_space.seed(0)

    def earned():
        total, over = 0.0, False
        while not over:
            _, reward, left, cut, _ = env.step(env.action_space.sample())
            total, over = total + reward, left or cut
        return total

    seeded = []
    for seed in range(150):
        env.reset(seed=seed)
        seeded.append(earned())
    env.reset(seed=0)
    going_on = []
    for _ in range(150):
        going_on.append(earned())
        env.reset()
    error = np.sqrt(np.var(seeded) / 150 + np.var(going_on) / 150)
    assert abs(np.mean(seeded) - np.mean(going_on)) < 3 * error
    assert abs(np.mean(seeded) - 157.3) < 4.0
