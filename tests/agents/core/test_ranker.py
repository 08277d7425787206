"""The value of a click is the declared weight of every signal times its mean."""

from __future__ import annotations

from dataclasses import replace
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from small_worlds import learned_world, small_log

from slategym.agents.core.choice import LEAST_VALUE
from slategym.agents.core.ranker import stated_ranker
from slategym.agents.core.supervised import ranker_of
from slategym.envs import engine
from slategym.envs.names import UsageError
from slategym.envs.types import World
from slategym.models.multitask.incremental import BertObserver, NoState, StateEncoder
from slategym.models.multitask.settings import MultiTaskSettings
from slategym.models.multitask.train import train_multitask
from slategym.models.multitask.training_settings import TrainingSettings


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


@pytest.fixture(scope="module")
def regressing() -> World:
    """A world whose ranker has a regression of ratings."""
    log, world = small_log(30, 40), learned_world()
    with TemporaryDirectory() as folder:
        model = train_multitask(
            log,
            np.arange(30),
            MultiTaskSettings(width=16, feedforward=32, max_history=8),
            TrainingSettings(epochs=1, batch_events=64),
            folder,
            text_vectors_ND0=torch.randn(40, 8, generator=torch.Generator().manual_seed(1)),
            progress=False,
        )
    encoder = StateEncoder(model, seconds_per_event=60.0).prepared(world.population)
    return replace(world, observer=BertObserver(encoder))


def test_doubt_is_what_policies_see_of_the_regressions_spread(regressing: World) -> None:
    user_B = torch.arange(6, dtype=torch.int32)
    observation = engine.observe(regressing, engine.start(regressing, user_B, user_B, 0 * user_B))
    ranker = stated_ranker(regressing)
    best = ranker.retrieve(observation, 5)
    doubt_BK = ranker.doubt(observation, "rating", best.id)
    assert doubt_BK.shape == (6, 5) and bool((doubt_BK > 0).all())
    for wrong, said in (("ratin", "did you mean 'rating'"), ("like", "unknown regressed signal")):
        with pytest.raises(UsageError, match=said):
            ranker.doubt(observation, wrong, best.id)
    with pytest.raises(NoState):
        ranker.doubt(replace(observation, state=None), "rating", best.id)
    # another face shows the same people without a view of the session
    blind = ranker.doubt(replace(observation, view=None), "rating", best.id)
    torch.testing.assert_close(blind, doubt_BK)
