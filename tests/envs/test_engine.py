"""What every world must satisfy, for every world that is registered here."""

import functools
import hashlib
import json
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from own_worlds import OWN

from slategym.envs import engine
from slategym.envs.compiling import compiled
from slategym.envs.engine import MANY_USERS
from slategym.envs.luck import Luck, purpose
from slategym.envs.names import UsageError
from slategym.envs.observation import show
from slategym.envs.registry import make_world
from slategym.envs.trees import map_tensors
from slategym.envs.types import Items, Population
from slategym.envs.users.likes import Likes

POLICY = purpose("test.policy")
GOLDEN = Path(__file__).with_name("golden.json")


def start(world, user_B, seed=3):
    user_B = torch.as_tensor(user_B, dtype=torch.int32)
    return engine.start(world, torch.full_like(user_B, seed), user_B, torch.zeros_like(user_B))


def slates(world, session):
    """Distinct random positions, the same for a user in any batch."""
    score_BC = Luck.at(session.key, session.step).uniform(POLICY, world.num_candidates)
    return score_BC.topk(world.slate_size).indices.int()


def walk(world, session, num_steps, policy=slates, step=engine.transition):
    outcomes = []
    for _ in range(num_steps):
        session, outcome = step(world, session, policy(world, session))
        outcomes.append(outcome)
    return session, outcomes


def rows(tree, index):
    return map_tensors(lambda x: x[index], tree)


def assert_equal(a, b, tolerance=1e-4):
    def leaf(x, y):
        assert x.dtype == y.dtype and x.shape == y.shape
        torch.testing.assert_close(x, y, rtol=tolerance, atol=tolerance, equal_nan=True)
        return x

    map_tensors(leaf, a, b)


def test_a_user_meets_the_same_fate_in_any_batch(world):
    alone, few = walk(world, start(world, [7]), 25)
    crowd, many = walk(world, start(world, range(64)), 25)
    assert_equal(alone, rows(crowd, slice(7, 8)))
    for a, b in zip(few, many, strict=True):
        assert_equal(a, rows(b, slice(7, 8)))


def test_batches_of_1_7_and_4096_tell_one_story(world):
    session_7, outcomes_7 = walk(world, start(world, range(100, 107)), 4)
    _, outcomes_1 = walk(world, start(world, [103]), 4)
    session, outcomes = walk(world, start(world, range(4096)), 4)
    assert_equal(session_7, rows(session, slice(100, 107)))
    for one, seven, many in zip(outcomes_1, outcomes_7, outcomes, strict=True):
        assert_equal(seven, rows(many, slice(100, 107)))
        assert_equal(one, rows(many, slice(103, 104)))


WHOLE = functools.cache(make_world)


@settings(max_examples=40, deadline=None)
@given(
    id=st.sampled_from(OWN),
    user=st.integers(0, 2**20 - 1),
    seed=st.integers(0, 2**31 - 1),
    others=st.lists(st.integers(0, 2**20 - 1), max_size=12),
    place=st.integers(0, 12),
    stuck=st.booleans(),
    steps=st.integers(1, 8),
)
def test_no_user_depends_on_the_company(id, user, seed, others, place, stuck, steps):
    """Alone, or anywhere among any others, who see slates of their own or none worth the name."""
    world, lane = WHOLE(id), min(place, len(others))
    company = [*others[:lane], user, *others[lane:]]

    def policy(world, session):
        slate_BK = slates(world, session)
        if stuck:
            mine_K = slate_BK[lane].clone()
            slate_BK = torch.zeros_like(slate_BK)
            slate_BK[lane] = mine_K
        return slate_BK

    generators = torch.get_rng_state(), random.getstate(), str(np.random.get_state())  # noqa: NPY002
    alone, few = walk(world, start(world, [user], seed), steps)
    crowd, many = walk(world, start(world, company, seed), steps, policy=policy)
    assert_equal(alone, rows(crowd, slice(lane, lane + 1)))
    for a, b in zip(few, many, strict=True):
        assert_equal(a, rows(b, slice(lane, lane + 1)))
    assert torch.equal(torch.get_rng_state(), generators[0])
    assert (random.getstate(), str(np.random.get_state())) == generators[1:]  # noqa: NPY002


