"""What every part of a person can say; a part says some of it."""

from __future__ import annotations

from typing import Protocol, TypeVar

from torch import Tensor

from slategym.envs.luck import Luck
from slategym.envs.scenarios.look import Look
from slategym.envs.types import Arrival

S = TypeVar("S")  # a state: a tensor whose first axis is B, or None


class Effect(Protocol[S]):
    """What moves a person's appeal and worth, and what slates do to it. Pure.

    `at(strength)` scales what a slate can change later, and nothing else: at strength 0 the effect
    is there and no slate moves it.
    """

    def initial(self, arrival: Arrival, num_topics: int, luck: Luck) -> S:
        """State on arrival."""
        ...

    def appeal(self, state: S, look: Look) -> Tensor | None:
        """Log-odds added to appeal, (B, K); None: none."""
        return None

    def worth(self, state: S, look: Look) -> Tensor | None:
        """Log-odds added to the worth of a click, (B, K); None: none."""
        return None

    def after(self, state: S, look: Look, feedback_BKM: Tensor, luck: Luck) -> S:
        """State after a slate and the feedback to it."""
        return state

    def rest(self, state: S, days_B: Tensor, luck: Luck) -> S:
        """State after so many days away; 0: the visit goes on."""
        return state

    def loyalty(self, state: S) -> Tensor | None:
        """What it adds to how much one wants to stay and to return, (B,); None: nothing."""
        return None

    def tired(self, state: S) -> Tensor | None:
        """Topics of which one has enough, or will have after one more click, (B, G) bool."""
        return None

    def at(self, strength: float) -> Effect[S]:
        """The same with what slates change later scaled by that, in [0, 2]."""
        return self
