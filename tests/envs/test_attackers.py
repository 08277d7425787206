"""Items that learn what gets them shown: they gain by it, honestly computed, and change alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from slategym.envs.registry import make_world
from slategym.envs.scenarios.attack import Attack, _responses, shown_share, wanted_now
from slategym.envs.types import World

SHARE = 0.15


def news(**settings: object) -> World:
    return make_world("Scenario-News-v0", num_items=48, seed=2, **settings)


@pytest.fixture(scope="module")
def three() -> tuple[World, World, World]:
    """Without attackers, before they learn, and after."""
    return news(), news(attackers=SHARE, rounds=0), news(attackers=SHARE, rounds=12)


ATTACKS_N = Attack(SHARE, 0).attackers(48, 2)


def exposure(world: World) -> float:
    """Slots of a greedy ranker that attackers have, share."""
    share_N = shown_share(wanted_now(world), world.slate_size)
    return float(share_N[ATTACKS_N].sum() / share_N.sum())


def test_they_learn_to_be_shown(three: tuple[World, World, World]) -> None:
    _, before, after = three
    assert 3 <= int(ATTACKS_N.sum()) <= 14
    assert exposure(after) > exposure(before) + 0.1


def test_they_change_their_looks_alone(three: tuple[World, World, World]) -> None:
    honest, before, after = (world.catalogue for world in three)
    assert torch.equal(before.topic, honest.topic)
    assert torch.equal(before.quality[~ATTACKS_N], honest.quality[~ATTACKS_N])
    torch.testing.assert_close(before.quality[ATTACKS_N], honest.quality[ATTACKS_N] - 2.0)
    assert torch.equal(after.quality, before.quality)
    assert torch.equal(after.embedding[~ATTACKS_N], before.embedding[~ATTACKS_N])
    assert not torch.equal(after.embedding[ATTACKS_N], before.embedding[ATTACKS_N])
    changed = [n for n in range(48) if after.text[n] != before.text[n]]
    assert changed and all(bool(ATTACKS_N[n]) for n in changed)


def test_they_end_where_nobody_gains_by_changing(three: tuple[World, World, World]) -> None:
    _, before, after = three
    attackers = ATTACKS_N.nonzero()[:, 0].tolist()
    assert torch.equal(_responses(after, attackers), torch.arange(48))
    assert not torch.equal(_responses(before, attackers), torch.arange(48))


def test_a_greedy_ranker_shows_what_is_wanted_most() -> None:
    score_BN = torch.tensor([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    assert shown_share(score_BN, 2).tolist() == [0.5, 1.0, 0.5]


def test_without_attackers_nothing_changes(three: tuple[World, World, World]) -> None:
    honest, again = three[0], news(attackers=0.0, rounds=3)
    for name in ("topic", "embedding", "quality"):
        assert torch.equal(getattr(honest.catalogue, name), getattr(again.catalogue, name))
    assert replace(again, users=honest.users).catalogue.title == honest.catalogue.title
