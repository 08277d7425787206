"""The one number of a baseline, chosen on people of its own: a baseline deserves that, too.

A learner is shown hundreds of thousands of slates before it is compared; a re-ranker whose strength
is guessed would lose for want of the same. So every strength of a grid meets the same people with
the same luck, as many slates in all as a learner has, and the best is kept. The people are the
world's selection people (`World.selection`), whom no comparison meets; where a world has none, the
highest rows of its population.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from slategym.agents.types import Action, Policy
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.types import Observation, Outcome, World, map_tensors
from slategym.models.files import kept
from slategym.models.hashes import content_hash

SLATES = 300_000  # shown in all while tuning, at most: what `plackett-luce` learns from
LUCK = 2  # seed of what happens to them
BATCH = 512  # users side by side; changes no result
KNOWN_BY = (64, 8)  # users and slates by which a world is told from others


@dataclass(frozen=True)
class Tuned:
    """A policy whose one number was tuned, and what was tried."""

    name: str
    inner: Policy
    tried: tuple[tuple[float, float], ...]  # strength and mean return on selection people
    privileged: ClassVar[bool] = False

    def act(self, observation: Observation, luck: Luck) -> Action:
        """As the best of those tried."""
        return self.inner.act(observation, luck)


def tuned(
    world: World, name: str, make: Callable[[World, float], Policy], strengths: Sequence[float]
) -> Tuned:
    """The policy with the best of some strengths; tuned once, and kept for worlds like this.

    Args:
        world: where it is to act.
        name: what it is to be called.
        make: the policy of a strength for a world. It must not be privileged.
        strengths: to try; of equally good ones, the first is taken.
    """
    where = world.selection() if world.selection is not None else world

    def compute() -> dict[str, Any]:
        tried = try_all(where, [make(where, strength) for strength in strengths])
        returns = dict(zip(map(str, strengths), tried, strict=True))
        return {"world": world.name, "policy": name, "returns": returns}

    decides = [name, world.name, list(strengths), SLATES, where.horizon, where.population.size]
    decides += [_shown(where, make(where, strengths[0]))]
    found = kept(f"constants/{name}", decides, compute)["returns"]
    returned = tuple((strength, found[str(strength)]) for strength in strengths)
    best, _ = max(returned, key=lambda pair: pair[1])  # the first of the greatest
    return Tuned(name, make(world, best), returned)


def try_all(world: World, policies: Sequence[Policy], slates: int = SLATES) -> list[float]:
    """Mean return of each policy before the same people with the same luck.

    Args:
        world: where.
        policies: to read.
        slates: shown in all, at most.
    """
    size = world.population.size
    number = max(1, min(size, slates // (len(policies) * world.horizon)))
    batches = [
        torch.arange(begin, min(begin + BATCH, size), dtype=torch.int32, device=world.device)
        for begin in range(size - number, size, BATCH)
    ]

    def mean_return(policy: Policy) -> float:
        return sum(float(_returns(world, policy, user_B).sum()) for user_B in batches) / number

    return [mean_return(policy) for policy in policies]


@torch.no_grad()
def _returns(world: World, policy: Policy, user_B: Tensor) -> Tensor:
    """Expected return of a session of each of these users, (B,)."""
    session = engine.start(world, torch.full_like(user_B, LUCK), user_B, torch.zeros_like(user_B))
    return_B = torch.zeros(len(user_B), device=world.device)
    lane_B = torch.arange(len(user_B), device=world.device)
    while len(lane_B):
        now = Luck.at(session.key, session.step)
        slate_BK = policy.act(engine.observe(world, session), now).slate
        session, outcome = engine.transition(world, session, slate_BK)
        return_B[lane_B] += outcome.expected_reward
        going_B = ~(outcome.left | outcome.cut)
        session = map_tensors(lambda x, keep_B=going_B: x[keep_B], session)
        lane_B = lane_B[going_B]
    return return_B


@torch.no_grad()
def _shown(world: World, policy: Policy) -> str:
    """Hash of what the policy shows in this world, and of what comes of it: tells worlds apart."""
    number = min(KNOWN_BY[0], world.population.size)
    user_B = torch.arange(number, dtype=torch.int32, device=world.device)
    session = engine.start(world, torch.full_like(user_B, LUCK), user_B, torch.zeros_like(user_B))
    seen = list[Tensor]()
    for _ in range(KNOWN_BY[1]):
        now = Luck.at(session.key, session.step)
        slate_BK = policy.act(engine.observe(world, session), now).slate
        session, outcome = engine.transition(world, session, slate_BK)
        seen += [slate_BK, _rounded(outcome)]
    return content_hash(*(x.cpu().numpy() for x in seen))


def _rounded(outcome: Outcome) -> Tensor:
    """Expected rewards without the last digits, in which devices differ, (B,)."""
    return (outcome.expected_reward * 1e3).round()
