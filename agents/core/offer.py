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

from slategym.agents.core.choice_fit import further_heads
from slategym.agents.core.features import RecentTopics
from slategym.agents.core.inputs import Inputs
from slategym.agents.core.ranker import Ranker
from slategym.agents.slates.top import FORBIDDEN, allowed_only
from slategym.envs.types import Observation, World
from slategym.models.multitask.query import Query

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
    def __call__(self, observation: Observation, count: int = 0) -> Offer:
        """The ranker's likeliest clicks that may be shown.

        Args:
            observation: of the requests.
            count: how many at least, if there are as many.

        Raises:
            ValueError: if the observation has no state embedding.
        """
        query = self.ranker.encoder.asked(observation)
        click_BC, id_BC = self._likeliest(query, observation, count)
        allowed_BC = click_BC > FORBIDDEN / 2
        said = self._said(query, id_BC, click_BC.masked_fill(~allowed_BC, 0.0))
        utility_BC = self._utility(said)
        best_B1 = utility_BC.masked_fill(~allowed_BC, FORBIDDEN).amax(1, keepdim=True)
        return self._offer(observation, query, id_BC, allowed_BC, said, best_B1)

    @torch.no_grad()
    def of(self, observation: Observation, id_BC: Tensor) -> Offer:
        """Of these items, as if all of them might be shown.

        Raises:
            ValueError: if the observation has no state embedding.
        """
        query = self.ranker.encoder.asked(observation)
        click_BW, id_BW = self._likeliest(query, observation, 0)
        allowed_BW = click_BW > FORBIDDEN / 2
        best_BW = self._utility(self._said(query, id_BW, click_BW))
        best_B1 = best_BW.masked_fill(~allowed_BW, FORBIDDEN).amax(1, keepdim=True)
        said = self._said(query, id_BC, self.ranker.log_odds("click", query, id_BC))
        every_BC = torch.ones_like(id_BC, dtype=torch.bool)
        return self._offer(observation, query, id_BC, every_BC, said, best_B1)

    def _likeliest(
        self, query: Query, observation: Observation, count: int
    ) -> tuple[Tensor, Tensor]:
        """Log-odds of a click and ids of the candidates, (B, C) each, in no order."""
        click_BN = self.ranker.log_odds("click", query, None)
        wide = max(self.num_candidates, min(count, self.world.num_candidates))
        found = allowed_only(click_BN, observation.allowed).topk(wide, dim=1, sorted=False)
        return found.values, found.indices

    def _said(self, query: Query, id_BC: Tensor, click_BC: Tensor) -> dict[str, Tensor]:
        """Log-odds of these items, by head, (B, C) each."""
        said = {head: self.ranker.log_odds(head, query, id_BC) for head in self.heads[1:]}
        return {**said, "click": click_BC}

    def _utility(self, said: dict[str, Tensor]) -> Tensor:
        """As the ranker weighs its heads, (B, C)."""
        utility_BC = self.ranker.choice.click * said["click"]
        for head, weight in self.ranker.choice.further:
            utility_BC = utility_BC + weight * said[head]
        return utility_BC

    def _offer(
        self,
        observation: Observation,
        query: Query,
        id_BC: Tensor,
        allowed_BC: Tensor,
        said: dict[str, Tensor],
        best_B1: Tensor,
    ) -> Offer:
        """With features; `best_B1` is the utility of the best candidate of each request."""
        known = {head: said[head] for head in self.heads[1:]}  # clicks are of what may be shown
        utility_BC, reward_BC = self._utility(said), self.ranker.value(query, id_BC, known)
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
    return ranker.scores(utility_BC, reward_BC, offer.allowed, nothing)
