"""The best that can be done in RecSim's smaller worlds, and a rule of one word: references."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from slategym.agents.references.myopic import Myopic
from slategym.agents.slates.top import top_slate
from slategym.agents.types import Action, Policy
from slategym.envs.candidates import FreshDocuments
from slategym.envs.luck import Luck
from slategym.envs.types import Items, Observation, World
from slategym.envs.users.long_term_satisfaction import LongTermSatisfaction

POINTS = 241  # of the grid of exposures on which values are known; between them, linear
NODES = ((-math.sqrt(3.0), 1 / 6), (0.0, 2 / 3), (math.sqrt(3.0), 1 / 6))
# Gauss-Hermite of order 3: of a normal number, in standard deviations, and their weights


@dataclass(frozen=True)
class Optimal:
    """The optimum of LongTermSatisfaction, by dynamic programming; told the exposure: privileged.

    Values are exact but for the grid: the best of the fresh documents is taken in expectation.
    """

    world: World
    name: ClassVar[str] = "optimal"
    privileged: ClassVar[bool] = True

    @cached_property
    def users(self) -> LongTermSatisfaction:
        """Who decides what an engagement is, and what it leads to."""
        users = self.world.users
        assert isinstance(users, LongTermSatisfaction)
        return users

    @cached_property
    def grid_P(self) -> Tensor:
        """Exposures, beyond which nobody gets but by luck."""
        most = 1.2 / (1.0 - self.users.memory)
        return torch.linspace(-most, most, POINTS, dtype=torch.float64)

    @cached_property
    def value_TP(self) -> Tensor:
        """Expected engagement to come, seconds, by clicks left and exposure."""
        score_N = self.world.catalogue.quality.double().cpu()
        candidates = self.world.candidates
        assert isinstance(candidates, FreshDocuments)
        upto_N = (torch.arange(len(score_N) + 1) / len(score_N)).double() ** candidates.number
        best_N = upto_N.diff()  # chance that the n-th best is the best of the offer, rising
        values = [torch.zeros_like(self.grid_P)]
        for _ in range(round(self.users.budget)):
            worth_PN = self.worth(self.grid_P[:, None], score_N, values[-1])
            values.append(worth_PN.sort(1).values @ best_N)
        return torch.stack(values)

    def worth(self, exposure: Tensor, score: Tensor, next_P: Tensor) -> Tensor:
        """What documents of these scores bring now and later, of any shape; `next_P`: later."""
        u = self.users
        satisfaction = (u.sensitivity * exposure).sigmoid()
        now = (satisfaction * (u.kale + (u.choc - u.kale) * score) + u.spread**2 / 2).exp()
        if u.static:
            return now + self._between(next_P, exposure.expand_as(now))
        moved = u.memory * exposure - 2.0 * (score - 0.5)
        later = [weight * self._between(next_P, moved + u.noise * node) for node, weight in NODES]
        return now + torch.stack(later).sum(0)

    def _between(self, value_P: Tensor, exposure: Tensor) -> Tensor:
        """The value at exposures of any shape, by linear interpolation."""
        low, high = float(self.grid_P[0]), float(self.grid_P[-1])
        place = (exposure.clamp(low, high) - low) / (high - low) * (POINTS - 1)
        left = place.floor().clamp(max=POINTS - 2).long()
        return torch.lerp(value_P[left], value_P[left + 1], place - left)

    def act(self, observation: Observation, luck: Luck) -> Action:
        """The offer's best document first; the others are not looked at."""
        assert observation.hidden is not None and observation.candidates is not None
        state = observation.hidden.user
        score_BC = Items(observation.candidates, self.world.catalogue).quality.double().cpu()
        later_B = (state.budget.round().long() - 1).clamp(min=0).cpu()
        exposure_B1 = state.exposure.double().cpu()[:, None]
        worth_BC = torch.empty_like(score_BC)
        for left in later_B.unique():
            now_R = later_B == left
            worth_BC[now_R] = self.worth(
                exposure_B1[now_R], score_BC[now_R], self.value_TP[int(left)]
            )
        return Action(top_slate(worth_BC, self.world.slate_size).to(self.world.device))


def optimal(world: World) -> Policy:
    """`Optimal`; where nothing that is shown changes people, the best slate of the moment is it."""
    return Optimal(world) if isinstance(world.users, LongTermSatisfaction) else Myopic(world)


@dataclass(frozen=True)
class Kale:
    """The documents of least clickbait, whoever asks: a rule of one word."""

    world: World
    name: ClassVar[str] = "kale"
    privileged: ClassVar[bool] = False

    def act(self, observation: Observation, luck: Luck) -> Action:
        """The lowest scores, which everybody is shown."""
        assert observation.candidates is not None
        score_BC = Items(observation.candidates, self.world.catalogue).quality
        return Action(top_slate(-score_BC, self.world.slate_size))
