"""A residual slate policy: the supervised policy plus learned corrections that start at zero.

logits = sharpness * supervised score                       how `supervised` would have it
       + topic correction (one network for all topics)      what the last clicks and the offer say
and, slot after slot, a penalty on topics that the slate already holds, under the law of
`agents/slates/plackett_luce.py`: the quota of `supervised` and a learned correction. All
corrections are zero at first: the policy begins as the one that it has to beat (`core/start.py`).

The corrections re-weigh topics in the light of the session and leave the ranking inside a topic to
the ranker. `item_correction` lets them relearn that too, along the item vectors: in a learned world
this wins even where looking ahead is worth nothing (+.38 [.20, .55] in MovieLens's static twin,
three seeds), by mending the ranker's errors, and a gain then no longer answers the question.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slategym.agents.core.features import RecentTopics

EMBEDDING_SCALE = 8.0  # root of the width: keeps a correction of order one
TOPIC_SCALE = 3.0  # log-odds per unit of the topic network's output
PER_OFFER = 2  # what the network is told of a topic among the candidates
FAR = 3.0  # supervised score below the best at which a topic counts as not offered
FRONT = 20  # best candidates, of which a topic holds a share


@dataclass(frozen=True)
class ResidualSettings:
    """The policy network."""

    sharpness: float = 4.0  # log-odds per unit of supervised score, at the start
    quota: float = 0.0  # supervised score lost per earlier slot of the topic
    hidden: int = 32  # of the topic network
    item_correction: bool = False  # True: relearn the ranking itself as well


class ResidualNetwork(nn.Module):
    """Corrections to the slates of a supervised policy.

    Args:
        settings: sizes.
        items_ND: normalised item vectors.
        recent: reads the session by topic.
        seed: of the initial weights; the global generator is left as it was.
    """

    items_ND: Tensor
    topic_N: Tensor

    def __init__(
        self,
        settings: ResidualSettings,
        items_ND: Tensor,
        recent: RecentTopics,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.settings, self.num_topics = settings, recent.num_topics
        self.register_buffer("items_ND", items_ND.clone(), persistent=False)
        self.register_buffer("topic_N", recent.topic_N.long().clone(), persistent=False)
        width, hidden = items_ND.shape[1], settings.hidden
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            first = nn.Linear(recent.per_topic + recent.per_visit + PER_OFFER, hidden)
            second = nn.Linear(hidden, hidden)
            last = nn.Linear(hidden, 2)
            self.topics = nn.Sequential(first, nn.Tanh(), second, nn.Tanh(), last)
            self.direction = nn.Linear(width, width) if settings.item_correction else None
        for layer in (last, self.direction):
            if layer is not None:
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)
        self.sharpness = nn.Parameter(torch.tensor(float(settings.sharpness)))

    def corrected(self, shown: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Logits (B, C) of the candidates that `Shortlist` shows, and topics' penalties (B, G)."""
        id_BC, score_BC = shown["id"].long(), shown["score"]
        topic_BC, below_BC = self.topic_N[id_BC], score_BC - score_BC[:, :1]
        visit_BG3 = shown["visit"][:, None].expand(-1, self.num_topics, -1)
        recent_BG4 = shown["topics"].transpose(1, 2)
        seen_BGX = torch.cat([recent_BG4, visit_BG3, self._offer(topic_BC, below_BC)], 2)
        correction_BG2 = TOPIC_SCALE * self.topics(seen_BGX)
        logits_BC = self.sharpness * below_BC + correction_BG2[..., 0].gather(1, topic_BC)
        if self.direction is not None:
            towards_BD = self.direction(shown["state"]) / EMBEDDING_SCALE
            # against all items and then picked: much less memory moves than by gathering vectors
            logits_BC = logits_BC + F.linear(towards_BD, self.items_ND).gather(1, id_BC)
        penalty_BG = self.sharpness * self.settings.quota + correction_BG2[..., 1]
        return logits_BC, penalty_BG

    def _offer(self, topic_BC: Tensor, below_BC: Tensor) -> Tensor:
        """How far each topic's best candidate is below the best, and its share of the front."""
        shape = (topic_BC.shape[0], self.num_topics)  # not len(), which a recording would fix
        worst_BG = torch.full(shape, -FAR, device=topic_BC.device)
        best_BG = worst_BG.scatter_reduce(1, topic_BC, below_BC.clamp(min=-FAR), "amax")
        front_BC = topic_BC[:, :FRONT]
        place_BC = torch.full_like(below_BC[:, :FRONT], 2.0 / FRONT)
        share_BG = torch.zeros_like(best_BG).scatter_add(1, front_BC, place_BC)
        return torch.stack([best_BG + FAR / 2, share_BG], 2)