def test_other_users_slates_do_not_matter(world):
    """Lane 3 sees the same slates in both walks; the others see the first K positions."""

    def others_stuck(world, session):
        slate_BK = torch.arange(world.slate_size, dtype=torch.int32).repeat(8, 1)
        slate_BK[3] = slates(world, session)[3]
        return slate_BK

    a, _ = walk(world, start(world, range(8)), 15)
    b, _ = walk(world, start(world, range(8)), 15, policy=others_stuck)
    assert_equal(rows(a, slice(3, 4)), rows(b, slice(3, 4)))


def test_policies_meet_the_same_luck(world):
    """Same offers, and the same draws, whatever was shown before."""
    first = lambda world, session: 0 * slates(world, session)  # noqa: E731
    a, _ = walk(world, start(world, range(64)), 10)
    b, _ = walk(world, start(world, range(64)), 10, policy=first)
    luck_a, luck_b = Luck.at(a.key, a.step), Luck.at(b.key, b.step)
    assert torch.equal(luck_a.uniform(POLICY, 5), luck_b.uniform(POLICY, 5))
    ids_a, ids_b = world.candidates.ids(a.offer), world.candidates.ids(b.offer)
    assert (ids_a is None and ids_b is None) or torch.equal(ids_a, ids_b)


def test_seed_decides_events_but_not_people(world):
    a, b = start(world, range(64), seed=1), start(world, range(64), seed=2)
    assert_equal(a.user, b.user)
    assert not torch.equal(a.key, b.key)


def test_sampled_feedback_agrees_with_its_expectation(world):
    """Difference of means within 5 standard errors, signal by signal."""
    _, outcomes = walk(world, start(world, range(768)), 12)
    for m, signal in enumerate(world.users.signals):
        gap = torch.stack([(o.feedback - o.expected)[..., m].sum(1) for o in outcomes])
        assert abs(gap.mean()) <= 5 * gap.std() / gap.numel() ** 0.5 + 1e-7, signal.name
    gap = torch.stack([o.reward - o.expected_reward for o in outcomes])
    assert abs(gap.mean()) <= 5 * gap.std() / gap.numel() ** 0.5 + 1e-7


def test_feedback_stays_within_its_signals(world):
    _, outcomes = walk(world, start(world, range(256)), 20)
    feedback_TBKM = torch.stack([o.feedback for o in outcomes])
    expected_TBKM = torch.stack([o.expected for o in outcomes])
    assert world.users.signals[0].name == "click"
    assert feedback_TBKM.isfinite().all() and expected_TBKM.isfinite().all()
    assert (expected_TBKM[..., 0] >= 0).all() and (expected_TBKM[..., 0] <= 1).all()
    unclicked = feedback_TBKM[..., 0] == 0
    assert (feedback_TBKM[unclicked] == 0).all()
    for m, signal in enumerate(world.users.signals):
        clicked = feedback_TBKM[..., m][~unclicked]
        assert (clicked >= signal.low).all() and (clicked <= signal.high).all(), signal.name


def test_a_repeated_item_is_an_empty_slot(world):
    if world.slate_size == 1:
        pytest.skip("a slate of one repeats nothing")
    same = lambda world, session: torch.zeros(256, world.slate_size, dtype=torch.int32)  # noqa: E731
    _, outcomes = walk(world, start(world, range(256)), 5, policy=same)
    for outcome in outcomes:
        assert not outcome.feedback[:, 1:].any() and not outcome.expected[:, 1:].any()


