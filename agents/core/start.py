"""Where learners begin: the tuned `supervised` policy as scores and a penalty on topics.

A slate policy that fills slot after slot by

    score of the candidate - penalty * earlier slots that hold its topic

serves, greedily, exactly what `supervised` serves, whatever makes that various. So a learner whose
corrections are zero at first serves `supervised`, and what it adds is its own.
"""

from __future__ import annotations

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
from slategym.envs.types import World

PASSED_OVER = 0.25  # log-odds below the slate's last item at which what it passed over begins
ORDER = 1e-3  # log-odds between two slots whose scores alone would not tell them apart


def start_of(world: World) -> Supervised:
    """`supervised` as it serves selection people best: ranker and diversity.

    Raises:
        UsageError: the world has no observer that is a multi-task model.
    """
    return supervised_with(world, tune_supervised(world).chosen)


def start_chosen(world: World) -> dict[str, Setting]:
    """What an agent that begins there keeps of it; empty where there is no supervised model."""
    if not has_ranker(world):
        return {}
    return {RANKER: tune_ranker(world).chosen, SUPERVISED: tune_supervised(world).chosen}


def quota_at_start(policy: Supervised) -> float:
    """Log-odds lost per earlier slot of the topic; 0 where the scores say it all."""
    return policy.diversity.strength if policy.diversity.kind == "quota" else 0.0


def scores_at_start(policy: Supervised, best: Retrieved) -> Tensor:
    """Scores whose greedy slate, under `quota_at_start`, is the policy's own, (B, C) log-odds.

    A quota by topic is the penalty itself. Any other diversity is said by the scores: its slate in
    its order comes first, and what was passed over for it follows PASSED_OVER below the last, so
    that a draw may still find it.

    Args:
        policy: tuned.
        best: candidates, at least K.
    """
    kind = policy.diversity.kind
    if kind in ("none", "quota"):
        return best.score
    slot_BK = DIVERSITIES[kind].fill(policy, best).long()
    place_K = torch.arange(slot_BK.shape[1], device=slot_BK.device)
    chosen_BK = best.score.gather(1, slot_BK).cummin(1).values - ORDER * place_K
    others_BC = torch.minimum(best.score, chosen_BK[:, -1:] - PASSED_OVER)
    return others_BC.scatter(1, slot_BK, chosen_BK)
