"""The simplest people: fixed likes, as an example and for workbenches."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from slategym.envs.luck import Luck, purpose
from slategym.envs.protocols import UserModel
from slategym.envs.types import Arrival, Context, Items

LIKES = purpose("likes")


@dataclass(frozen=True)
class Likes(UserModel[Tensor]):
    """Appeal is a fixed, normally distributed liking of the item's topic."""

    num_topics: int = 10  # G
    spread: float = 1.0  # log-odds, standard deviation between topics

    def initial(self, arrival: Arrival, luck: Luck) -> Tensor:
        """How much one likes each topic, (B, G) log-odds."""
        return self.spread * luck.normal(LIKES, self.num_topics)

    def appeal(self, state: Tensor, items: Items, context: Context) -> Tensor:
        """The liking of each item's topic, (B, K) log-odds."""
        return state.gather(1, items.topic.long())
