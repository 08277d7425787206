"""The door: what a log's tables must hold, and one clear line when they do not.

A log comes as three tables. `*` marks what may be left out.

events: user, item, time (unix seconds, UTC); hour*, weekday* (local, else derived from time as
    UTC); slate_id*, position*, propensity*; one column per signal, of which click, like and rating
    are known by name and at least one is there. An empty cell is a signal that was not observed.
items: item, title; text*, year*, topics* ("Comedy|Drama").
users*: user, and a column for each categorical trait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import pandera.pandas as pa

from slategym.envs.types import CLICK, Signal

LIKE = Signal("like", "binary", "count", 0.0, 1.0)
RATING = Signal("rating", "ordinal", "stars", 1.0, 5.0)
KNOWN_SIGNALS = tuple(signal._replace(provenance="logged") for signal in (CLICK, LIKE, RATING))

YEAR_2100 = 4_102_444_800  # unix seconds; every time in milliseconds since 1970-02-17 is later
MAX_CATEGORIES = 1_000  # of one profile column; more is an identifier, not a trait


@dataclass(frozen=True)
class Table:
    """A frame and where it came from, so that a message can point at the row."""

    frame: pd.DataFrame
    name: str  # "events.csv"
    first: int = 0  # number of the first row of data
    row: str = "row"  # what people call a row of it: "line" in a text file

    def place(self, position: int) -> str:
        """Where the row at that position is, for people: "events.csv, line 7"."""
        return f"{self.name}, {self.row} {position + self.first}"

    def with_frame(self, frame: pd.DataFrame) -> Table:
        """Another frame with the same rows in the same order."""
        return Table(frame, self.name, self.first, self.row)


@dataclass(frozen=True)
class Tables:
    """A log as it arrives, unchecked."""

    events: Table
    items: Table
    users: Table | None = None
    signals: tuple[Signal, ...] = KNOWN_SIGNALS  # to look for among the columns of events


def _signal(signal: Signal) -> pa.Column:
    """Only a click must be observed in every row: without it a row says nothing."""
    if signal.kind == "binary":
        within, rule = pa.Check.isin((0.0, 1.0)), f"a {signal.name} is 0 or 1"
    else:
        within = pa.Check.in_range(signal.low, signal.high)
        rule = (
            f"a {signal.name} is a number from {signal.low:g} to {signal.high:g} "
            f"({signal.unit}): rescale, or drop such rows"
        )
    return pa.Column(float, within, nullable=signal.name != CLICK.name, coerce=True, title=rule)


def _key(rule: str, required: bool = True) -> pa.Column:
    return pa.Column(str, nullable=False, coerce=True, required=required, title=rule)


def _number(low: float, high: float, rule: str, required: bool = True) -> pa.Column:
    within = pa.Check.in_range(low, high)
    return pa.Column(float, within, nullable=False, coerce=True, required=required, title=rule)


_EVENT_COLUMNS = {
    "user": _key("every event names its user"),
    "item": _key("every event names its item"),
    "time": _number(
        0, YEAR_2100, "times are unix seconds in UTC, 0 to the year 2100 (milliseconds / 1000)"
    ),
    "hour": _number(0, 23.999999, "an hour is local and in [0, 24)", required=False),
    "weekday": _number(0, 6, "a weekday is 0 (Monday) to 6", required=False),
    "slate_id": _key("every event names its slate, or the column is left out", required=False),
    "position": _number(0, 1e6, "a position is a slot of the slate, from 0", required=False),
    "propensity": _number(5e-324, 1, "a propensity is a probability in (0, 1]", required=False),
}
_ITEM_COLUMNS = {
    "item": _key("every item has an id"),
    "title": _key("every item has a title"),
    "text": _key("write a text for every item, or leave the column out", required=False),
    "year": _number(0, 2100, "a year is 0 (unknown) to 2100", required=False),
    "topics": _key("write topics as Comedy|Drama, at least one for every item", required=False),
}


def check_events(table: Table, signals: Sequence[Signal]) -> pd.DataFrame:
    """The events with their types settled: keys as text, numbers as float64.

    Args:
        table: the events, in any order.
        signals: columns to look for, each at most once.

    Returns:
        Only the columns of the schema, rows as they came.

    Raises:
        ValueError: naming the column, the first row that breaks its rule, and the fix.
    """
    present = [signal for signal in signals if signal.name in table.frame]
    if not present:
        names = ", ".join(signal.name for signal in signals)
        raise ValueError(
            f"{table.name}: no signal; at least one of the columns {names} is needed "
            f"(found: {', '.join(map(str, table.frame.columns))})"
        )
    columns = _EVENT_COLUMNS | {signal.name: _signal(signal) for signal in present}
    checked = _check(table, columns)
    for signal in present:
        if checked[signal.name].isna().all():
            raise ValueError(
                f"{table.name}: column {signal.name!r} is empty in every row; drop the column"
            )
    identity = [
        name for name in ("user", "item", "time", "slate_id", "position") if name in checked
    ]
    _check_unique(table.with_frame(checked), identity)
    return checked


def check_items(table: Table) -> pd.DataFrame:
    """The items with their types settled; see `check_events`."""
    checked = _check(table, _ITEM_COLUMNS)
    _check_unique(table.with_frame(checked), ["item"])
    return checked


def check_users(table: Table) -> pd.DataFrame:
    """The users: their key as text and every other column as a pandas category."""
    traits = [name for name in table.frame.columns if name != "user"]
    columns = {"user": _key("every user has an id")}
    for name in traits:
        columns[name] = pa.Column(
            nullable=False, title=f"every user has a {name}; write unknown where it is"
        )
    checked = _check(table, columns)
    _check_unique(table.with_frame(checked), ["user"])
    for name in traits:
        if not isinstance(checked[name].dtype, pd.CategoricalDtype):
            checked[name] = checked[name].astype("category")
        if (size := len(checked[name].cat.categories)) > MAX_CATEGORIES:
            raise ValueError(
                f"{table.name}: column {name!r} has {size} distinct values; a trait has at most "
                f"{MAX_CATEGORIES}: group them (ages into brackets, say) or drop the column"
            )
    return checked


def unused_columns(tables: Tables) -> dict[str, list[str]]:
    """Table name -> columns that the schema does not know and nothing reads."""
    signals = {signal.name for signal in tables.signals}
    known = (
        (tables.events, _EVENT_COLUMNS.keys() | signals),
        (tables.items, _ITEM_COLUMNS.keys()),
    )
    return {
        table.name: unknown
        for table, names in known
        if (unknown := [str(name) for name in table.frame.columns if name not in names])
    }


def check_known(table: Table, column: str, known: pd.Index, where: str) -> None:
    """Every key of that column is one of `known`, the keys of the table called `where`."""
    unknown = ~table.frame[column].isin(known).to_numpy()
    if unknown.any():
        position = int(unknown.argmax())
        held = _readable(table.frame[column].iloc[position])
        raise ValueError(
            f"{table.place(position)}: column {column!r} holds {held}, which is not in {where}; "
            f"add it there or drop such rows ({int(unknown.sum())} of {len(unknown)})"
        )


def _check(table: Table, columns: dict[str, pa.Column]) -> pd.DataFrame:
    """Hold a table against its columns; the rule of each stands in its title."""
    if table.frame.empty:
        raise ValueError(f"{table.name}: no rows")
    for name, column in columns.items():
        if column.required and name not in table.frame:
            raise ValueError(
                f"{table.name}: column {name!r} is missing; {column.title} "
                f"(found: {', '.join(map(str, table.frame.columns))})"
            )
    wanted = [name for name in columns if name in table.frame]
    frame = table.frame[wanted].reset_index(drop=True)
    try:
        return pa.DataFrameSchema(columns).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases.dropna(subset=["index"])
        first = cases.sort_values("index", kind="stable").iloc[0]
    held = frame[first["column"]].iloc[int(first["index"])]
    value = "is empty" if pd.isna(held) else f"holds {_readable(held)}"
    raise ValueError(
        f"{table.place(int(first['index']))}: column {first['column']!r} {value}; "
        f"{columns[first['column']].title}"
    )


def _readable(held: object) -> str:
    return f"{held:.15g}" if pd.api.types.is_number(held) else repr(str(held))


def _check_unique(table: Table, columns: list[str]) -> None:
    again = table.frame.duplicated(columns).to_numpy()
    if not again.any():
        return
    position = int(again.argmax())
    row = table.frame.iloc[position]
    same = (table.frame[columns] == row[columns]).all(axis=1).to_numpy()
    values = ", ".join(f"{name} {_readable(row[name])}" for name in columns)
    raise ValueError(
        f"{table.place(position)}: column {columns[0]!r}: {values} stands already in {table.row} "
        f"{int(same.argmax()) + table.first} ({int(again.sum())} such rows); drop duplicates"
    )
