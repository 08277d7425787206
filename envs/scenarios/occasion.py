"""The context of scenarios: the course of a day, and further circumstances."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from slategym.envs.constants import constant
from slategym.envs.context import UNKNOWN
from slategym.envs.day import Day
from slategym.envs.luck import Luck, purpose
from slategym.envs.types import Arrival, Column, Context

DRAWN, TURNS = purpose("scenario.circumstance"), purpose("scenario.circumstance.turns")


class Further(NamedTuple):
    """A circumstance beside those of `Day`."""

    name: str
    categories: tuple[str, ...]
    share: tuple[float, ...]  # of each category
    lasts: float  # days, mean, until it is drawn anew; 0: for one visit


SEASON = Further("season", ("winter", "spring", "summer", "autumn"), (0.25,) * 4, 90.0)


@dataclass(frozen=True)
class Occasion:
    """A day as of `Day`, of which some fields are shown, and further circumstances.

    Further circumstances stay as they are during a visit; after days away each is drawn anew with
    probability 1 - exp(-days / lasts).
    """

    fields: tuple[str, ...]  # of `Day` that are shown
    further: tuple[Further, ...] = ()
    minutes_per_slate: float = 3.0
    still: bool = False  # True: time stands still

    @property
    def shown(self) -> tuple[str, ...]:
        """The fields and the further circumstances."""
        return (*self.fields, *(one.name for one in self.further))

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Of the categories that are shown."""
        known = self._day.names
        own = {name: known[name] for name in self.fields if name in known}
        return own | {one.name: (*one.categories, UNKNOWN) for one in self.further}

    @property
    def columns(self) -> tuple[Column, ...]:
        """The further circumstances."""
        return tuple(Column(one.name, one.categories) for one in self.further)

    def initial(self, arrival: Arrival, luck: Luck) -> Context:
        """As `Day` begins; each further circumstance by its shares."""
        first = self._day.initial(arrival, luck)
        return replace(first, extra=self._draw(luck)) if self.further else first

    def advance(self, context: Context, away: Tensor | None, luck: Luck) -> Context:
        """Some minutes later; or after the days away, under other circumstances."""
        later = self._day.advance(context, away, luck)
        if self.still or away is None or context.extra is None:
            return later
        lasts_Z = constant(tuple(max(one.lasts, 1e-6) for one in self.further), away)
        chance_BZ = 1.0 - (-away[:, None] / lasts_Z).exp()
        turns_BZ = luck.uniform(TURNS, len(self.further)) < chance_BZ
        return replace(later, extra=torch.where(turns_BZ, self._draw(luck), context.extra))

    @property
    def _day(self) -> Day:
        return Day(self.minutes_per_slate, still=self.still)

    def _draw(self, luck: Luck) -> Tensor:
        """Categories by their numbers, (B, Z) float32."""
        drawn = []
        for z, one in enumerate(self.further):
            bound_X = constant(one.share, luck.stream, torch.float32).cumsum(0)[:-1]
            drawn.append((luck.uniform(DRAWN + z, 1) >= bound_X).sum(1).float())
        return torch.stack(drawn, 1)
