"""The item space as stable-baselines3's continuous algorithms see it, in any world.

world = make_world("slategym/DayInLife-v0")
model = SAC("MultiInputPolicy", SlateVecEnv(world, 64, ItemSpace(world)))
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from gymnasium import spaces
from torch import Tensor

from slategym.agents.core.inputs import Inputs
from slategym.agents.sb3.env import seen_space
from slategym.agents.slates.towards import proto_space, slate_towards
from slategym.envs.types import Observation, World


@dataclass(frozen=True)
class ItemSpace:
    """What every learner reads off an observation in, a point of the item space out."""

    world: World

    @cached_property
    def inputs(self) -> Inputs:
        """What the learner reads."""
        return Inputs(self.world)

    def space(self, world: World) -> spaces.Dict:
        """One entry, seen (X,)."""
        return seen_space(self.inputs.width)

    def action_space(self, world: World) -> spaces.Box:
        """A point of the item space, (D,) in [-1, 1]."""
        return proto_space(world)

    def show(self, world: World, observation: Observation) -> dict[str, Tensor]:
        """What the learner sees; beside it the offer, which its action will rank."""
        shown = {"seen": self.inputs.vector(observation)}
        offer = {"candidates": observation.candidates, "allowed": observation.allowed}
        return shown | {name: x_BC for name, x_BC in offer.items() if x_BC is not None}

    def slate(self, world: World, shown: dict[str, Tensor], action: Tensor) -> Tensor:
        """See `slate_towards`."""
        return slate_towards(world, action, shown.get("candidates"), shown.get("allowed"))
