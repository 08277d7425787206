"""What a logged draw counts for another policy that shows slates of K draws.

Source: Chen et al. 2019, WSDM, arXiv:1812.02353.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def chance(logp: Tensor, num_slots: int) -> Tensor:
    """Chance that an item is in a slate of K draws, alpha = 1 - (1 - pi)^K, of any shape."""
    return -torch.expm1(num_slots * torch.log1p(-logp.exp()))


def multiplier(logp: Tensor, num_slots: int) -> Tensor:
    """lambda_K = d alpha / d pi = K (1 - pi)^(K - 1), of any shape.

    Source: Chen et al. 2019, arXiv:1812.02353, section 4.3.
    """
    return num_slots * (1.0 - logp.exp()).clamp(min=0.0) ** (num_slots - 1)


def importance(logp: Tensor, logged: Tensor, cap: float) -> Tensor:
    """min(pi / beta, cap), of any shape.

    Source: Chen et al. 2019, arXiv:1812.02353, section 4.4.
    """
    return (logp - logged).clamp(max=math.log(cap)).exp()
