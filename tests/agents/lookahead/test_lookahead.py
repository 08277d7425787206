"""Lookahead: the supervised start, its two regressions by hand, and what it cannot be."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_worlds import learned_world

from slategym.agents.lookahead.agent import (
    Lookahead,
    LookaheadSettings,
    _after,
    _surprise,
)
from slategym.agents.lookahead.network import Foreseen
from slategym.agents.policies import supervised
from slategym.agents.serving.export import check, export
from slategym.agents.slates.plackett_luce import log_prob
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.envs.types import Observation, World

TINY = LookaheadSettings(num_steps=240, num_users=10, rollout=6, minibatch=20, epochs=2)
RANKER = {"heads": {"click": 0.3, "like": 0.1}, "nothing": 1.0}


def world_with(kind: str, strength: float) -> World:
    chosen = {"ranker": RANKER, "supervised": {"kind": kind, "strength": strength}}
    return replace(learned_world(), chosen=chosen)


def request(world: World, slates: int = 2) -> tuple[Observation, Luck]:
    user_B = torch.arange(16, dtype=torch.int32)
    session = engine.start(world, user_B, user_B, 0 * user_B)
    for _ in range(slates):
        now = Luck.at(session.key, session.step)
        slate_BK = supervised(world).act(engine.observe(world, session), now).slate
        session, _ = engine.transition(world, session, slate_BK)
    return engine.observe(world, session), Luck.at(session.key, session.step)


@pytest.mark.parametrize(("kind", "strength"), [("none", 0.0), ("quota", 0.5), ("mmr", 0.5)])
def test_before_it_learns_it_serves_what_supervised_serves(kind: str, strength: float) -> None:
    world = world_with(kind, strength)
    agent = Lookahead(world, TINY, seeds=[0, 1])
    observation, now = request(world)
    theirs = supervised(world).act(observation, now).slate
    assert torch.equal(agent.act(observation, now).slate, theirs)
    agent.learn(world)
    assert torch.equal(agent.at_start().act(observation, now).slate, theirs)
    assert not torch.equal(agent.act(observation, now).slate, theirs)
    agent.serve([False, True])
    assert torch.equal(agent.act(observation, now).slate, theirs)
    assert not torch.equal(agent.of_seed(1).act(observation, now).slate, theirs)


def foreseen(appeal: list[float], gain: list[float], after: float, level: float) -> Foreseen:
    return Foreseen(
        torch.tensor([appeal]),
        torch.tensor([gain]),
        torch.tensor([after]),
        torch.tensor([level]),
        torch.ones(1),
    )


def test_what_follows_is_by_what_was_taken() -> None:
    found = foreseen([0.0] * 3, [0.5, -1.0, 2.0], 3.0, 0.0)
    topic_1K = torch.tensor([[2, 1, 0]])

    def after(*taken: bool) -> float:
        return float(_after(found, topic_1K, torch.tensor([taken])))

    assert after(False, False, False) == 3.0
    assert after(True, False, False) == 5.0 and after(False, True, False) == 2.0
    assert after(True, True, True) == 4.5


@pytest.mark.parametrize("taken", [0, 1, None])
def test_answers_are_as_likely_as_a_choice_says(taken: int | None) -> None:
    utility_1K, level_1 = torch.tensor([[0.3, -0.4]]), torch.tensor([0.1])
    odds = torch.tensor([0.3, -0.4, 0.1]).exp()
    taken_1K = torch.zeros(1, 2, dtype=torch.bool)
    if taken is not None:
        taken_1K[0, taken] = True
    likely = odds[2 if taken is None else taken] / odds.sum()
    found = _surprise(utility_1K, level_1, taken_1K, one_choice=True)
    torch.testing.assert_close(found, -likely.log()[None])
    each_K = (utility_1K - level_1).sigmoid()[0]
    apart = torch.where(taken_1K[0], each_K, 1 - each_K).log().sum()
    found = _surprise(utility_1K, level_1, taken_1K, one_choice=False)
    torch.testing.assert_close(found, -apart[None])


def test_its_propensities_are_exact_and_it_can_be_recorded() -> None:
    world = world_with("quota", 0.5)
    agent = Lookahead(world, TINY).learn(world)
    observation, now = request(world)
    action = agent.explore(observation, now)
    order_BC, law = agent._serving(agent.show(observation))
    ids_BC = agent.show(observation)["id"].gather(1, order_BC)
    at_BK = (ids_BC[:, None, :] == action.slate[:, :, None]).float().argmax(2)
    torch.testing.assert_close(action.logp, log_prob(law, at_BK).sum(1))
    assert check(agent, export(agent)) == 100


def test_at_gamma_0_what_follows_moves_nothing() -> None:
    world = world_with("none", 0.0)
    observation, now = request(world)
    for gamma, moves in ((0.0, False), (0.9, True)):
        agent = Lookahead(world, replace(TINY, gamma=gamma)).learn(world)
        before = agent.act(observation, now).slate
        with torch.no_grad():
            agent.network.weights["of_topic.weight"][:, 1] += 3.0
        assert torch.equal(agent.act(observation, now).slate, before) != moves


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rollout": 1}, "rollout must be 2 or more"),
        ({"shortlist": 2}, "shortlist must be at least 3"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Lookahead(learned_world(), replace(TINY, **changes))


def test_a_world_without_a_supervised_model_is_refused() -> None:
    with pytest.raises(UsageError, match="has no supervised model"):
        Lookahead(make_world("InterestEvolution-v0"), TINY)
