"""The agents' choice model: the slate that it calls best is the best of all slates."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from small_worlds import learned_world, ranker_in
from torch import Tensor

from slategym.agents.core.choice import ConditionalLogit, slate_score
from slategym.agents.core.ranker import stated_ranker
from slategym.agents.slates.one_choice import exact_level, slate_lead
from slategym.agents.slates.top import FORBIDDEN
from slategym.envs import engine
from slategym.envs.choice import PositionBased
from slategym.envs.names import UsageError
from slategym.models.multitask.incremental import BertObserver

C = 7


def earned(utility_C: Tensor, reward_C: Tensor, nothing: float, slate: tuple[int, ...]) -> float:
    """Expected reward of a slate, from the definition."""
    odds = [math.exp(float(utility_C[i]) - nothing) for i in slate]
    return sum(o * float(reward_C[i]) for o, i in zip(odds, slate, strict=True)) / (1 + sum(odds))


@given(
    seed=st.integers(0, 10_000),
    K=st.integers(1, 4),
    nothing=st.floats(-6.0, 6.0),
    spread=st.floats(0.1, 4.0),
    mean=st.floats(-2.0, 3.0),
)
@example(seed=255, K=1, nothing=-6.0, spread=4.0, mean=3.0)
@example(seed=255, K=2, nothing=-3.0, spread=4.0, mean=-2.0)
def test_the_best_scored_are_the_best_of_all_slates(
    seed: int, K: int, nothing: float, spread: float, mean: float
) -> None:
    draw = torch.Generator().manual_seed(seed)
    utility_BC = spread * torch.randn(4, C, generator=draw)
    reward_BC = mean + torch.randn(4, C, generator=draw)
    allowed_BC = torch.rand(4, C, generator=draw) < 0.8
    allowed_BC[:, :K] = True
    score_BC = slate_score(utility_BC, reward_BC, allowed_BC, nothing, K)
    assert bool((score_BC[~allowed_BC] == FORBIDDEN).all()) and bool(score_BC.isfinite().all())
    for b, slate in enumerate(score_BC.topk(K).indices.tolist()):
        open_C = [c for c in range(C) if allowed_BC[b, c]]
        every = [earned(utility_BC[b], reward_BC[b], nothing, s) for s in combinations(open_C, K)]
        found = earned(utility_BC[b], reward_BC[b], nothing, tuple(slate))
        assert found == pytest.approx(max(every), rel=1e-4, abs=1e-4)


@given(seed=st.integers(0, 10_000), spread=st.floats(0.1, 8.0), K=st.integers(1, 20))
def test_the_iteration_has_settled_however_unlike_the_odds(
    seed: int, spread: float, K: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    odds_BC = (spread * torch.randn(8, 60, generator=draw)).exp().double()
    reward_BC = torch.randn(8, 60, generator=draw).double()
    level_B1 = exact_level(odds_BC, reward_BC, K)
    slate_BK = (odds_BC * (reward_BC - level_B1)).topk(K).indices
    again_B = slate_lead(odds_BC.gather(1, slate_BK), reward_BC.gather(1, slate_BK))
    torch.testing.assert_close(again_B, level_B1[:, 0], rtol=1e-6, atol=1e-9)


def test_equal_rewards_are_ranked_by_utility_and_one_slot_by_what_it_earns() -> None:
    draw, allowed_BC = torch.Generator().manual_seed(0), torch.ones(5, C, dtype=torch.bool)
    utility_BC = torch.randn(5, C, generator=draw)
    score_BC = slate_score(utility_BC, torch.full((5, C), 1.5), allowed_BC, 0.3, 3)
    assert torch.equal(score_BC.argsort(descending=True), utility_BC.argsort(descending=True))
    reward_BC = torch.randn(5, C, generator=draw).abs()
    alone_BC = slate_score(utility_BC, reward_BC, allowed_BC, 0.3, 1)
    odds_BC = (utility_BC - 0.3).exp()
    assert torch.equal(alone_BC.argmax(1), (odds_BC * reward_BC / (1 + odds_BC)).argmax(1))


def test_rare_clicks_are_the_limit() -> None:
    draw = torch.Generator().manual_seed(0)
    utility_BC = 0.5 * torch.randn(9, C, generator=draw)
    reward_BC = 1.0 + torch.rand(9, C, generator=draw)
    allowed_BC = torch.ones(9, C, dtype=torch.bool)
    limit_BC = slate_score(utility_BC, reward_BC, allowed_BC, math.inf, 3)
    torch.testing.assert_close(limit_BC, utility_BC + reward_BC.log())
    near_BC = slate_score(utility_BC, reward_BC, allowed_BC, 18.0, 3)
    assert torch.equal(near_BC.argsort(descending=True), limit_BC.argsort(descending=True))
    # and the scores of good items keep the distances of log(odds * reward)
    torch.testing.assert_close(
        near_BC - near_BC[:, :1], limit_BC - limit_BC[:, :1], atol=0.05, rtol=0.0
    )


def test_the_rankers_slate_is_the_best_under_its_choice_model() -> None:
    world = replace(learned_world(num_items=8), objective=(0.4, 2.0, 0.0))
    assert isinstance(world.observer, BertObserver)
    user_B = torch.arange(12, dtype=torch.int32)
    observation = engine.observe(world, engine.start(world, user_B, user_B, 0 * user_B))
    observation = replace(observation, allowed=None)
    choice = ConditionalLogit(0.7, (("like", 0.4),), nothing=-1.0)
    for shortlist in (8, None):
        ranker = replace(stated_ranker(world), choice=choice, shortlist=shortlist)
        slate_BK = ranker.retrieve(observation, 3).id
        id_BN = torch.arange(8).expand(12, -1)
        assert observation.state is not None
        utility_BN = ranker.utility(observation, id_BN)
        reward_BN = ranker.value(ranker.encoder.asked(observation), id_BN)
        model, items_ND = world.observer.encoder.model, world.observer.encoder.items_ND
        click_BN, like_BN = (
            model.calibrated(
                head, model.logits(head, ranker.encoder.asked(observation), items_ND, None)
            )
            for head in ("click", "like")
        )
        torch.testing.assert_close(utility_BN, 0.7 * click_BN + 0.4 * like_BN)
        for b, slate in enumerate(slate_BK.tolist()):
            every = [
                earned(utility_BN[b], reward_BN[b], -1.0, s) for s in combinations(range(8), 3)
            ]
            found = earned(utility_BN[b], reward_BN[b], -1.0, tuple(slate))
            assert found == pytest.approx(max(every), rel=1e-4)


def test_where_items_do_not_compete_each_counts_for_itself() -> None:
    world = replace(learned_world(num_items=12), choice=PositionBased(0.9))
    user_B = torch.arange(8, dtype=torch.int32)
    observation = engine.observe(world, engine.start(world, user_B, user_B, 0 * user_B))
    observation = replace(observation, allowed=None)
    choice = ConditionalLogit(0.5, nothing=-3.0)
    ranker = replace(stated_ranker(world), choice=choice, shortlist=None)
    assert not ranker.one_choice and stated_ranker(learned_world()).one_choice
    id_BN = torch.arange(12).expand(8, -1)
    assert observation.state is not None
    chance_BN = (ranker.utility(observation, id_BN) + 3.0).sigmoid()
    worth_BN = chance_BN * ranker.value(ranker.encoder.asked(observation), id_BN)
    assert torch.equal(ranker.retrieve(observation, 3).id, worth_BN.topk(3).indices)
    together = replace(ranker, one_choice=True).retrieve(observation, 3).id
    assert not torch.equal(together, worth_BN.topk(3).indices)


def test_weights_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(UsageError, match="the weight of like in a choice must be finite, got inf"):
        ConditionalLogit(1.0, (("like", math.inf),))
    with pytest.raises(UsageError, match="the utility of taking nothing is a number"):
        ConditionalLogit(1.0, nothing=-math.inf)
    assert ranker_in(learned_world()).choice == ConditionalLogit()
