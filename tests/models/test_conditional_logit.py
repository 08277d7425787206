"""The conditional logit: weights that made choices come back from the choices."""

from __future__ import annotations

import math

import pytest
import torch

from slategym.models.conditional_logit import fit_choices, nothing_for

S, K = 20_000, 4


def test_weights_and_slots_come_back_from_choices() -> None:
    draw = torch.Generator().manual_seed(0)
    feature_SKF = torch.randn(S, K, 2, generator=draw)
    shown_SK = torch.rand(S, K, generator=draw) < 0.9
    slot_K = torch.tensor([0.0, -0.3, -0.6, -0.9])
    utility_SK = 0.5 * feature_SKF[..., 0] - 0.4 * feature_SKF[..., 1] + slot_K
    utility_SK = utility_SK.masked_fill(~shown_SK, -math.inf)
    gumbel = -torch.log(-torch.log(torch.rand(S, K + 1, generator=draw)))
    best_S = (torch.cat([utility_SK, torch.full((S, 1), 0.7)], 1) + gumbel).argmax(1)
    clicked_SK = torch.arange(K) == best_S[:, None]
    found = fit_choices(feature_SKF, shown_SK, clicked_SK)
    assert found.weight == pytest.approx([0.5, -0.4], abs=0.04)  # three standard errors
    assert found.slot == pytest.approx(slot_K.tolist(), abs=0.12)


def test_nothing_is_as_good_as_the_share_of_clicks_says() -> None:
    utility_S = torch.tensor([-1.0, 0.0, 2.0])
    nothing = nothing_for(utility_S, 0.4, -50.0, 50.0)
    assert float((utility_S - nothing).sigmoid().mean()) == pytest.approx(0.4, abs=1e-6)
    alone = nothing_for(torch.zeros(1), 0.2, -50.0, 50.0)
    assert alone == pytest.approx(math.log(0.8 / 0.2), abs=1e-6)
