"""What happens in all sessions step by step, kept on their device for a learner."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class RolloutBuffer:
    """Tensors of T steps, kept side by side as they come.

    Args:
        num_seeds: S.
        length: T.
    """

    def __init__(self, num_seeds: int, length: int) -> None:
        self.num_seeds, self.length = num_seeds, length
        self.parts: dict[str, Tensor] = {}

    def keep(self, t: int, parts: Mapping[str, Tensor]) -> None:
        """Write step t of S * B sessions, (L, ...) each, as (S, T, B, ...)."""
        for name, x_L in parts.items():
            x_SB = x_L.view(self.num_seeds, -1, *x_L.shape[1:])
            if name not in self.parts:
                S, B = x_SB.shape[:2]
                self.parts[name] = x_SB.new_empty(S, self.length, B, *x_SB.shape[2:])
            self.parts[name][:, t] = x_SB


def rows(x_Sn: Tensor, row_SR: Tensor) -> Tensor:
    """R rows of every seed, (S, R, ...), of what there are n of, (S, n, ...)."""
    S, n = x_Sn.shape[:2]
    first_S1 = torch.arange(0, S * n, n, device=x_Sn.device)[:, None]
    few: Tensor = x_Sn.flatten(0, 1).index_select(0, (first_S1 + row_SR).flatten())
    return few.view(*row_SR.shape, *x_Sn.shape[2:])
