"""Agents that begin as the tuned history rule, and learn people from their own slates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import ClassVar

from slategym.agents.core.agent import Agent
from slategym.agents.core.history_rule import (
    FADING,
    RULE,
    HistoryRule,
    Trace,
    history_rule_with,
    tune_history_rule,
)
from slategym.agents.core.ranker import Ranker
from slategym.agents.core.start import rule_of
from slategym.agents.core.supervised import RANKER, ranker_of, tune_ranker
from slategym.agents.core.tuning import Setting
from slategym.agents.rollout.people import check_people
from slategym.agents.types import Policy
from slategym.envs.types import World

NO_RULE: Setting = {"strength": 0.0, "fading": FADING}
USUAL = 1.0  # strength of a trace, log-odds per click, where the tuned rule has none


class RuleFirst(Agent):
    """Serves the tuned history rule unless training pays. Abstract."""

    from_ranker: ClassVar[bool] = True
    rule: HistoryRule
    trained: bool  # False: the rule is served

    @classmethod
    def check_world(cls, world: World) -> None:
        """It needs a supervised model that ranks, remembered slates, one choice.

        Raises:
            UsageError: the world lacks one of them.
        """
        check_people(cls.name, world)

    def begin_as_rule(self) -> Ranker:
        """Take over the tuned rule; what `build` does first. The ranker on which it rests.

        On a refitted ranker the rule is heeded where that heeds it, and takes nothing off else.
        """
        self.trained = True
        if self.refitted is not None:
            ruled = rule_of(self.world, self.refitted)
            self.rule = ruled or history_rule_with(self.world, NO_RULE, self.refitted)
            return self.refitted
        ranker = ranker_of(self.world)
        self.rule = history_rule_with(self.world, tune_history_rule(self.world).chosen, ranker)
        return ranker

    @property
    def trace(self) -> Trace:
        """Of clicks by topic, from which rules are varied: the rule's own, unless it is a cap."""
        return self.rule.form if isinstance(self.rule.form, Trace) else Trace(USUAL)

    def chosen(self) -> Mapping[str, Setting]:
        """The ranker and the rule on which it rests."""
        return {RANKER: tune_ranker(self.world).chosen, RULE: tune_history_rule(self.world).chosen}

    def at_start(self) -> Policy:
        """The history rule."""
        start = copy(self)
        start.trained = False
        return start

    @property
    def start_name(self) -> str:
        """The history rule."""
        return RULE

    def serve(self, trained: Sequence[bool]) -> None:
        """What was trained, or the rule that it was at first."""
        self.trained = trained[0]
