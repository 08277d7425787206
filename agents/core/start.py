"""Where learners begin: the best tuned policy without learning, as scores and a quota of topics.

A slate policy that fills slot after slot by

    score of the candidate - quota * earlier slots that hold its topic

serves, greedily, exactly what `supervised` serves, whatever makes that various, and exactly what
the history rule serves. So a learner whose corrections are zero at first serves its start, and what
it adds is its own. Which of the two a learner starts from is decided as all settings are: by what
they earn before selection people (`tune_start`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from slategym.agents.core.history_rule import (
    RULE,
    HistoryRule,
    history_rule_with,
    tune_history_rule,
)
from slategym.agents.core.ranker import Ranker, Retrieved, has_ranker
from slategym.agents.core.supervised import (
    DIVERSITIES,
    PLAIN,
    RANKER,
    SUPERVISED,
    Supervised,
    ranker_of,
    supervised_with,
    tune_ranker,
    tune_supervised,
)
from slategym.agents.core.tuning import WHOLE, Budget, Setting, Tuning, once_per_world, tune
from slategym.agents.slates.plackett_luce import SPAN
from slategym.agents.slates.top import FORBIDDEN
from slategym.envs import engine
from slategym.envs.types import Observation, World

START = "start"  # what is tuned, by name
SHARE = 0.1  # of a budget: two policies are left to be told apart
ENTROPY = 2.3  # nats, of the first slot drawn at the start, at first requests
NEAR = 1.2  # the same from a rule on: what that shows varies with the session by itself
MOST = 0.95  # of an even draw's entropy, where candidates are few: a wrong order is unlearnt
SHARPEST = (0.25, 256.0)  # nats per unit of score, between which that is sought
BISECTIONS = 24
PROBED = 256  # arrivals at whose first requests it is
PASSED_OVER = 1.0  # nats below the slate's last item at which what it passed over begins
ORDER = 1e-2  # nats between two slots whose scores alone would not tell them apart
DEEPEST = 20.0  # nats below the best at which an item of the slate lies, at most


@dataclass(frozen=True)
class Start:
    """The tuned policy, or a refitted ranker's, and how sharply draws keep to it."""

    policy: Supervised
    sharpness: float  # nats per unit of score
    rule: HistoryRule | None = None  # served instead, on the same ranker

    def candidates(self, observation: Observation, count: int) -> Retrieved:
        """The ranker's best with the start's own scores; in order of the rule, if there is one."""
        best = self.policy.ranker.retrieve(observation, count)
        forbidden_BC = best.score <= FORBIDDEN / 2
        if self.rule is None:
            return Retrieved(best.id, self.scores(best).masked_fill(forbidden_BC, FORBIDDEN))
        own_BC = self.rule.scores(best, observation.history).masked_fill(forbidden_BC, FORBIDDEN)
        own_BC, at_BC = own_BC.sort(dim=1, descending=True, stable=True)
        return Retrieved(best.id.gather(1, at_BC), own_BC)

    @property
    def quota(self) -> float:
        """Score lost per earlier slot of the topic; 0 where the scores say it all."""
        if self.rule is not None:
            return 0.0
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
        score_BK = best.score.gather(1, slot_BK)
        # the least so far in each slot; cummin by another name, which ONNX does not have
        later_KK = place_K[None, :] > place_K[:, None]
        least_BK = score_BK[:, None, :].masked_fill(later_KK, math.inf).amin(2)
        chosen_BK = torch.maximum(least_BK, lowest_B1)
        chosen_BK = chosen_BK - ORDER / self.sharpness * place_K
        others_BC = torch.minimum(best.score, chosen_BK[:, -1:] - PASSED_OVER / self.sharpness)
        return others_BC.scatter(1, slot_BK, chosen_BK)


@once_per_world
def tune_start(world: World, budget: Budget = WHOLE) -> Tuning:
    """Which serves selection people better, tuned `supervised` or the tuned history rule."""

    def make(where: World, setting: Setting) -> Supervised | HistoryRule:
        ranker = ranker_of(world, budget)
        if setting["policy"] == RULE:
            return history_rule_with(where, tune_history_rule(world, budget).chosen, ranker)
        return supervised_with(where, tune_supervised(world, budget).chosen, ranker)

    settings = [{"policy": SUPERVISED}, {"policy": RULE}]
    return tune(world, START, settings, make, budget.share(SHARE))


def start_of(
    world: World, num_candidates: int, rules: bool = False, ranker: Ranker | None = None
) -> Start:
    """A policy as it serves selection people best, drawn near its slates.

    How sharply, follows from its scores, which are in units of their own: so that the first slot
    has ENTROPY, or is NEAR a rule.

    Args:
        world: where.
        num_candidates: C, that are retrieved.
        rules: whether it may be the history rule (`tune_start`), or is `supervised`.
        ranker: refitted, whose slates are as they are, or heed the rule; None: the tuned one.

    Raises:
        UsageError: the world has no observer that is a multi-task model.
    """
    setting = PLAIN if ranker is not None else tune_supervised(world).chosen
    policy = supervised_with(world, setting, ranker)
    rule = rule_of(world, policy.ranker) if rules else None
    user_B = torch.arange(min(PROBED, world.population.size), dtype=torch.int32)
    user_B = user_B.to(world.device)
    first = engine.observe(world, engine.start(world, 0 * user_B, user_B, 0 * user_B))
    score_BC = policy.ranker.retrieve(first, num_candidates).score
    below_BC = (score_BC - score_BC[:, :1]).clamp(min=FORBIDDEN / SHARPEST[1])
    wanted = min(ENTROPY if rule is None else NEAR, MOST * math.log(score_BC.shape[1]))
    low, high = SHARPEST
    for _ in range(BISECTIONS):
        middle = math.sqrt(low * high)
        logp_BC = (middle * below_BC).log_softmax(1)
        entropy = float(-(logp_BC.exp() * logp_BC).sum(1).mean())
        low, high = (middle, high) if entropy > wanted else (low, middle)
    return Start(policy, round(high, 3), rule)


def rule_of(world: World, ranker: Ranker) -> HistoryRule | None:
    """The tuned history rule, where it serves selection people better than `supervised`."""
    if tune_start(world).chosen["policy"] != RULE:
        return None
    return history_rule_with(world, tune_history_rule(world).chosen, ranker)


def start_chosen(world: World, rules: bool = False) -> dict[str, Setting]:
    """What an agent that begins there keeps of it; empty where there is no supervised model.

    Args:
        world: where.
        rules: as in `start_of`.
    """
    if not has_ranker(world):
        return {}
    found = {RANKER: tune_ranker(world).chosen, SUPERVISED: tune_supervised(world).chosen}
    if rules:
        found[START] = tune_start(world).chosen
        if found[START]["policy"] == RULE:
            found[RULE] = tune_history_rule(world).chosen
    return found
