"""Slates at random: what is shown where nothing is known, and what is clicked then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from slategym.agents.core.left_over import left_over
from slategym.agents.slates.top import allowed_only, top_slate
from slategym.agents.types import Action, Stochastic
from slategym.envs import engine
from slategym.envs.luck import Luck, purpose
from slategym.envs.types import Observation, World

SHUFFLE = purpose("policy.random")


@dataclass(frozen=True)
class Random(Stochastic):
    """Distinct candidates, uniform among those that may be shown."""

    num_candidates: int  # C
    num_slots: int  # K
    name: ClassVar[str] = "random"
    privileged: ClassVar[bool] = False

    def act(self, observation: Observation, luck: Luck) -> Action:
        """A uniform slate; its log-probabilities are exact, of the whole and of every slot."""
        slate_BK, allowed_BC = self.slate(observation, luck), observation.allowed
        if allowed_BC is None:
            left_B = torch.full(slate_BK.shape[:1], float(self.num_candidates)).to(slate_BK.device)
        else:
            left_B = allowed_BC.sum(1).float()
        slot_K = torch.arange(self.num_slots, device=slate_BK.device)
        slot_logp_BK = -(left_B[:, None] - slot_K).log()
        position_logp_BK = -left_B.log()[:, None].expand_as(slot_logp_BK)
        return Action(slate_BK, slot_logp_BK.sum(1), slot_logp_BK, position_logp_BK)

    def slate(self, observation: Observation, luck: Luck) -> Tensor:
        """A uniform slate alone, (B, K) int32."""
        score_BC = luck.uniform(SHUFFLE, self.num_candidates)
        return top_slate(allowed_only(score_BC, observation.allowed), self.num_slots)

    def law(self, observation: Observation, slate_BK: Tensor) -> Tensor:
        """Even among what the slots before leave."""
        left_BKC = left_over(observation, slate_BK, self.num_candidates)
        prob_BKC = left_BKC / left_BKC.sum(2, keepdim=True).clamp(min=1)
        return prob_BKC.log()

    def marginal(self, observation: Observation) -> Tensor:
        """Even in every slot."""
        nothing_BK = torch.full(
            (len(observation.step), self.num_slots), -1, device=observation.step.device
        )
        return self.law(observation, nothing_BK)


def clicks_under_random_slates(world: World, num_users: int = 500, num_slates: int = 10) -> Tensor:
    """How often each item is clicked when slates are random, (N,) float32.

    What a log of a random policy would say of popularity, for worlds that come without a log.

    Args:
        world: where.
        num_users: who meet the policy; on further visits where there are not so many people.
        num_slates: of each user, whoever has left included.
    """
    size = world.population.size
    lane_B = torch.arange(num_users, dtype=torch.int32, device=world.device)
    session = engine.start(world, torch.zeros_like(lane_B), lane_B % size, lane_B // size)
    policy = Random(world.num_candidates, world.slate_size)
    count_N = torch.zeros(world.catalogue.num_items, device=world.device)
    for _ in range(num_slates):
        now = Luck.at(session.key, session.step)
        slate_BK = policy.act(engine.observe(world, session), now).slate
        items, _ = engine.pick(world, session, slate_BK)
        session, outcome = engine.transition(world, session, slate_BK)
        count_N.scatter_add_(0, items.id.long().flatten(), outcome.feedback[..., 0].flatten())
    return count_N
