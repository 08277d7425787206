"""Coming back: visits, the pauses between them, and satisfaction; a piece for any user model."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from slategym.envs.luck import Luck, purpose

PAUSE = purpose("returns.pause")
NEUTRAL = 0.5  # satisfaction with which people arrive, and at which a pause has its usual mean
SHORTEST = 0.02  # days; half an hour


@dataclass(frozen=True)
class ReturnState:
    """How things stand with the service."""

    satisfaction: Tensor  # (B,) float32, in [0, 1]
    slates: Tensor  # (B,) int32, of this visit so far
    day: Tensor  # (B,) float32, days gone since the first visit, pauses only
    away: Tensor  # (B,) float32, days until the next request; 0 within a visit


@dataclass(frozen=True)
class Returns:
    """A visit ends for want of patience or time; satisfaction decides how soon the next begins.

    Satisfaction follows how much is liked what was clicked, not how often something is: after a
    slate with a click, satisfaction <- inertia * satisfaction + (1 - inertia) * liked, liked in
    [0, 1]. The pause after a visit is exponential with a mean of
    pause * exp(strength * (1/2 - satisfaction)) days. After `days` of pauses in all it is over.

    Source: assumed; in the form of KuaiSim's return probability (CharlieMat/KRLBenchmark a9891ae),
    with the hazard on satisfaction instead of clicks.
    """

    pause: float = 3.0  # days, mean at a satisfaction of 1/2, > 0
    strength: float = 3.0  # of the logarithm of the mean pause, per unit of satisfaction
    inertia: float = 0.85  # of satisfaction, per slate with a click, in [0, 1)
    days: float = 14.0  # after which it is over, > 0
    longest: int = 30  # slates of a visit, at most
    signal: int | None = None  # that says how much is liked what was clicked; None: its appeal
    low: float = 0.0  # of that signal
    high: float = 1.0

    def __post_init__(self) -> None:
        if self.pause <= 0 or self.days <= 0 or self.longest < 1 or not 0 <= self.inertia < 1:
            raise ValueError(
                "pause and days must be positive, longest at least 1 and inertia in [0, 1), got "
                f"{self}"
            )

    def initial(self, user_B: Tensor) -> ReturnState:
        """Neither content nor discontent, at the first request of the first visit."""
        zero_B = torch.zeros(user_B.shape, dtype=torch.float32, device=user_B.device)
        return ReturnState(
            zero_B + NEUTRAL, torch.zeros_like(user_B, dtype=torch.int32), zero_B, zero_B
        )

    def update(
        self,
        state: ReturnState,
        appeal_BK: Tensor,
        feedback_BKM: Tensor,
        impatient_B: Tensor | None,
        luck: Luck,
    ) -> ReturnState:
        """After one slate.

        Args:
            state: before it.
            appeal_BK: log-odds, of which satisfaction is made where no signal says more.
            feedback_BKM: the feedback to the slate.
            impatient_B: bool, whose patience is out; None: nobody's.
            luck: of the step.
        """
        click_BK = (feedback_BKM[..., 0] > 0).float()
        number_B = click_BK.sum(1)
        if self.signal is None:
            liked_BK = appeal_BK.sigmoid()
        else:
            liked_BK = (feedback_BKM[..., self.signal] - self.low) / (self.high - self.low)
        liked_B = (click_BK * liked_BK.clamp(0.0, 1.0)).sum(1) / number_B.clamp(min=1.0)
        moved_B = self.inertia * state.satisfaction + (1.0 - self.inertia) * liked_B
        satisfaction_B = torch.where(number_B > 0, moved_B, state.satisfaction)
        slates_B = state.slates + 1
        over_B = slates_B >= self.longest
        if impatient_B is not None:
            over_B = over_B | impatient_B
        drawn_B = -torch.log1p(-luck.uniform(PAUSE, 1)[:, 0])
        days_B = (drawn_B * self.mean_pause(satisfaction_B)).clamp(SHORTEST, 2.0 * self.days)
        away_B = torch.where(over_B, days_B, torch.zeros_like(days_B))
        return replace(
            state,
            satisfaction=satisfaction_B,
            slates=torch.where(over_B, torch.zeros_like(slates_B), slates_B),
            day=state.day + away_B,
            away=away_B,
        )

    def mean_pause(self, satisfaction_B: Tensor) -> Tensor:
        """Days, (B,)."""
        return self.pause * (self.strength * (NEUTRAL - satisfaction_B)).exp()

    def leave(self, state: ReturnState) -> Tensor:
        """Probability of leaving for good: 1 once the days are over, else 0, (B,)."""
        return (state.day >= self.days).float()
