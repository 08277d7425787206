"""plackett-luce that is told, of every item, what greedy is told: does learning find what is later?

In a world whose truth is known greedy and the planner are told it. A learner that has to find out
tastes as well cannot be held against what planning adds. This one is told as much as greedy, what
every candidate is worth at this request, and begins as greedy; what slates change later it has to
learn from slates, by trial. What it gains over greedy is looking ahead that was learned.

It serves nobody: it reads people's hidden state. Corrections of the logits, by item along its
vector and columns and by topic, and penalties on topics that the slate holds already, are zero at
first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slategym.agents.core.inputs import Inputs
from slategym.agents.policy_gradient.network import HIDDEN, LOGIT_SCALE, ByPosition, Shown, trunk
from slategym.agents.policy_gradient.ppo import PPOSettings, SlatePPO
from slategym.agents.references.myopic import Myopic
from slategym.agents.slates.top import FORBIDDEN
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.types import Observation, World

START_ENTROPY = 1.2  # nats of the first slot drawn at the start, at first requests
SHARPEST = (0.25, 256.0)  # nats per unit of what ranks, between which that is sought
PROBED = 128  # people at whose first requests it is
BISECTIONS = 20
FAR = 100.0  # of what ranks below the best: as far as it counts


class ToldNetwork(nn.Module):
    """Greedy's own order, sharpened, plus corrections that start at zero.

    Args:
        width: X, of the input vector.
        features_NW: of every item.
        num_topics: G.
        sharpness: nats per unit of what ranks.
    """

    features_NW: Tensor

    def __init__(self, width: int, features_NW: Tensor, num_topics: int, sharpness: float) -> None:
        super().__init__()
        self.register_buffer("features_NW", features_NW.clone())
        self.trunk = trunk(width)
        self.last = nn.Linear(HIDDEN[-1], features_NW.shape[1] + num_topics)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.sharpness = nn.Parameter(torch.tensor(float(sharpness)))

    def forward(self, x_BX: Tensor, worth_BN: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, N) and penalties of topics (B, G), nats."""
        out_BW = LOGIT_SCALE * self.last(self.trunk(x_BX))
        towards_BD, penalty_BG = out_BW.split(
            [self.features_NW.shape[1], out_BW.shape[1] - self.features_NW.shape[1]], 1
        )
        return self.sharpness * worth_BN + F.linear(towards_BD, self.features_NW), penalty_BG


@dataclass(frozen=True)
class Told(ByPosition):
    """Every item, with what greedy ranks it by."""

    world: World
    inputs: Inputs
    reads: ClassVar[tuple[str, ...]] = ("x", "worth")

    @cached_property
    def features_NW(self) -> Tensor:
        """Item vectors, columns of unit spread and topics."""
        its = self.world.catalogue
        columns = [value_N.float() for column, value_N in its.attributes if not column.categories]
        spread = [(x - x.mean()) / x.std().clamp(min=1e-6) for x in columns]
        topic_NG = F.one_hot(its.topic.long(), its.num_topics).float()
        return torch.cat([self.inputs.items_ND, *(x[:, None] for x in spread), topic_NG], 1)

    @cached_property
    def sharpness(self) -> float:
        """So that the first slot at first requests has START_ENTROPY."""
        person_B = torch.arange(PROBED, dtype=torch.int32, device=self.world.device)
        first = engine.start(self.world, 0 * person_B, person_B, 0 * person_B)
        worth_BN = self.show(replace(engine.observe(self.world, first), hidden=first))["worth"]
        low, high = SHARPEST
        for _ in range(BISECTIONS):
            middle = math.sqrt(low * high)
            logp_BN = (middle * worth_BN).log_softmax(1)
            entropy = float(-(logp_BN.exp() * logp_BN).sum(1).mean())
            low, high = (middle, high) if entropy > START_ENTROPY else (low, middle)
        return high

    @property
    def width(self) -> int:
        """X, of the input vector: what is observed, and of every topic how good it is now."""
        return self.inputs.width + self.world.catalogue.num_topics

    def network(self) -> nn.Module:
        """Greedy, at first."""
        G = self.world.catalogue.num_topics
        return ToldNetwork(self.width, self.features_NW, G, self.sharpness)

    def vector(self, observation: Observation) -> Tensor:
        """The input vector, (B, X)."""
        return self.show(observation)["x"]

    def show(self, observation: Observation) -> Shown:
        """What is observed and by topic how much worse than the best its best item is; the worth.

        Raises:
            ValueError: the observation holds nothing hidden.
        """
        hidden = observation.hidden
        if hidden is None:
            raise ValueError("plackett-luce-told needs observation.hidden; this run withheld it")
        luck = Luck.at(hidden.key, hidden.step)
        topic_BN, rank_BN = Myopic(self.world).worth(observation, luck)
        allowed_BN = rank_BN > FORBIDDEN / 2
        below_BN = (rank_BN - rank_BN.amax(1, keepdim=True)).clamp(min=-FAR)
        best_BG = torch.full((len(below_BN), self.world.catalogue.num_topics), -FAR)
        best_BG = best_BG.to(below_BN).scatter_reduce(1, topic_BN, below_BN, "amax")
        x_BX = torch.cat([self.inputs.vector(observation), best_BG.clamp(min=-3.0) + 1.0], 1)
        return {"x": x_BX, "worth": below_BN, "allowed": allowed_BN}

    def topic(self, shown: Shown) -> Tensor:
        """By item."""
        return self.world.catalogue.topic.long().expand_as(shown["worth"])


class ToldPlackettLuce(SlatePPO):
    """PPO from greedy told the truth; a reference of worlds whose truth is known."""

    name: ClassVar[str] = "plackett-luce-told"
    privileged: ClassVar[bool] = True

    @classmethod
    def default_settings(cls) -> PPOSettings:
        """A modest budget; whole sessions of up to thirty slates between updates."""
        return PPOSettings(
            num_steps=61_440, num_users=64, rollout=30, epochs=4, minibatch=480,
            learning_rate=2e-3, gamma=0.97, entropy=0.003,
        )  # fmt: skip

    def face_in(self, world: World) -> Told:
        """All items and what greedy is told of them."""
        return Told(world, Inputs(world))
