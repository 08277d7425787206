"""The value of a click is the declared weight of every signal times its mean."""

from __future__ import annotations

from dataclasses import replace

import torch
from small_worlds import learned_world

from slategym.agents.core.choice import LEAST_VALUE
from slategym.agents.core.supervised import ranker_of
from slategym.envs import engine
from slategym.models.multitask.incremental import BertObserver


def test_every_signal_counts_with_its_weight() -> None:
    world = replace(learned_world(), objective=(0.3, 0.7, 0.2))
    assert isinstance(world.observer, BertObserver)
    encoder = world.observer.encoder
    user_B = torch.arange(6, dtype=torch.int32)
    observation = engine.observe(world, engine.start(world, user_B, user_B, 0 * user_B))
    assert observation.state is not None
    id_BK = torch.arange(10).expand(6, -1)
    like_BK, stars_BK = (
        encoder.model.expected(name, encoder.asked(observation), encoder.items_ND, id_BK)
        for name in ("like", "rating")
    )
    ranker = ranker_of(world)
    torch.testing.assert_close(
        ranker.value(encoder.asked(observation), id_BK), 0.3 + 0.7 * like_BK + 0.2 * stars_BK
    )
    by_stars = ranker_of(replace(world, objective=(1.0, 0.0, 5.0))).retrieve(observation, 40)
    by_likes = ranker_of(replace(world, objective=(1.0, 5.0, 0.0))).retrieve(observation, 40)
    assert by_stars.id.tolist() != by_likes.id.tolist()


def test_where_clicks_cost_the_score_stays_finite() -> None:
    world = replace(learned_world(), objective=(-1.0, 0.0, 0.0))
    user_B = torch.arange(4, dtype=torch.int32)
    observation = engine.observe(world, engine.start(world, user_B, user_B, 0 * user_B))
    best = ranker_of(world).retrieve(observation, 5)
    assert bool(best.score.isfinite().all()) and 0 < LEAST_VALUE < 1e-3
