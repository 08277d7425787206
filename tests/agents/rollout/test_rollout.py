"""Rollout: what a session adds up to, who somebody may be, and what its futures are worth."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_worlds import learned_world

from slategym.agents.core.history_rule import topic_traces
from slategym.agents.policies import history_rule_tuned
from slategym.agents.rollout.agent import Rollout, RolloutSettings
from slategym.agents.rollout.response import Response, surprise
from slategym.agents.rollout.traces import BY_SLATE, nothing_yet, remembered, took_by_topic
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.envs.types import Observation, World

TINY = RolloutSettings(
    num_steps=160, num_users=8, rollout=5, updates=2, minibatch=40, depth=3, futures=4, kinds=2
)
CHOSEN = {
    "ranker": {"heads": {"click": 0.3, "like": 0.1}, "nothing": 1.0},
    "history-rule": {"strength": 1.0, "fading": 0.7},
}


def world() -> World:
    return replace(learned_world(shown_size=6), chosen=CHOSEN)


def request(where: World, slates: int = 4) -> Observation:
    user_B = torch.arange(16, dtype=torch.int32)
    session = engine.start(where, user_B, user_B, 0 * user_B)
    policy = history_rule_tuned(where)
    for _ in range(slates):
        now = Luck.at(session.key, session.step)
        slate_BK = policy.act(engine.observe(where, session), now).slate
        session, _ = engine.transition(where, session, slate_BK)
    return engine.observe(where, session)


def test_a_session_adds_up_to_what_a_history_rule_sees() -> None:
    where = world()
    seen = request(where)
    topic_N, G = where.catalogue.topic.long(), where.catalogue.num_topics
    assert seen.past is not None and seen.past.taken.any()
    *_, (_, now) = remembered(seen.past, topic_N, G)
    for number, fading in enumerate(BY_SLATE):
        theirs_BG = topic_traces(seen.history, topic_N, G, fading)
        torch.testing.assert_close(now.topic[:, number], theirs_BG)
    refused_B = ~seen.past.taken.any(2)[:, -1]
    assert torch.equal(now.visit[:, -1] > 0, refused_B)


def test_who_answers_repeats_by_taking_them_is_known_for_it() -> None:
    """Two kinds with opposite answers to more of the same: Bayes' rule by hand."""
    response = Response(2)
    with torch.no_grad():
        for x in (response.inner, response.bias, response.outer, response.scale):
            x.zero_()
        response.inner[:, 0, 0] = 1e-3  # linear: the trace of the topic itself
        response.outer[:, 0, 0] = torch.tensor([1e3, -1e3])
        response.level.fill_(0.0)
    traces = nothing_yet(1, 2, "cpu").after(
        took_by_topic(torch.tensor([[0]]), torch.tensor([[True]]), 2)
    )
    features_1KX = traces.features[:, [0]]
    effect_Z1K = response.effect(features_1KX[0])[:, None]
    taken = response.log_prob(torch.zeros(1, 1), effect_Z1K, torch.tensor([[True]]))
    torch.testing.assert_close(taken[:, 0].exp(), torch.tensor([1.0, -1.0]).sigmoid())
    shown = surprise(
        response,
        features_1KX,
        torch.zeros(1, 1),
        torch.tensor([[True]]),
        torch.zeros(1, dtype=torch.int64),
        1,
    )
    assert shown.item() == pytest.approx(-taken.exp().mean().log().item())


def test_before_it_learns_it_serves_the_history_rule_and_can_go_back_to_it() -> None:
    where = world()
    agent = Rollout(where, TINY).learn(where)
    seen, luck = request(where), Luck(torch.zeros(16, dtype=torch.int32))
    theirs = history_rule_tuned(where).act(seen, luck).slate
    assert torch.equal(agent.at_start().act(seen, luck).slate, theirs)
    assert not torch.equal(agent.act(seen, luck).slate, theirs)
    agent.serve([False])
    assert torch.equal(agent.act(seen, luck).slate, theirs)


def test_what_it_cannot_act_in_is_refused() -> None:
    with pytest.raises(UsageError, match="remembers none; pass shown_size"):
        Rollout(learned_world(shown_size=0), TINY)
    with pytest.raises(UsageError, match="has no supervised model"):
        Rollout(make_world("InterestEvolution-v0"), TINY)
