"""Limits on what slates show: costs computed by hand, prices, and a learner that keeps them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from five_items import five_items

from slategym.agents.core.limits import (
    Limit,
    costs,
    diversity_floor,
    harm,
    next_prices,
    provider_exposure,
)
from slategym.agents.policy_gradient.ppo import PlackettLuce, PPOSettings
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.types import Items, World

SECOND = 0.6309  # exposure of the second slot, the first's is 1


def shelf() -> World:
    """Five items, the first of another topic than the others, and little wanted."""
    world = five_items()
    topic_N = torch.tensor([1, 0, 0, 0, 0], dtype=torch.int32)
    catalogue = replace(world.catalogue, topic=topic_N, topics=("usual", "small"))
    return replace(world, catalogue=catalogue)


def test_costs_by_hand() -> None:
    world = shelf()
    items = Items(torch.tensor([[0, 4], [4, 0], [4, 1]], dtype=torch.int32), world.catalogue)
    shown_BK = torch.tensor([[True, True], [True, True], [True, False]])
    feedback_BKM = torch.zeros(3, 2, world.num_signals)
    feedback_BKM[1, :, 0] = 1.0
    limits = (provider_exposure(world, "small", 0.25), harm(world, "click", 0.5))
    found_BL = costs(limits, items, shown_BK, feedback_BKM)
    share_B = [1 / (1 + SECOND), SECOND / (1 + SECOND), 0.0]
    assert found_BL[:, 0].tolist() == pytest.approx([0.25 - x for x in share_B], abs=1e-4)
    assert found_BL[:, 1].tolist() == [-0.5, 1.5, -0.5]
    vectors = torch.tensor([[0.0, 1.0]] + [[1.0, 0.0]] * 4)
    apart = Items(items.id, replace(world.catalogue, embedding=vectors))
    floor = costs((diversity_floor(0.3),), apart, shown_BK, feedback_BKM)[:, 0]
    assert floor.tolist() == pytest.approx([-0.7, -0.7, 0.3])  # one item alone is at 0
    assert costs((), items, shown_BK, feedback_BKM).shape == (3, 0)


def test_prices_rise_while_a_limit_is_exceeded_and_end_at_zero() -> None:
    price_SL = torch.tensor([[0.0, 1.0], [0.3, 0.0]])
    excess_SL = torch.tensor([[0.2, -1.0], [-1.0, 0.0]])
    expected = torch.tensor([[0.1, 0.5], [0.0, 0.0]])
    torch.testing.assert_close(next_prices(price_SL, excess_SL, 0.5), expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda world: provider_exposure(world, "smal", 0.2), "small"),
        (lambda world: provider_exposure(world, "small", 1.2), r"share in \[0, 1\]"),
        (lambda world: harm(world, "clik", 0.2), "click"),
        (lambda world: diversity_floor(3.0), r"\[0, 2\]"),
    ],
)
def test_limits_that_cannot_be(make, message) -> None:
    with pytest.raises(UsageError, match=message):
        make(shelf())


SETTINGS = PPOSettings(  # without entropy slates jump from one end to the other as prices move
    num_steps=40_960, num_users=64, rollout=10, minibatch=320, learning_rate=2e-3, gamma=0.0,
    entropy=0.5,
)  # fmt: skip
SEEDS = (0, 1, 2)


def exposure_of_small(world: World, agent: PlackettLuce) -> float:
    """Mean share of exposure as it explores, which is what a limit is about."""
    user_B = torch.arange(256, dtype=torch.int32)
    session = engine.start(world, user_B * 0, user_B, user_B * 0)
    slate_BK = agent.explore(engine.observe(world, session), Luck.at(session.key, session.step))
    items, shown_BK = engine.pick(world, session, slate_BK.slate)
    limit = provider_exposure(world, "small", 0.0)
    none_BKM = torch.zeros(*items.id.shape, world.num_signals)
    return -float(limit.cost(items, shown_BK, none_BKM).mean())


def test_a_small_provider_gets_its_share_whatever_the_seed() -> None:
    world, least = shelf(), 0.3
    free = PlackettLuce(world, replace(SETTINGS, num_steps=20_480), seeds=SEEDS).learn(world)
    bound = PlackettLuce(world, SETTINGS, seeds=SEEDS)
    bound.within(provider_exposure(world, "small", least)).learn(world)
    for free.serving in range(len(SEEDS)):  # the item is not worth its slot
        assert exposure_of_small(world, free) < least / 2
    for bound.serving in range(len(SEEDS)):
        assert exposure_of_small(world, bound) > least - 0.05
    assert bool((bound.price_SL[:, 0] > 0).all())


def test_a_slack_limit_changes_nothing() -> None:
    world, few = shelf(), replace(SETTINGS, num_steps=2_560)
    free = PlackettLuce(world, few).learn(world)
    slack = PlackettLuce(world, few).within(Limit("nothing", 1e9, lambda i, s, f: f.sum((1, 2))))
    slack.learn(world)
    assert float(slack.price_SL[0, 0]) == 0.0
    for name, x in free.weights().items():
        assert torch.equal(x, slack.weights()[name]), name


def test_limits_come_before_learning(tmp_path) -> None:
    world = shelf()
    few = replace(SETTINGS, num_steps=640)
    agent = PlackettLuce(world, few).within(provider_exposure(world, "small", 0.9))
    agent.learn(world)
    kept = agent.state_dict()
    other = PlackettLuce(world, few).within(provider_exposure(world, "small", 0.9))
    other.begin(world)
    other.load_state_dict(kept)
    assert torch.equal(other.price_SL, agent.price_SL) and float(agent.price_SL) > 0
    with pytest.raises(UsageError, match="before"):
        agent.within()
