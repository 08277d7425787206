"""References: the best slate of one request by brute force, and the rule by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
import torch
from small_worlds import GENRES, learned_world, ranker_in

from slategym.agents.core.supervised import Supervised
from slategym.agents.references.myopic import Myopic, RuleAware
from slategym.envs import engine
from slategym.envs.candidates import FreshDocuments, WholeCatalogue
from slategym.envs.choice import PositionBased
from slategym.envs.luck import Luck
from slategym.envs.registry import make_world
from slategym.envs.types import Items, Session, World
from slategym.envs.users.assumed import Assumed, AssumedState
from slategym.envs.users.satiation import Habit, HabitState, SatiationState
from slategym.models.simulator.users import LearnedUsers

B, N, K = 20, 7, 3


@pytest.fixture
def world() -> World:
    """Seven items, all of which may be shown, to people who are easily won or hard to please."""
    world = learned_world(num_items=N, slate_size=K)
    assert isinstance(world.users, Assumed) and isinstance(world.users.inner, LearnedUsers)
    keen = replace(world.users.inner, skip=0.0, temperature=0.7)
    users = replace(world.users, inner=keen, patience=None)
    return replace(world, candidates=WholeCatalogue(), users=users, objective=(0.3, 2.0, 0.1))


def begin(world: World) -> Session:
    user_B = torch.arange(B, dtype=torch.int32)
    return engine.start(world, user_B, user_B, torch.zeros_like(user_B))


def act(policy: Myopic | RuleAware, world: World, session: Session) -> torch.Tensor:
    observation = replace(engine.observe(world, session), hidden=session)
    return policy.act(observation, Luck.at(session.key, session.step)).slate


def earned(world: World, session: Session, slate_BK: torch.Tensor) -> torch.Tensor:
    return engine.transition(world, session, slate_BK.int())[1].expected_reward


def best_of_all(world: World, session: Session, slates: list[tuple[int, ...]]) -> torch.Tensor:
    """What the best of these slates earns at this request, (B,)."""
    every = [earned(world, session, torch.tensor(s).expand(B, -1)) for s in slates]
    return torch.stack(every).amax(0)


def test_myopic_is_the_best_of_all_slates_at_every_request(world: World) -> None:
    policy, session = Myopic(world), begin(world)
    slates = list(combinations(range(N), K))
    for _ in range(4):
        slate_BK = act(policy, world, session)
        torch.testing.assert_close(
            earned(world, session, slate_BK), best_of_all(world, session, slates)
        )
        session, _ = engine.transition(world, session, slate_BK)
    assert policy.privileged and policy.name == "myopic"


def test_more_appeal_is_not_always_better(world: World) -> None:
    """Else ranking by appeal would pass the test above."""
    session = begin(world)
    items = Items(torch.arange(N, dtype=torch.int32).expand(B, -1).contiguous(), world.catalogue)
    appeal_BN = world.users.appeal(session.user, items, session.context)
    naive_BK = appeal_BN.topk(K).indices
    best_B = earned(world, session, act(Myopic(world), world, session))
    assert (best_B > earned(world, session, naive_BK) + 0.01).sum() > B / 4


def test_myopic_keeps_to_what_may_be_shown_and_to_its_cap() -> None:
    world = learned_world(num_items=15, slate_size=K)
    session = begin(world)
    allowed_BN = engine.observe(world, session).allowed
    assert allowed_BN is not None
    slate_BK = act(Myopic(world), world, session)
    assert allowed_BN.gather(1, slate_BK.long()).all()
    capped = Myopic(world, cap=1)
    topics_BK = world.catalogue.topic[act(capped, world, session).long()]
    assert all(len(set(row.tolist())) == K for row in topics_BK)
    assert any(len(set(world.catalogue.topic[row.long()].tolist())) < K for row in slate_BK)
    assert capped.name == "myopic-cap1"


def test_where_positions_are_offered_it_answers_with_positions(world: World) -> None:
    world = replace(world, candidates=FreshDocuments(5))
    session = begin(world)
    slates = list(combinations(range(5), K))
    slate_BK = act(Myopic(world), world, session)
    torch.testing.assert_close(
        earned(world, session, slate_BK), best_of_all(world, session, slates)
    )


def test_under_another_choice_it_ranks_by_value_and_chance(world: World) -> None:
    world = replace(world, choice=PositionBased(0.5))
    session = begin(world)
    slates = [s for c in combinations(range(N), K) for s in {c, c[::-1], (c[1], c[0], c[2])}]
    slate_BK = act(Myopic(world), world, session)
    assert (earned(world, session, slate_BK) >= best_of_all(world, session, slates) - 1e-5).all()


def felt(world: World, session: Session, last: list[int], remaining: list[int]) -> Session:
    """Everybody remembers these clicks and is bored like this."""
    assert isinstance(session.user, AssumedState)
    satiation = SatiationState(
        torch.tensor(last, dtype=torch.int32).expand(B, -1),
        torch.tensor(remaining, dtype=torch.int32).expand(B, -1),
    )
    return replace(session, user=replace(session.user, satiation=satiation))


def test_a_topic_is_tired_if_it_bores_or_one_click_would_make_it() -> None:
    world = learned_world()  # memory of 3 clicks, 2 of them bore
    policy, session = RuleAware(ranker_in(world), world), begin(world)
    for last, remaining, tired in (
        ([-1, -1, -1], [0, 0, 0], [False, False, False]),
        ([-1, -1, 2], [0, 0, 0], [False, False, True]),
        ([2, 0, 1], [0, 0, 0], [True, True, False]),  # the oldest is about to be forgotten
        ([2, -1, -1], [1, 0, 0], [True, False, False]),
    ):
        found_BG = policy.tired(felt(world, session, last, remaining))
        assert found_BG.tolist() == [tired] * B


def test_rule_aware_shows_no_tired_topic_while_others_are_left() -> None:
    world = learned_world(num_items=14)
    policy, session = RuleAware(ranker_in(world), world), begin(world)
    supervised = Supervised(ranker_in(world), world.catalogue.topic.long(), K)
    fresh = engine.observe(world, session)
    now = Luck.at(session.key, session.step)
    assert torch.equal(act(policy, world, session), supervised.act(fresh, now).slate)
    saw_shortage = False
    for turn in range(4):
        session = felt(world, session, [-1, turn % 3, (turn + 1) % 3], [0, 0, 0])
        tired_BG = policy.tired(session)
        allowed_BN = engine.observe(world, session).allowed
        assert allowed_BN is not None
        slate_BK = act(policy, world, session)
        tired_BN = tired_BG[:, world.catalogue.topic.long()]
        for b in range(B):
            fine = int((allowed_BN[b] & ~tired_BN[b]).sum())
            shown_fine = int((~tired_BN[b][slate_BK[b].long()]).sum())
            assert shown_fine == min(fine, K)
            assert allowed_BN[b][slate_BK[b].long()].all()
            saw_shortage |= fine < K
        session, _ = engine.transition(world, session, slate_BK)
    assert saw_shortage and policy.name == "rule-aware" and policy.privileged


def test_where_people_like_more_of_the_same_it_shows_what_they_clicked() -> None:
    world = learned_world(num_items=14)
    assert isinstance(world.users, Assumed)
    world = replace(world, users=replace(world.users, satiation=Habit(3, gain=50.0)))
    policy, session = RuleAware(ranker_in(world), world), begin(world)
    assert isinstance(session.user, AssumedState)
    for topic in range(3):
        last = torch.tensor([-1, -1, -1, -1, topic], dtype=torch.int32).expand(B, -1)
        user = replace(session.user, satiation=HabitState(last))
        now = replace(session, user=user)
        gained_BG = world.users.gained(user)
        assert gained_BG is not None and gained_BG[:, topic].tolist() == [50.0] * B
        shown_BK = world.catalogue.topic[act(policy, world, now).long()]
        left_BN = engine.observe(world, now).allowed
        assert left_BN is not None
        enough_B = (left_BN & (world.catalogue.topic == topic)).sum(1).clamp(max=K)
        assert ((shown_BK == topic).sum(1) == enough_B).all()


def test_without_the_rule_it_is_the_ranker(world: World) -> None:
    for users in (world.users, replace(world.users, satiation=None), world.users.inner):
        plain = replace(world, users=users)
        session = begin(plain)
        slate_BK = act(RuleAware(ranker_in(plain), plain), plain, session)
        now = Luck.at(session.key, session.step)
        greedy = Supervised(ranker_in(plain), plain.catalogue.topic.long(), K)
        observation = engine.observe(plain, session)
        assert torch.equal(slate_BK, greedy.act(observation, now).slate)


def test_nothing_hidden_no_reference(world: World) -> None:
    session = begin(world)
    now = Luck.at(session.key, session.step)
    for policy in (Myopic(world), RuleAware(ranker_in(world), world)):
        with pytest.raises(ValueError, match=r"needs observation\.hidden"):
            policy.act(engine.observe(world, session), now)
    assert len(GENRES) == 3


def test_where_clicks_are_all_but_certain_the_surest_still_come_first() -> None:
    """Appeals beyond 17 are one in float32; ties would be broken by position, which bores less."""
    world = make_world("Sardine-SingleItem-BoredInf-v0")
    session = begin(world)
    items = Items(torch.arange(1000, dtype=torch.int32).expand(B, -1).contiguous(), world.catalogue)
    appeal_BN = world.users.appeal(session.user, items, session.context)
    assert ((appeal_BN > 17).sum(1) > 5).any()
    torch.testing.assert_close(act(Myopic(world), world, session)[:, 0].long(), appeal_BN.argmax(1))


def test_what_is_worth_less_than_nothing_comes_last(world: World) -> None:
    users_like_it = replace(world, choice=PositionBased(), objective=(-1.0, 0.9, 0.0))
    session = begin(users_like_it)
    items = Items(torch.arange(N, dtype=torch.int32).expand(B, -1).contiguous(), world.catalogue)
    luck = Luck.at(session.key, session.step)
    appeal_BN = world.users.appeal(session.user, items, session.context)
    mean_BNM = world.users.respond(session.user, items, session.context, luck)[1]
    worth_BN = appeal_BN.sigmoid() * (mean_BNM * torch.tensor(users_like_it.objective)).sum(2)
    slate_BK = act(Myopic(users_like_it), users_like_it, session)
    assert torch.equal(slate_BK.long(), worth_BN.topk(K).indices) and (worth_BN < 0).any()
