"""Where learners begin: the tuned `supervised` policy as scores and a quota of topics.

A slate policy that fills slot after slot by

    score of the candidate - quota * earlier slots that hold its topic

serves, greedily, exactly what `supervised` serves, whatever makes that various. So a learner whose
corrections are zero at first serves `supervised`, and what it adds is its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from slategym.agents.core.ranker import Retrieved, has_ranker
from slategym.agents.core.supervised import (
    DIVERSITIES,
    RANKER,
    SUPERVISED,
    Supervised,
    supervised_with,
    tune_ranker,
    tune_supervised,
)
from slategym.agents.core.tuning import Setting
from slategym.agents.slates.plackett_luce import SPAN
from slategym.agents.slates.top import FORBIDDEN
from slategym.envs import engine
from slategym.envs.types import World

ENTROPY = 2.3  # nats, of the first slot drawn at the start, at first requests
MOST = 0.95  # of an even draw's entropy, where candidates are few: a wrong order is unlearnt
SHARPEST = (0.25, 256.0)  # nats per unit of score, between which that is sought
BISECTIONS = 24
PROBED = 256  # arrivals at whose first requests it is
PASSED_OVER = 1.0  # nats below the slate's last item at which what it passed over begins
ORDER = 1e-2  # nats between two slots whose scores alone would not tell them apart
DEEPEST = 20.0  # nats below the best at which an item of the slate lies, at most


@dataclass(frozen=True)
class Start:
    """The tuned policy, and how sharply draws keep to it."""

    policy: Supervised
    sharpness: float  # nats per unit of score

    @property
    def quota(self) -> float:
        """Score lost per earlier slot of the topic; 0 where the scores say it all."""
        diversity = self.policy.diversity
        nats = self.sharpness * diversity.strength * (self.policy.num_slots - 1)
        return diversity.strength if diversity.kind == "quota" and nats <= SPAN else 0.0

    def scores(self, best: Retrieved) -> Tensor:
        """Scores whose greedy slate, under `quota`, is the policy's own, (B, C).

        A quota by topic is the penalty itself, unless it is so strong that it is a cap. Any other
        diversity is said by the scores: its slate in its order comes first, and what was passed
        over for it follows PASSED_OVER below the last, so that a draw may still find it.

        Args:
            best: candidates, at least K.
        """
        kind = self.policy.diversity.kind
        if kind == "none" or self.quota:
            return best.score
        slot_BK = DIVERSITIES[kind].fill(self.policy, best).long()
        place_K = torch.arange(slot_BK.shape[1], device=slot_BK.device)
        lowest_B1 = best.score[:, :1] - DEEPEST / self.sharpness
        chosen_BK = torch.maximum(best.score.gather(1, slot_BK).cummin(1).values, lowest_B1)
        chosen_BK = chosen_BK - ORDER / self.sharpness * place_K
        others_BC = torch.minimum(best.score, chosen_BK[:, -1:] - PASSED_OVER / self.sharpness)
        return others_BC.scatter(1, slot_BK, chosen_BK)


def start_of(world: World, num_candidates: int) -> Start:
    """`supervised` as it serves selection people best, drawn near its slates.

    How sharply, follows from its scores, which are in units of their own: so that the first slot
    has ENTROPY.

    Args:
        world: where.
        num_candidates: C, that are retrieved.

    Raises:
        UsageError: the world has no observer that is a multi-task model.
    """
    policy = supervised_with(world, tune_supervised(world).chosen)
    user_B = torch.arange(min(PROBED, world.population.size), dtype=torch.int32)
    user_B = user_B.to(world.device)
    first = engine.observe(world, engine.start(world, 0 * user_B, user_B, 0 * user_B))
    score_BC = policy.ranker.retrieve(first, num_candidates).score
    below_BC = (score_BC - score_BC[:, :1]).clamp(min=FORBIDDEN / SHARPEST[1])
    wanted = min(ENTROPY, MOST * math.log(score_BC.shape[1]))
    low, high = SHARPEST
    for _ in range(BISECTIONS):
        middle = math.sqrt(low * high)
        logp_BC = (middle * below_BC).log_softmax(1)
        entropy = float(-(logp_BC.exp() * logp_BC).sum(1).mean())
        low, high = (middle, high) if entropy > wanted else (low, middle)
    return Start(policy, round(high, 3))


def start_chosen(world: World) -> dict[str, Setting]:
    """What an agent that begins there keeps of it; empty where there is no supervised model."""
    if not has_ranker(world):
        return {}
    return {RANKER: tune_ranker(world).chosen, SUPERVISED: tune_supervised(world).chosen}
