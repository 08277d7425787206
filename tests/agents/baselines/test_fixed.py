"""Policies that do not learn by trial: exact laws and rankings by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import permutations

import pytest
import torch
from small_worlds import fixed_world, learned_world, plain_taste, ranker_in

from slategym.agents.baselines.fixed import Popularity
from slategym.agents.core.random_slates import Random, clicks_under_random_slates
from slategym.agents.core.supervised import Diversity, Supervised
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.registry import make_world
from slategym.envs.types import Observation, Session, World
from slategym.models.multitask.incremental import BertObserver


def begin(world: World, num_users: int) -> tuple[Session, Observation, Luck]:
    user_B = torch.arange(num_users, dtype=torch.int32) % world.population.size
    seed_B = torch.arange(num_users, dtype=torch.int32)
    session = engine.start(world, seed_B, user_B, torch.zeros_like(user_B))
    return session, engine.observe(world, session), Luck.at(session.key, session.step)


def with_allowed(observation: Observation, allowed_C: list[bool]) -> Observation:
    allowed_BC = torch.tensor(allowed_C).expand(len(observation.step), -1)
    return replace(observation, allowed=allowed_BC)


def test_random_is_uniform_over_ordered_slates_and_says_so_exactly() -> None:
    world = fixed_world(
        plain_taste([0.0] * 5, [0.0] * 5), [0] * 5, [0.0] * 5, slate_size=2, horizon=3
    )
    _, observation, now = begin(world, 12_000)
    policy = Random(5, 2)
    for allowed, left in ((None, 5), ([True, False, True, True, True], 4)):
        seen = observation if allowed is None else with_allowed(observation, allowed)
        action = policy.act(seen, now)
        assert action.logp is not None
        exact = -math.log(left * (left - 1))
        torch.testing.assert_close(action.logp, torch.full((12_000,), exact))
        counts = torch.bincount((action.slate[:, 0] * 5 + action.slate[:, 1]).long(), minlength=25)
        allowed_ids = [i for i in range(5) if allowed is None or allowed[i]]
        possible = [5 * i + j for i, j in permutations(allowed_ids, 2)]
        share_x = counts[possible] / 12_000
        error = 4.5 * (math.exp(exact) / 12_000) ** 0.5
        assert (share_x - math.exp(exact)).abs().max() < error
        assert int(counts.sum()) == int(counts[possible].sum())  # nothing else is shown


def test_popularity_is_the_same_for_all_less_what_each_has_consumed() -> None:
    world = learned_world(num_items=12)
    _, observation, now = begin(world, 6)
    assert world.catalogue.popularity is not None and observation.allowed is not None
    slate_BK = Popularity(world.catalogue.popularity, 4).act(observation, now).slate
    for b in range(6):
        left = [n for n in range(12) if observation.allowed[b, n]]  # the lower the more popular
        assert slate_BK[b].tolist() == left[:4]


def test_popularity_looks_up_what_is_offered() -> None:
    world = make_world("InterestEvolution-v0", num_candidates=7)
    _, observation, now = begin(world, 5)
    count_N = torch.rand(world.catalogue.num_items, generator=torch.Generator().manual_seed(0))
    slate_BK = Popularity(count_N, 3).act(observation, now).slate
    assert observation.candidates is not None
    for b in range(5):
        count_C = count_N[observation.candidates[b].long()]
        assert count_C[slate_BK[b].long()].tolist() == count_C.sort(descending=True)[0][:3].tolist()


@pytest.mark.parametrize(("click_value", "like_value"), [(1.0, 1.0), (0.2, 3.0)])
def test_the_ranker_is_expected_reward_under_multinomial_choice(
    click_value: float, like_value: float
) -> None:
    world = learned_world()
    assert isinstance(world.observer, BertObserver)
    world.observer.encoder.model.set_calibration({"click": 0.5, "like": 2.0}, {"like": -0.3})
    session, observation, _ = begin(world, 10)
    ranker = replace(ranker_in(world), weights=(("click", click_value), ("like", like_value)))
    best = ranker.retrieve(observation, 8)
    click_BN, like_BN, _ = world.observer.encoder.score(session.view, None, session.context)
    assert observation.allowed is not None
    worth_BN = click_BN.exp() * (click_value + like_value * like_BN.sigmoid())
    worth_BN = worth_BN.masked_fill(~observation.allowed, 0.0)
    assert best.id.tolist() == worth_BN.sort(descending=True)[1][:, :8].tolist()
    torch.testing.assert_close(best.score, worth_BN.gather(1, best.id).log())


def test_a_short_list_by_clicks_comes_before_likes() -> None:
    world = learned_world()
    assert isinstance(world.observer, BertObserver)
    session, observation, _ = begin(world, 10)
    narrow = ranker_in(world, shortlist=4).retrieve(observation, 4)
    click_BN, _, _ = world.observer.encoder.score(session.view, None, session.context)
    assert observation.allowed is not None
    click_BN = click_BN.masked_fill(~observation.allowed, -1e9)
    most_clicked = click_BN.topk(4).indices.sort()[0]
    assert narrow.id.sort()[0].tolist() == most_clicked.tolist()
    assert narrow.id.tolist() != ranker_in(world).retrieve(observation, 4).id.tolist()


def test_the_ranker_needs_a_state_and_never_shows_the_consumed() -> None:
    world = learned_world()
    _, observation, now = begin(world, 20)
    with pytest.raises(ValueError, match="a world with an observer"):
        ranker_in(world).retrieve(replace(observation, state=None), 3)
    policy = Supervised(ranker_in(world), world.catalogue.topic.long(), 3)
    assert observation.allowed is not None
    assert observation.allowed.gather(1, policy.act(observation, now).slate.long()).all()


def test_a_cap_leaves_at_most_so_many_of_a_topic_and_is_in_the_name() -> None:
    world = learned_world()
    _, observation, now = begin(world, 20)
    topic_N = world.catalogue.topic.long()
    plain = Supervised(ranker_in(world), topic_N, 3)
    free_BK = plain.act(observation, now).slate
    assert plain.name == "supervised" and not plain.privileged
    most = {None: 0, 1: 0, 2: 0}
    for cap in most:
        diversity = Diversity("none") if cap is None else Diversity("cap", cap)
        policy = Supervised(ranker_in(world), topic_N, 3, diversity)
        slate_BK = policy.act(observation, now).slate
        topics_BK = topic_N[slate_BK.long()]
        most[cap] = max(int(t.bincount().max()) for t in topics_BK)
        assert torch.equal(slate_BK[:, 0], free_BK[:, 0])  # the best is never capped away
    assert most == {None: 3, 1: 1, 2: 2}
    assert policy.name == "supervised-cap2"


def test_clicks_under_random_slates_find_what_people_want() -> None:
    taste = plain_taste([-3.0, 3.0, -3.0, 0.0], [0.0] * 4)
    world = fixed_world(taste, [0, 0, 1, 1], [0.0] * 4, slate_size=2, horizon=50)
    count_N = clicks_under_random_slates(world, num_users=400, num_slates=10)
    assert count_N.argsort(descending=True)[:2].tolist() == [1, 3]
    # item 1 is in half of the slates, beside each of the others as often
    expected = 4000 * 0.5 * (2 * chance(3.0, -3.0) + chance(3.0, 0.0)) / 3
    assert float(count_N[1]) == pytest.approx(expected, rel=0.06)


def chance(mine: float, other: float) -> float:
    return math.exp(mine) / (1 + math.exp(mine) + math.exp(other))
