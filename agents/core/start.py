"""Where learners begin: the best tuned policy without learning, as scores and a quota of topics.

A slate policy that fills slot after slot by

    score of the candidate - quota * earlier slots that hold its topic

serves, greedily, exactly what `supervised` serves, whatever makes that various, and exactly what
the history rule serves. So a learner whose corrections are zero at first serves its start, and what
it adds is its own. It starts from the rule where that is clearly better before selection people
(`tune_start`): the best of many rules looks good by luck.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from slategym.agents.core.earned import earned_by_many
from slategym.agents.core.history_rule import (
    RULE,
    HistoryRule,
    history_rule_with,
    tune_history_rule,
)
from slategym.agents.core.ranker import Ranker, Retrieved, has_ranker
from slategym.agents.core.step_back import FEWEST, paired_interval
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
from slategym.agents.core.tuning import (
    WHOLE,
    Budget,
    Setting,
    Tried,
    Tuning,
    noted,
    once_per_world,
    shown_in,
)
from slategym.agents.slates.plackett_luce import SPAN
from slategym.agents.slates.top import FORBIDDEN
from slategym.envs import engine
from slategym.envs.types import Observation, World
from slategym.models.files import kept

START = "start"  # what is tuned, by name
SHARE = 0.1  # of a budget: two policies are left to be told apart
LUCK = 1_006  # seed of what happens then; no tuning, training or step back has it
FORMAT = 2  # of how it is decided
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
    """Tuned `supervised`, or the tuned history rule where that is clearly better.

    Both meet the same selection people with the same luck; clear is a paired interval over people
    that leaves out zero, as where a training is served.
    """
    settings: list[Setting] = [{"policy": SUPERVISED}, {"policy": RULE}]
    if START in world.chosen:
        return Tuning(START, world.chosen[START], untried="tuned elsewhere")
    where = None if world.selection is None else world.selection()
    if where is None:
        return Tuning(START, settings[0])
    ranker, slates = ranker_of(world, budget), budget.share(SHARE).total
    plain = supervised_with(where, tune_supervised(world, budget).chosen, ranker)
    rule = history_rule_with(where, tune_history_rule(world, budget).chosen, ranker)
    size = where.population.size
    number = min(size, max(FEWEST, slates // (2 * where.horizon)))
    order_U = torch.randperm(size, generator=torch.Generator().manual_seed(LUCK))
    user_x = order_U[:number].int().to(where.device)

    def compute() -> dict[str, Any]:
        plain_x, rule_x = (earned_by_many(where, p, user_x, LUCK) for p in (plain, rule))
        person_U = where.population.person
        person_x = user_x if person_U is None else person_U[user_x.long()]
        gain, low, high = paired_interval((rule_x - plain_x).double().cpu(), person_x.cpu())
        means = [float(x.double().mean()) for x in (plain_x, rule_x)]
        ends = (low, high) if math.isfinite(low) else (None, None)  # of one person
        return {"means": means, "gain": gain, "low": ends[0], "high": ends[1]}

    decides = [where.name, size, where.horizon, number, LUCK, FORMAT]
    decides += [shown_in(where, plain), shown_in(where, rule)]
    found = kept("constants/tuned-start", decides, compute)
    clear = found["low"] is not None and found["low"] > 0
    tried = [Tried(s, number, mean) for s, mean in zip(settings, found["means"], strict=True)]
    return Tuning(
        START, settings[clear], tuple(tried), slates, where.name, noted(_told(found, clear))
    )


def _told(found: Mapping[str, Any], clear: bool) -> str:
    """What the rule gains, in words."""
    why = "" if clear else ", which is not clear"
    if found["low"] is None:
        return f"the rule gains {found['gain']:+.2f}, without an interval{why}"
    return f"the rule gains {found['gain']:+.2f} [{found['low']:+.2f}, {found['high']:+.2f}]{why}"


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
    """The tuned history rule, where it is clearly better than `supervised`."""
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
