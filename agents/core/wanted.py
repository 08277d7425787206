"""What somebody wants, as far as the slates of this session say: a regression on item vectors.

What was clicked is held against what was passed over above it in the same slate: an item above the
last click has been seen, one below it perhaps not, and of a slate without a click nobody knows
whether anything in it was looked at, or whether it was not the moment.

Source: Joachims 2002, KDD, section 3 (click > skip above); Bishop 2006, Pattern Recognition and
Machine Learning, section 3.3.1 (the posterior mean).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.envs.types import PastSlates

NOISE = 1.0  # variance of an answer, where what is wanted has a prior of variance 1 per dimension


def wanted(past: PastSlates, items_ND: Tensor) -> Tensor:
    """Posterior mean of the direction whose product with an item is 1 if clicked, 0 if not, (B, D).

    Zero before the first click of those remembered.

    Args:
        past: slates of this session, slots in the order in which they are read.
        items_ND: of norm one on average.
    """
    seen_BPK = past.taken.flip(2).cummax(2).values.flip(2) & (past.id >= 0)
    x_BnD = F.embedding(past.id.clamp(min=0).flatten(1), items_ND)
    seen_BnD = x_BnD * seen_BPK.flatten(1)[..., None]
    taken_B1n = (past.taken & seen_BPK).flatten(1)[:, None].float()
    ridge_DD = NOISE * torch.eye(items_ND.shape[1], device=items_ND.device)
    towards_BD = (taken_B1n @ x_BnD)[:, 0]
    mean_BD: Tensor = torch.linalg.solve(seen_BnD.mT @ x_BnD + ridge_DD, towards_BD)
    return mean_BD
