"""How context begins and moves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from slategym.envs.luck import Luck, purpose
from slategym.envs.protocols import ContextProcess
from slategym.envs.types import Arrival, Column, Context

HOUR, WEEKDAY, MOVE = (purpose(f"context.{name}") for name in ("hour", "weekday", "move"))
UNKNOWN = "unknown"  # what people call a category that the log does not know
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

    @property
    def columns(self) -> tuple[Column, ...]:
        """None."""
        return ()

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

    @property
    def columns(self) -> tuple[Column, ...]:
        """None."""
        return ()

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
            context = replace(context, gap=away)
        return replace(context, hour=hour_B, weekday=weekday_B)


@dataclass(frozen=True)
class Move:
    """How one column changes from one visit to the next, as the log's does."""

    values: Tensor  # (V,) float32: what the column can be
    share: Tensor  # (V, V) float32, of the visits after one at a value (row), those at each value


@dataclass(frozen=True)
class LoggedContext:
    """Hour and weekday as of `Clock`, and the further columns of a log.

    On arrival the columns are what the log says of that moment of that person. They stay as they
    are within a visit; from visit to visit each moves on its own, as often from value to value as
    the log's does. A number moves among the values nearest to which the log's visits were counted.
    """

    clock: Clock
    columns: tuple[Column, ...]  # Z of them
    moves: tuple[Move | None, ...] = ()  # one per column; None or (): it never moves

    def __post_init__(self) -> None:
        if len(self.moves) not in (0, len(self.columns)):
            raise ValueError(
                f"a move per column is needed: {len(self.columns)} columns, {len(self.moves)} moves"
            )

    @property
    def shown(self) -> tuple[str, ...]:
        """Hour, weekday and the columns."""
        return (*self.clock.shown, *(column.name for column in self.columns))

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """The days of the week, and the categories of the columns, the last of them "unknown"."""
        categories = {c.name: (*c.categories, UNKNOWN) for c in self.columns if c.categories}
        return self.clock.names | categories

    def initial(self, arrival: Arrival, luck: Luck) -> Context:
        """The arrival's own."""
        if arrival.extra is None:
            raise ValueError(
                f"the population has no context columns; {len(self.columns)} are needed"
            )
        return replace(self.clock.initial(arrival, luck), extra=arrival.extra)

    def advance(self, context: Context, away: Tensor | None, luck: Luck) -> Context:
        """Some minutes later; or after the days away, under circumstances drawn anew."""
        after = self.clock.advance(context, away, luck)
        if away is None or not self.moves or context.extra is None:
            return after
        u_BZ = luck.uniform(MOVE, len(self.columns))
        moved = [
            _moved(move, x_B, u_B)
            for move, x_B, u_B in zip(
                self.moves, context.extra.unbind(1), u_BZ.unbind(1), strict=True
            )
        ]
        extra_BZ = torch.where((away > 0)[:, None], torch.stack(moved, 1), context.extra)
        return replace(after, extra=extra_BZ)


def _moved(move: Move | None, x_B: Tensor, u_B: Tensor) -> Tensor:
    """The next visit's value, drawn by the shares after the value nearest to this one."""
    if move is None:
        return x_B
    at_B = (x_B[:, None] - move.values).abs().argmin(1)
    bound_BV = move.share[at_B].cumsum(1)[:, :-1]
    return move.values[(u_B[:, None] >= bound_BV).sum(1)]


def field(process: ContextProcess, context: Context, name: str) -> Tensor:
    """The values of one shown field, (B,): a column of the log, or a field of `Context`.

    A category of a column is counted as `names` counts them: what is unknown comes last.
    """
    for z, column in enumerate(process.columns):
        if column.name == name:
            assert context.extra is not None
            x_B = context.extra[:, z]
            return torch.where(x_B < 0, len(column.categories), x_B) if column.categories else x_B
    value_B: Tensor = getattr(context, name)
    return value_B


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
