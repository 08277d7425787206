"""What PPO learns from: a rollout of every seed, and the slates of it with their advantages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from slategym.agents.core.rollout import rows
from slategym.agents.policy_gradient.network import Shown


class Rollout(NamedTuple):
    """What was shown and what came of it; n = T * B slates of every seed."""

    shown: Shown  # (S, T, B, ...) each
    slate: Tensor  # (S, T, B, K) int64, places among the candidates
    logp: Tensor  # (S, T, B, K) of every slot's choice, nats
    reward: Tensor  # (S, T, B, K) by slot
    ended: Tensor  # (S, T, B) bool
    beyond: Tensor  # (S, T, B) value after a session that was cut off; 0 elsewhere
    last: Tensor  # (S, B, X) input vectors after the last slate
    excess: Tensor = torch.zeros(0)  # (S, T, B, n) of slates above each of n limits, if there are


@dataclass(frozen=True)
class Batch:
    """Slates to learn from, n of every seed."""

    shown: Shown  # (S, n, ...) each
    slate: Tensor  # (S, n, K) int64, places among the candidates
    logp: Tensor  # (S, n, K) of every slot's choice when it was drawn, nats
    advantage: Tensor  # (S, n, K) credit by item, or (S, n, 1) by slate; zero mean, unit spread
    value: Tensor  # (S, n) before the updates, in units of the value
    target: Tensor  # (S, n) of the value

    def at(self, row_SR: Tensor) -> Batch:
        """These R rows of every seed."""
        return Batch(
            shown={name: rows(x_Sn, row_SR) for name, x_Sn in self.shown.items()},
            slate=rows(self.slate, row_SR),
            logp=rows(self.logp, row_SR),
            advantage=rows(self.advantage, row_SR),
            value=rows(self.value, row_SR),
            target=rows(self.target, row_SR),
        )

    def explained_variance(self) -> Tensor:
        """Share of the targets' variance that the value foresaw, mean over seeds."""
        unforeseen_S = (self.target - self.value).var(1)
        return (1.0 - unforeseen_S / self.target.var(1).clamp(min=1e-12)).mean()
