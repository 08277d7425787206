"""Upper references: policies that are told what no real system knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from slategym.agents.core.choice import MOST_UTILITY, independent_score
from slategym.agents.core.ranker import Ranker
from slategym.agents.slates.one_choice import NEVER, exact_worth
from slategym.agents.slates.top import FORBIDDEN, allowed_only, capped_slate, top_slate
from slategym.agents.types import Action
from slategym.envs.choice import MultinomialLogit
from slategym.envs.luck import Luck
from slategym.envs.types import Observation, Session, World


def _session(observation: Observation) -> Session:
    if observation.hidden is None:
        raise ValueError("a privileged reference needs observation.hidden; this run withheld it")
    return observation.hidden


@dataclass(frozen=True)
class Myopic:
    """The best slate for this one request under the world's true model.

    With multinomial-logit choice it is the slate of most expected reward (`exact_worth`). Under
    other choice models items are ranked by value * sigmoid(appeal).

    With `avoid` it is a little less short-sighted: it plays down topics that bore, or would after
    one more click (`UserModel.about_to_bore`), by so many log-odds.
    """

    world: World
    cap: int | None = None  # most items of a topic; None: no cap
    avoid: float = 0.0  # log-odds by which topics about to bore are played down
    privileged: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """With its cap and how much it avoids, where it does."""
        cap = "" if self.cap is None else f"-cap{self.cap}"
        return f"myopic{cap}" + (f"-avoid{self.avoid:g}" if self.avoid else "")

    def act(self, observation: Observation, luck: Luck) -> Action:
        """The optimal one-step slate."""
        topic_BC, worth_BC = self.worth(observation, luck)
        return Action(self._best(worth_BC, topic_BC))

    def worth(self, observation: Observation, luck: Luck) -> tuple[Tensor, Tensor]:
        """Topic and rank value of every candidate, (B, C): the best K make the best slate."""
        topic_BC, appeal_BC, value_BC = self.truth(observation, luck)
        tired_BG = (
            self.world.users.about_to_bore(_session(observation).user) if self.avoid else None
        )
        if tired_BG is not None:
            appeal_BC = appeal_BC - self.avoid * tired_BG.float().gather(1, topic_BC)
        return topic_BC, self.rank(appeal_BC, value_BC, observation.allowed)

    def rank(self, appeal_BC: Tensor, value_BC: Tensor, allowed_BC: Tensor | None) -> Tensor:
        """Rank value of items of this appeal whose clicks are worth so much, (B, C)."""
        choice = self.world.choice
        if not isinstance(choice, MultinomialLogit):
            return allowed_only(independent_score(appeal_BC, value_BC), allowed_BC)
        above_BC = (appeal_BC - choice.skip).clamp(-MOST_UTILITY, MOST_UTILITY)
        lead_BC = value_BC if allowed_BC is None else value_BC.masked_fill(~allowed_BC, NEVER)
        return allowed_only(exact_worth(above_BC.exp(), lead_BC, self.world.slate_size), allowed_BC)

    def truth(self, observation: Observation, luck: Luck) -> tuple[Tensor, Tensor, Tensor]:
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


@dataclass(frozen=True)
class RuleAware:
    """The supervised ranker told the rule: it skips topics that bore or are about to.

    A topic is about to bore when one more click on it would reach the rule's threshold. Where
    people like more of the same, it adds to a topic's score the log-odds that it has gained.
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
        session = _session(observation)
        tired_BG, gained_BG = self.tired(session), self.world.users.gained(session.user)
        score_BC = best.score + 0.05 * FORBIDDEN * tired_BG.gather(1, topic_BC).float()
        if gained_BG is not None:
            score_BC = score_BC + gained_BG.gather(1, topic_BC)
        slot_BK = top_slate(score_BC, self.world.slate_size)
        return Action(best.id.gather(1, slot_BK.long()).int())

    def tired(self, session: Session) -> Tensor:
        """Topics that bore now, or would after one more click, (B, G) bool."""
        tired_BG = self.world.users.about_to_bore(session.user)
        if tired_BG is not None:
            return tired_BG
        shape = (session.step.shape[0], self.world.catalogue.num_topics)
        return torch.zeros(shape, dtype=torch.bool, device=session.step.device)
