"""What the ranker offers at a request, and what is known of each candidate: features of a pair.

For learners that look no further than the slate: they start from what the ranker says of its
shortlist and learn what it does not know, from what learners in general may see. Nothing here
knows a rule that people follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from slategym.agents.core.choice import independent_score, slate_score
from slategym.agents.core.choice_fit import further_heads
from slategym.agents.core.features import RecentTopics
from slategym.agents.core.inputs import Inputs
from slategym.agents.core.ranker import Ranker
from slategym.agents.slates.top import FORBIDDEN, allowed_only
from slategym.envs.types import Observation, World

LOG_ODDS = 3.0  # makes log-odds of order one
FARTHEST = 6.0  # log-odds below the best candidate, at which all are as far


@dataclass(frozen=True)
class Offer:
    """C candidates of each request, in no order."""

    id: Tensor  # (B, C) int64 items, which are positions
    allowed: Tensor  # (B, C) bool, may be shown
    utility: Tensor  # (B, C) log-odds, as the ranker weighs its heads
    reward: Tensor  # (B, C) mean reward of a click, as its heads say
    features: Tensor  # (B, C, F), of order one
    state: Tensor  # (B, D), the agents' own embedding of the user

    def at(self, slot_BK: Tensor) -> Offer:
        """These K of the candidates."""
        F = self.features.shape[2]
        at_BKF = slot_BK[:, :, None].expand(-1, -1, F)
        return Offer(
            id=self.id.gather(1, slot_BK),
            allowed=self.allowed.gather(1, slot_BK),
            utility=self.utility.gather(1, slot_BK),
            reward=self.reward.gather(1, slot_BK),
            features=self.features.gather(1, at_BKF),
            state=self.state,
        )


@dataclass(frozen=True)
class Offers:
    """Makes offers in one world."""

    world: World
    ranker: Ranker

    @cached_property
    def heads(self) -> tuple[str, ...]:
        """Whose log-odds are features: of a click, and of further binary signals."""
        return ("click", *further_heads(self.ranker))

    @cached_property
    def width(self) -> int:
        """F."""
        return len(self.heads) + 3 + 2 * self._topics.per_topic + self._topics.per_visit

    @property
    def own_topic(self) -> slice:
        """Which of the features are traces of the candidate's own topic."""
        begin = len(self.heads) + 3
        return slice(begin, begin + self._topics.per_topic)

    @cached_property
    def num_candidates(self) -> int:
        """C: as many as the ranker looks at, so that its own slates are among them."""
        N, looked_at = self.world.num_candidates, self.ranker.shortlist
        return N if looked_at is None else min(max(looked_at, self.world.slate_size), N)

    @torch.no_grad()
    def __call__(self, observation: Observation) -> Offer:
        """The ranker's likeliest clicks that may be shown.

        Raises:
            ValueError: if the observation has no state embedding.
        """
        ranker = self.ranker
        query = ranker.encoder.asked(observation)
        click_BN = allowed_only(ranker.log_odds("click", query, None), observation.allowed)
        click_BC, id_BC = click_BN.topk(self.num_candidates, dim=1, sorted=False)
        allowed_BC = click_BC > FORBIDDEN / 2
        click_BC = click_BC.masked_fill(~allowed_BC, 0.0)
        said = {head: ranker.log_odds(head, query, id_BC) for head in self.heads[1:]}
        said["click"] = click_BC
        utility_BC = ranker.choice.click * click_BC
        for head, weight in ranker.choice.further:
            utility_BC = utility_BC + weight * said[head]
        reward_BC = ranker.value(query, id_BC)
        best_B1 = utility_BC.masked_fill(~allowed_BC, FORBIDDEN).amax(1, keepdim=True)
        parts = [said[head] / LOG_ODDS for head in self.heads]
        parts += [reward_BC, (utility_BC - best_B1).clamp(min=-FARTHEST) / LOG_ODDS]
        parts.append(self._fame_N[id_BC])
        features_BCF = torch.cat([torch.stack(parts, 2), self._lately(observation, id_BC)], 2)
        return Offer(id_BC, allowed_BC, utility_BC, reward_BC, features_BCF, query.state)

    def _lately(self, observation: Observation, id_BC: Tensor) -> Tensor:
        """Traces of each candidate's topic and of all topics, and how the visit goes."""
        trace_BFG = self._topics.by_topic(observation)
        topic_BC = self._topics.topic_N[id_BC].long()
        at_BFC = topic_BC[:, None].expand(-1, trace_BFG.shape[1], -1)
        shared_BF = torch.cat([trace_BFG.sum(2), self._topics.of_visit(observation)], 1)
        shared_BCF = shared_BF[:, None].expand(-1, id_BC.shape[1], -1)
        return torch.cat([trace_BFG.gather(2, at_BFC).transpose(1, 2), shared_BCF], 2)

    @cached_property
    def _topics(self) -> RecentTopics:
        return Inputs(self.world).topics

    @cached_property
    def _fame_N(self) -> Tensor:
        """Logarithm of clicks in the agents' log, of zero mean and unit spread; 0: not known."""
        count_N = self.world.catalogue.popularity
        if count_N is None:
            return torch.zeros(self.world.catalogue.num_items, device=self.world.device)
        log_N = count_N.float().log1p()
        return (log_N - log_N.mean()) / log_N.std().clamp(min=1e-6)


def best_slate(
    offer: Offer, utility_BC: Tensor, reward_BC: Tensor, nothing: float, ranker: Ranker
) -> Tensor:
    """Scores whose K greatest are the slate of most expected reward, (B, C); see `Ranker`.

    Args:
        offer: the candidates.
        utility_BC: of each.
        reward_BC: mean reward of a click on it.
        nothing: utility of taking nothing; infinity: clicks are rare.
        ranker: knows how people choose.
    """
    if nothing < float("inf") and not ranker.one_choice:
        score_BC = independent_score(utility_BC - nothing, reward_BC)
        return score_BC.masked_fill(~offer.allowed, FORBIDDEN)
    return slate_score(utility_BC, reward_BC, offer.allowed, nothing, ranker.num_slots)
