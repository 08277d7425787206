"""fusion-sac and fusion-ppo: what the multi-task heads say is weighed anew at every request.

A multi-task model ends in several scores (click, like, rating, next item), and somebody must decide
how they are added up. Here a policy does: its action is a weight per head, and the slate is the K
best of the ranker's candidates by

    z(ranker) + reach * sum over heads of weight * z(head),

z(x) being x with zero mean and unit spread over the candidates of that request. With all weights
zero it is the supervised ranker. The action is so small that stable-baselines3's SAC and PPO serve
unchanged; what it can express is small too: no weighing of heads knows which topics bore someone.

Source: Cai et al. 2023, RLUR, arXiv:2302.01724, section 3 (actions that weigh the scores of a
ranking model).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from slategym.agents.core.inputs import Inputs
from slategym.agents.core.ranker import Ranker
from slategym.agents.core.supervised import ranker_chosen, ranker_of
from slategym.agents.core.tuning import Setting
from slategym.agents.sb3.agent import StableAgent
from slategym.agents.sb3.algorithms import StablePPO, StableSAC
from slategym.agents.sb3.env import seen_space
from slategym.envs.luck import Luck, purpose
from slategym.envs.names import UsageError
from slategym.envs.types import Observation, World
from slategym.models.multitask.incremental import BertObserver

NOISE = purpose("fusion.noise")
TINY = 1e-6  # keeps a head that says the same of all candidates at zero


@dataclass(frozen=True)
class FusionView:
    """What every learner reads off an observation in, weights of the heads out."""

    inputs: Inputs
    ranker: Ranker
    num_candidates: int = 100  # C, retrieved by the ranker
    reach: float = 2.0  # spreads of the ranker's score by which one head can move an item

    @property
    def heads(self) -> tuple[str, ...]:
        """The multi-task model's: one per signal, and the next item."""
        return self.ranker.encoder.model.heads

    def space(self, world: World) -> spaces.Dict:
        """One entry, seen (X,)."""
        return seen_space(self.inputs.width)

    def action_space(self, world: World) -> spaces.Box:
        """A weight per head, in [-1, 1]."""
        return spaces.Box(-1.0, 1.0, (len(self.heads),), np.float32)

    def show(self, world: World, observation: Observation) -> dict[str, Tensor]:
        """What the learner sees; beside it, what its action will weigh."""
        best = self.ranker.retrieve(observation, self.num_candidates)
        encoder = self.ranker.encoder
        with torch.no_grad():
            query = encoder.asked(observation)
            said = [
                encoder.model.logits(head, query, encoder.items_ND, best.id) for head in self.heads
            ]
        return {
            "seen": self.inputs.vector(observation),
            "id": best.id,
            "score": _standard(best.score),
            "heads": torch.stack([_standard(x_BC) for x_BC in said], 1),  # (B, heads, C)
        }

    def slate(self, world: World, shown: dict[str, Tensor], action: Tensor) -> Tensor:
        """Catalogue positions of the K best by the weighted sum, (B, K) int32.

        Args:
            world: whose slates.
            shown: what `show` gave.
            action: weights, (B, heads); beyond [-1, 1] they are cut.

        Raises:
            ValueError: there are not as many weights as heads, or one is not a number.
        """
        if action.shape != (len(shown["id"]), len(self.heads)):
            raise ValueError(
                f"an action weighs the {len(self.heads)} heads {', '.join(self.heads)} for "
                f"{len(shown['id'])} users; got shape {tuple(action.shape)}"
            )
        if not bool(action.isfinite().all()):
            raise ValueError("weights of heads must be finite; the policy produced NaN or infinity")
        weight_B1H = action.float().clamp(-1.0, 1.0)[:, None]
        score_BC = shown["score"] + self.reach * (weight_B1H @ shown["heads"])[:, 0]
        at_BK = score_BC.topk(world.slate_size, dim=1).indices
        return shown["id"].gather(1, at_BK).int()


class _Fusion(StableAgent):
    """An algorithm of stable-baselines3, unchanged, on weights of the heads; abstract."""

    @classmethod
    def check_world(cls, world: World) -> None:
        """A world whose observer is the multi-task model."""
        require_heads(cls.name, world)

    @classmethod
    def view_of(cls, world: World) -> FusionView:
        """Over the world's own ranker."""
        return FusionView(Inputs(world), ranker_of(world))

    def chosen(self) -> Mapping[str, Setting]:
        """The ranker from which it starts, if it does."""
        return ranker_chosen(self.world)


class FusionSAC(_Fusion):
    """SAC, unchanged, on weights of the heads."""

    name = "fusion-sac"

    @classmethod
    def default_settings(cls) -> StableSAC:
        """For a few tens of thousands of slates."""
        return StableSAC(num_steps=32_000, num_users=64, updates=6, hidden=(128, 128))

    def draw(self, seen: dict[str, Tensor], luck: Luck) -> tuple[Tensor, None]:
        """A squashed Gaussian. The slate's own probability is an integral without closed form."""
        mean_BA, log_std_BA, _ = self.model.actor.get_action_dist_params(seen)
        noise_BA = luck.normal(NOISE, mean_BA.shape[1])
        return torch.tanh(mean_BA + log_std_BA.exp() * noise_BA), None


class FusionPPO(_Fusion):
    """PPO, unchanged, on weights of the heads."""

    name = "fusion-ppo"

    @classmethod
    def default_settings(cls) -> StablePPO:
        """For a few hundred thousand slates."""
        return StablePPO(num_users=256, rollout=15, batch=960, epochs=5, gamma=0.95)

    def draw(self, seen: dict[str, Tensor], luck: Luck) -> tuple[Tensor, None]:
        """A Gaussian. The slate's own probability is an integral without closed form."""
        law = self.model.policy.get_distribution(seen).distribution
        return law.mean + law.stddev * luck.normal(NOISE, law.mean.shape[1]), None


def require_heads(name: str, world: World) -> None:
    """Refuse a world in which there are no heads to weigh.

    Raises:
        UsageError: naming a world that has them.
    """
    if not isinstance(world.observer, BertObserver):
        raise UsageError(
            f"{name} weighs the heads of a multi-task model, and {world.name} has none; it needs "
            "a world with learned state embeddings, such as slategym/MovieLens-v0 with state=True"
        )


def _standard(x_BC: Tensor) -> Tensor:
    """Zero mean and unit spread over each user's candidates."""
    middle_BC = x_BC - x_BC.mean(1, keepdim=True)
    return middle_BC / (middle_BC.square().mean(1, keepdim=True).sqrt() + TINY)
