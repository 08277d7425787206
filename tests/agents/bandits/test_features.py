"""Features of users and items: all of few, the principal ones of many."""

from dataclasses import replace

import pytest
import torch
from small_worlds import learned_world

from slategym.agents.bandits import features as module
from slategym.agents.bandits.features import PairFeatures, principal
from slategym.agents.bandits.linear import LinearBanditSettings, LinUCB
from slategym.envs import engine
from slategym.envs.registry import make_world


def test_few_are_kept_as_they_are_behind_a_constant():
    x = torch.randn(7, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(principal(x, 4)(x), torch.cat([torch.ones(7, 1), x], 1))


def test_of_many_those_that_vary_most_are_kept():
    generator = torch.Generator().manual_seed(0)
    turned, _ = torch.linalg.qr(torch.randn(6, 6, generator=generator))
    spread = torch.tensor([0.1, 3.0, 0.2, 2.0, 0.1, 0.3])
    x = torch.randn(4000, 6, generator=generator) * spread @ turned.T + 5.0
    axes = principal(x, 2)
    assert axes.width == 3
    along = turned[:, [1, 3]]  # whatever the sign
    torch.testing.assert_close((axes.directions.T @ along).abs(), torch.eye(2), atol=0.02, rtol=0)
    told = axes(x)
    assert told[:, 0].eq(1).all() and told[:, 1:].mean(0).abs().max() < 1e-3
    assert torch.equal(principal(x.clone(), 2).directions, axes.directions)


def test_both_sides_of_a_world_have_their_widths():
    world = learned_world()
    features = PairFeatures.of(world, 5, 7)
    zero_B = torch.arange(3, dtype=torch.int32)
    observation = engine.observe(
        world, engine.start(world, zero_B, zero_B, torch.zeros_like(zero_B))
    )
    assert features.users(observation).shape == (3, 6)
    assert features.items_NP.shape == (40, 8)
    few = PairFeatures.of(make_world("InterestEvolution-v0"), 24, 24)
    assert torch.equal(few.items_NP[:, 1:], torch.eye(20))


def test_a_world_is_watched_once_for_each_width(monkeypatch):
    world, watch, seen = learned_world(), module._watch, []
    monkeypatch.setattr(module, "_watch", lambda *given: seen.append(1) or watch(*given))
    found = [PairFeatures.of(world, width, 7).user_axes for width in (5, 5, 4)]
    assert len(seen) == 2 and found[0] is found[1] and found[2].width == 5


def test_who_is_loaded_brings_its_features_and_watches_nobody(monkeypatch, tmp_path):
    world, settings = learned_world(), LinearBanditSettings(num_steps=8, num_users=2, slates=2)
    trained = LinUCB(world, settings).learn(world, folder=tmp_path)
    monkeypatch.setattr(module, "_watch", lambda *_: pytest.fail("people were watched"))
    loaded = LinUCB.load(tmp_path, replace(world, seed=5))
    assert all(torch.equal(x, loaded.weights()[name]) for name, x in trained.weights().items())
