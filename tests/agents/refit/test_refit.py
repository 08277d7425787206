"""The supervised model refitted on its own slates, part by part."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from small_worlds import learned_world

from slategym.agents.core.history_rule import topic_counts
from slategym.agents.core.offer import Offer
from slategym.agents.core.supervised import supervised_with, tune_supervised
from slategym.agents.policies import history_rule_tuned
from slategym.agents.refit.agent import RefitSettings, SupervisedRefit
from slategym.agents.refit.network import Correction, choice_loss, reward_loss
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.envs.types import Observation, World

SMALL = RefitSettings(num_steps=96, num_users=8, rollout=4, minibatch=16, epochs=1)


@pytest.fixture(scope="module")
def world() -> World:
    return learned_world()


@pytest.fixture(scope="module")
def seen(world: World) -> tuple[Observation, Luck]:
    """Many people at their first request."""
    user_B = torch.arange(400, dtype=torch.int32)
    session = engine.start(world, user_B, user_B % 20, user_B // 20)
    return engine.observe(world, session), Luck.at(session.key, session.step)


def made_up_offer() -> Offer:
    """Two requests for two candidates of three items."""
    return Offer(
        id=torch.tensor([[0, 1], [2, 0]]),
        allowed=torch.tensor([[True, True], [True, False]]),
        utility=torch.tensor([[1.0, 2.0], [0.5, 0.0]]),
        reward=torch.tensor([[1.0, 1.5], [2.0, 1.0]]),
        features=torch.ones(2, 2, 5),
        state=torch.ones(2, 4),
    )


def test_nothing_is_corrected_at_first() -> None:
    correction = Correction(5, torch.ones(3, 4), num_slots=2, nothing=0.25, seed=0)
    utility_RC, reward_RC = correction(made_up_offer())
    assert utility_RC.tolist() == [[0.75, 1.75], [0.25, pytest.approx(-1e9)]]
    assert torch.equal(reward_RC, made_up_offer().reward)


def test_losses_are_those_computed_by_hand() -> None:
    utility_RK = torch.tensor([[0.0, math.log(2.0)], [0.0, math.log(2.0)]])
    clicked_RK = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    # one in four nothing, one in four the first, one in two the second
    by_hand = (math.log(2.0) + math.log(4.0)) / 2
    assert float(choice_loss(utility_RK, clicked_RK, True)) == pytest.approx(by_hand)
    # slot by slot: one in two the first, two in three the second
    by_hand = math.log(2.0) + (math.log(1.5) + math.log(3.0)) / 2
    assert float(choice_loss(utility_RK, clicked_RK, False)) == pytest.approx(by_hand)
    earned_RK, reward_RK = torch.tensor([[9.0, 2.0], [9.0, 9.0]]), torch.full((2, 2), 1.5)
    assert float(reward_loss(reward_RK, earned_RK, clicked_RK)) == pytest.approx(0.0625)


def test_before_its_first_fit_it_is_supervised_diversity_included(
    world: World, seen: tuple[Observation, Luck]
) -> None:
    various = {"supervised": {"kind": "cap", "strength": 1.0}}
    for where in (world, replace(world, chosen=various)):
        agent, start = (
            SupervisedRefit(where, SMALL),
            supervised_with(where, tune_supervised(where).chosen),
        )
        assert torch.equal(agent.act(*seen).slate, start.act(*seen).slate)
        assert agent.chosen()["supervised"]["kind"] == start.diversity.kind


def test_it_heeds_the_history_rule_if_that_is_its_start(world: World) -> None:
    rule = {"history-rule": {"most": 1, "of": 6}, "start": {"policy": "history-rule"}}
    where = replace(world, chosen=rule)
    agent, start = SupervisedRefit(where, SMALL), history_rule_tuned(where)
    assert agent.start_name == "history-rule" and agent.chosen()["history-rule"]["most"] == 1
    user_B = torch.arange(60, dtype=torch.int32) % 20
    session = engine.start(where, user_B, user_B, torch.arange(60, dtype=torch.int32) // 20)
    for _ in range(4):
        seen = engine.observe(where, session), Luck.at(session.key, session.step)
        theirs = start.act(*seen).slate
        assert torch.equal(agent.act(*seen).slate, theirs)
        session, _ = engine.transition(where, session, theirs)
    seen = engine.observe(where, session), Luck.at(session.key, session.step)
    agent.learn(where).serve([True])
    plain = SupervisedRefit(replace(world, chosen={"start": {"policy": "supervised"}}), SMALL)
    plain.load_weights(agent.weights())
    topic_N, num_topics = where.catalogue.topic.long(), where.catalogue.num_topics
    clicked_BN = topic_counts(seen[0].history, topic_N, num_topics, 6)[:, topic_N] > 0

    def met(policy: SupervisedRefit) -> int:
        return int(clicked_BN.gather(1, policy.act(*seen).slate.long()).sum())

    assert met(agent) < met(plain)
    agent.serve([False])
    assert torch.equal(agent.act(*seen).slate, start.act(*seen).slate)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_stated_share_of_slates_is_drawn(
    world: World, seen: tuple[Observation, Luck], share: float
) -> None:
    best = SupervisedRefit(world, replace(SMALL, exploration=0.0)).explore(*seen).slate
    loose = replace(SMALL, exploration=share, sharpness=0.05)
    drawn = SupervisedRefit(world, loose).explore(*seen).slate
    # of forty items almost every draw differs from the best slate
    assert float((best != drawn).any(1).float().mean()) == pytest.approx(share, abs=0.08)


def test_the_newest_slates_are_kept_and_level_what_nothing_is_worth(world: World) -> None:
    agent = SupervisedRefit(world, replace(SMALL, memory=40))
    agent.begin(world)
    shown = agent._play()
    assert shown == 32 and agent._number(shown) == 32
    assert agent.kept.clicked.shape == (40, 3)
    agent._level(shown)
    rows = agent._rows(torch.arange(32))
    utility_RK, _ = agent.correction(rows.offer)
    expected = float(utility_RK.detach().logsumexp(1).sigmoid().mean())
    assert expected == pytest.approx(float(rows.clicked.any(1).float().mean()), abs=1e-3)
    before = agent.kept.offer.id.clone()
    agent.steps = 32
    agent._play()
    assert agent._number(32) == 40  # of 64; the oldest 24 have made room
    assert torch.equal(agent.kept.offer.id[24:32], before[24:32])
    assert not torch.equal(agent.kept.offer.id[:24], before[:24])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"memory": 0}, "memory must be at least 1, got 0"),
        ({"exploration": 1.5}, r"exploration must be in \[0, 1\] .* exploration=1.5"),
        ({"sharpness": 0.0}, "sharpness above 0"),
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(SMALL, **changes)


def test_a_world_without_a_ranker_is_refused_in_a_line() -> None:
    with pytest.raises(UsageError, match="has no supervised model: supervised policies need"):
        SupervisedRefit(make_world("InterestEvolution-v0"))
