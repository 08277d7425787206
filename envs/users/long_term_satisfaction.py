"""Users whom clickbait engages now and wears out later."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

import torch
from torch import Tensor

from slategym.envs.luck import Luck, purpose
from slategym.envs.protocols import UserModel
from slategym.envs.types import CLICK, Arrival, Context, Items, Signal

EXPOSURE, ENGAGEMENT, INNOVATION = (
    purpose(f"long_term_satisfaction.{n}") for n in ("exposure", "engagement", "innovation")
)
CERTAIN = 1e9  # log-odds


@dataclass(frozen=True)
class SatisfactionState:
    """What one has been exposed to, and how long one stays."""

    exposure: Tensor  # (B,) float32, net positive exposure: the discounted sum of good content
    budget: Tensor  # (B,) float32, clicks


@dataclass(frozen=True)
class LongTermSatisfaction(UserModel[SatisfactionState]):
    """The first item is always clicked; its clickbait score c decides the engagement.

    log engagement ~ N(satisfaction (c choc + (1 - c) kale), 1), satisfaction = sigmoid(
    sensitivity exposure). After the click, exposure <- memory exposure - 2 (c - 1/2) + N(0, noise).

    Source: RecSim 55e50e4, long_term_satisfaction.py. An item's quality is its clickbait score.
    """

    sensitivity: float = 0.01
    memory: float = 0.7  # exposure kept from one click to the next, in [0, 1)
    noise: float = 0.05  # standard deviation of the exposure's innovation
    choc: float = 5.0  # mean log engagement with pure clickbait, at satisfaction 1
    kale: float = 4.0  # the same with none
    spread: float = 1.0  # standard deviation of log engagement
    budget: float = 60.0  # clicks
    static: bool = False  # True: exposure never changes

    @property
    def signals(self) -> tuple[Signal, ...]:
        """Click, and engagement; its bound is six standard deviations away."""
        largest = exp(max(self.choc, self.kale) + 6.0 * self.spread)
        return (CLICK, Signal("engagement", "nonnegative", "seconds", 0.0, largest))

    def initial(self, arrival: Arrival, luck: Luck) -> SatisfactionState:
        """Exposure uniform between its bounds' halves, the full budget."""
        exposure_B = (luck.uniform(EXPOSURE, 1)[:, 0] - 0.5) / (1.0 - self.memory)
        return SatisfactionState(exposure_B, torch.full_like(exposure_B, self.budget))

    def appeal(self, state: SatisfactionState, items: Items, context: Context) -> Tensor:
        """The same for all: whichever is looked at is clicked, (B, K)."""
        return torch.full(items.id.shape, CERTAIN, device=items.id.device)

    def respond(
        self, state: SatisfactionState, items: Items, context: Context, luck: Luck
    ) -> tuple[Tensor, Tensor]:
        """Engagement with each item, (B, K, 2)."""
        satisfaction_B1 = (self.sensitivity * state.exposure).sigmoid()[:, None]
        mean_BK = satisfaction_B1 * (self.kale + (self.choc - self.kale) * items.quality)
        noise_BK = self.spread * luck.normal(ENGAGEMENT, items.id.shape[1])
        one_BK = torch.ones_like(mean_BK)
        return (
            torch.stack([one_BK, (mean_BK + noise_BK).exp()], dim=-1),
            torch.stack([one_BK, (mean_BK + self.spread**2 / 2).exp()], dim=-1),
        )

    def evolve(
        self,
        state: SatisfactionState,
        items: Items,
        feedback_BKM: Tensor,
        context: Context,
        luck: Luck,
    ) -> SatisfactionState:
        """Spend a click, and be worn out or restored."""
        click_BK = feedback_BKM[..., 0]
        clicked_B = click_BK.sum(1)
        budget_B = state.budget - clicked_B
        if self.static:
            return SatisfactionState(state.exposure, budget_B)
        clickbait_B = (click_BK * items.quality).sum(1)
        noise_B = self.noise * luck.normal(INNOVATION, 1)[:, 0]
        moved_B = self.memory * state.exposure - 2.0 * (clickbait_B - 0.5) + noise_B
        return SatisfactionState(torch.where(clicked_B > 0, moved_B, state.exposure), budget_B)

    def leave(self, state: SatisfactionState) -> Tensor:
        """Certain once the budget is spent, (B,)."""
        return (state.budget <= 0.0).float()
