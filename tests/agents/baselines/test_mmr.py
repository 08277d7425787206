"""Re-ranking by marginal relevance: against the definition, and its two ends."""

from __future__ import annotations

import pytest
import torch
from small_worlds import learned_world, ranker_in
from torch import Tensor
from torch.nn import functional as F

from slategym.agents.baselines.fixed import Supervised
from slategym.agents.baselines.mmr import SupervisedMMR, mmr_slate
from slategym.agents.slates.top import FORBIDDEN
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.types import Observation, World

K = 3


def by_hand(score: Tensor, unit: Tensor, strength: float) -> list[int]:
    """One user's slate, from the definition."""
    chosen: list[int] = []
    for _ in range(K):
        worth = {}
        for c in set(range(len(score))) - set(chosen):
            likeness = max((float(unit[c] @ unit[j]) for j in chosen), default=0.0)
            worth[c] = float(score[c]) - strength * likeness
        chosen.append(max(worth, key=lambda c: worth[c]))
    return chosen


@pytest.mark.parametrize("strength", [0.0, 0.5, 3.0])
def test_it_is_the_definition(strength: float) -> None:
    generator = torch.Generator().manual_seed(1)
    score_BC = torch.randn(20, 9, generator=generator)
    unit_BCD = F.normalize(torch.randn(20, 9, 4, generator=generator), dim=2)
    slate_BK = mmr_slate(score_BC, unit_BCD, K, strength)
    expected = [by_hand(s, u, strength) for s, u in zip(score_BC, unit_BCD, strict=True)]
    assert slate_BK.tolist() == expected and slate_BK.dtype == torch.int32


def test_what_may_not_be_shown_comes_last_however_various() -> None:
    score_BC = torch.tensor([[1.0, 0.9, 0.8, FORBIDDEN]])
    unit_BCD = torch.tensor([[[1.0, 0.0]] * 3 + [[-1.0, 0.0]]])
    assert mmr_slate(score_BC, unit_BCD, K, 50.0).tolist() == [[0, 1, 2]]


@pytest.fixture(scope="module")
def world() -> World:
    return learned_world(slate_size=K)


def observed(world: World) -> tuple[Observation, Luck]:
    user_B = torch.arange(16, dtype=torch.int32)
    session = engine.start(world, user_B, user_B, torch.zeros_like(user_B))
    return engine.observe(world, session), Luck.at(session.key, session.step)


def test_without_strength_it_is_the_ranker_and_with_it_slates_differ_more(world: World) -> None:
    ranker, (seen, luck) = ranker_in(world), observed(world)
    greedy_BK = Supervised(ranker, world.catalogue.topic.long(), K).act(seen, luck).slate
    none, some = SupervisedMMR(ranker, K, 0.0), SupervisedMMR(ranker, K, 5.0)
    assert torch.equal(none.act(seen, luck).slate, greedy_BK)
    unit_ND = F.normalize(ranker.unit_items, dim=1)

    def likeness(slate_BK: Tensor) -> float:
        unit_BKD = unit_ND[slate_BK.long()]
        return float((unit_BKD @ unit_BKD.transpose(1, 2)).mean())

    various_BK = some.act(seen, luck).slate
    assert likeness(various_BK) < likeness(greedy_BK) - 0.1
    assert seen.allowed is not None and seen.allowed.gather(1, various_BK.long()).all()
    assert some.name == "supervised-mmr5" and not some.privileged


def test_a_negative_strength_is_refused(world: World) -> None:
    with pytest.raises(UsageError, match="must be 0 or more, got -1"):
        SupervisedMMR(ranker_in(world), K, -1.0)
