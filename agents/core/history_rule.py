"""A rule of two numbers on what was clicked lately: the cheapest planner against boredom.

It has one of two forms: clicks on a topic count against it and fade (`Trace`), or a topic that has
so many of the last clicks is passed over (`Cap`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

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
# clicks on a topic, of so many clicks, after which it is passed over, when tuned
CAPS = ((1, 2), (1, 4), (1, 8), (2, 4), (2, 6), (2, 10), (3, 6), (3, 10))
CAPPED = 100.0  # score that a capped topic's items lose: they come last
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
    weight_BH = _of_session(history) * fading ** (history.age - 1).clamp(min=0).float()
    return _by_topic(weight_BH, history, topic_N, num_topics)


def topic_counts(history: History, topic_N: Tensor, num_topics: int, last: int) -> Tensor:
    """How many of the last clicks of this session each topic has, (B, G).

    Args:
        history: of clicked items, newest last.
        topic_N: main topic of each item, int64.
        num_topics: G.
        last: clicks that count.
    """
    counts_BH = _of_session(history)
    newer_BH = counts_BH.flip(1).cumsum(1).flip(1)  # 1: the newest
    return _by_topic((counts_BH & (newer_BH <= last)).float(), history, topic_N, num_topics)


def _of_session(history: History) -> Tensor:
    found: Tensor = (history.id >= 0) & (history.age < LONG_AGO)
    return found


def _by_topic(weight_BH: Tensor, history: History, topic_N: Tensor, num_topics: int) -> Tensor:
    zero_BG = torch.zeros(history.id.shape[0], num_topics, device=history.id.device)
    return zero_BG.scatter_add_(1, topic_N[history.id.clamp(min=0).long()], weight_BH)


class Form(Protocol):
    """What recent clicks on a topic cost its items."""

    def cost(self, history: History, topic_N: Tensor, num_topics: int) -> Tensor:
        """Score that items of each topic lose, (B, G)."""
        ...

    def __str__(self) -> str:
        """Its two numbers, for names."""
        ...


@dataclass(frozen=True)
class Trace:
    """Every click counts, and fades with the slates. A negative strength seeks more of the same."""

    strength: float  # log-odds per click of the last slate
    fading: float = FADING  # in [0, 1], per slate

    def __post_init__(self) -> None:
        if not math.isfinite(self.strength):
            raise UsageError(f"the strength of a history rule is a number, got {self.strength}")
        if not 0.0 <= self.fading <= 1.0:
            raise UsageError(f"the fading of a history rule is in [0, 1], got {self.fading}")

    def cost(self, history: History, topic_N: Tensor, num_topics: int) -> Tensor:
        """Strength times the trace."""
        return self.strength * topic_traces(history, topic_N, num_topics, self.fading)

    def __str__(self) -> str:
        """As a policy's name has it: of the usual fading, the strength alone."""
        return f"{self.strength:g}"


@dataclass(frozen=True)
class Cap:
    """A topic that has as many of the last clicks is passed over."""

    most: int  # clicks on a topic, at least 1
    of: int  # the session's last clicks, at least as many

    def __post_init__(self) -> None:
        if not 1 <= self.most <= self.of:
            raise UsageError(
                "the cap of a history rule is of 1 or more clicks among as many or more, got "
                f"{self.most} of {self.of}"
            )

    def cost(self, history: History, topic_N: Tensor, num_topics: int) -> Tensor:
        """All or nothing."""
        counts_BG = topic_counts(history, topic_N, num_topics, self.of)
        return CAPPED * (counts_BG >= self.most)

    def __str__(self) -> str:
        """Clicks, of so many."""
        return f"-cap{self.most}of{self.of}"


def form_with(setting: Setting) -> Form:
    """The form of a tuned setting: a cap where it has "most", else a trace."""
    if "most" in setting:
        return Cap(int(setting["most"]), int(setting["of"]))
    return Trace(float(setting["strength"]), float(setting["fading"]))


@dataclass(frozen=True)
class HistoryRule:
    """The supervised ranker's scores, less what recent clicks on the item's topic cost.

    It sees what every learner sees and learns nothing: what it earns is what a learner must beat
    before planning may be claimed.
    """

    ranker: Ranker
    topic_N: Tensor  # (N,) int64, main topic of each item
    num_topics: int  # G
    num_slots: int  # K
    form: Form
    pool: int = 100  # items from which the slate is filled
    privileged: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """With its numbers."""
        return f"{RULE}{self.form}"

    def act(self, observation: Observation, luck: Luck) -> Action:
        """The best items of the pool after the rule."""
        best = self.ranker.retrieve(observation, max(self.pool, self.num_slots))
        slot_BK = self.scores(best, observation.history).topk(self.num_slots, dim=1).indices
        return Action(best.id.gather(1, slot_BK).int())

    def scores(self, best: Retrieved, history: History) -> Tensor:
        """The ranker's scores of these items after the rule, (B, C)."""
        return best.score - self.cost(best.id, history)

    def cost(self, id_BC: Tensor, history: History) -> Tensor:
        """What these items lose, (B, C)."""
        cost_BG = self.form.cost(history, self.topic_N, self.num_topics)
        return cost_BG.gather(1, self.topic_N[id_BC])


def history_rule_with(world: World, setting: Setting, ranker: Ranker) -> HistoryRule:
    """The rule for a world, with the numbers of a tuned setting."""
    catalogue = world.catalogue
    return HistoryRule(
        ranker,
        catalogue.topic.long(),
        catalogue.num_topics,
        world.slate_size,
        form_with(setting),
    )


def rule_settings(world: World) -> list[Setting]:
    """What is tried: traces, and caps of clicks that are remembered."""
    traces = [{"strength": s, "fading": f} for s in STRENGTHS for f in FADINGS]
    return [*traces, *({"most": n, "of": m} for n, m in CAPS if m <= world.history_size)]


def tune_history_rule(world: World, budget: Budget = WHOLE) -> Tuning:
    """The form and the numbers that serve selection people best, on the tuned ranker."""
    ranker = ranker_of(world, budget)
    found = tune(
        world,
        RULE,
        rule_settings,
        lambda where, setting: history_rule_with(where, setting, ranker),
        budget.share(SHARE),
    )
    return replace(found, note=noted(*_edges(found.chosen))) if found.tried else found


def _edges(chosen: Setting) -> list[str]:
    """Where a better rule of the same form may lie beyond those tried."""
    if "most" not in chosen:
        return [
            at_edge("strength", chosen["strength"], STRENGTHS),
            at_edge("fading", chosen["fading"], FADINGS),
        ]
    most, of = chosen["most"], chosen["of"]
    return [
        at_edge("clicks on a topic", most, [n for n, _ in CAPS], ends=(1,)),
        at_edge("last clicks that count", of, [m for n, m in CAPS if n == most]),
    ]
