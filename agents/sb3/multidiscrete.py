"""ppo-multidiscrete: stable-baselines3's PPO on a position per slot, as most people would try it.

The control. Every slot has a softmax over all candidates of its own, independent of the other
slots: K * C logits that share nothing, slots that may repeat an item (and are then empty), and no
mask for what may not be shown. The observation is the one that the other learners see, so that the
action alone makes the difference; where candidates change at every request, their vectors are in
it, without which positions would mean nothing.

Source: Schulman et al. 2017, arXiv:1707.06347, as stable-baselines3 has it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from gymnasium import spaces
from torch import Tensor

from slategym.agents.core.inputs import Inputs
from slategym.agents.sb3.agent import StableAgent
from slategym.agents.sb3.algorithms import StablePPO
from slategym.agents.sb3.env import View, seen_space
from slategym.envs import engine
from slategym.envs.luck import Luck, purpose
from slategym.envs.observation import action_space
from slategym.envs.slates import check_slates
from slategym.envs.types import Items, Observation, World

SLOTS = purpose("ppo_multidiscrete.slots")


@dataclass(frozen=True)
class SlotView:
    """What every learner reads off an observation, and the candidates where they change."""

    inputs: Inputs

    def space(self, world: World) -> spaces.Dict:
        """One entry, seen (X,)."""
        zero_1 = torch.zeros(1, dtype=torch.int32, device=world.device)
        first = engine.observe(world, engine.start(world, zero_1, zero_1, zero_1))
        return seen_space(self.show(world, first)["seen"].shape[1])

    def action_space(self, world: World) -> spaces.MultiDiscrete:
        """A position per slot."""
        return action_space(world)

    def show(self, world: World, observation: Observation) -> dict[str, Tensor]:
        """All in one vector."""
        parts_BX = [self.inputs.vector(observation)]
        if observation.candidates is not None:
            parts_BX.append(Items(observation.candidates, world.catalogue).embedding.flatten(1))
        return {"seen": torch.cat(parts_BX, 1)}

    def slate(self, world: World, shown: dict[str, Tensor], action: Tensor) -> Tensor:
        """The action itself."""
        return check_slates(world, action, action.shape[0])


class PPOMultiDiscrete(StableAgent):
    """PPO, unchanged, on a position per slot."""

    name = "ppo-multidiscrete"
    repeats = True

    @classmethod
    def default_settings(cls) -> StablePPO:
        """stable-baselines3's own, as most people would leave them."""
        return StablePPO()

    @classmethod
    def view_of(cls, world: World) -> View:
        """See `SlotView`."""
        return SlotView(Inputs(world))

    def draw(self, seen: dict[str, Tensor], luck: Luck) -> tuple[Tensor, Tensor]:
        """Every slot by itself, as Gumbel's argmax; the log-probabilities are exact."""
        laws = self.model.policy.get_distribution(seen).distribution
        logp_BKC = torch.stack([law.logits for law in laws], 1)  # normalised
        B, K, C = logp_BKC.shape
        gumbel_BKC = luck.gumbel(SLOTS, K * C).view(B, K, C)
        slate_BK = (logp_BKC + gumbel_BKC).argmax(2)
        return slate_BK, logp_BKC.gather(2, slate_BK[..., None])[..., 0]
