"""The door: what a log's tables must hold, and one clear line for each thing that does not.

A log comes as three tables. `*` marks what may be left out.

events: user, item, time (unix seconds in UTC, or ISO dates and times); hour*, weekday* (local, else
    from the time's own zone or UTC); slate_id*, position*; propensity* (of the whole slate, or
    of the row where a slate has one), slot_propensity* (of the slot's item given the slots before
    it), position_propensity* (of the item in that slot, whatever the others hold); one column per
    signal, of which click, like and rating are known by name and any other is declared in
    `log.toml`, and per context column that is declared there. An empty cell is a signal that was
    not observed.
items: item, title* (else the item's id); text*, year*, topics* ("Comedy|Drama", or lists), and
    item columns that are declared.
users*: user, and a column for each categorical trait; an empty cell is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slategym.envs.names import UsageError
from slategym.envs.types import CLICK, Column, Signal
from slategym.models.data.columns import (
    YEAR_2100,
    Rule,
    codes,
    numbers,
    offsets,
    signal_rule,
)
from slategym.models.data.declared_columns import (
    MAX_CATEGORIES,
    UNKNOWN,
    bracketed,
    categories_of,
    column_rules,
    declared_columns,
    too_many,
)
from slategym.models.data.description import (
    FILE,
    KNOWN,
    PROPENSITIES,
    UNDESCRIBED,
    ColumnEntry,
    Description,
    SignalEntry,
    resolve_signal,
)
from slategym.models.data.problems import LISTED, Inspection, Problem, readable
from slategym.models.data.tables import Table, Tables

LIKE = Signal("like", "binary", "count", 0.0, 1.0)
RATING = Signal("rating", "ordinal", "stars", 1.0, 5.0)
HALF_STARS = RATING._replace(low=0.5, step=0.5)

OTHER_SCALES = (
    f"; a rating of another scale is declared in {FILE}, which slategym data describe writes"
)


@dataclass(frozen=True)
class Settled:
    """Tables whose columns have their types, and what the columns are. Rows as they came."""

    # user, item text; time float64 seconds; hour, weekday, slate_id, position, propensity where
    # they are; a float64 column per signal; text or float64 per context column.
    events: pd.DataFrame
    items: pd.DataFrame  # item, title text; text, year, topics; text or float64 per item column
    users: pd.DataFrame  # user text, and an int32 code per trait
    signals: tuple[Signal, ...]  # logged ones, declared ones first
    context: tuple[Column, ...]
    item_columns: tuple[Column, ...]
    traits: tuple[Column, ...]


_EVENT_RULES = {
    "user": Rule("key", "every event names its user"),
    "item": Rule("key", "every event names its item"),
    "time": Rule(
        "time",
        "times are unix seconds in UTC, 0 to the year 2100 (milliseconds / 1000), or all of them "
        "ISO dates and times",
        0,
        YEAR_2100,
    ),
    "hour": Rule("number", "an hour is local and in [0, 24)", 0, 23.999999, required=False),
    "weekday": Rule("whole", "a weekday is 0 (Monday) to 6", 0, 6, required=False),
    "slate_id": Rule(
        "key", "every event names its slate, or the column is left out", required=False
    ),
    "position": Rule(
        "whole", "a position is a slot of the slate, a whole number from 0", 0, 1e6, required=False
    ),
    **{
        name: Rule("number", "a propensity is a probability in (0, 1]", 5e-324, 1, required=False)
        for name in PROPENSITIES
    },
}
_ITEM_RULES = {
    "item": Rule("key", "every item has an id"),
    "title": Rule("text", "every item has a title", required=False),
    "text": Rule("text", "texts are words", required=False, empty=True),
    "year": Rule(
        "whole",
        "a year is a whole number, 0 or nothing where it is unknown, to 2100",
        0,
        2100,
        required=False,
        empty=True,
    ),
    "topics": Rule(
        "topics",
        "an empty topic name; write topics as Comedy|Drama or as a list of names, and nothing for "
        "an item without any",
        required=False,
    ),
}


def inspect(tables: Tables, description: Description) -> tuple[Settled | None, list[Problem]]:
    """Hold the tables against the schema and the description.

    Returns:
        What they hold, None if there is any problem; and every problem of every column, the first
        `LISTED` rows of each.
    """
    inspection = Inspection()
    events, signals, context = _events(tables.events, description, inspection)
    items, item_columns = _items(tables.items, description, inspection)
    users, traits = _users(tables.users, description, inspection)
    _across(tables, events, items, users, inspection)
    if inspection.problems:
        return None, inspection.problems
    if users is None:
        users = pd.DataFrame({"user": np.sort(events["user"].unique())})
    return Settled(events, items, users, signals, context, item_columns, traits), []


def unused_columns(tables: Tables, description: Description = UNDESCRIBED) -> dict[str, list[str]]:
    """Table name -> columns that nothing reads: neither known by name nor declared."""
    declared = {entry.name for entry in description.signals}
    declared |= {entry.name for entry in description.context}
    known = [
        (tables.events, _EVENT_RULES.keys() | declared | set(KNOWN)),
        (tables.items, _ITEM_RULES.keys() | {e.name for e in description.item_columns}),
    ]
    if tables.users is not None and description.traits is not None:
        known.append((tables.users, {"user"} | {e.name for e in description.traits}))
    return {
        table.name: unknown
        for table, names in known
        if (unknown := [str(name) for name in table.frame.columns if name not in names])
    }


def _events(
    table: Table, description: Description, inspection: Inspection
) -> tuple[pd.DataFrame, tuple[Signal, ...], tuple[Column, ...]]:
    """The events, their signals and their context."""
    signals = list(_signals(table, description.signals, inspection))
    declared = any(e.name == "rating" and e.low is not None for e in description.signals)
    hint = "" if declared else OTHER_SCALES
    rules = _EVENT_RULES | {
        s.name: signal_rule(s, hint if s.name == "rating" else "") for s in signals
    }
    rules |= column_rules(description.context, "[context.{}] of " + FILE)
    settled = inspection.settle(table, rules)
    signals = [signal for signal in signals if signal.name in settled]
    if not signals and not any(p.table == table.name and not p.place for p in inspection.problems):
        names = ", ".join(dict.fromkeys([*(e.name for e in description.signals), *KNOWN]))
        found = ", ".join(map(str, table.frame.columns))
        inspection.say(
            table,
            f" no signal; at least one of the columns {names} is needed",
            "where every row is something that was taken up, a click of 1 in each says so; declare "
            f"any other in {FILE}, which slategym data describe writes (found: {found})",
        )
    for signal in signals:
        if len(settled) and table.frame[signal.name].isna().all():
            inspection.say(table, " is empty in every row", "drop the column", signal.name)
    if "time" in settled and "hour" not in settled:
        ahead_E = offsets(table.frame["time"])
        if ahead_E is not None:
            settled["hour"] = (settled["time"] + ahead_E) % 86_400 / 3_600
            if "weekday" not in settled:
                settled["weekday"] = ((settled["time"] + ahead_E) // 86_400 + 3) % 7
    _given(table, settled, signals, inspection)
    context = declared_columns(table, settled, description.context, inspection)
    return settled, tuple(signals), context


def _given(
    table: Table, settled: pd.DataFrame, signals: Sequence[Signal], inspection: Inspection
) -> None:
    """What there is only with another signal is nothing without it."""
    for signal in signals:
        if signal.given is None:
            continue
        where = f"[signals.{signal.name}] of {FILE}"
        if signal.given not in settled:
            says = f" is missing, without which {signal.name} is 0"
            inspection.say(table, says, f"{where} says given = {signal.given!r}", signal.given)
            continue
        bad_E = (settled[signal.given] == 0) & (settled[signal.name] > 0)
        if bad_E.any():
            fix = f"{where} says that it is 0 then: given = {signal.given!r}"
            says = f" where {signal.given} is 0"
            inspection.rows(table, signal.name, bad_E.to_numpy(), fix, says)


def _signals(
    table: Table, entries: tuple[SignalEntry, ...], inspection: Inspection
) -> Iterator[Signal]:
    """Declared signals in their order, then those known by name, as far as they are there."""
    declared = {entry.name: entry for entry in entries}
    for name in dict.fromkeys([*declared, *KNOWN]):
        entry = declared.get(name, SignalEntry(name))
        if name not in table.frame:
            if name in declared and name not in ("click", "like"):  # these two can be derived
                inspection.say(
                    table, " is missing", f"[signals.{name}] of {FILE} declares it", name
                )
            continue
        try:
            yield resolve_signal(entry, _known(name, table.frame[name]))
        except UsageError as error:
            inspection.problems.append(
                Problem(FILE, "", "", f" {error}".replace(f" {FILE}:", ""), "write it")
            )


def _known(name: str, column: pd.Series) -> Signal | None:
    """What a name says of a signal; of a rating, its values say whether it counts half stars."""
    if name == "rating":
        values = numbers(column).dropna().to_numpy()
        halves = values[(values >= 0.5) & (values <= 5) & (values * 2 == np.rint(values * 2))]
        whole = len(halves) == len(values) and (halves != np.rint(halves)).any()
        return (HALF_STARS if whole else RATING)._replace(provenance="logged")
    known = {"click": CLICK, "like": LIKE}.get(name)
    return known._replace(provenance="logged") if known else None


def _items(
    table: Table, description: Description, inspection: Inspection
) -> tuple[pd.DataFrame, tuple[Column, ...]]:
    """The items and their columns."""
    rules = _ITEM_RULES | column_rules(description.item_columns, "[item_columns.{}] of " + FILE)
    settled = inspection.settle(table, rules)
    return settled, declared_columns(table, settled, description.item_columns, inspection)


def _users(
    table: Table | None, description: Description, inspection: Inspection
) -> tuple[pd.DataFrame | None, tuple[Column, ...]]:
    """The users with a code per trait; None where there is no table."""
    if table is None:
        for entry in description.traits or ():
            inspection.problems.append(
                Problem(
                    "users", "", entry.name, " is missing",
                    f"[traits.{entry.name}] of {FILE} declares it, and there is no table of users",
                )
            )  # fmt: skip
        return None, ()
    entries = description.traits
    if entries is None:
        entries = tuple(ColumnEntry(str(name)) for name in table.frame.columns if name != "user")
    rules = {"user": Rule("key", "every user has an id")}
    for entry in entries:
        fix = f"a {entry.name} is declared in {FILE}; leave unknown ones empty"
        kind: Literal["number", "category"] = "number" if entry.brackets else "category"
        rules[entry.name] = Rule(kind, fix, empty=True, categories=entry.categories)
    settled = inspection.settle(table, rules)
    traits = []
    for entry in entries:
        if entry.name not in settled:
            continue
        values = settled[entry.name]
        if len(values) and values.isna().all():
            inspection.say(table, " is known in no row", "drop the column", entry.name)
            continue
        if entry.brackets:
            values, found = bracketed(values, entry.brackets)
        else:
            found = categories_of(table.frame[entry.name], entry)
        if values.isna().any():
            found = found if UNKNOWN in found else (*found, UNKNOWN)
            values = values.fillna(UNKNOWN)
        if len(found) > MAX_CATEGORIES:
            too_many(table, entry.name, len(found), "a trait", inspection)
            continue
        settled[entry.name] = codes(values, found)
        traits.append(Column(entry.name, found))
    return settled, tuple(traits)


def _across(
    tables: Tables,
    events: pd.DataFrame,
    items: pd.DataFrame,
    users: pd.DataFrame | None,
    inspection: Inspection,
) -> None:
    """What only several columns, or several tables, can break."""
    identity = [n for n in ("user", "item", "time", "slate_id", "position") if n in events]
    if {"user", "item", "time"} <= set(identity):
        _unique(tables.events, events, identity, inspection)
    if {"user", "slate_id", "position"} <= set(identity):
        slots = ["user", "slate_id", "position"]
        again_E = events.duplicated(slots) & ~events.duplicated(identity)
        if again_E.any():
            fix = "a slot of a slate holds one item; number positions anew, or name the slates"
            inspection.rows(
                tables.events, "position", again_E.to_numpy(), fix, " again in its slate"
            )
    pairs = [("item", items, tables.items)]
    if users is not None and tables.users is not None:
        pairs.append(("user", users, tables.users))
    for key, known, table in pairs:
        if len(known) and key in known:
            _unique(table, known, [key], inspection)
            if key in events:
                _known_keys(tables.events, events, key, known, table, inspection)


def _known_keys(
    table: Table,
    events: pd.DataFrame,
    column: str,
    known: pd.DataFrame,
    where: Table,
    inspection: Inspection,
) -> None:
    """Every key of that column stands in the other table."""
    unknown_E: NDArray[np.bool_] = ~events[column].isin(known[column]).to_numpy()
    unknown_E &= events[column].notna().to_numpy()
    if unknown_E.any():
        fix = f"add it there or drop such rows ({int(unknown_E.sum())} of {len(unknown_E)})"
        whole = events.loc[unknown_E, column].str.removesuffix(".0")
        if whole.isin(known[column]).all():
            fix = f"write {column}s as whole numbers: beside empty cells they became decimal ones"
        inspection.rows(table, column, unknown_E, fix, f", which is not in {where.name}")


def _unique(
    table: Table, settled: pd.DataFrame, columns: list[str], inspection: Inspection
) -> None:
    """No two rows are the same in these columns."""
    again_E = (settled.duplicated(columns) & settled[columns[0]].notna()).to_numpy()
    positions = np.flatnonzero(again_E)
    for position in positions[:LISTED]:
        row = settled.iloc[position]
        same_E = np.logical_and.reduce([(settled[n] == row[n]).to_numpy() for n in columns])
        values = ", ".join(f"{name} {readable(row[name])}" for name in columns)
        first = table.place(int(same_E.argmax()))
        says = f": {values} stands already in {first} ({len(positions)} such rows)"
        place = table.place(int(position))
        inspection.problems.append(
            Problem(table.name, place, columns[0], says, "drop duplicates", values)
        )
