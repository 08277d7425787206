"""Proto-actions as agents: what they see, what is refused, and what they find."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_worlds import fixed_world, learned_world, plain_taste

from slategym.agents.sb3.agent import StableAgent
from slategym.agents.sb3.algorithms import StableSAC, StableTD3
from slategym.agents.sb3.item_space import ItemSpace
from slategym.agents.sb3.proto import ProtoSAC, ProtoTD3, proto_view
from slategym.agents.sb3.proto_action import ProtoView
from slategym.agents.slates.towards import slate_towards
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.registry import make_world
from slategym.envs.types import World

WANTED = [-3.0, 0.0, -4.0, -0.5, -5.0]  # log-odds of five items; the best two are 1 and 3
SAC = StableSAC(
    num_steps=3_000,
    num_users=50,
    updates=4,
    batch=64,
    warm_up=1_000,
    learning_rate=3e-3,
    gamma=0.0,
    hidden=(32,),
    entropy=0.01,
)
TD3 = StableTD3(
    num_steps=3_000,
    num_users=50,
    updates=4,
    batch=64,
    warm_up=1_000,
    learning_rate=3e-3,
    gamma=0.0,
    hidden=(32,),
)


def five_items(believed: list[float] | None = None) -> World:
    """Five items, two slots; with a ranker that believes this, or an axis for every item."""
    world = fixed_world(
        plain_taste(WANTED, [-9.0] * 5),
        [2, 0, 2, 1, 2],
        believed or [0.0] * 5,
        slate_size=2,
        horizon=4,
    )
    if believed:
        return world
    return replace(world, observer=None, catalogue=replace(world.catalogue, embedding=torch.eye(5)))


def served(agent: StableAgent, world: World, count: int = 32) -> list[set[int]]:
    user_B = torch.arange(count, dtype=torch.int32)
    session = engine.start(world, user_B, user_B, torch.zeros_like(user_B))
    luck = Luck.at(session.key, session.step)
    return [set(x) for x in agent.act(engine.observe(world, session), luck).slate.tolist()]


@pytest.mark.parametrize("believed", [None, [0.4, 0.0, 0.2, -0.2, 0.3]], ids=["bare", "ranker"])
def test_sac_finds_the_best_two_of_five(believed: list[float] | None) -> None:
    world = five_items(believed)
    agent = ProtoSAC(world, SAC)
    assert served(agent, world).count({1, 3}) < 16
    agent.learn(world)
    assert served(agent, world).count({1, 3}) >= 31


def test_td3_finds_the_best_two_of_five() -> None:
    world = five_items()
    agent = ProtoTD3(world, TD3).learn(world)
    assert served(agent, world).count({1, 3}) >= 31


def test_a_ranker_is_moved_where_there_is_one() -> None:
    learned = learned_world()
    assert isinstance(proto_view(learned), ProtoView)
    assert isinstance(proto_view(replace(learned, observer=None)), ItemSpace)


def test_changing_candidates_are_ranked_and_not_seen() -> None:
    world = make_world("InterestEvolution-v0")
    user_B = torch.arange(6, dtype=torch.int32)
    observation = engine.observe(
        world, engine.start(world, user_B, user_B, torch.zeros_like(user_B))
    )
    view = ItemSpace(world)
    shown = view.show(world, observation)
    action = torch.rand(6, world.catalogue.embedding.shape[1]) * 2 - 1
    expected = slate_towards(world, action, observation.candidates)
    assert torch.equal(view.slate(world, shown, action), expected)
    assert shown["seen"].shape[1] == view.space(world)["seen"].shape[0] < 60


def test_the_replay_holds_the_action_that_the_slate_was_made_of() -> None:
    world = make_world("TopicRec-TopDown-Focused-v0", history_size=5)
    agent = ProtoSAC(world, replace(SAC, num_steps=100, num_users=4, warm_up=40, hidden=(8,)))
    shown: list[torch.Tensor] = []
    agent.begin(world)
    step = agent.env.step_async
    agent.env.step_async = lambda actions: shown.append(torch.tensor(actions)) or step(actions)  # type: ignore[method-assign]
    for _ in range(20):
        agent.cycle()
    kept = torch.from_numpy(agent.model.replay_buffer.actions[:20])
    assert torch.equal(kept, torch.stack(shown))


@pytest.mark.parametrize("observer", [True, False])
def test_wrong_widths_and_nans_are_refused(observer: bool) -> None:
    world = learned_world()
    world = world if observer else replace(world, observer=None)
    view = proto_view(world)
    user_B = torch.arange(3, dtype=torch.int32)
    session = engine.start(world, user_B, user_B, torch.zeros_like(user_B))
    shown = view.show(world, engine.observe(world, session))
    width = view.action_space(world).shape[0]  # type: ignore[index]
    with pytest.raises(ValueError, match=rf"\(users, {width}\); got shape \(3, {width + 1}\)"):
        view.slate(world, shown, torch.zeros(3, width + 1))
    with pytest.raises(ValueError, match="must be finite"):
        view.slate(world, shown, torch.full((3, width), torch.nan))
