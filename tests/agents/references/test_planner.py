"""The planner: exact where all can be tried, ahead of the myopic, blind to the true future."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, permutations, product

import pytest
import torch
from small_worlds import fixed_world, learned_world, plain_taste
from torch import Tensor

from slategym.agents.references.myopic import Myopic
from slategym.agents.references.planner import Planner, Rule, best_rule, rules_of
from slategym.agents.types import Policy
from slategym.envs import engine
from slategym.envs.choice import PositionBased
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.envs.types import Session, World
from slategym.envs.users.satiation import GenreSatiation
from slategym.experiments.measure.play import play


def bored() -> World:
    """One item a slate; two clicks in a row on a topic make it worthless for three slates."""
    rule = GenreSatiation(2, memory=2, threshold=2, penalty=20.0, duration=3)
    taste = plain_taste([9.0, 9.0, 9.0, 8.0, 8.0], [3.0, 3.0, 3.0, 0.0, 0.0])
    return fixed_world(taste, [0, 0, 0, 1, 1], [0.0] * 5, slate_size=1, horizon=8, boredom=rule)


def begin(world: World, size: int = 8, seed: int = 0) -> Session:
    user_B = torch.arange(size, dtype=torch.int32)
    return engine.start(world, torch.full_like(user_B, seed), user_B, torch.zeros_like(user_B))


def act(policy: Policy, world: World, session: Session) -> Tensor:
    observation = replace(engine.observe(world, session), hidden=session)
    return policy.act(observation, Luck.at(session.key, session.step)).slate


def expected_return(world: World, policy: Policy, users: int = 16) -> float:
    return float(
        play(world, policy, torch.arange(users, dtype=torch.int32), seed=5)[
            "expected_return"
        ].mean()
    )


def best_schedule(world: World) -> float:
    """What the best of all sequences of topics earns; clicks are all but certain."""
    schedule_BT = torch.tensor(list(product((0, 3), repeat=world.horizon)), dtype=torch.int32)
    session, total_B = begin(world, 1), torch.zeros(len(schedule_BT))
    zero_B = torch.zeros(len(schedule_BT), dtype=torch.int32)
    session = engine.start(world, zero_B, zero_B, zero_B)
    for item_B in schedule_BT.T:
        session, outcome = engine.transition(world, session, item_B[:, None].contiguous())
        total_B += outcome.expected_reward
    return float(total_B.max())


def test_looking_ahead_it_finds_the_best_of_all_schedules() -> None:
    world = bored()
    best = best_schedule(world)
    assert expected_return(world, Myopic(world)) < 0.9 * best
    planned = expected_return(world, Planner(world, depth=4))
    assert planned == pytest.approx(best, rel=2e-3)


@pytest.mark.parametrize("positions", [False, True])
def test_for_one_request_it_is_the_best_of_all_slates(positions: bool) -> None:
    """Under choice by position the order counts as well."""
    taste = plain_taste([0.3, -0.5, 0.9, 0.1, -1.0, 0.4], [1.0, 2.0, -1.0, 0.0, 3.0, 0.5])
    world = fixed_world(taste, [0, 1, 2, 0, 1, 2], [0.0] * 6, slate_size=3, horizon=4)
    slates = list(combinations(range(6), 3))
    if positions:
        world, slates = replace(world, choice=PositionBased(0.6)), list(permutations(range(6), 3))
    session = begin(world)
    every = [
        engine.transition(world, session, torch.tensor(s, dtype=torch.int32).expand(8, -1))[1]
        for s in slates
    ]
    best_B = torch.stack([outcome.expected_reward for outcome in every]).amax(0)
    slate_BK = act(Planner(world, depth=1), world, session)
    earned_B = engine.transition(world, session, slate_BK)[1].expected_reward
    torch.testing.assert_close(earned_B, best_B)


def test_it_beats_the_myopic_where_people_are_bored() -> None:
    world = replace(make_world("Sardine-SlateTopK-Bored-v0"), horizon=20)
    myopic, base = (expected_return(world, Myopic(world, cap)) for cap in (None, 2))
    planned = expected_return(world, Planner(world))
    assert planned > base > 2 * myopic


def test_the_base_is_the_best_of_the_simple_rules() -> None:
    """Where too much of a topic wearies of everything, one that passes over it in time."""
    weary = GenreSatiation(2, memory=2, threshold=2, penalty=20.0, duration=3, scope="everything")
    world = bored()
    world = replace(world, users=replace(world.users, satiation=weary))
    assert [rule.cap for rule in rules_of(world)] == [None, None, None]  # slates of one
    rule = best_rule(world)
    assert rule.avoid > 0 and "topics about to bore less" in str(rule)
    cautious = expected_return(world, Myopic(world, rule.cap, avoid=rule.avoid))
    assert cautious > 1.2 * expected_return(world, Myopic(world))
    assert expected_return(world, Planner(world, depth=4)) >= cautious - 1e-3
    assert [rule.avoid for rule in rules_of(make_world("InterestEvolution-v0"))] == [0.0, 0.0, 0.0]


def test_a_rule_is_no_better_by_luck() -> None:
    """Where nothing tires, a cap costs or gains little, and the slate of the moment stays."""
    world = learned_world()
    world = replace(world, users=replace(world.users, satiation=None))
    assert best_rule(world) == rules_of(world)[0] == Rule(None, 0.0)


def test_tastes_held_still_change_little_where_a_model_plays_the_people() -> None:
    world = learned_world(num_items=12)
    session = begin(world, 8)
    still, moving = Planner(world, depth=3), Planner(world, depth=3, still=False)
    tabled, known = still._ahead(session)
    offer, theirs = still._offer(tabled, known), moving._offer(*moving._ahead(session))
    for name in ("position", "topic", "appeal", "value"):
        torch.testing.assert_close(getattr(offer, name), getattr(theirs, name))
    slate_BMK, _ = still._candidates(offer)
    one = still._play_out(tabled, known, slate_BMK, offer, range(32)).mean(2)
    two = moving._play_out(world, session, slate_BMK, theirs, range(32)).mean(2)
    assert (one - two).abs().mean() < 0.15 * two.mean()
    a, b = expected_return(world, still, 8), expected_return(world, moving, 8)
    assert a == pytest.approx(b, rel=0.1)


def test_it_does_not_know_what_will_happen() -> None:
    """Its choice hangs on the state, not on the luck that the session is about to meet."""
    world = learned_world(num_items=12)
    planner = Planner(world, depth=3, rollouts=64)
    session = begin(world, 4)
    other = replace(session, key=session.key ^ 12345)
    seen = engine.transition(world, session, act(planner, world, session))[1].feedback
    unseen = engine.transition(world, other, act(planner, world, session))[1].feedback
    assert not torch.equal(seen, unseen)  # luck does differ
    candidates = planner._candidates(planner._offer(world, session))[0]
    one, two = (
        planner._play_out(world, s, candidates, planner._offer(world, s), range(64)).mean(2)
        for s in (session, other)
    )
    assert not torch.equal(one, two) and (one - two).abs().mean() < 0.1 * one.mean()


def test_chunks_and_company_change_nothing() -> None:
    world = learned_world()
    session = begin(world, 6)
    whole = act(Planner(world, depth=3, rollouts=2), world, session)
    assert torch.equal(act(Planner(world, depth=3, rollouts=2, batch=40), world, session), whole)
    allowed_BN = engine.observe(world, session).allowed
    assert allowed_BN is not None and allowed_BN.gather(1, whole.long()).all()
    assert all(len(set(slate)) == world.slate_size for slate in whole.tolist())


def test_offers_that_change_are_answered_with_positions() -> None:
    world = make_world("InterestEvolution-v0")
    session = begin(world, 2)
    slate_BK = act(Planner(world, depth=2, rollouts=1), world, session)
    assert slate_BK.shape == (2, 3) and (slate_BK < 10).all()
    one_step = act(Planner(world, depth=1), world, session)
    assert torch.equal(one_step.sort(1).values, act(Myopic(world), world, session).sort(1).values)


def test_what_may_not_be_shown_is_not_chosen_however_good() -> None:
    world = learned_world(num_items=9)  # all of 84 slates are candidates; six items have been seen
    session = begin(world, 8)
    allowed_BN = engine.observe(world, session).allowed
    assert allowed_BN is not None and not allowed_BN.all()
    planner = Planner(world, depth=2, rollouts=1)
    slate_BMK, whole_BM = planner._candidates(planner._offer(world, session))
    assert slate_BMK.shape == (8, 85, 3)
    fine_BM = allowed_BN[torch.arange(8)[:, None, None], slate_BMK.long()].all(2)
    assert torch.equal(whole_BM, fine_BM) and fine_BM.any(1).all() and not fine_BM.all()
    assert allowed_BN.gather(1, act(planner, world, session).long()).all()


@pytest.mark.parametrize("id", ["InterestEvolution-v0", "Sardine-SlateTopK-Bored-v0"])
def test_the_base_policys_own_slate_is_the_first_candidate(id: str) -> None:
    """All gains are over it."""
    world = replace(make_world(id), horizon=4)
    planner, session = Planner(world), begin(world, 4)
    slate_BMK, _ = planner._candidates(planner._offer(world, session))
    rule = planner._base
    base_BK = act(Myopic(world, rule.cap, avoid=rule.avoid), world, session)
    assert torch.equal(slate_BMK[:, 0], base_BK) and slate_BMK.shape[1] == planner._num_candidates


def test_it_needs_to_be_told_and_to_look() -> None:
    world = bored()
    session = begin(world)
    with pytest.raises(ValueError, match=r"needs observation\.hidden"):
        Planner(world).act(engine.observe(world, session), Luck.at(session.key, session.step))
    with pytest.raises(UsageError, match="depth must be at least 1"):
        Planner(world, depth=0)
