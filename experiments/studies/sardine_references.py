"""What one direction a slate is worth in SARDINE, told the truth: a bound for proto-actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from slategym.agents.slates.towards import slate_towards
from slategym.agents.types import Action
from slategym.envs.luck import Luck
from slategym.envs.types import Observation, World
from slategym.envs.users.boredom import BoredomState


@dataclass(frozen=True)
class OneDirection:
    """The ten items furthest along one direction: all that a person likes, in equal parts.

    What learners of proto-actions show is such a slate (`proto-sac`, `proto-td3`, `hac`), whose
    items are of one kind. This direction is told what people like, and was the best of seven in
    Bored, read on 100 people who are in no table: taste 151, taste less what was clicked lately
    161 and 141, without the topics clicked three times 133, all liked topics alike 171, these less
    what was clicked lately 147, the root of taste less what was clicked lately 168.
    """

    world: World
    name: ClassVar[str] = "one direction"
    privileged: ClassVar[bool] = True

    def act(self, observation: Observation, luck: Luck) -> Action:
        """The slate along the indicator of liked topics."""
        assert observation.hidden is not None
        state = observation.hidden.user
        assert isinstance(state, BoredomState)
        allowed = observation.allowed
        return Action(slate_towards(self.world, (state.taste > 0).float(), None, allowed))