@pytest.mark.parametrize(("users", "slots"), [(2, 5), (MANY_USERS, 1), (MANY_USERS, 6), (600, 20)])
def test_repeats_are_found_however_many_users_there_are(users, slots):
    slate_BK = torch.randint(0, 8, (users, slots), generator=torch.Generator().manual_seed(0))
    by_hand = [[x in row[:k] for k, x in enumerate(row)] for row in slate_BK.tolist()]
    found_BK = engine.repeated(slate_BK.int())
    assert found_BK.tolist() == by_hand and found_BK.is_contiguous()


def test_survivors_are_unaffected_by_a_reset(world):
    after, _ = walk(world, start(world, range(8)), 3)
    done_B = torch.arange(8) == 3
    mixed, fresh = engine.replace_rows(world, after, torch.tensor([3]))
    every, _ = engine.replace_rows(world, after, torch.arange(8))
    assert_equal(rows(after, ~done_B), rows(mixed, ~done_B))
    assert_equal(rows(every, done_B), fresh)
    assert_equal(rows(mixed, done_B), fresh)
    assert mixed.user_id[3] == 11 and mixed.step[3] == 0 and mixed.step[0] == 3


def test_a_population_returns_for_a_second_visit(world):
    world = replace(world, population=Population(size=12))
    session, _ = engine.replace_rows(world, start(world, range(8)), torch.arange(8))
    assert session.user_id.tolist() == [8, 9, 10, 11, 0, 1, 2, 3]
    assert session.visit.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert not torch.equal(session.key[4:], start(world, range(4)).key)


def test_arguments_and_global_generators_are_untouched(world):
    def generators():
        theirs = np.random.get_state()  # noqa: NPY002
        return torch.get_rng_state().tolist(), random.getstate(), str(theirs)

    before = generators()
    session = start(world, range(8))
    copy = map_tensors(torch.clone, session)
    walk(world, session, 5)
    assert_equal(session, copy, tolerance=0.0)
    assert generators() == before


TOLD = """
import torch
from slategym.envs import engine
from slategym.envs.registry import make_world

def told(first, last):
    world = make_world("DayInLife-v0", horizon=1000)
    user_B = torch.arange(first, last, dtype=torch.int32)
    session = engine.start(world, 0 * user_B + 3, user_B, 0 * user_B)
    slate_BK = torch.arange(10, dtype=torch.int32).repeat(len(user_B), 1)
    total_B = torch.zeros(len(user_B))
    for _ in range(15):
        session, outcome = engine.transition(world, session, slate_BK)
        total_B += outcome.reward
    return [f"{total:.3f}" for total in total_B.tolist()]
"""


def test_two_processes_tell_what_one_does():
    """This one everybody, and the last seven; another one the first five."""
    names = {}
    exec(TOLD, names)
    whole = names["told"](0, 12)
    assert len(set(whole)) > 5
    program = f"{TOLD}\ntorch.set_num_threads(1)\nprint(*told(0, 5))"
    other = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert other.stdout.split() + names["told"](5, 12) == whole


def test_every_session_has_the_same_layout(world):
    """Shape, dtype and stride never change: else a recompilation."""
    first = start(world, range(8))
    after, _ = walk(world, first, 2)
    mixed, _ = engine.replace_rows(world, after, torch.arange(5, 8))

    def leaf(x, y):
        assert (x.shape, x.dtype) == (y.shape, y.dtype) and x.is_contiguous()
        assert x.stride() == y.stride() or x.numel() == 0
        return x

    map_tensors(leaf, after, first)
    map_tensors(leaf, mixed, first)


def step_elsewhere(world):
    """A whole step on torch's meta device, which has no numbers: any read of one is refused."""
    away = map_tensors(lambda x: torch.empty_like(x, device="meta"), world)
    lane_B = torch.empty(6, dtype=torch.int32, device="meta")
    slate_BK = torch.empty(6, world.slate_size, dtype=torch.int32, device="meta")
    after, outcome = engine.transition(away, engine.start(away, lane_B, lane_B, lane_B), slate_BK)
    fresh, _ = engine.replace_rows(away, after, torch.arange(6, device="meta"))
    return outcome, fresh, show(away, engine.observe(away, fresh))


