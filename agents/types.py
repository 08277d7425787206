"""What a policy is: a function from what may be seen to a slate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

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
