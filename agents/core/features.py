"""What a learner reads off the history: topics clicked lately, and how the visit goes.

Traces that fade at several rates, by time and by clicks: nothing in them knows how many clicks bore
anybody, or for how long. Whatever rule people follow has to be learned.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from slategym.envs.types import LONG_AGO, Observation

QUICK, FAST, SLOW = 0.5, 0.8, 0.95  # what a trace keeps from slate to slate
BY_CLICK = 0.8  # what the fourth trace keeps from click to click, however long between them
PER_TOPIC = 4  # features of a topic
PER_VISIT = 3  # features of a visit


@dataclass(frozen=True)
class RecentTopics:
    """Fading traces of the session's clicks by topic; from the observation alone."""

    topic_N: Tensor  # (N,) int, main topic of each item
    num_topics: int  # G
    horizon: int  # slates of a whole session

    def by_topic(self, observation: Observation) -> Tensor:
        """(B, 4, G): three traces that fade with every slate, one with every click; of order 1."""
        history = observation.history
        inside_BH = history.age < LONG_AGO
        topic_BH = self.topic_N[history.id.clamp(min=0).long()].long()
        newer_BH = inside_BH.flip(1).cumsum(1).flip(1) - 1  # 0: the newest click
        age_BH = (history.age - 1).clamp(max=200).float()
        weights_BH = (
            QUICK**age_BH / 2.0,
            FAST**age_BH / 3.0,
            SLOW**age_BH / 6.0,
            BY_CLICK ** newer_BH.clamp(min=0).float() / 3.0,
        )
        weight_B4H = torch.stack([w_BH * inside_BH for w_BH in weights_BH], 1)
        zero_B4G = weight_B4H.new_zeros(*weight_B4H.shape[:2], self.num_topics)
        return zero_B4G.scatter_add(2, topic_BH[:, None].expand_as(weight_B4H), weight_B4H)

    def of_visit(self, observation: Observation) -> Tensor:
        """(B, 3): share of the session gone, slates since the last click / 3, clicks / 10."""
        inside_BH = observation.history.age < LONG_AGO
        step_B = observation.step.float()
        since_B = observation.history.age[:, -1].float() - 1.0
        misses_B = torch.where(inside_BH[:, -1], since_B, step_B)
        clicks_B = inside_BH.sum(1).float()
        return torch.stack([step_B / self.horizon, misses_B / 3.0, clicks_B / 10.0], 1)
