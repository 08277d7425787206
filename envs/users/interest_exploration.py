"""Users of a few types, whose tastes never change and are not shown."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from slategym.envs.luck import Luck, purpose
from slategym.envs.protocols import UserModel
from slategym.envs.types import Arrival, Context, Items

TYPE, AFFINITY = (purpose(f"interest_exploration.{n}") for n in ("type", "affinity"))


@dataclass(frozen=True)
class AffinityState:
    """What one likes, for good."""

    affinity: Tensor  # (B, G) float32, > 0


@dataclass(frozen=True)
class InterestExploration(UserModel[AffinityState]):
    """Appeal is affinity to the topic plus the quality of the document.

    A user is of one of several types; affinities are log-normal around the type's.

    Source: RecSim 55e50e4, interest_exploration.py.
    """

    type_share: tuple[float, ...] = (0.3, 0.7)
    log_affinity: tuple[tuple[float, ...], ...] = ((0.1, 0.7), (0.7, 0.1))  # types x G, mean
    spread: float = 0.1  # standard deviation of the logarithm

    def initial(self, arrival: Arrival, luck: Luck) -> AffinityState:
        """A type, and affinities of that type."""
        device = luck.stream.device
        mean_YG = torch.tensor(self.log_affinity, device=device)
        bound_Y = torch.tensor(self.type_share, device=device).cumsum(0)
        type_B = (luck.uniform(TYPE, 1) >= bound_Y[:-1]).sum(1)
        noise_BG = self.spread * luck.normal(AFFINITY, mean_YG.shape[1])
        return AffinityState((mean_YG[type_B] + noise_BG).exp())

    def appeal(self, state: AffinityState, items: Items, context: Context) -> Tensor:
        """Affinity plus quality, (B, K)."""
        return state.affinity.gather(1, items.topic.long()) + items.quality
