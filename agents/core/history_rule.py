"""A rule of two numbers on what was clicked lately: the cheapest planner against boredom."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from slategym.agents.core.ranker import Ranker, Retrieved
from slategym.agents.core.supervised import ranker_of
from slategym.agents.core.tuning import WHOLE, Budget, Setting, Tuning, at_edge, noted, tune
from slategym.agents.types import Action
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.types import LONG_AGO, History, Observation, World

RULE = "history-rule"  # what is tuned, by name
FADING = 0.7  # of a click's trace, per slate
STRENGTHS = (0.25, 0.5, 1.0, 2.0, 4.0, -0.5)  # log-odds per click of the last slate, when tuned
FADINGS = (0.7, 0.5, 0.85)  # per slate, when tuned
SHARE = 1 / 3  # of a budget; the rest goes to the ranker


def topic_traces(history: History, topic_N: Tensor, num_topics: int, fading: float) -> Tensor:
    """How lately, and how often, each topic was clicked in this session, (B, G).

    Each click counts fading ** (slates since - 1): the last slate's click counts one.

    Args:
        history: of clicked items; what came before the session does not count.
        topic_N: main topic of each item, int64.
        num_topics: G.
        fading: in [0, 1].
    """
    counts_BH = (history.id >= 0) & (history.age < LONG_AGO)
    weight_BH = counts_BH * fading ** (history.age - 1).clamp(min=0).float()
    trace_BG = torch.zeros(history.id.shape[0], num_topics, device=history.id.device)
    return trace_BG.scatter_add_(1, topic_N[history.id.clamp(min=0).long()], weight_BH)


@dataclass(frozen=True)
class HistoryRule:
    """The supervised ranker's scores, less strength times the trace of the item's topic.

    It sees what every learner sees and learns nothing: what it earns is what a learner must beat
    before planning may be claimed. A negative strength shows more of what was clicked lately.
    """

    ranker: Ranker
    topic_N: Tensor  # (N,) int64, main topic of each item
    num_topics: int  # G
    num_slots: int  # K
    strength: float  # log-odds per click of the last slate
    fading: float = FADING  # in [0, 1], per slate
    pool: int = 100  # items from which the slate is filled
    privileged: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not math.isfinite(self.strength):
            raise UsageError(f"the strength of a history rule is a number, got {self.strength}")
        if not 0.0 <= self.fading <= 1.0:
            raise UsageError(f"the fading of a history rule is in [0, 1], got {self.fading}")

    @property
    def name(self) -> str:
        """With its strength."""
        return f"history-rule{self.strength:g}"

    def act(self, observation: Observation, luck: Luck) -> Action:
        """The best items of the pool after the rule."""
        best = self.ranker.retrieve(observation, max(self.pool, self.num_slots))
        slot_BK = self.scores(best, observation.history).topk(self.num_slots, dim=1).indices
        return Action(best.id.gather(1, slot_BK).int())

    def scores(self, best: Retrieved, history: History) -> Tensor:
        """The ranker's scores of these items after the rule, (B, C)."""
        trace_BG = topic_traces(history, self.topic_N, self.num_topics, self.fading)
        return best.score - self.strength * trace_BG.gather(1, self.topic_N[best.id])


def history_rule_with(world: World, setting: Setting, ranker: Ranker) -> HistoryRule:
    """The rule for a world, of this strength and fading."""
    catalogue = world.catalogue
    return HistoryRule(
        ranker,
        catalogue.topic.long(),
        catalogue.num_topics,
        world.slate_size,
        float(setting["strength"]),
        float(setting["fading"]),
    )


def tune_history_rule(world: World, budget: Budget = WHOLE) -> Tuning:
    """The strength and fading that serve selection people best, on the tuned ranker."""
    ranker = ranker_of(world, budget)
    found = tune(
        world,
        RULE,
        [{"strength": s, "fading": f} for s in STRENGTHS for f in FADINGS],
        lambda where, setting: history_rule_with(where, setting, ranker),
        budget.share(SHARE),
    )
    if not found.tried:
        return found
    edges = [
        at_edge("strength", found.chosen["strength"], STRENGTHS),
        at_edge("fading", found.chosen["fading"], FADINGS),
    ]
    return replace(found, note=noted(*edges))
