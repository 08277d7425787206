"""What a slate's earlier slots leave for the next one."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from slategym.envs.types import Observation


def left_over(observation: Observation, slate_BK: Tensor, num_candidates: int) -> Tensor:
    """Candidates that may be shown in each slot: allowed, and not in a slot before, (B, K, C) bool.

    Args:
        observation: what is allowed.
        slate_BK: int positions; -1: an empty slot.
        num_candidates: C.
    """
    one_BKC = F.one_hot(slate_BK.long() + 1, num_candidates + 1)[..., 1:]
    taken_BKC = (one_BKC.cumsum(1) - one_BKC) > 0
    if observation.allowed is None:
        return ~taken_BKC
    return ~taken_BKC & observation.allowed[:, None]
