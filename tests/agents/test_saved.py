"""Trained policies on disk: back as they were, or refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_worlds import learned_world, ranker_in, recent_in

from slategym.agents.policy_gradient.residual import (
    PlackettLuce,
    RankedView,
    ResidualNetwork,
    ResidualSettings,
)
from slategym.agents.saved import SETTINGS, WEIGHTS, is_saved, load_policy, save_policy
from slategym.agents.sb3.proto_action import ActorNetwork, Proto, ProtoView
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.types import World


@pytest.fixture(scope="module")
def world() -> World:
    return learned_world()


def trained(world: World, kind: str) -> PlackettLuce | Proto:
    """A policy with random weights, as if it had learned."""
    ranker, recent = ranker_in(world), recent_in(world)
    policy: PlackettLuce | Proto
    if kind == "plackett-luce":
        network = ResidualNetwork(
            ResidualSettings(num_candidates=10, sharpness=2.5, hidden=6, value_hidden=5),
            ranker.unit_items,
            recent.topic_N,
            recent.num_topics,
        )
        policy = PlackettLuce(network, RankedView(ranker, recent, 10, world.slate_size), world)
    else:
        view = ProtoView(ranker, recent, 10, world.slate_size, residual=False)
        policy = Proto(ActorNetwork(view.width, view.action_width, (6, 5)), view, world)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in policy.network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return policy


@pytest.mark.parametrize("kind", ["plackett-luce", "proto-sac"])
def test_back_as_it_was(world: World, kind: str, tmp_path: Path) -> None:
    policy, folder = trained(world, kind), tmp_path / "policy"
    assert not is_saved(folder)
    save_policy(policy, folder, {"seed": 3})
    assert is_saved(folder)
    again = load_policy(folder, world, ranker_in(world))
    assert type(again) is type(policy) and again.name == kind
    user_B = torch.arange(20, dtype=torch.int32)
    session = engine.start(world, user_B, user_B, torch.zeros_like(user_B))
    given = engine.observe(world, session), Luck.at(session.key, session.step)
    assert torch.equal(again.act(*given).slate, policy.act(*given).slate)
    for name, x in policy.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], x)
    assert json.loads((folder / SETTINGS).read_text())["about"] == {"seed": 3}
    assert sorted(path.name for path in folder.iterdir()) == [SETTINGS, WEIGHTS]


@pytest.mark.parametrize("kind", ["plackett-luce", "proto-sac"])
def test_another_slate_size_or_catalogue_is_refused(
    world: World, kind: str, tmp_path: Path
) -> None:
    save_policy(trained(world, kind), tmp_path, {})
    wide = replace(world, slate_size=4)
    with pytest.raises(UsageError, match=r"slates of 3, small shows 4; pass slate_size=3"):
        load_policy(tmp_path, wide, ranker_in(wide))
    fewer = replace(world, catalogue=replace(world.catalogue, topics=("a", "b", "c", "d")))
    with pytest.raises(UsageError, match="does not fit small: size mismatch"):
        load_policy(tmp_path, fewer, ranker_in(fewer))


def test_half_a_policy_is_none(world: World, tmp_path: Path) -> None:
    save_policy(trained(world, "proto-sac"), tmp_path, {})
    (tmp_path / WEIGHTS).unlink()
    assert not is_saved(tmp_path)
