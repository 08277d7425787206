"""What PPO learns from: a rollout of every seed, and the slates of it with their advantages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
class RolloutBatch:
    """Slates to learn from, n of every seed."""

    shown: Shown  # (S, n, ...) each; "slots" too, where a critic reads them
    slate: Tensor  # (S, n, K) int64, places among the candidates
    logp: Tensor  # (S, n, K) of every slot's choice when it was drawn, nats
    advantage: Tensor  # (S, n, K) of each slot, or (S, n, 1) of the slate; zero mean, unit spread
    value: Tensor  # (S, n) before the updates, in units of the value
    target: Tensor  # (S, n) of the value
    future: Tensor  # (S, n) advantage of the slate less its reward, in units of the value

    def at(self, row_SR: Tensor) -> RolloutBatch:
        """These R rows of every seed."""
        return RolloutBatch(
            shown={name: rows(x_Sn, row_SR) for name, x_Sn in self.shown.items()},
            slate=rows(self.slate, row_SR),
            logp=rows(self.logp, row_SR),
            advantage=rows(self.advantage, row_SR),
            value=rows(self.value, row_SR),
            target=rows(self.target, row_SR),
            future=rows(self.future, row_SR),
        )

    def parts(self, num: int) -> Iterator[RolloutBatch]:
        """Views of R = num rows of every seed, one after the other."""
        for begin in range(0, self.value.shape[1], num):
            here = slice(begin, begin + num)
            yield RolloutBatch(
                shown={name: x_Sn[:, here] for name, x_Sn in self.shown.items()},
                slate=self.slate[:, here],
                logp=self.logp[:, here],
                advantage=self.advantage[:, here],
                value=self.value[:, here],
                target=self.target[:, here],
                future=self.future[:, here],
            )

    def explained_variance(self) -> Tensor:
        """Share of the targets' variance that the value foresaw, mean over seeds."""
        unforeseen_S = (self.target - self.value).var(1)
        return (1.0 - unforeseen_S / self.target.var(1).clamp(min=1e-12)).mean()


class Told(NamedTuple):
    """What one update of every seed, on R slates each, was about."""

    moved: Tensor  # (S, R) log-probability of the slate now, less that when it was drawn, nats
    change: Tensor  # (S, R, K) of its slots, or (S, R, 1) of the slate: what the ratio is made of
    gain: Tensor  # (S,) what the policy is to gain
    error: Tensor  # (S,) of the value, squared
    entropy: Tensor  # (S,) of the first slot, nats
    loss: Tensor  # (S,)

    @property
    def kl(self) -> Tensor:
        """Divergence of the policy that drew from the one now, (S,), nats a slate."""
        return (self.moved.exp() - 1.0 - self.moved).mean(-1)


def figures_of(told: Sequence[Told], clip: float) -> dict[str, Tensor]:
    """Means over updates and seeds, by tag.

    Args:
        told: of every update.
        clip: of the probability ratio.
    """
    every = Told(*(torch.stack(parts) for parts in zip(*told, strict=True)))
    return {
        "train/approx_kl": every.kl.mean(),
        "train/clip_fraction": ((every.change.exp() - 1.0).abs() > clip).float().mean(),
        "train/policy_gradient_loss": -every.gain.mean(),
        "train/value_loss": every.error.mean(),
        "train/entropy_loss": -every.entropy.mean(),
        "train/loss": every.loss.mean(),
    }
