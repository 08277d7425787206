"""Credit by a critic of slots: by hand, on effects that are known, and in a learner."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from slategym.agents.core.ensemble import Ensemble
from slategym.agents.core.inputs import Inputs
from slategym.agents.policy_gradient.ppo import PlackettLuce, PPOSettings
from slategym.agents.policy_gradient.reinforce import ReinforceSettings, ReinforceTopK
from slategym.agents.policy_gradient.slot_critic import (
    SlotCritic,
    slot_advantages,
    slot_reader,
)
from slategym.envs import engine
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.envs.types import World

TINY = PPOSettings(
    num_steps=256, num_users=8, rollout=8, minibatch=32, epochs=2, credit="critic", gamma=0.9
)

TINY_REINFORCE = ReinforceSettings(
    num_steps=256, num_users=8, rollout=8, updates=3, remembered=2, uniform_prob=0.0
)
TINY_REINFORCE = replace(TINY_REINFORCE, draws="credited", most_kl=1e-3)


@pytest.fixture(scope="module")
def world() -> World:
    """Forty items in slates of three, with clicks and slates remembered."""
    return make_world(
        "Sardine-SlateTopK-Bored-v0", num_items=40, slate_size=3, history_size=8, shown_size=4
    )


def requests(world: World, num: int = 6) -> Tensor:
    """Input vectors of the first of these users after a slate."""
    user_B = torch.arange(num, dtype=torch.int32)
    session = engine.start(world, user_B, user_B, 0 * user_B)
    slate_BK = torch.arange(world.slate_size, dtype=torch.int32).expand(num, -1)
    session, _ = engine.transition(world, session, slate_BK)
    return Inputs(world).vector(engine.observe(world, session))


def test_advantages_are_those_by_hand() -> None:
    """One seed, two slates of two slots."""
    reward = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    effect = torch.tensor([[[-2.0, 0.0], [0.0, 1.0]]])
    # own: [-1, 0], [0, 1]; beyond the slots' means of -.5 and .5: [-.5, -.5], [.5, .5]
    torch.testing.assert_close(slot_advantages(reward, effect), torch.zeros(1, 2, 2))
    # the first slate's first item does no harm: [1, 0], [0, 1]; beyond the means: [.5, -.5] ...
    harmless = effect * torch.tensor([[[0.0], [1.0]]])
    expected = torch.tensor([[[1.0, -1.0], [-1.0, 1.0]]])
    torch.testing.assert_close(slot_advantages(reward, harmless), expected)


def test_a_slot_is_read_by_its_topic_its_match_and_the_slots_before_it(world: World) -> None:
    inputs, x_BX = Inputs(world), requests(world)
    reader, topic_N = slot_reader(world, inputs), world.catalogue.topic
    topic = int(topic_N.bincount().argmax())
    same = (topic_N == topic).nonzero()[:2, 0].tolist()
    other = int((topic_N != topic).nonzero()[0, 0])
    slate_BK = torch.tensor([[same[0], other, same[1]]]).expand(len(x_BX), -1)
    slots_BKE = reader({"x": x_BX}, slate_BK)
    assert slots_BKE.shape == (len(x_BX), 3, reader.width)
    where = inputs.remembered
    assert where is not None and where.revealed is not None
    told_BRG = x_BX[:, where.topics].view(len(x_BX), -1, 10)
    R = told_BRG.shape[1]
    for slot, item in enumerate((same[0], other, same[1])):
        own = int(topic_N[item])
        torch.testing.assert_close(slots_BKE[:, slot, :R], told_BRG[:, :, own])
        torch.testing.assert_close(slots_BKE[:, slot, R], x_BX[:, where.revealed][:, own])
        taste_BnD = x_BX[:, where.taste].view(len(x_BX), -1, 10)
        match_Bn = taste_BnD @ inputs.items_ND[item]
        torch.testing.assert_close(slots_BKE[:, slot, R + 1 : R + 1 + match_Bn.shape[1]], match_Bn)
    earlier = R + 1 + inputs.per_taste
    assert slots_BKE[:, :, earlier].mul(3).unique(dim=0).tolist() == [[0.0, 0.0, 1.0]]
    # where a place is not an item, the offer says which it is
    offered_BC = torch.tensor([[other, same[1], same[0]]]).expand(len(x_BX), -1)
    placed_BK = torch.tensor([[2, 0, 1]]).expand(len(x_BX), -1)
    torch.testing.assert_close(reader({"x": x_BX, "id": offered_BC}, placed_BK), slots_BKE)


def test_it_finds_which_slot_had_which_effect() -> None:
    """What follows is the sum of the slots' second feature, and of noise that no slot explains."""
    torch.manual_seed(0)
    slots = torch.rand(1, 600, 3, 2)
    future = -2.0 * slots[..., 1].sum(2) + 0.3 * torch.randn(1, 600)
    critic = Ensemble(lambda: SlotCritic(1, 2), [0], torch.device("cpu"))
    adam = torch.optim.Adam(critic.parameters(), 1e-2)
    for _ in range(150):
        base, effect = critic(torch.zeros(1, 600, 1), slots)
        loss = (base + effect.sum(2) - future).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert loss < 0.15  # of the noise: .09; of a mean alone: 1.1
    effect = effect.detach()
    slope = torch.cov(torch.stack([slots[..., 1].flatten(), effect.flatten()]))
    assert float(slope[0, 1] / slope[0, 0]) == pytest.approx(-2.0, abs=0.2)