def twin_of(world_id):
    """Its static twin; tests/robustness/test_settings.py says which worlds have none."""
    try:
        return make_world(world_id, static=True)
    except UsageError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("static", [False, True])
def test_a_step_stays_on_the_worlds_device_and_reads_nothing_back(world_id, static):
    """What a GPU asks for, without one: no tensor of another device, no synchronisation."""
    outcome, fresh, shown = step_elsewhere(twin_of(world_id) if static else make_world(world_id))
    tensors = list(shown.values())
    for tree in (outcome, fresh):
        map_tensors(lambda x: tensors.append(x) or x, tree)
    assert {x.device.type for x in tensors} == {"meta"}


class OnlyAtHome(Likes):
    def appeal(self, state, items, context):
        return super().appeal(state, items, context) + torch.ones(items.id.shape[1])


class ReadsBack(Likes):
    def appeal(self, state, items, context):
        return super().appeal(state, items, context) * float(state[0, 0])


@pytest.mark.parametrize("users", [OnlyAtHome(), ReadsBack()])
def test_the_test_above_sees(users):
    world = replace(make_world("Workbench-v0"), users=users)
    with pytest.raises(RuntimeError, match=r"device|meta"):
        step_elsewhere(world)


def test_the_horizon_cuts(world):
    _, outcomes = walk(replace(world, horizon=3), start(world, range(2)), 3)
    assert [bool(o.cut.all()) for o in outcomes] == [False, False, True]


def test_the_static_twin_forgets_what_it_was_shown(world_id):
    """Without dynamics the appeal of every item after 10 slates is what it was at first."""
    world = twin_of(world_id)
    session = start(world, range(32))
    after, _ = walk(world, session, 10)
    ids_BC = torch.arange(min(world.catalogue.num_items, 50), dtype=torch.int32).repeat(32, 1)
    items = Items(ids_BC, world.catalogue)
    appeal = lambda s: world.users.appeal(s.user, items, s.context)  # noqa: E731
    torch.testing.assert_close(appeal(session), appeal(after))


def test_what_is_known_of_a_state_is_that_state(world):
    """Where a model says that it reveals everything, its appeal follows from what it reveals."""
    session, _ = walk(world, start(world, range(8)), 5)
    revealed_BR = engine.observe(world, session).revealed
    known = None if revealed_BR is None else world.users.known(revealed_BR)
    if known is not None:
        map_tensors(lambda a, b: torch.testing.assert_close(a, b), known, session.user)


def test_golden_trajectories(world, world_id):
    """20 steps of 32 users, hashed. New behaviour is a new version: then delete its line.

    Rewards are rounded, so that another processor's last bits do not matter.
    """
    _, outcomes = walk(world, start(world, range(32)), 20)
    clicks = torch.stack([o.feedback[..., 0] for o in outcomes]).to(torch.uint8)
    rewards = (torch.stack([o.reward for o in outcomes]).sum(0) * 10).round().int()
    digest = hashlib.sha256(clicks.numpy().tobytes() + rewards.numpy().tobytes()).hexdigest()[:16]
    assert json.loads(GOLDEN.read_text()).get(world_id) == digest, f'"{world_id}": "{digest}"'


@pytest.mark.slow
def test_compiled_equals_eager_and_compiles_once(world):
    def turn(session, slate_BK):
        return engine.transition(world, session, slate_BK)

    fast = compiled(turn)
    step = lambda world, session, slate_BK: fast(session, slate_BK)  # noqa: E731
    a, few = walk(world, start(world, range(32)), 20)
    b, many = walk(world, start(world, range(32)), 20, step=step)
    assert_equal(a, b, tolerance=1e-3)
    for x, y in zip(few, many, strict=True):
        assert_equal(x, y, tolerance=1e-3)
    again, _ = engine.replace_rows(world, b, torch.arange(9))
    with torch.compiler.set_stance("fail_on_recompile"):
        walk(world, again, 3, step=step)
