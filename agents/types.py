"""What a policy is: a function from what may be seen to a slate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from slategym.envs.luck import Luck
from slategym.envs.types import Observation


@dataclass(frozen=True)
class Action:
    """A slate and, where the policy can say it, how likely it was to be shown."""

    slate: Tensor  # (B, K) int32 positions, best first
    logp: Tensor | None = None  # (B,) log-probability of that ordered slate, nats
    # (B, K) log-probability of each slot's choice given the slots before it, nats; they sum to logp
    slot_logp: Tensor | None = None
    # (B, K) log-probability of this item in this slot, whatever the other slots hold, nats
    position_logp: Tensor | None = None


class Policy(Protocol):
    """Chooses slates. Randomness comes in as luck; nothing is remembered between calls.

    Whatever has these three is a policy; there is nothing to derive from.
    """

    @property
    def name(self) -> str:
        """As in tables and on the command line."""
        ...

    @property
    def privileged(self) -> bool:
        """True: a reference that is handed `observation.hidden`, which no real system has."""
        ...

    def act(self, observation: Observation, luck: Luck) -> Action:
        """Slates for these users, (B, K) positions of the candidates."""
        ...


DRAWS = 16  # slates that a marginal is averaged over, where no formula gives it


@runtime_checkable
class Stochastic(Policy, Protocol):
    """A policy that says how likely any slate is, so that another policy's log can be read for it.

    A policy that writes `law` and derives from this class has the rest.
    """

    def law(self, observation: Observation, slate_BK: Tensor) -> Tensor:
        """Log-probability of every candidate in every slot, given what the slots before it hold.

        Args:
            observation: of B users.
            slate_BK: int positions; -1: an empty slot. The last slot's item is not read.

        Returns:
            (B, K, C) nats, -inf for what would not be shown.
        """
        ...

    def logp(self, observation: Observation, slate_BK: Tensor) -> Tensor:
        """Log-probability of each slot's item given the slots before it, (B, K), 0 where empty.

        Their sum is the slate's.
        """
        at_BK1 = slate_BK.long().clamp(min=0)[..., None]
        logp_BK = self.law(observation, slate_BK).gather(2, at_BK1)[..., 0]
        return torch.where(slate_BK < 0, 0.0, logp_BK)

    def marginal(self, observation: Observation) -> Tensor:
        """Log-probability of every candidate in every slot, whatever the others hold, (B, K, C).

        Here: the mean of `law` over `DRAWS` slates of the policy's own, which has no bias.
        """
        total_BKC: Tensor | None = None
        for draw in range(DRAWS):
            stream_B = torch.arange(len(observation.step), dtype=torch.int32) * DRAWS + draw
            luck = Luck(stream_B.to(observation.step.device))
            prob_BKC = self.law(observation, self.act(observation, luck).slate).exp()
            total_BKC = prob_BKC if total_BKC is None else total_BKC + prob_BKC
        assert total_BKC is not None
        return (total_BKC / DRAWS).log()
