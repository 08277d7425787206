"""Is a control a control? A twin that behaves as its world does controls nothing."""

from __future__ import annotations

from dataclasses import replace

import torch

from slategym.agents.core.earned import earned
from slategym.agents.registry import make_policy
from slategym.envs.names import UsageError
from slategym.envs.types import World

MET, LUCK = 32, 1_011  # users by whom the two are told apart, and the seed of their luck
POLICIES = ("random", "myopic")  # one that gets few clicks, and one that gets many


def check_twin(world: World, twin: World) -> None:
    """Refuse a twin whose people expect the same of the same slates as long as both last.

    Args:
        world: where looking ahead may pay.
        twin: where it may not.

    Raises:
        UsageError: what a user does changes nothing in the world that it does not change in the
            twin, so that the twin controls nothing.
    """
    last = min(world.horizon, twin.horizon)  # one that is only shorter is no other world
    for name in POLICIES:
        found = [
            earned(where, make_policy(name, where), _users(where), LUCK)
            for where in (replace(world, horizon=last), replace(twin, horizon=last))
        ]
        if found[0].shape != found[1].shape or not torch.equal(*found):
            return
    raise UsageError(
        f"the control {twin.name} is the world {world.name} itself: under {', '.join(POLICIES)} "
        f"{MET} users expect the same in both, to the last digit, so that it controls nothing; "
        "compare under assumptions that change people (--assumptions mild), or name another control"
    )


def _users(world: World) -> torch.Tensor:
    count = min(MET, world.population.size)
    return torch.arange(count, dtype=torch.int32, device=world.device)
