"""What the lookahead learner knows: who chooses what, and what a click is worth later."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from slategym.agents.core.features import RecentTopics

HIDDEN = 32  # units of every layer
PER_OFFER = 2  # what is told of a topic among the candidates


class Foreseen(NamedTuple):
    """Of users at a request. All zero before anything is learnt, but for `level`."""

    appeal: Tensor  # (B, G) log-odds by which a topic's items are wanted more than was believed
    gain: Tensor  # (B, G) what a click on the topic does to later reward, against no click
    after: Tensor  # (B,) later reward if nothing is clicked; both in units of the value
    level: Tensor  # (B,) utility of taking nothing
    scale: Tensor  # () of the ranker's utilities


class LookaheadNetwork(nn.Module):
    """One small network for all topics, and one for the user from its hidden units.

    Args:
        recent: reads the session by topic.
    """

    def __init__(self, recent: RecentTopics) -> None:
        super().__init__()
        width = recent.per_topic + recent.per_visit + PER_OFFER
        first, second = nn.Linear(width, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.topics = nn.Sequential(first, nn.Tanh(), second, nn.Tanh())
        whole = nn.Linear(2 * HIDDEN + recent.per_visit, HIDDEN)
        self.user = nn.Sequential(whole, nn.Tanh(), nn.Linear(HIDDEN, HIDDEN), nn.Tanh())
        self.of_topic, self.of_user = nn.Linear(2 * HIDDEN, 2), nn.Linear(HIDDEN, 2)
        self.level = nn.Parameter(torch.zeros(()))
        self.scale = nn.Parameter(torch.zeros(()))  # its logarithm
        for layer in (self.of_topic, self.of_user):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self, topics_BRG: Tensor, visit_BV: Tensor, offer_BG2: Tensor
    ) -> tuple[Tensor, ...]:
        """As `Foreseen`."""
        topics_BGR = topics_BRG.transpose(1, 2)
        visit_BGV = visit_BV[:, None] + torch.zeros_like(topics_BGR[:, :, :1])
        hidden_BGH = self.topics(torch.cat([topics_BGR, visit_BGV, offer_BG2], 2))
        pooled = (hidden_BGH.mean(1), hidden_BGH.amax(1), visit_BV)
        user_BH = self.user(torch.cat(pooled, 1))
        user_BGH = user_BH[:, None] + torch.zeros_like(hidden_BGH[:, :, :1])
        of_topic_BG2 = self.of_topic(torch.cat([hidden_BGH, user_BGH], 2))
        of_user_B2 = self.of_user(user_BH)
        return (
            of_topic_BG2[..., 0],
            of_topic_BG2[..., 1],
            of_user_B2[:, 0],
            self.level + of_user_B2[:, 1],
            self.scale.exp(),
        )
