"""A scenario as a value: its parts with their constants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from slategym.envs.choice import PositionBased
from slategym.envs.protocols import ChoiceModel
from slategym.envs.scenarios.answers import Answer
from slategym.envs.scenarios.catalogue import Made
from slategym.envs.scenarios.effect import Effect
from slategym.envs.scenarios.occasion import Further, Occasion
from slategym.envs.scenarios.permitted import Rule
from slategym.envs.scenarios.person import Person
from slategym.envs.scenarios.surroundings import SURROUNDINGS, Drift
from slategym.envs.scenarios.visits import Visits
from slategym.envs.scenarios.words import Words


@dataclass(frozen=True)
class Scenario:
    """What people of one trade do, what they are shown and what it is worth."""

    words: Words  # topics among them
    columns: tuple[Made, ...]  # of the items
    fields: tuple[str, ...]  # of the day's context that are shown
    answers: tuple[Answer, ...]  # signals after the click
    objective: tuple[float, ...]  # reward per unit of the click and of each answer
    effects: tuple[Effect[Any], ...]
    visits: Visits
    reluctance: float  # see `Person`
    spread: float = 1.0
    liking: float = 0.5
    usual: tuple[float, ...] = ()
    visible: tuple[int, ...] = ()
    tempting: tuple[int, ...] = ()
    further: tuple[Further, ...] = ()  # circumstances beside the day's
    choice: ChoiceModel = field(default_factory=PositionBased)
    slate_size: int = 5
    horizon: int = 30
    rule: Rule | None = None  # of what may be shown to whom

    def person(
        self, strength: float, drift: float, noise: float, static: bool, num_slots: int
    ) -> Person:
        """Its people, with what slates change later scaled by `strength`.

        Args:
            strength: 0: nothing a slate does changes what comes next.
            drift: of tastes, log-odds per slate.
            noise: share of clicks that are mistakes.
            static: whether surroundings are left out as well.
            num_slots: K.
        """
        effects = [one.at(strength) for one in self.effects]
        if drift:
            effects.append(Drift(drift))
        if static:
            effects = [one for one in effects if not isinstance(one, SURROUNDINGS)]
        return Person(
            num_topics=len(self.words.topics),
            answers=self.answers,
            effects=tuple(effects),
            visits=self.visits.at(strength),
            reluctance=self.reluctance,
            spread=self.spread,
            liking=self.liking,
            usual=self.usual,
            visible=() if static else self.visible,
            num_slots=num_slots,
            noise=noise,
            tempting=self.tempting if strength else (),
        )

    def occasion(self, static: bool) -> Occasion:
        """Its context; in a static twin time stands still."""
        return Occasion(self.fields, self.further, self.visits.minutes_per_slate, still=static)
