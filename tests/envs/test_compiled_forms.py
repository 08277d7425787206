"""Operations that are written once for eager torch and once for a compiler: equal, bit for bit."""

import shutil

import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import data_equivalence

from slategym.envs import compiling, engine, luck
from slategym.envs.gym import SlateVectorEnv
from slategym.envs.luck import Luck
from slategym.envs.registry import make_world

WORLDS = ["Sardine-SlateTopK-Bored-v0", "Sardine-SlateTopK-Uncertain-v0"]
compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("g++", "clang++"))), reason="torch.compile needs a C++ compiler"
)


@pytest.mark.parametrize("world_id", WORLDS)
def test_both_forms_tell_one_story(world_id, monkeypatch):
    """600 users, so that repeats are looked for slot by slot; slates repeat items on purpose."""
    world = make_world(world_id, num_items=40)
    user_B = torch.arange(600, dtype=torch.int32)
    generator = torch.Generator().manual_seed(0)
    shape = (12, 600, world.slate_size)
    slates = torch.randint(40, shape, generator=generator, dtype=torch.int32)

    def told():
        session = engine.start(world, torch.zeros_like(user_B), user_B, torch.zeros_like(user_B))
        outcomes = []
        for slate_BK in slates:
            session, outcome = engine.transition(world, session, slate_BK)
            outcomes.append(outcome)
        return session, outcomes

    eager, outcomes = told()
    assert (eager.user.bored > 0).any() and (eager.user.count >= 4).any()  # something happens
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    other, others = told()
    torch.testing.assert_close(eager.user.count, other.user.count, rtol=0, atol=0)
    torch.testing.assert_close(eager.user.next, other.user.next, rtol=0, atol=0)
    torch.testing.assert_close(eager.user.clicks, other.user.clicks, rtol=0, atol=0)
    for one, two in zip(outcomes, others, strict=True):
        torch.testing.assert_close(one.feedback, two.feedback, rtol=0, atol=0)


@pytest.fixture(params=["numpy", "torch", "compiler"])
def form(request, monkeypatch):
    """Who works on the numbers: numpy on few, torch on many, a compiler."""
    if request.param == "torch":
        monkeypatch.setattr(compiling, "FEW", 0)
        monkeypatch.setattr(luck, "FEW", 0)
    if request.param == "compiler":
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)


def test_luck_is_the_same_in_all_forms(form):
    """Of the hash's definition in Python's own numbers."""

    def mixed(x):
        for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):
            x = (x ^ (x >> shift)) * factor % 2**32
        return x

    words = [0, 1, 5, -1, -(2**31), 2**31 - 1, 123456789, -987654321]
    word_B = torch.tensor(words, dtype=torch.int32)
    found_Bn = Luck.at(word_B, torch.full_like(word_B, 3)).uniform(7, 5)
    assert found_Bn.dtype == torch.float32 and found_Bn.shape == (8, 5)
    golden = 0x9E3779B9
    for word, found_n in zip(words, found_Bn.tolist(), strict=True):
        stream = mixed((word % 2**32) ^ (3 * golden % 2**32))
        bits = [mixed(stream ^ ((index * golden + 7) % 2**32)) for index in range(5)]
        signed = [(x ^ 2**31) - 2**31 for x in bits]
        assert found_n == [(x >> 8) * 2.0**-24 + 0.5 for x in signed]


@pytest.mark.parametrize("shape", [(600, 6), (40, 6), (3, 6), (600, 1), (600, 17)])
def test_repeats_are_the_same_in_all_forms_and_by_definition(form, shape):
    slate_BK = torch.randint(9, shape, dtype=torch.int32)
    rows = slate_BK.tolist()
    truth = torch.tensor([[x in row[:k] for k, x in enumerate(row)] for row in rows])
    assert torch.equal(engine.repeated(slate_BK), truth)


@compiler
def test_a_compiler_draws_the_same():
    """With a purpose that the counter takes past 32 bits; ten draws leave a vector half full."""
    large, user_B = 1_999_999_999, torch.arange(4, dtype=torch.int32)
    drawn = torch.compile(lambda stream_B: Luck(stream_B).uniform(large, 10), fullgraph=True)
    stream_B = Luck.at(luck.key(0 * user_B, user_B, 0 * user_B), 0 * user_B).stream
    assert torch.equal(drawn(stream_B), Luck(stream_B).uniform(large, 10))


@compiler
def test_compiling_changes_no_result_in_one_small_world():
    """One of all the worlds that the slow tests compile."""
    world, (eager, fast) = make_world("InterestExploration-v0"), ([], [])
    for compile, told in ((False, eager), (True, fast)):
        env = SlateVectorEnv(world, num_envs=4, max_episode_steps=3, compile=compile)
        env.reset(seed=0)
        env.action_space.seed(0)
        told.extend(env.step(env.action_space.sample()) for _ in range(7))
    assert data_equivalence(
        [(reward_B, cut_B) for _, reward_B, _, cut_B, _ in eager],
        [(reward_B, cut_B) for _, reward_B, _, cut_B, _ in fast],
    )
    for (obs, *_), (seen, *_) in zip(eager, fast, strict=True):
        for name, x in obs.items():
            np.testing.assert_allclose(x, seen[name], atol=1e-5)


@pytest.mark.slow
def test_a_compiled_environment_begins_anew_as_an_eager_one():
    """Whole batches begin anew as one compiled graph, within the rounding of a norm."""
    seen = []
    for compile in (False, True):
        envs = SlateVectorEnv(WORLDS[0], 4, max_episode_steps=3, compile=compile)
        envs.reset(seed=1)
        rng = np.random.default_rng(0)
        steps = [envs.step(rng.integers(1000, size=(4, 10))) for _ in range(8)]
        seen.append([(shown["user"], reward, cut) for shown, reward, _, cut, _ in steps])
    assert sum(bool(cut.all()) for _, _, cut in seen[0]) == 2
    for one, two in zip(*seen, strict=True):
        for x, y in zip(one, two, strict=True):
            np.testing.assert_allclose(x, y, rtol=0, atol=1e-5)
