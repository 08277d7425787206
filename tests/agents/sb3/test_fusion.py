"""Weights of the multi-task heads: by hand, at zero, refused, and learned."""

from __future__ import annotations

import pytest
import torch
from small_worlds import fixed_world, learned_world, plain_taste, ranker_in

from slategym.agents.core.inputs import Inputs
from slategym.agents.core.supervised import Supervised
from slategym.agents.sb3.agent import StableAgent
from slategym.agents.sb3.algorithms import StablePPO, StableSAC
from slategym.agents.sb3.fusion import FusionPPO, FusionSAC, FusionView
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.registry import make_world
from slategym.envs.types import Observation, World
from slategym.models.multitask.incremental import BertObserver
from slategym.models.multitask.query import Query

HEADS = ("click", "like", "rating", "next")
B, C, K = 10, 12, 3
SAC = StableSAC(
    num_steps=2_000,
    num_users=50,
    updates=4,
    batch=64,
    warm_up=600,
    learning_rate=3e-3,
    gamma=0.0,
    hidden=(32,),
    entropy=0.01,
)
PPO = StablePPO(
    num_steps=6_000,
    num_users=100,
    rollout=5,
    batch=250,
    epochs=5,
    learning_rate=1e-2,
    gamma=0.0,
    hidden=(16,),
)


@pytest.fixture(scope="module")
def world() -> World:
    return learned_world(slate_size=K)


def view_of(world: World) -> FusionView:
    return FusionView(Inputs(world), ranker_in(world), num_candidates=C)


def observed(world: World, count: int = B) -> tuple[Observation, Luck]:
    user_B = torch.arange(count, dtype=torch.int32)
    session = engine.start(world, user_B, user_B, torch.zeros_like(user_B))
    return engine.observe(world, session), Luck.at(session.key, session.step)


def test_no_weight_is_the_rankers_own_slate(world: World) -> None:
    observation, luck = observed(world)
    view = view_of(world)
    slate_BK = view.slate(world, view.show(world, observation), torch.zeros(B, len(HEADS)))
    greedy = Supervised(ranker_in(world), world.catalogue.topic.long(), K)
    assert torch.equal(slate_BK, greedy.act(observation, luck).slate)


def test_heads_are_standardised_and_added_by_hand(world: World) -> None:
    observation, _ = observed(world)
    view = view_of(world)
    shown = view.show(world, observation)
    action = torch.rand(B, len(HEADS), generator=torch.Generator().manual_seed(1)) * 2 - 1
    slate_BK = view.slate(world, shown, action)
    ranker = ranker_in(world)
    model, items_ND = ranker.encoder.model, ranker.encoder.items_ND
    best = ranker.retrieve(observation, C)

    def standard(x: torch.Tensor) -> torch.Tensor:
        return (x - x.mean()) / x.std(correction=0)

    for b in range(B):
        assert observation.state is not None
        worth = standard(best.score[b])
        for index, head in enumerate(HEADS):
            said_N = model.logits(head, Query(observation.state[b : b + 1]), items_ND, None)[0]
            worth = worth + 2.0 * action[b, index] * standard(said_N[best.id[b]])
        assert slate_BK[b].tolist() == best.id[b][worth.topk(K).indices].tolist()


def test_a_head_that_says_nothing_moves_nothing() -> None:
    world = five_items()
    view = FusionView(Inputs(world), ranker_in(world))
    shown = view.show(world, observed(world)[0])
    assert shown["heads"].isfinite().all()
    assert not shown["heads"][:, HEADS.index("rating")].any()


def test_weights_beyond_the_box_are_cut(world: World) -> None:
    view = view_of(world)
    shown = view.show(world, observed(world)[0])
    wide = torch.linspace(-3, 3, B * len(HEADS)).view(B, -1)
    assert torch.equal(
        view.slate(world, shown, wide), view.slate(world, shown, wide.clamp(-1.0, 1.0))
    )


def test_wrong_widths_and_nans_are_refused(world: World) -> None:
    view = view_of(world)
    shown = view.show(world, observed(world)[0])
    with pytest.raises(ValueError, match=r"the 4 heads click, like, .* got shape \(10, 3\)"):
        view.slate(world, shown, torch.zeros(B, 3))
    with pytest.raises(ValueError, match="must be finite"):
        view.slate(world, shown, torch.full((B, 4), torch.nan))


@pytest.mark.parametrize("agent", [FusionSAC, FusionPPO])
def test_without_a_multi_task_model_they_are_refused(agent: type[StableAgent]) -> None:
    with pytest.raises(UsageError, match=f"{agent.name} weighs the heads .*DayInLife.* has none"):
        agent(make_world("DayInLife-v0"))


def five_items() -> World:
    """The click head, and so the ranker, has it the wrong way round; the next-item head knows."""
    wanted = [-3.0, 0.0, -4.0, -0.5, -5.0]
    world = fixed_world(
        plain_taste(wanted, [-9.0] * 5),
        [0, 1, 2, 0, 1],
        [-x for x in wanted],
        slate_size=2,
        horizon=4,
    )
    assert isinstance(world.observer, BertObserver)
    with torch.no_grad():
        world.observer.encoder.model.item_bias_YN[HEADS.index("next")] = torch.tensor(wanted)
    return world


@pytest.mark.parametrize(("agent", "settings"), [(FusionSAC, SAC), (FusionPPO, PPO)])
def test_they_learn_whom_to_believe(agent: type[StableAgent], settings: object) -> None:
    world = five_items()
    learner = agent(world, settings)

    def right() -> int:
        return [set(x) for x in learner.act(*observed(world)).slate.tolist()].count({1, 3})

    assert right() == 0
    learner.learn(world)
    assert right() == B
