"""What a policy earns: one session of each of some users."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from slategym.agents.types import Policy
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.trees import at_rows
from slategym.envs.types import World

BATCH = 512  # sessions side by side; changes no result


def earned_by_many(world: World, policy: Policy, user_x: Tensor, seed: int) -> Tensor:
    """As `earned`, so many at a time that memory holds them, (x,)."""
    parts = torch.split(user_x, BATCH)  # type: ignore[no-untyped-call]
    return torch.cat([earned(world, policy, part_b, seed) for part_b in parts])


@torch.no_grad()
def earned(world: World, policy: Policy, user_B: Tensor, seed: int) -> Tensor:
    """Expected return of a session of each of these users, (B,).

    Args:
        world: where.
        policy: who chooses; a privileged one is told the truth.
        user_B: int32 rows of the population.
        seed: of the luck.
    """
    session = engine.start(world, torch.full_like(user_B, seed), user_B, torch.zeros_like(user_B))
    return_B = torch.zeros(len(user_B), device=world.device)
    lane_B = torch.arange(len(user_B), device=world.device)
    while len(lane_B):
        observation = engine.observe(world, session)
        if policy.privileged:
            observation = replace(observation, hidden=session)
        now = Luck.at(session.key, session.step)
        session, outcome = engine.transition(world, session, policy.act(observation, now).slate)
        return_B[lane_B] += outcome.expected_reward
        going_B = ~(outcome.left | outcome.cut)
        if not going_B.all():
            session = at_rows(session, going_B.nonzero()[:, 0])
            lane_B = lane_B[going_B]
    return return_B
