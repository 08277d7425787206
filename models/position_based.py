"""Maximum likelihood of the position-based model: slates of a log with several clicks each.

P(click in slot k) = decay^k * sigmoid(u_i - u_0), u_i a weighted sum of what is known of item i.

Source: Richardson, Dominowska and Ragno 2007, Predicting clicks.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.models.optimizers import LBFGS

RIDGE = 1e-4  # of the squared weights beside the first, utility per unit


class PositionFit(NamedTuple):
    """What made the logged clicks most likely."""

    weight: tuple[float, ...]  # F, utility per unit of each feature; the first is positive
    nothing: float  # u_0, log-odds
    decay: float  # examination kept from one slot to the next, in (0, 1)


def fit_positions(feature_SKF: Tensor, shown_SK: Tensor, clicked_SK: Tensor) -> PositionFit:
    """Weights, level and decay under which clicks and refusals are most likely.

    Args:
        feature_SKF: of each item shown, in any unit.
        shown_SK: bool, False: an empty slot.
        clicked_SK: bool.
    """
    feature, target = feature_SKF.double(), clicked_SK[shown_SK].double()
    K, width = feature.shape[1:]
    mean_F = feature[shown_SK].mean(0)
    slot_SK = torch.arange(K, dtype=torch.float64).expand(shown_SK.shape)
    # logarithm of the first weight, the others, utility of nothing, logit of the decay
    free = torch.zeros(width + 2, dtype=torch.float64)
    free[width + 1] = 2.0
    free.requires_grad_()
    optimizer = LBFGS([free], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        weight_F = torch.cat([free[:1].exp(), free[1:width]])
        value_SK = (feature - mean_F) @ weight_F - free[width]
        log_prob_SK = F.logsigmoid(value_SK) + slot_SK * F.logsigmoid(free[width + 1])
        log_prob = log_prob_SK[shown_SK].clamp(max=-1e-9)
        refused = torch.log(-torch.expm1(log_prob))
        total = -(target * log_prob + (1.0 - target) * refused).mean()
        total = total + RIDGE * free[1:width].square().sum()
        torch.autograd.backward(total)
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    found = free.detach()
    weight_F = torch.cat([found[:1].exp(), found[1:width]])
    return PositionFit(
        tuple(weight_F.tolist()),
        float(found[width] + mean_F @ weight_F),
        float(found[width + 1].sigmoid()),
    )
