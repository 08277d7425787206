"""Users whose interests follow what they consume, and whose time budget runs out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from slategym.envs.luck import Luck, purpose
from slategym.envs.protocols import UserModel
from slategym.envs.types import CLICK, Arrival, Context, Items, Signal

INTEREST, FLIP, NOISE = (purpose(f"interest_evolution.{n}") for n in ("initial", "flip", "noise"))


@dataclass(frozen=True)
class InterestState:
    """What one likes, and how much time is left."""

    interest: Tensor  # (B, G) float32, in [-1, 1]
    budget: Tensor  # (B,) float32, minutes


@dataclass(frozen=True)
class InterestEvolution(UserModel[InterestState]):
    """A click costs watch time, good quality gives some of it back, and interest moves.

    Interest x in the clicked topic moves by drift (1 - |x|) (1 - x), up with probability
    (1 + x) / 2, else down. The session ends when the budget does.

    Source: SlateQ, Ie et al. 2019, arXiv:1905.12767, section 7.1, and RecSim 55e50e4.
    """

    num_topics: int = 20  # G
    budget: float = 200.0  # minutes at the start
    length: float = 4.0  # minutes of a document
    skip_cost: float = 0.5  # minutes lost when nothing is clicked
    refund: float = 0.9 / 3.4  # minutes returned per minute watched and unit of quality
    drift: float = 0.3  # largest move of an interest
    noise: float = 0.1  # standard deviation of a document's quality around its topic's
    static: bool = False  # True: interests never move, and every slate costs `length`

    @property
    def signals(self) -> tuple[Signal, ...]:
        """Click, minutes watched, and the quality of what was watched."""
        return (
            CLICK,
            Signal("watch", "nonnegative", "minutes", 0.0, self.length),
            Signal("quality", "real", "quality units", -4.0, 4.0),
        )

    def initial(self, arrival: Arrival, luck: Luck) -> InterestState:
        """Uniform interests, the full budget."""
        interest_BG = 2.0 * luck.uniform(INTEREST, self.num_topics) - 1.0
        return InterestState(interest_BG, torch.full_like(interest_BG[:, 0], self.budget))

    def appeal(self, state: InterestState, items: Items, context: Context) -> Tensor:
        """Interest in the item's topic, (B, K)."""
        return state.interest.gather(1, items.topic.long())

    def respond(
        self, state: InterestState, items: Items, context: Context, luck: Luck
    ) -> tuple[Tensor, Tensor]:
        """Minutes watched and quality met, (B, K, 3)."""
        mean_BK = items.quality
        quality_BK = mean_BK + self.noise * luck.normal(NOISE, items.id.shape[1])
        watch_BK = state.budget.clamp(0.0, self.length)[:, None].expand_as(mean_BK)
        one_BK = torch.ones_like(mean_BK)
        return (
            torch.stack([one_BK, watch_BK, quality_BK], dim=-1),
            torch.stack([one_BK, watch_BK, mean_BK], dim=-1),
        )

    def evolve(
        self,
        state: InterestState,
        items: Items,
        feedback_BKM: Tensor,
        context: Context,
        luck: Luck,
    ) -> InterestState:
        """Pay for the slate, and like what was clicked more or less."""
        if self.static:  # the future is the same whatever is shown and clicked
            return replace(state, budget=state.budget - self.length)
        topic_BK = items.topic.long()
        x_BK = state.interest.gather(1, topic_BK)
        up_BK = luck.uniform(FLIP, 1) < (1.0 + x_BK) / 2.0
        move_BK = self.drift * (1.0 - x_BK.abs()) * (1.0 - x_BK)
        move_BK = feedback_BKM[..., 0] * torch.where(up_BK, move_BK, -move_BK)
        interest_BG = state.interest.scatter_add(1, topic_BK, move_BK).clamp(-1.0, 1.0)
        click_B, watch_B, quality_B = feedback_BKM.sum(1).unbind(1)
        cost_B = watch_B * (1.0 - self.refund * quality_B) + self.skip_cost * (1.0 - click_B)
        return InterestState(interest_BG, state.budget - cost_B)

    def leave(self, state: InterestState) -> Tensor:
        """Certain once the budget is spent, (B,)."""
        return (state.budget <= 0.0).float()

    def reveal(self, state: InterestState) -> Tensor:
        """Interests, and the budget left as a share of the first, (B, G + 1)."""
        return torch.cat([state.interest, state.budget[:, None] / self.budget], 1)

    def known(self, revealed_BR: Tensor) -> InterestState:
        """Everything is revealed."""
        return InterestState(revealed_BR[:, :-1], revealed_BR[:, -1] * self.budget)
