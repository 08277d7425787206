"""Losing patience: a piece that any user model can be composed with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Patience:
    """A slate without a click costs patience, a click gives some back; one leaves without any.

    Source: assumed; in the form of KuaiSim's temper (CharlieMat/KRLBenchmark a9891ae).
    """

    start: float = 5.0  # slates without a click that one bears; also the most one can have
    miss: float = 1.0  # lost by a slate without a click
    gain: float = 0.5  # regained by a slate with a click

    def __post_init__(self) -> None:
        if self.start <= 0 or self.miss < 0 or self.gain < 0:
            raise ValueError(f"start must be positive and miss and gain not negative, got {self}")

    def initial(self, user_B: Tensor) -> Tensor:
        """Full patience, (B,) float32."""
        return torch.full(user_B.shape, self.start, dtype=torch.float32, device=user_B.device)

    def update(self, patience_B: Tensor, feedback_BKM: Tensor) -> Tensor:
        """After one slate, (B,)."""
        clicked_B = (feedback_BKM[..., 0] > 0).any(1)
        regained_B = (patience_B + self.gain).clamp(max=self.start)
        return torch.where(clicked_B, regained_B, patience_B - self.miss)

    def leave(self, patience_B: Tensor) -> Tensor:
        """Probability of leaving now: 1 without patience, else 0, (B,)."""
        return (patience_B <= 0).float()
