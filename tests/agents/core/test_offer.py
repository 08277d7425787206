"""What the ranker offers, and what is known of each candidate."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from small_worlds import learned_world

from slategym.agents.core.choice import ConditionalLogit
from slategym.agents.core.offer import Offers, best_slate
from slategym.agents.core.ranker import stated_ranker
from slategym.envs import engine
from slategym.envs.types import Observation, World


@pytest.fixture(scope="module")
def world() -> World:
    return learned_world()


@pytest.fixture(scope="module")
def seen(world: World) -> Observation:
    """Eight people after three slates."""
    user_B = torch.arange(8, dtype=torch.int32)
    session = engine.start(world, user_B, user_B, torch.zeros_like(user_B))
    for step in range(3):
        slate_BK = (user_B[:, None] + 7 * step + torch.arange(3)).int() % 40
        session, _ = engine.transition(world, session, slate_BK)
    return engine.observe(world, session)


@pytest.mark.parametrize("nothing", [math.inf, 0.5])
@pytest.mark.parametrize("shortlist", [None, 20])
def test_the_best_slate_of_an_offer_is_the_rankers(
    world: World, seen: Observation, nothing: float, shortlist: int | None
) -> None:
    choice = ConditionalLogit(0.4, (("like", 0.2),), nothing)
    ranker = replace(stated_ranker(world), choice=choice, shortlist=shortlist)
    offer = Offers(world, ranker)(seen)
    score_BC = best_slate(offer, offer.utility, offer.reward, nothing, ranker)
    slot_BK = score_BC.topk(3, dim=1).indices
    ours, theirs = offer.at(slot_BK).id, ranker.retrieve(seen, 3).id
    assert torch.equal(ours, theirs)
    assert offer.id.shape == (8, shortlist or 40)
    utility_BC = ranker.utility(seen, offer.id)
    torch.testing.assert_close(utility_BC[offer.allowed], offer.utility[offer.allowed])


def test_features_are_of_order_one_and_of_the_pair(world: World, seen: Observation) -> None:
    offers = Offers(world, stated_ranker(world))
    offer = offers(seen)
    assert offer.features.shape == (8, offers.num_candidates, offers.width)
    assert torch.isfinite(offer.features).all() and offer.features.abs().max() < 20
    own_BCT = offer.features[..., offers.own_topic]
    topic_BC = world.catalogue.topic.long()[offer.id]
    trace_BTG = offers._topics.by_topic(seen)
    for b, c in ((0, 0), (3, 5), (7, 11)):
        assert torch.equal(own_BCT[b, c], trace_BTG[b, :, topic_BC[b, c]])


def test_what_may_not_be_shown_is_not_offered(world: World, seen: Observation) -> None:
    assert seen.allowed is not None
    ranker = replace(stated_ranker(world), shortlist=None)
    offer = Offers(world, ranker)(seen)
    assert torch.equal(offer.allowed, seen.allowed.gather(1, offer.id))
    assert not offer.allowed.all()
    score_BC = best_slate(offer, offer.utility, offer.reward, 0.0, ranker)
    assert seen.allowed.gather(1, offer.at(score_BC.topk(3, 1).indices).id).all()
