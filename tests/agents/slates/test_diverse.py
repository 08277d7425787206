"""Various slates against their definitions, and their two ends."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.agents.slates.diverse import dpp_slate, mmr_slate, quota_slate
from slategym.agents.slates.top import FORBIDDEN, capped_slate

K = 3


def mmr_by_hand(score: Tensor, unit: Tensor, strength: float) -> list[int]:
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
def test_mmr_is_the_definition(strength: float) -> None:
    generator = torch.Generator().manual_seed(1)
    score_BC = torch.randn(20, 9, generator=generator)
    unit_BCD = F.normalize(torch.randn(20, 9, 4, generator=generator), dim=2)
    slate_BK = mmr_slate(score_BC, unit_BCD, K, strength)
    expected = [mmr_by_hand(s, u, strength) for s, u in zip(score_BC, unit_BCD, strict=True)]
    assert slate_BK.tolist() == expected and slate_BK.dtype == torch.int32


def dpp_by_hand(score: Tensor, unit: Tensor, strength: float) -> list[int]:
    """One user's slate: whoever makes scores plus strength times log det the largest, in turn."""
    chosen: list[int] = []
    for _ in range(K):
        worth = {}
        for c in set(range(len(score))) - set(chosen):
            rows = unit[[*chosen, c]].double()
            volume = float((rows @ rows.T).det().clamp(min=1e-12).log())
            worth[c] = float(score[[*chosen, c]].double().sum()) + strength * volume
        chosen.append(max(worth, key=lambda c: worth[c]))
    return chosen


@pytest.mark.parametrize("strength", [0.0, 0.5, 3.0])
def test_dpp_is_the_greedy_search_for_the_most_probable_slate(strength: float) -> None:
    generator = torch.Generator().manual_seed(2)
    score_BC = torch.randn(30, 9, generator=generator)
    unit_BCD = F.normalize(torch.randn(30, 9, 4, generator=generator), dim=2)
    slate_BK = dpp_slate(score_BC, unit_BCD, K, strength)
    expected = [dpp_by_hand(s, u, strength) for s, u in zip(score_BC, unit_BCD, strict=True)]
    assert slate_BK.tolist() == expected and slate_BK.dtype == torch.int32
    assert (slate_BK == score_BC.topk(K).indices).all() == (strength == 0.0)


def test_dpp_passes_over_twins_and_lives_with_more_slots_than_dimensions() -> None:
    unit_BCD = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]])
    score_BC = torch.tensor([[1.0, 0.9, 0.1, 0.8]])
    assert dpp_slate(score_BC, unit_BCD, 2, 1.0).tolist() == [[0, 2]]
    assert dpp_slate(score_BC, unit_BCD, 4, 1.0).tolist() == [[0, 2, 1, 3]]


def quota_by_hand(score: Tensor, topic: Tensor, strength: float) -> list[int]:
    chosen: list[int] = []
    for _ in range(K):
        left = set(range(len(score))) - set(chosen)
        had = {c: sum(int(topic[j] == topic[c]) for j in chosen) for c in left}
        chosen.append(max(left, key=lambda c: float(score[c]) - strength * had[c]))
    return chosen


@pytest.mark.parametrize("strength", [0.0, 0.3, 1e6])
def test_quota_is_the_definition_and_at_its_end_a_cap_of_one(strength: float) -> None:
    generator = torch.Generator().manual_seed(3)
    score_BC = torch.randn(30, 9, generator=generator)
    topic_BC = torch.randint(0, 4, (30, 9), generator=generator)
    slate_BK = quota_slate(score_BC, topic_BC, K, strength)
    expected = [quota_by_hand(s, t, strength) for s, t in zip(score_BC, topic_BC, strict=True)]
    assert slate_BK.tolist() == expected
    enough_B = torch.tensor([len(set(row)) >= K for row in topic_BC.tolist()])
    capped_BK = capped_slate(score_BC, topic_BC, K, 1)
    assert (slate_BK == capped_BK).all(1)[enough_B].all() == (strength == 1e6)


@pytest.mark.parametrize("fill", [mmr_slate, dpp_slate])
def test_what_may_not_be_shown_comes_last_however_various(fill: Any) -> None:
    score_BC = torch.tensor([[1.0, 0.9, 0.8, FORBIDDEN]])
    unit_BCD = torch.tensor([[[1.0, 0.0]] * 3 + [[-1.0, 0.0]]])
    assert fill(score_BC, unit_BCD, K, 50.0).tolist() == [[0, 1, 2]]


def test_quotas_show_nothing_forbidden() -> None:
    score_BC = torch.tensor([[1.0, 0.9, 0.8, FORBIDDEN]])
    assert quota_slate(score_BC, torch.tensor([[0, 0, 0, 1]]), K, 9.0).tolist() == [[0, 1, 2]]
