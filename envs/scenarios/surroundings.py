"""What moves a person's appeal and no slate can change: attributes, circumstances, time."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import torch
from torch import Tensor

from slategym.envs.constants import constant
from slategym.envs.luck import Luck, purpose
from slategym.envs.scenarios.effect import Effect
from slategym.envs.scenarios.look import Look, Score
from slategym.envs.types import Arrival

BREAKING, DRIFT = purpose("scenario.breaking"), purpose("scenario.drift")


@dataclass(frozen=True)
class Pull(Effect[None]):
    """What an item is says how it pulls: the score of its quality and columns, in log-odds."""

    score: Score

    def initial(self, arrival: Arrival, num_topics: int, luck: Luck) -> None:
        """Nothing to remember."""
        return None

    def appeal(self, state: None, look: Look) -> Tensor:
        """The score, (B, K)."""
        return self.score(look.items.quality, look)


@dataclass(frozen=True)
class Hours(Effect[None]):
    """The hour and the weekend move topics.

    swing / 2 * cos(2 pi (hour - best) / 24) + weekend on Saturdays and Sundays, log-odds.
    """

    best: tuple[float, ...]  # (G,) hour
    swing: tuple[float, ...]  # (G,) log-odds between the best and the worst hour
    weekend: tuple[float, ...]  # (G,) log-odds

    def initial(self, arrival: Arrival, num_topics: int, luck: Luck) -> None:
        """Nothing to remember."""
        return None

    def appeal(self, state: None, look: Look) -> Tensor:
        """As above, (B, K)."""
        hour_B1 = look.context.hour[:, None]
        angle_BG = (hour_B1 - constant(self.best, hour_B1)) * (2.0 * pi / 24.0)
        weekend_B1 = (look.context.weekday >= 5)[:, None]
        moved_BG = 0.5 * constant(self.swing, hour_B1) * angle_BG.cos()
        return look.of_topic(moved_BG + weekend_B1 * constant(self.weekend, hour_B1))


@dataclass(frozen=True)
class Circumstance(Effect[None]):
    """A category of the context moves topics: device, place, weather, or a further column."""

    field: str  # of `Context`; or the number of a further column, as "0"
    table: tuple[tuple[float, ...], ...]  # by category, (G,) log-odds

    def initial(self, arrival: Arrival, num_topics: int, luck: Luck) -> None:
        """Nothing to remember."""
        return None

    def appeal(self, state: None, look: Look) -> Tensor | None:
        """The category's row, (B, K); None: the context has no such column."""
        if self.field.isdigit():
            if look.context.extra is None:
                return None
            at_B = look.context.extra[:, int(self.field)].long()
        else:
            at_B = getattr(look.context, self.field).long()
        return look.of_topic(constant(self.table, look.liking_BK)[at_B])


@dataclass(frozen=True)
class Ageing(Effect[None]):
    """Items grow old: log-odds lost per day of age, by topic, up to a limit."""

    per_day: tuple[float, ...]  # (G,) log-odds
    most: float = 3.0  # log-odds
    column: str = "age"  # days, at the person's first visit

    def initial(self, arrival: Arrival, num_topics: int, luck: Luck) -> None:
        """Nothing to remember."""
        return None

    def appeal(self, state: None, look: Look) -> Tensor:
        """As above, (B, K)."""
        age_BK = look.column(self.column) + look.day_B[:, None]
        loss_BK = constant(self.per_day, age_BK)[look.topic_BK]
        return -(loss_BK * age_BK).clamp(max=self.most)


@dataclass(frozen=True)
class Breaking(Effect[Tensor]):
    """One topic is in everybody's mouth; which one changes from visit to visit."""

    lift: float  # log-odds

    def initial(self, arrival: Arrival, num_topics: int, luck: Luck) -> Tensor:
        """The topic of each person's first visit, one of G, (B, G) float32."""
        topic_B1 = luck.integers(BREAKING, 1, num_topics)
        return (torch.arange(num_topics, device=topic_B1.device) == topic_B1).float()

    def appeal(self, state: Tensor, look: Look) -> Tensor:
        """Of that topic, (B, K)."""
        return self.lift * look.of_topic(state)

    def rest(self, state: Tensor, days_B: Tensor, luck: Luck) -> Tensor:
        """Another topic."""
        topic_B1 = luck.integers(BREAKING, 1, state.shape[1])
        other_BG = (torch.arange(state.shape[1], device=state.device) == topic_B1).float()
        return torch.where(days_B[:, None] > 0, other_BG, state)


@dataclass(frozen=True)
class Drift(Effect[Tensor]):
    """Tastes wander on their own: a normal step per slate, and per day away, (B, G) log-odds."""

    rate: float  # log-odds, standard deviation of a step

    def initial(self, arrival: Arrival, num_topics: int, luck: Luck) -> Tensor:
        """Where they began."""
        return luck.stream.new_zeros((len(luck.stream), num_topics), dtype=torch.float32)

    def appeal(self, state: Tensor, look: Look) -> Tensor:
        """Of the topic, (B, K)."""
        return look.of_topic(state)

    def rest(self, state: Tensor, days_B: Tensor, luck: Luck) -> Tensor:
        """A step, longer after days away: its variance grows with them."""
        scale_B1 = self.rate * (1.0 + days_B).sqrt()[:, None]
        return state + scale_B1 * luck.normal(DRIFT, state.shape[1])


SURROUNDINGS = (Hours, Circumstance, Ageing, Breaking, Drift)  # still in a static twin
