"""What a click changes of all that follows: its topic's appeal, and that of everything."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from slategym.envs.constants import constant
from slategym.envs.luck import Luck
from slategym.envs.trees import where
from slategym.envs.types import Items
from slategym.envs.users.satiation import Effect


@dataclass(frozen=True)
class CarryOverState:
    """What is left of the session's clicks."""

    level: Tensor  # (B, G) float32, clicks by topic, each worth less the longer ago
    clicks: Tensor  # (B,) float32, clicks of any topic, the same
    worth: Tensor  # (B,) float32, what they were worth, the same

    @property
    def bored(self) -> Tensor | None:
        """None: it is a matter of degree."""
        return None


@dataclass(frozen=True)
class CarryOver(Effect[CarryOverState]):
    """Clicks add to the log-odds of later ones, in the topic and in everything, and fade.

    level <- keep * level + clicks on the topic, and appeal loses penalty * level. Over all topics
    clicks and worth <- inertia * itself + the slate's sum, and appeal gains
    per_click * clicks + per_worth * worth. A click is worth tanh((reward - centre) / spread), its
    reward that of its signals by their weights; with a spread of 0 nothing.

    Source: the sizes can be a log's own, found by instrumental variables
    (`experiments/validation/carry_over.py`); that they add up and fade alike is assumed.
    """

    num_topics: int  # G
    penalty: float = 0.0  # log-odds that a click takes from its topic, >= 0
    keep: float = 0.8  # of the level, per slate, in [0, 1)
    per_click: float = 0.0  # log-odds that a click adds to everything; negative: takes
    per_worth: float = 0.0  # log-odds that a unit of worth adds to everything
    inertia: float = 0.8  # of clicks and worth, per slate, in [0, 1)
    weights: tuple[float, ...] = ()  # (M,) of the signals in a click's reward
    centre: float = 0.0  # reward of a click, mean
    spread: float = 0.0  # its standard deviation

    def __post_init__(self) -> None:
        if self.penalty < 0 or not (0 <= self.keep < 1 and 0 <= self.inertia < 1):
            raise ValueError(
                "penalty must be >= 0, keep and inertia in [0, 1), got "
                f"penalty={self.penalty}, keep={self.keep}, inertia={self.inertia}"
            )

    @property
    def called(self) -> str:
        """Carry-over."""
        return "carry-over"

    def rule(self, topic: str) -> str:
        """In words."""
        said = []
        if self.penalty:
            said.append(
                f"takes {self.penalty:g} log-odds from its {topic}, of which {self.keep:.0%} are "
                "left with every slate"
            )
        if self.per_click:
            said.append(f"adds {self.per_click:+g} to everything ({self.inertia:.0%} are left)")
        if self.per_worth:
            said.append(
                f"adds {self.per_worth:+g} to everything where it was worth a unit more "
                f"({self.inertia:.0%} are left)"
            )
        return f"every click {' and '.join(said)}" if said else "clicks change nothing"

    def initial(self, user_B: Tensor, luck: Luck | None = None) -> CarryOverState:
        """Nothing clicked yet, on the users' device."""
        none_B = torch.zeros(len(user_B), device=user_B.device)
        return CarryOverState(none_B.new_zeros(len(user_B), self.num_topics), none_B, none_B)

    def cost(self, state: CarryOverState) -> Tensor:
        """Log-odds, (B, G); negative where more is gained than lost."""
        gain_B = self.per_click * state.clicks + self.per_worth * state.worth
        return self.penalty * state.level - gain_B[:, None]

    def update(self, state: CarryOverState, items: Items, feedback_BKM: Tensor) -> CarryOverState:
        """After one slate."""
        click_BK = (feedback_BKM[..., 0] > 0).float()
        level_BG = (self.keep * state.level).scatter_add(1, items.topic.long(), click_BK)
        clicks_B = self.inertia * state.clicks + click_BK.sum(1)
        worth_B = self.inertia * state.worth
        if self.per_worth and self.spread:
            reward_BK = feedback_BKM @ constant(self.weights, feedback_BKM)
            worth_BK = ((reward_BK - self.centre) / self.spread).tanh()
            worth_B = worth_B + (click_BK * worth_BK).sum(1)
        return CarryOverState(level_BG, clicks_B, worth_B)

    def rested(self, state: CarryOverState, rested_B: Tensor) -> CarryOverState:
        """Whoever has been away begins anew."""
        return where(rested_B, self.initial(rested_B), state)

    def about_to_bore(self, state: CarryOverState) -> Tensor:
        """Topics of which less than one click in two has faded, (B, G) bool; none at penalty 0."""
        return (state.level >= 0.5) & (self.penalty > 0)
