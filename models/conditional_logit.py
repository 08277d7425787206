"""Maximum likelihood of the conditional logit: how people choose from the slates of a log.

P(i) = exp(u_i) / (exp(u_0) + sum over the slate of exp(u)), u_i a weighted sum of what is known of
item i, u_0 the utility of taking nothing.

Source: McFadden 1974, Conditional logit analysis of qualitative choice behavior.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from slategym.models.optimizers import LBFGS

SLOT_RIDGE = 1e-4  # of the squared effects of slots: keeps those of rare slots finite
ROUNDS = 60  # bisections: far below float32 rounding


class Fitted(NamedTuple):
    """What made the logged choices most likely."""

    weight: tuple[float, ...]  # F, utility per unit of each feature; the first is positive
    slot: tuple[float, ...]  # K, effect of each slot beside the first, log-odds


def fit_choices(feature_SKF: Tensor, shown_SK: Tensor, clicked_SK: Tensor) -> Fitted:
    """Weights under which logged clicks, and slates without one, are most likely.

    Every slot beyond the first has an effect of its own, so that what stood in front is not taken
    for liking.

    Args:
        feature_SKF: of each item shown, in any unit.
        shown_SK: bool, False: an empty slot.
        clicked_SK: bool; of several clicks in a slate each counts for its share.
    """
    feature = feature_SKF.double()
    K, F = feature.shape[1:]
    number_S = clicked_SK.sum(1)
    share_SK = clicked_SK.double() / number_S.clamp(min=1)[:, None]
    centred_SKF = feature - feature[shown_SK].mean(0)
    # logarithm of the first weight, the others, utility of nothing, effects of slots 2 to K
    free = torch.zeros(F + K, dtype=torch.float64, requires_grad=True)
    optimizer = LBFGS([free], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        weight_F = torch.cat([free[:1].exp(), free[1:F]])
        slot_K = torch.cat([free.new_zeros(1), free[F + 1 :]])
        value_SK = (centred_SKF @ weight_F - free[F] + slot_K).masked_fill(~shown_SK, -torch.inf)
        none_S = torch.cat([value_SK, torch.zeros_like(value_SK[:, :1])], 1).logsumexp(1)
        taken_S = (share_SK * value_SK.masked_fill(~clicked_SK, 0.0)).sum(1)
        total = (none_S - taken_S).mean() + SLOT_RIDGE * free[F + 1 :].square().sum()
        torch.autograd.backward(total)
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    found = free.detach()
    return Fitted(
        (float(found[0].exp()), *found[1:F].tolist()),
        (0.0, *found[F + 1 :].tolist()),
    )


def nothing_for(utility_S: Tensor, rate: float, low: float, high: float) -> float:
    """The utility of taking nothing at which slates get this share of clicks on average.

    Args:
        utility_S: log of each slate's summed exp(utility).
        rate: in (0, 1).
        low: less than the answer.
        high: more than it.
    """
    for _ in range(ROUNDS):
        middle = 0.5 * (low + high)
        too_easy = float((utility_S.double() - middle).sigmoid().mean()) > rate
        low, high = (middle, high) if too_easy else (low, middle)
    return 0.5 * (low + high)
