"""Learners find the optimum of worlds small enough to know it."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, pairwise, product
from pathlib import Path

import pytest
import torch
from small_worlds import fixed_world, learned_world, plain_taste, ranker_in

from slategym.agents.baselines.fixed import Supervised
from slategym.agents.learning import (
    CurvePoint,
    PPOSettings,
    SACSettings,
    train_plackett_luce,
    train_proto_sac,
)
from slategym.agents.policy_gradient.residual import PlackettLuce, ResidualSettings
from slategym.agents.references.myopic import Myopic
from slategym.agents.types import Policy
from slategym.envs import engine
from slategym.envs.types import World
from slategym.envs.users.satiation import GenreSatiation
from slategym.experiments.measure.play import play

SMALL = ResidualSettings(num_candidates=5, hidden=16, value_hidden=16)
PPO = PPOSettings(
    num_steps=12_800, num_envs=64, rollout=10, minibatch=320, learning_rate=1e-2, epochs=6
)
SAC = SACSettings(
    num_steps=2_400, num_envs=16, updates=3, batch=128, buffer=2_400, warm_up=320, hidden=(32,)
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


def supervised(world: World) -> Supervised:
    return Supervised(ranker_in(world), world.catalogue.topic.long(), world.slate_size)


@pytest.mark.parametrize("seed", [0, 1])
def test_ppo_unlearns_a_wrong_ranking(seed: int) -> None:
    world = misled()
    best = best_constant(world)
    assert expected_return(world, Myopic(world)) == pytest.approx(best, rel=1e-5)
    assert expected_return(world, supervised(world)) < 0.3 * best
    bandit = replace(PPO, gamma=0.0)  # no slate changes the next
    policy, _ = train_plackett_luce(world, ranker_in(world), bandit, SMALL, seed=seed)
    assert 0.99 * best < expected_return(world, policy) <= best * (1 + 1e-5)


def test_ppo_learns_when_a_topic_bores() -> None:
    world = bored()
    best = best_schedule(world)
    assert expected_return(world, supervised(world)) < 0.5 * best
    policy, _ = train_plackett_luce(world, ranker_in(world), PPO, SMALL, seed=0)
    # turning from topic to topic throughout; only the very last slate could be better
    assert 0.96 * best < expected_return(world, policy) <= best * (1 + 1e-5)


def test_sac_turns_to_what_people_want() -> None:
    world = misled()
    best, ranked = best_constant(world), expected_return(world, supervised(world))
    policy, curve = train_proto_sac(world, ranker_in(world), SAC, seed=0, num_candidates=5)
    assert expected_return(world, policy) > ranked + 0.8 * (best - ranked)
    assert curve[-1].return_mean > curve[0].return_mean


def test_the_same_seed_is_the_same_policy_and_the_curve_is_told(tmp_path: Path) -> None:
    world = misled()
    brief = PPOSettings(num_steps=1_280, num_envs=16, rollout=10, minibatch=80)
    told: list[tuple[int, int, dict[str, float]]] = []

    def run(seed: int, **others: object) -> tuple[PlackettLuce, list[CurvePoint]]:
        return train_plackett_luce(world, ranker_in(world), brief, SMALL, seed=seed, **others)

    policy, curve = run(0, listener=lambda *point: told.append(point), tensorboard=tmp_path)
    torch.manual_seed(12345)  # whatever the global generator is at
    again, _ = run(0)
    other, _ = run(1)
    for a, b in zip(policy.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(a, b)
    assert any(
        not torch.equal(a, b)
        for a, b in zip(policy.network.parameters(), other.network.parameters(), strict=True)
    )
    assert [(p.steps, 1_280, {"return": p.return_mean}) for p in curve] == told
    every = 2 * 16  # a sixtieth of the training, in whole steps of 16 users
    assert [p.steps for p in curve] == list(range(2 * 160, 1_281, every))
    assert all(a.steps < b.steps and a.seconds <= b.seconds for a, b in pairwise(curve))
    assert list(tmp_path.rglob("events.out.tfevents.*"))


def test_a_curve_is_not_misled_by_sessions_that_end_in_waves() -> None:
    world = learned_world()  # whose people may lose patience after two slates of six
    settings = PPOSettings(
        num_steps=24_576, num_envs=1_024, rollout=3, minibatch=3_072, epochs=1, learning_rate=0.0
    )
    _, curve = train_plackett_luce(world, ranker_in(world), settings, SMALL, seed=0)
    stretch = 1_024 * world.horizon
    assert curve[0].steps == 2 * stretch
    returns = [point.return_mean for point in curve]  # of a policy that learns nothing
    assert max(returns) - min(returns) < 0.1 * returns[0]


def test_a_training_too_brief_for_whole_sessions_shows_what_there_is() -> None:
    world = learned_world()
    brief = PPOSettings(num_steps=72, num_envs=8, rollout=3, minibatch=24, epochs=1)
    _, curve = train_plackett_luce(world, ranker_in(world), brief, SMALL, seed=0)
    assert curve[0].steps < 8 * world.horizon and curve[-1].steps == 72
