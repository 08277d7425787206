"""Maximal marginal relevance: the supervised ranker's slate, made various without any learning."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.agents.core.ranker import Ranker
from slategym.agents.types import Action
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.types import Observation


def mmr_slate(score_BC: Tensor, unit_BCD: Tensor, num_slots: int, strength: float) -> Tensor:
    """Fill slot by slot: the best score less strength times the likeness to what is chosen.

    Args:
        score_BC: of each candidate; FORBIDDEN where it may not be shown.
        unit_BCD: its vector, of norm one.
        num_slots: K, at most C.
        strength: score that a candidate loses beside a twin, >= 0.

    Returns:
        (B, K) int32 positions, in the order of choice.

    Source: Carbonell and Goldstein 1998, doi:10.1145/290941.291025, section 2, where the score has
        the weight 1 / (1 + strength) and the likeness the rest.
    """
    chosen = [score_BC.argmax(1)]
    left_BC, likeness_BC = score_BC, torch.full_like(score_BC, -1.0)  # the least a cosine can be
    for _ in range(num_slots - 1):
        last_B11 = chosen[-1][:, None, None].expand(-1, 1, unit_BCD.shape[2])
        cosine_BC = (unit_BCD @ unit_BCD.gather(1, last_B11).transpose(1, 2)).squeeze(2)
        likeness_BC = torch.maximum(likeness_BC, cosine_BC)
        left_BC = left_BC.scatter(1, chosen[-1][:, None], -torch.inf)
        chosen.append((left_BC - strength * likeness_BC).argmax(1))
    return torch.stack(chosen, 1).int()


@dataclass(frozen=True)
class SupervisedMMR:
    """The ranker's best items, re-ranked so that those of a slate differ."""

    ranker: Ranker
    num_slots: int  # K
    strength: float  # log-odds that an item loses beside a twin, >= 0
    pool: int = 100  # items from which the slate is filled
    privileged: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 <= self.strength < float("inf"):
            raise UsageError(f"the strength of MMR must be 0 or more, got {self.strength}")

    @property
    def name(self) -> str:
        """With its strength."""
        return f"supervised-mmr{self.strength:g}"

    def act(self, observation: Observation, luck: Luck) -> Action:
        """The re-ranked slate."""
        best = self.ranker.retrieve(observation, max(self.pool, self.num_slots))
        slot_BK = mmr_slate(best.score, self._unit_ND[best.id], self.num_slots, self.strength)
        return Action(best.id.gather(1, slot_BK.long()).int())

    @cached_property
    def _unit_ND(self) -> Tensor:
        """Item vectors of the ranker, of norm one."""
        return F.normalize(self.ranker.unit_items, dim=1)
