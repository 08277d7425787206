"""How context begins and moves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from slategym.envs.luck import Luck, purpose
from slategym.envs.types import Arrival, Context

HOUR, WEEKDAY = purpose("context.hour"), purpose("context.weekday")
MINUTES_PER_DAY = 1440.0
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class Nothing:
    """A world without context: every field is zero, and none is shown."""

    @property
    def shown(self) -> tuple[str, ...]:
        """No field."""
        return ()

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """None."""
        return {}

    def initial(self, arrival: Arrival, luck: Luck) -> Context:
        """All zeros."""
        return blank(arrival)

    def advance(self, context: Context, away: Tensor | None, luck: Luck) -> Context:
        """Unchanged."""
        return context


@dataclass(frozen=True)
class Clock:
    """Hour and weekday begin as logged, or anywhere in the week, and move on with every slate."""

    minutes_per_slate: float  # in [0, 1440)

    def __post_init__(self) -> None:
        if not 0.0 <= self.minutes_per_slate < MINUTES_PER_DAY:
            raise ValueError(
                f"minutes_per_slate must be in [0, {MINUTES_PER_DAY:g}), "
                f"got {self.minutes_per_slate}"
            )

    @property
    def shown(self) -> tuple[str, ...]:
        """Hour and weekday."""
        return ("hour", "weekday")

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """The days of the week."""
        return {"weekday": WEEKDAYS}

    def initial(self, arrival: Arrival, luck: Luck) -> Context:
        """The arrival's own time, else a uniform draw."""
        hour_B, weekday_B = arrival.hour, arrival.weekday
        if hour_B is None:
            hour_B = 24.0 * luck.uniform(HOUR, 1)[:, 0]
        if weekday_B is None:
            weekday_B = luck.integers(WEEKDAY, 1, 7)[:, 0]
        return replace(
            blank(arrival), hour=hour_B.float().contiguous(), weekday=weekday_B.int().contiguous()
        )

    def advance(self, context: Context, away: Tensor | None, luck: Luck) -> Context:
        """Some minutes later, or as long as the user was away; the weekday turns at midnight."""
        hour_B, weekday_B = later(context.hour, context.weekday, self.minutes_per_slate)
        if away is not None:
            back = later_by_days(context.hour, context.weekday, away)
            hour_B = torch.where(away > 0, back[0], hour_B)
            weekday_B = torch.where(away > 0, back[1], weekday_B)
        return replace(context, hour=hour_B, weekday=weekday_B)


def blank(arrival: Arrival) -> Context:
    """Every field zero."""
    user_B = arrival.user_id
    day_B = torch.zeros(user_B.shape, dtype=torch.float32, device=user_B.device)
    return Context(
        hour=day_B,
        weekday=torch.zeros_like(user_B),
        device=torch.zeros_like(user_B),
        place=torch.zeros_like(user_B),
        weather=torch.zeros_like(user_B),
        gap=torch.zeros_like(day_B),
    )


def later(hour_B: Tensor, weekday_B: Tensor, minutes: float) -> tuple[Tensor, Tensor]:
    """Hour and weekday after less than a day."""
    hour_B = hour_B + minutes / 60.0
    midnight_B = hour_B >= 24.0
    weekday_B = weekday_B + midnight_B.int()
    return hour_B - 24.0 * midnight_B.float(), weekday_B - 7 * (weekday_B >= 7).int()


def later_by_days(hour_B: Tensor, weekday_B: Tensor, days_B: Tensor) -> tuple[Tensor, Tensor]:
    """Hour and weekday after any number of days, at most some thousands."""
    hour_B = hour_B + 24.0 * days_B
    turned_B = (hour_B / 24.0).floor()
    weekday_B = weekday_B + turned_B.int()
    hour_B = (hour_B - 24.0 * turned_B).clamp(0.0, 23.9999)
    return hour_B, weekday_B - 7 * (weekday_B / 7.0).floor().int()
