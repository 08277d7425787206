"""The course of a day: hour, weekday, place, device and weather, within and between visits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from slategym.envs.constants import constant
from slategym.envs.context import WEEKDAYS, blank, later, later_by_days
from slategym.envs.luck import Luck, purpose
from slategym.envs.types import Arrival, Column, Context

HOUR, WEEKDAY, PLACE, DEVICE, WEATHER, TURN = (
    purpose(f"day.{n}") for n in ("hour", "weekday", "place", "device", "weather", "turn")
)
PLACES = ("home", "work", "way")  # on the way between the two, or elsewhere out of doors
DEVICES = ("phone", "tablet", "screen")
WEATHERS = ("clear", "rain", "cold")
WEATHER_SHARE = (0.55, 0.3, 0.15)  # of days
TURN_RATE = 0.7  # chance that the weather of the next day is drawn anew

# chance of each place: on workdays at work hours, on workdays when people travel, else
PLACE_SHARE = ((0.15, 0.75, 0.1), (0.3, 0.1, 0.6), (0.85, 0.02, 0.13))
# chance of each device, by place
DEVICE_SHARE = ((0.35, 0.25, 0.4), (0.3, 0.05, 0.65), (0.9, 0.1, 0.0))


@dataclass(frozen=True)
class Day:
    """Where people are depends on the time, what they hold on where they are.

    Place and device stay as they are during a visit; weather turns overnight.

    Source: made up; the shares are stated above.
    """

    minutes_per_slate: float = 3.0
    still: bool = False  # True: time stands still

    @property
    def shown(self) -> tuple[str, ...]:
        """All fields."""
        return ("hour", "weekday", "device", "place", "weather", "gap")

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Of weekdays, devices, places and weathers."""
        return {"weekday": WEEKDAYS, "device": DEVICES, "place": PLACES, "weather": WEATHERS}

    @property
    def columns(self) -> tuple[Column, ...]:
        """None."""
        return ()

    def initial(self, arrival: Arrival, luck: Luck) -> Context:
        """Any hour between six and midnight, any day, any weather by its share."""
        hour_B = 6.0 + 18.0 * luck.uniform(HOUR, 1)[:, 0]
        weekday_B = luck.integers(WEEKDAY, 1, 7)[:, 0].contiguous()
        weather_B = _draw(luck, WEATHER, constant(WEATHER_SHARE, hour_B).expand(len(hour_B), -1))
        first = replace(blank(arrival), hour=hour_B, weekday=weekday_B, weather=weather_B)
        return _settle(first, luck)

    def advance(self, context: Context, away: Tensor | None, luck: Luck) -> Context:
        """Some minutes later; or after the days away, somewhere else."""
        if self.still:
            return context
        hour_B, weekday_B = later(context.hour, context.weekday, self.minutes_per_slate)
        stays = replace(context, hour=hour_B, weekday=weekday_B)
        if away is None:
            return stays
        hour_B, weekday_B = later_by_days(context.hour, context.weekday, away)
        hour_B = torch.where(hour_B < 6.0, hour_B + 6.0, hour_B)  # nobody comes at night
        turns_B = luck.uniform(TURN, 1)[:, 0] < 1.0 - (1.0 - TURN_RATE) ** away
        share_B3 = constant(WEATHER_SHARE, hour_B).expand(len(hour_B), -1)
        weather_B = torch.where(turns_B, _draw(luck, WEATHER, share_B3), context.weather)
        back = _settle(
            replace(context, hour=hour_B, weekday=weekday_B, weather=weather_B, gap=away), luck
        )
        fields = ("hour", "weekday", "device", "place", "weather", "gap")
        return replace(
            stays,
            **{x: torch.where(away > 0, getattr(back, x), getattr(stays, x)) for x in fields},
        )


def _settle(context: Context, luck: Luck) -> Context:
    """A place for the time, and a device for the place."""
    hour_B, workday_B = context.hour, context.weekday < 5
    at_work_B = workday_B & (hour_B >= 9.0) & (hour_B < 17.0)
    travels_B = workday_B & (((hour_B >= 7.0) & (hour_B < 9.0)) | ((hour_B - 18.0).abs() <= 1.0))
    kind_B = torch.where(at_work_B, 0, torch.where(travels_B, 1, 2))
    place_B = _draw(luck, PLACE, constant(PLACE_SHARE, hour_B)[kind_B])
    device_B = _draw(luck, DEVICE, constant(DEVICE_SHARE, hour_B)[place_B.long()])
    return replace(context, place=place_B, device=device_B)


def _draw(luck: Luck, purpose: int, share_BX: Tensor) -> Tensor:
    """One of X by its share, (B,) int32."""
    bound_BX = share_BX.cumsum(1)[:, :-1]
    return (luck.uniform(purpose, 1) >= bound_BX).sum(1).int()
