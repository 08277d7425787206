"""When a visit ends, when the next one begins, and whether there is one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from slategym.envs.constants import constant
from slategym.envs.luck import Luck, purpose
from slategym.envs.types import Context

PAUSE = purpose("scenario.pause")
# days away; logs take less than half an hour for the same visit
SHORTEST, LONGEST = 0.03, 400.0
SURELY = 0.95  # largest chance of leaving for good at the end of a visit


@dataclass(frozen=True)
class VisitState:
    """How the visit stands."""

    patience: Tensor  # (B,) float32, slates
    away: Tensor  # (B,) float32, days until the next request; 0 within a visit
    day: Tensor  # (B,) float32, days since the first visit
    lost: Tensor  # (B,) float32, chance of leaving for good, now


@dataclass(frozen=True)
class Visits:
    """A visit lasts as long as patience does; loyalty decides whether and when the next one comes.

    A slate costs `spent` of patience, `saved` less with a click, and `ends` more where the signal
    came for which people visit. At the end of a visit one is lost with probability
    quit * exp(-sway * loyalty), else away for an exponential time of mean
    pause * exp(-sway / 2 * loyalty).
    """

    patience: float  # slates, at the beginning of a visit
    pause: float  # days, mean at a loyalty of 0
    quit: float  # chance at a loyalty of 0
    sway: float  # of loyalty, log of the chance per unit
    spent: float = 1.0  # slates
    saved: float = 0.5  # slates
    places: tuple[float, ...] = ()  # factors of `spent`, by place
    solved: int | None = None  # number of the signal for which people come
    ends: float = 0.0  # slates
    minutes_per_slate: float = 3.0

    def initial(self, like_B: Tensor) -> VisitState:
        """The first request of the first visit."""
        zero_B = torch.zeros_like(like_B, dtype=torch.float32)
        return VisitState(zero_B + self.patience, zero_B, zero_B, zero_B)

    def after(
        self,
        state: VisitState,
        feedback_BKM: Tensor,
        loyalty_B: Tensor,
        context: Context,
        luck: Luck,
    ) -> VisitState:
        """After a slate."""
        clicked_B = (feedback_BKM[..., 0] > 0).any(1)
        spent_B = torch.full_like(state.patience, self.spent)
        if self.places:
            spent_B = spent_B * constant(self.places, spent_B)[context.place.long()]
        spent_B = (spent_B - self.saved * clicked_B).clamp(min=0.05)
        if self.solved is not None:
            spent_B = spent_B + self.ends * (feedback_BKM[..., self.solved] > 0).any(1)
        patience_B = state.patience - spent_B
        over_B = patience_B <= 0
        mean_B = self.pause * (-0.5 * self.sway * loyalty_B).exp()
        days_B = -torch.log1p(-luck.uniform(PAUSE, 1)[:, 0]) * mean_B
        away_B = torch.where(over_B, days_B.clamp(SHORTEST, LONGEST), 0.0)
        lost_B = (self.quit * (-self.sway * loyalty_B).exp()).clamp(max=SURELY)
        return VisitState(
            patience=torch.where(over_B, self.patience, patience_B),
            away=away_B,
            day=state.day + torch.where(over_B, away_B, self.minutes_per_slate / 1440.0),
            lost=torch.where(over_B, lost_B, 0.0),
        )

    def at(self, strength: float) -> Visits:
        """What slates do to visits scaled by that."""
        return replace(
            self,
            sway=strength * self.sway,
            saved=min(strength * self.saved, self.spent),
            ends=strength * self.ends,
        )
