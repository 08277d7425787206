"""Popularity: the same for everybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from slategym.agents.slates.top import allowed_only, top_slate
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
