"""One plain vector for algorithms that read no dictionaries: CrossQ, ARS, any "MlpPolicy".

world = make_world("slategym/LongTermSatisfaction-v0")
model = SAC("MlpPolicy", SlateVecEnv(world, 64, Flat(ItemSpace(world))))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gymnasium import spaces
from torch import Tensor

from slategym.agents.sb3.env import View
from slategym.envs.names import UsageError
from slategym.envs.types import Observation, World


@dataclass(frozen=True)
class Flat:
    """Another view, whose one vector is shown as a Box instead of a dictionary of one entry.

    Raises:
        UsageError: of a view that shows several entries, when its space is asked for.
    """

    view: View

    def space(self, world: World) -> spaces.Box:
        """The vector's."""
        space = self.view.space(world)
        parts = list(space.values()) if isinstance(space, spaces.Dict) else [space]
        if len(parts) != 1 or not isinstance(parts[0], spaces.Box):
            raise UsageError(
                f"Flat needs a view of one vector, such as ItemSpace; {type(self.view).__name__} "
                f"shows {len(parts)} entries"
            )
        return parts[0]

    def action_space(self, world: World) -> spaces.Space[Any]:
        """The other view's."""
        return self.view.action_space(world)

    def show(self, world: World, observation: Observation) -> dict[str, Tensor]:
        """The other view's, the vector first."""
        return self.view.show(world, observation)

    def slate(self, world: World, shown: dict[str, Tensor], action: Tensor) -> Tensor:
        """The other view's."""
        return self.view.slate(world, shown, action)