@pytest.mark.parametrize(
    ("learner", "settings"), [(PlackettLuce, TINY), (ReinforceTopK, TINY_REINFORCE)]
)
def test_seed_3_of_several_is_seed_3_alone_and_goes_on_where_it_stopped(
    world: World, learner: Any, settings: Any
) -> None:
    together = learner(world, settings, seeds=[1, 3]).learn(world)
    alone = learner(world, settings, seeds=[3])
    alone.begin(world)
    while alone.steps < settings.num_steps:
        resumed = learner(world, settings, seeds=[3])
        resumed.begin(world)
        resumed.restore(alone.state())
        resumed.steps = alone.steps
        alone = resumed
        alone.steps += alone.cycle()[0]
    assert together.critic is not None and alone.critic is not None
    for part in ("policy", "critic"):
        for name, x in getattr(alone, part).weights.items():
            other = getattr(together, part).weights[name][1:2]
            torch.testing.assert_close(other, x, rtol=1e-3, atol=1e-4)
    untrained = PlackettLuce(world, TINY, seeds=[3]).critic
    assert untrained is not None
    for name, x in alone.critic.weights.items():
        assert not torch.equal(untrained.weights[name], x), name


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"history_size": 0, "shown_size": 0}, "does not remember; set history_size above 0"),
        ({"slate_size": 1}, "have one; use credit 'slate'"),
    ],
)
def test_where_nothing_can_be_split_it_is_refused(settings: dict[str, int], message: str) -> None:
    chosen = {"num_items": 40, "history_size": 8, **settings}
    with pytest.raises(UsageError, match=message):
        PlackettLuce(make_world("Sardine-SlateTopK-Bored-v0", **chosen), TINY)


def test_from_slates_it_begins_by_what_they_say_is_wanted(world: World) -> None:
    agent = PlackettLuce(world, replace(TINY, credit="slate"))
    x_BX, inputs = requests(world), agent.face.inputs
    logits_BN, penalty_BG = (x[0] for x in agent.policy(x_BX[None]))
    where = inputs.remembered
    assert where is not None
    wanted_BD = x_BX[:, where.taste][:, -10:]
    assert wanted_BD.abs().amax() > 0.1
    torch.testing.assert_close(logits_BN, 30.0 * wanted_BD @ inputs.items_ND.T, rtol=0, atol=1.0)
    torch.testing.assert_close(penalty_BG, torch.full_like(penalty_BG, 8.0), rtol=0, atol=1.0)
