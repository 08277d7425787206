"""Policies that do not learn by trial: popularity and the supervised ranker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from slategym.agents.core.ranker import Ranker
from slategym.agents.slates.top import allowed_only, capped_slate, top_slate
from slategym.agents.types import Action
from slategym.envs.luck import Luck
from slategym.envs.types import Observation


@dataclass(frozen=True)
class Popularity:
    """The most clicked items of the agent side's log that may be shown, for everybody alike."""

    count_N: Tensor  # (N,) clicks in the log
    num_slots: int  # K
    name: ClassVar[str] = "popularity"
    privileged: ClassVar[bool] = False

    def act(self, observation: Observation, luck: Luck) -> Action:
        """The same ranking for all, less what each has consumed."""
        B = observation.step.shape[0]
        score_BC = self.count_N.float().expand(B, -1)
        if observation.candidates is not None:
            score_BC = score_BC.gather(1, observation.candidates.long())
        return Action(top_slate(allowed_only(score_BC, observation.allowed), self.num_slots))


@dataclass(frozen=True)
class Supervised:
    """The multi-task ranker's best items, greedily, with at most `cap` of a topic."""

    ranker: Ranker
    topic_N: Tensor  # (N,) int, main topic of each item
    num_slots: int  # K
    cap: int | None = None  # None: as many of a topic as there are
    pool: int = 100  # items from which a capped slate is filled
    privileged: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """With its cap, where it has one."""
        return "supervised" if self.cap is None else f"supervised-cap{self.cap}"

    def act(self, observation: Observation, luck: Luck) -> Action:
        """The greedy slate."""
        best = self.ranker.retrieve(observation, self.num_slots if self.cap is None else self.pool)
        if self.cap is None:
            return Action(best.id.int())
        topic_BC = self.topic_N[best.id]
        slot_BK = capped_slate(best.score, topic_BC, self.num_slots, self.cap)
        return Action(best.id.gather(1, slot_BK.long()).int())
