"""Upper references: policies that are told what no real system knows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.agents.core.ranker import Ranker
from slategym.agents.slates.top import FORBIDDEN, allowed_only, capped_slate, top_slate
from slategym.agents.types import Action
from slategym.envs.choice import MultinomialLogit
from slategym.envs.luck import Luck
from slategym.envs.types import Observation, Session, World

LARGEST_LOG = 1e3  # nats: bounds a log-worth
MOST_APPEAL = 60.0  # log-odds: keeps exp finite in float32


def _session(observation: Observation) -> Session:
    if observation.hidden is None:
        raise ValueError("a privileged reference needs observation.hidden; this run withheld it")
    return observation.hidden


@dataclass(frozen=True)
class Myopic:
    """The best slate for this one request under the world's true model.

    With multinomial-logit choice the slate of most expected reward is sought by fixed-point
    iteration: for a level r take the K items of greatest exp(appeal) * (value - r), then set r to
    what that slate earns; exact at the fixed point. Under other choice models items are ranked by
    value * sigmoid(appeal).

    Source: Dinkelbach 1967, for fractional objectives.
    """

    world: World
    cap: int | None = None  # most items of a topic; None: no cap
    rounds: int = 6  # of the iteration, which settles in fewer
    privileged: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """With its cap, where it has one."""
        return "myopic" if self.cap is None else f"myopic-cap{self.cap}"

    def act(self, observation: Observation, luck: Luck) -> Action:
        """The optimal one-step slate."""
        topic_BC, worth_BC = self.worth(observation, luck)
        return Action(self._best(worth_BC, topic_BC))

    def worth(self, observation: Observation, luck: Luck) -> tuple[Tensor, Tensor]:
        """Topic and rank value of every candidate, (B, C): the best K make the best slate."""
        topic_BC, appeal_BC, value_BC = self._truth(observation, luck)
        return topic_BC, self.rank(appeal_BC, value_BC, observation.allowed)

    def rank(self, appeal_BC: Tensor, value_BC: Tensor, allowed_BC: Tensor | None) -> Tensor:
        """Rank value of items of this appeal whose clicks are worth so much, (B, C)."""
        choice, K = self.world.choice, self.world.slate_size
        if not isinstance(choice, MultinomialLogit):
            return allowed_only(_log_worth(appeal_BC, value_BC), allowed_BC)
        weight_BC = allowed_only(appeal_BC, allowed_BC).clamp(max=MOST_APPEAL).exp()
        nothing = math.exp(choice.skip)
        level_B1 = torch.zeros_like(appeal_BC[:, :1])
        for _ in range(self.rounds):
            worth_BC = allowed_only(weight_BC * (value_BC - level_B1), allowed_BC)
            slate_BK = worth_BC.topk(K, dim=1).indices
            weight_BK = weight_BC.gather(1, slate_BK)
            earned_B1 = (weight_BK * value_BC.gather(1, slate_BK)).sum(1, keepdim=True)
            level_B1 = earned_B1 / (nothing + weight_BK.sum(1, keepdim=True))
        return worth_BC

    def _truth(self, observation: Observation, luck: Luck) -> tuple[Tensor, Tensor, Tensor]:
        """Every candidate's topic, true appeal and mean reward of a click on it, (B, C)."""
        session, world = _session(observation), self.world
        appeal_BC, mean_BCM = world.users.outlook(
            session.user, world.catalogue, session.context, luck
        )
        value_BC = (mean_BCM * mean_BCM.new_tensor(world.objective)).sum(-1)
        topic_BC, value_BC = (
            x.expand_as(appeal_BC) for x in (world.catalogue.topic.long(), value_BC)
        )
        if observation.candidates is None:
            return topic_BC, appeal_BC, value_BC
        at_BC = observation.candidates.long()
        return topic_BC.gather(1, at_BC), appeal_BC.gather(1, at_BC), value_BC.gather(1, at_BC)

    def _best(self, worth_BC: Tensor, topic_BC: Tensor) -> Tensor:
        if self.cap is None:
            return top_slate(worth_BC, self.world.slate_size)
        return capped_slate(worth_BC, topic_BC, self.world.slate_size, self.cap)


def _log_worth(appeal_BC: Tensor, value_BC: Tensor) -> Tensor:
    """Ranks as value * sigmoid(appeal) does, (B, C).

    By logarithms: where appeal is steep, many sigmoids are 1 in float32, and ties would be broken
    by position, which in a world of boredom is another policy.
    """
    size_BC = value_BC.abs().clamp(min=1e-30).log() + F.logsigmoid(appeal_BC)
    size_BC = size_BC.clamp(-LARGEST_LOG, LARGEST_LOG)
    return torch.where(value_BC > 0, size_BC, -3.0 * LARGEST_LOG - size_BC)


@dataclass(frozen=True)
class RuleAware:
    """The supervised ranker told the boredom rule: it skips topics that bore or are about to.

    A topic is about to bore when one more click on it would reach the rule's threshold.
    """

    ranker: Ranker
    world: World
    pool: int = 150  # items from which the slate is filled
    name: ClassVar[str] = "rule-aware"
    privileged: ClassVar[bool] = True

    def act(self, observation: Observation, luck: Luck) -> Action:
        """Greedy among topics that are safe; the others only when nothing else is left."""
        best = self.ranker.retrieve(observation, self.pool)
        topic_BC = self.world.catalogue.topic[best.id].long()
        tired_BG = self.tired(_session(observation))
        score_BC = best.score + 0.05 * FORBIDDEN * tired_BG.gather(1, topic_BC).float()
        slot_BK = top_slate(score_BC, self.world.slate_size)
        return Action(best.id.gather(1, slot_BK.long()).int())

    def tired(self, session: Session) -> Tensor:
        """Topics that bore now, or would after one more click, (B, G) bool."""
        tired_BG = self.world.users.about_to_bore(session.user)
        if tired_BG is not None:
            return tired_BG
        shape = (session.step.shape[0], self.world.catalogue.num_topics)
        return torch.zeros(shape, dtype=torch.bool, device=session.step.device)
