"""How surely each slot of a slate was read, given the clicks: what a click that did not come says.

The choice model is taken as given. Under one without an order of reading every slot counts in full.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from slategym.envs.choice import (
    Cascade,
    DynamicBayesian,
    ExponentialCascade,
    MixedPositionBased,
    PositionBased,
)
from slategym.envs.protocols import ChoiceModel


def examination(choice: ChoiceModel, click_BK: Tensor) -> Tensor:
    """Probability that each slot was read, as far as the choice model says, (B, K) float32.

    Args:
        choice: of the world.
        click_BK: bool.

    Source: cascade: Kveton et al. 2015, arXiv:1502.02763, section 3: slots up to the click are
        observed, those below it are not. Position-based: Lagree et al. 2016, arXiv:1606.02448,
        section 2.
    """
    return _RULES.get(type(choice), _all)(choice, click_BK)


def _all(choice: Any, click_BK: Tensor) -> Tensor:
    return torch.ones_like(click_BK, dtype=torch.float32)


def _until_last_click(choice: Any, click_BK: Tensor) -> Tensor:
    """Every slot down to the last click; all of them where there is none."""
    clicks_below_BK = click_BK.int().flip(1).cumsum(1).flip(1)  # this slot's own included
    return ((clicks_below_BK > 0) | ~click_BK.any(1, keepdim=True)).float()


def _by_position(choice: PositionBased, click_BK: Tensor) -> Tensor:
    K = click_BK.shape[1]
    examine_K = torch.tensor([choice.decay**k for k in range(K)], device=click_BK.device)
    return examine_K.expand(click_BK.shape)


def _from_both_ends(choice: MixedPositionBased, click_BK: Tensor) -> Tensor:
    down_BK = _by_position(PositionBased(choice.decay), click_BK)
    return (down_BK + down_BK.flip(1)) / 2


_RULES: dict[type, Callable[[Any, Tensor], Tensor]] = {
    Cascade: _until_last_click,
    ExponentialCascade: _until_last_click,
    DynamicBayesian: _until_last_click,
    PositionBased: _by_position,
    MixedPositionBased: _from_both_ends,
}
