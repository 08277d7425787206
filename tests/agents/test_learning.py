"""Learners find the optimum of worlds small enough to know it."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest
import torch
from small_worlds import fixed_world, plain_taste, ranker_in
from torch import Tensor
from torch.nn import functional as F

from slategym.agents.bandits.ranked import RankedBandit
from slategym.agents.core.agent import Agent
from slategym.agents.core.supervised import Supervised
from slategym.agents.lookahead.agent import Lookahead, LookaheadSettings
from slategym.agents.policy_gradient.ppo import PlackettLuce, PPOSettings
from slategym.agents.references.myopic import Myopic
from slategym.agents.refit.agent import SupervisedRefit
from slategym.agents.rollout.adaptive import AdaptiveTrace, AdaptiveTraceSettings
from slategym.agents.rollout.agent import Rollout, RolloutSettings
from slategym.agents.sb3.algorithms import StableSAC
from slategym.agents.sb3.proto import ProtoSAC
from slategym.agents.types import Policy
from slategym.envs import engine
from slategym.envs.types import World
from slategym.envs.users.satiation import GenreSatiation
from slategym.experiments.measure.play import play

PPO = PPOSettings(
    num_steps=12_800,
    num_users=64,
    rollout=10,
    minibatch=320,
    learning_rate=1e-2,
    epochs=6,
    shortlist=5,
)
SAC = StableSAC(
    num_steps=2_400,
    num_users=16,
    updates=3,
    batch=128,
    buffer=2_400,
    warm_up=320,
    hidden=(32,),
    entropy=0.1,
)


def misled() -> World:
    """People want the last two items; the ranker believes that they want the first three."""
    taste = plain_taste([-2.0, -2.5, -3.0, 0.5, 0.2], [0.0, 0.0, 0.0, 2.0, 2.0])
    believed = [0.3, 0.2, 0.1, 0.0, -0.1]
    return fixed_world(taste, [0, 0, 0, 1, 2], believed, slate_size=2, horizon=10)


def bored() -> World:
    """One item a slate; two clicks in a row on a topic make it worthless for three slates."""
    rule = GenreSatiation(2, memory=2, threshold=2, penalty=20.0, duration=3)
    taste = plain_taste([9.0, 9.0, 9.0, 8.0, 8.0], [3.0, 3.0, 3.0, 0.0, 0.0])
    believed = [0.5, 0.4, 0.3, 0.0, 0.0]
    return fixed_world(taste, [0, 0, 0, 1, 1], believed, slate_size=1, horizon=10, boredom=rule)


def expected_return(world: World, policy: Policy) -> float:
    users = torch.arange(world.population.size, dtype=torch.int32)
    return float(play(world, policy, users, seed=5)["expected_return"].mean())


def best_constant(world: World) -> float:
    """What the best of all slates earns if it is shown throughout."""
    zero_1 = torch.zeros(1, dtype=torch.int32)
    session = engine.start(world, zero_1, zero_1, zero_1)
    slates = combinations(range(5), world.slate_size)
    earned = [
        engine.transition(world, session, torch.tensor([s], dtype=torch.int32))[1].expected_reward
        for s in slates
    ]
    return world.horizon * float(torch.cat(earned).max())


def described(embedding_ND: Tensor) -> World:
    """Sixty items of six kinds, one of which is wanted; only the vectors tell the kinds apart."""
    wanted = [1.0 if n % 6 == 4 else -3.0 for n in range(60)]
    world = fixed_world(
        plain_taste(wanted, [-9.0] * 60), [0] * 60, [0.0] * 60, slate_size=3, horizon=10
    )
    catalogue = replace(world.catalogue, embedding=embedding_ND)
    return replace(world, observer=None, catalogue=catalogue)


def best_schedule(world: World) -> float:
    """What the best of all sequences of topics earns; clicks are all but certain."""
    schedule_BT = torch.tensor(list(product((0, 3), repeat=world.horizon)), dtype=torch.int32)
    zero_B = torch.zeros(len(schedule_BT), dtype=torch.int32)
    session = engine.start(world, zero_B, zero_B, zero_B)
    total_B = torch.zeros(len(schedule_BT))
    for item_B in schedule_BT.T:
        session, outcome = engine.transition(world, session, item_B[:, None].contiguous())
        total_B += outcome.expected_reward
    return float(total_B.max())


def present(agent: type[Agent]) -> Any:
    """Settings of a learner that looks at the present alone, small."""
    small = {"num_steps": 8_192, "num_users": 64, "minibatch": 256, "epochs": 8}
    default = agent.default_settings()
    return replace(default, **{n: x for n, x in small.items() if hasattr(default, n)})


def supervised(world: World) -> Supervised:
    return Supervised(ranker_in(world), world.catalogue.topic.long(), world.slate_size)


def test_ppo_unlearns_a_wrong_ranking() -> None:
    world = misled()
    best = best_constant(world)
    assert expected_return(world, Myopic(world)) == pytest.approx(best, rel=1e-5)
    assert expected_return(world, supervised(world)) < 0.3 * best
    bandit = replace(PPO, gamma=0.0, num_steps=25_600)  # no slate changes the next
    agent = PlackettLuce(world, bandit, seeds=(0, 1)).learn(world)
    for seed in agent.seeds:
        assert 0.99 * best < expected_return(world, agent.of_seed(seed)) <= best * (1 + 1e-5)


def test_ppo_learns_when_a_topic_bores() -> None:
    world = bored()
    best = best_schedule(world)
    assert expected_return(world, supervised(world)) < 0.5 * best
    policy = PlackettLuce(world, PPO).learn(world)
    # turning from topic to topic throughout; only the very last slate could be better
    assert 0.96 * best < expected_return(world, policy) <= best * (1 + 1e-5)


def test_ppo_learns_on_vectors_of_texts_as_on_topics() -> None:
    """Wide vectors that share most of their length, as text encoders give, are no worse."""
    generator = torch.Generator().manual_seed(0)
    kind_N = torch.arange(60) % 6
    one_hot_ND = F.one_hot(kind_N, 6).float()
    common, kinds = (torch.randn(n, 384, generator=generator) for n in (1, 6))
    own_ND = torch.randn(60, 384, generator=generator)
    text_ND = F.normalize(common + 0.3 * kinds[kind_N] + 0.3 * own_ND, dim=1)
    assert text_ND.mean(0).square().sum() > 0.7  # of 1: most of every vector is common to all
    settings = replace(PPO, num_steps=3_840, learning_rate=1e-3, epochs=3, shortlist=None)
    earned = {}
    for name, embedding_ND in (("topics", one_hot_ND), ("text", text_ND)):
        world = described(embedding_ND)
        best = 10 * 3 * math.e / (3 * math.e + 1)
        earned[name] = expected_return(world, PlackettLuce(world, settings).learn(world)) / best
    assert earned["text"] > 0.9 * earned["topics"] > 0.6


def test_lookahead_learns_when_a_topic_bores() -> None:
    world = bored()
    best = best_schedule(world)
    settings = LookaheadSettings(12_800, num_users=64, rollout=10, minibatch=320)
    policy = Lookahead(world, replace(settings, learning_rate=1e-2)).learn(world)
    assert 0.96 * best < expected_return(world, policy) <= best * (1 + 1e-5)


def never_turning(world: World) -> World:
    """The world with a history rule that is tuned to strength 0."""
    chosen = {
        "ranker": {"heads": {"click": 1.0}, "nothing": None},
        "history-rule": {"strength": 0.0, "fading": 0.7},
    }
    return replace(world, shown_size=world.horizon, chosen=chosen)


def test_rollout_plans_when_a_topic_bores() -> None:
    """Its rule as tuned is never to turn from a topic; imagined futures show that one should."""
    world, best = never_turning(bored()), best_schedule(bored())
    settings = RolloutSettings(2_560, num_users=64, rollout=10, updates=30, minibatch=320)
    agent = Rollout(world, replace(settings, depth=4, futures=2))
    assert expected_return(world, agent.at_start()) < 0.5 * best
    assert 0.9 * best < expected_return(world, agent.learn(world)) <= best * (1 + 1e-5)


def test_a_rule_that_adapts_finds_how_strong_to_be_when_a_topic_bores() -> None:
    """As above: what imagined sessions say suits people is what a rule that never turns lacks."""
    world, best = never_turning(bored()), best_schedule(bored())
    settings = AdaptiveTraceSettings(2_560, num_users=64, rollout=10, updates=30, minibatch=320)
    agent = AdaptiveTrace(world, settings)
    assert expected_return(world, agent) < 0.5 * best
    assert 0.9 * best < expected_return(world, agent.learn(world)) <= best * (1 + 1e-5)


def test_lookahead_unlearns_a_wrong_ranking() -> None:
    world = misled()
    settings = LookaheadSettings(12_800, num_users=64, rollout=10, minibatch=320, gamma=0.0)
    policy = Lookahead(world, replace(settings, learning_rate=1e-2)).learn(world)
    assert expected_return(world, policy) > 0.95 * best_constant(world)


@pytest.mark.parametrize("agent", [SupervisedRefit, RankedBandit])
def test_what_looks_at_the_present_alone_unlearns_a_wrong_ranking(agent: type[Agent]) -> None:
    world = misled()
    best, ranked = best_constant(world), expected_return(world, supervised(world))
    start = agent(world, present(agent))
    assert expected_return(world, start) == pytest.approx(ranked, rel=1e-5)
    trained = start.learn(world)
    assert 0.99 * best < expected_return(world, trained) <= best * (1 + 1e-5)


@pytest.mark.parametrize("agent", [SupervisedRefit, RankedBandit])
def test_what_looks_at_the_present_alone_is_served_where_it_is_clearly_better(
    agent: type[Agent], tmp_path: Path
) -> None:
    wrong = misled()
    settings = replace(present(agent), num_steps=2_048)
    forward = agent(wrong, settings).learn(replace(wrong, selection=lambda: wrong))
    assert [one.policy for one in forward.served] == ["trained"]
    before = expected_return(wrong, supervised(wrong))
    assert expected_return(wrong, forward) > 2 * before
    forward.serve([False])
    assert expected_return(wrong, forward) == pytest.approx(before, rel=1e-5)
    forward.serve([True])
    assert expected_return(wrong, forward) > 2 * before
    # here the ranker is right already: there is nothing to gain
    believed = [-2.0, -2.5, -3.0, 0.5, 0.2]
    taste = plain_taste(believed, [0.0] * 5)
    right = fixed_world(taste, [0, 0, 0, 1, 2], believed, slate_size=2, horizon=10)
    still = agent(right, settings).learn(replace(right, selection=lambda: right), folder=tmp_path)
    assert [one.policy for one in still.served] == ["start"]
    for served in (still, agent.load(tmp_path, right)):
        earned = expected_return(right, served)
        assert earned == pytest.approx(expected_return(right, supervised(right)))


def test_refit_learns_what_bores_but_does_not_plan() -> None:
    world = bored()
    greedy, best = expected_return(world, Myopic(world)), best_schedule(world)
    settings = replace(present(SupervisedRefit), num_steps=12_800)
    trained = SupervisedRefit(world, settings).learn(world)
    earned = expected_return(world, trained)
    assert expected_return(world, supervised(world)) < 0.8 * greedy
    assert earned == pytest.approx(greedy, rel=0.05)
    assert earned < 0.9 * best


def test_sac_turns_to_what_people_want() -> None:
    world = misled()
    best, ranked = best_constant(world), expected_return(world, supervised(world))
    policy = ProtoSAC(world, SAC).learn(world)
    assert expected_return(world, policy) > ranked + 0.8 * (best - ranked)
    assert policy.curve[-1].return_mean > policy.curve[0].return_mean
