"""Tiring of a topic: a piece that any user model can be composed with."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from slategym.envs.types import NOT_DRAWN, Items


@dataclass(frozen=True)
class SatiationState:
    """What one remembers of the session's clicks, and which topics have become boring."""

    # (B, W) int32, topics of the last clicks of the session, newest last; -1: none
    last: Tensor = field(metadata=NOT_DRAWN)
    remaining: Tensor  # (B, G) int32, slates for which the topic stays boring

    @property
    def bored(self) -> Tensor:
        """Topics that are boring at the next slate, (B, G) bool."""
        return self.remaining > 0


@dataclass(frozen=True)
class GenreSatiation:
    """A topic bores for `duration` slates once too many of the session's last clicks were on it.

    After a slate in which an item of topic g was clicked, g becomes boring if at least
    `threshold` of the last `memory` clicks, these included, are on g: its appeal is lowered by
    `penalty` in each of the next `duration` slates. A further such click starts the count anew.

    Source: assumed; the rule of SARDINE (Deffayet et al. 2024) in a softer form.
    """

    num_topics: int  # G
    memory: int = 5  # W, clicks
    threshold: int = 3  # clicks, in [1, memory]
    penalty: float = 4.0  # log-odds
    duration: int = 8  # slates

    def __post_init__(self) -> None:
        if not 1 <= self.threshold <= self.memory:
            raise ValueError(f"threshold must be in [1, {self.memory}], got {self.threshold}")
        if self.duration < 0 or self.penalty < 0:
            raise ValueError(
                "duration and penalty must not be negative, "
                f"got duration={self.duration}, penalty={self.penalty}"
            )

    def initial(self, user_B: Tensor) -> SatiationState:
        """Nothing clicked, nothing boring, on the users' device."""
        B, device = user_B.shape[0], user_B.device
        return SatiationState(
            torch.full((B, self.memory), -1, dtype=torch.int32, device=device),
            torch.zeros(B, self.num_topics, dtype=torch.int32, device=device),
        )

    def cost(self, state: SatiationState, items: Items) -> Tensor:
        """Log-odds that boredom takes from each item, (B, K), >= 0."""
        return self.penalty * (state.remaining.gather(1, items.topic.long()) > 0).float()

    def update(self, state: SatiationState, items: Items, feedback_BKM: Tensor) -> SatiationState:
        """After one slate."""
        topic_BK, click_BK = items.topic, feedback_BKM[..., 0] > 0
        last_BW = _append(state.last, topic_BK, click_BK)
        same_BKW = topic_BK[:, :, None] == last_BW[:, None, :]
        starts_BK = click_BK & (same_BKW.sum(2) >= self.threshold)
        remaining_BG = (state.remaining - 1).clamp(min=0)
        started_BG = torch.zeros_like(remaining_BG).scatter_add(1, topic_BK.long(), starts_BK.int())
        return SatiationState(last_BW, remaining_BG.masked_fill(started_BG > 0, self.duration))


def _append(last_BW: Tensor, topic_BK: Tensor, click_BK: Tensor) -> Tensor:
    """The last W of the old topics followed by the clicked ones in slot order."""
    order_BK = (~click_BK).int().argsort(dim=1, stable=True)
    both = torch.cat([last_BW, topic_BK.gather(1, order_BK)], 1)
    keep_BW = torch.arange(last_BW.shape[1], device=last_BW.device) + click_BK.sum(1, keepdim=True)
    return both.gather(1, keep_BW)
