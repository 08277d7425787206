"""A first `log.toml` for tables that nobody has described: what each column seems to be, and why.

Everything here is a guess from names and values, for its owner to correct; each line says so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slategym.envs.types import SignalKind
from slategym.models.data.columns import numbers, seconds, texts
from slategym.models.data.declared_columns import MAX_CATEGORIES
from slategym.models.data.description import (
    BUILT_IN,
    KNOWN,
    PAUSE,
    ColumnEntry,
    Description,
    SignalEntry,
)
from slategym.models.data.log import LIKED_UP, REPEATING
from slategym.models.data.log_toml import to_toml
from slategym.models.data.schema import HALF_STARS, RATING
from slategym.models.data.tables import Table, Tables

DAY = 86_400.0  # seconds
OPINIONS = {"rating", "stars", "score", "grade"}  # feedback on a scale
DEEDS = {  # feedback: what came of an event
    *("dwell", "watch", "watched", "play", "played", "listen", "read", "seconds", "duration"),
    *("stay", "spent", "long_view", "paid", "pay", "revenue", "amount", "spend", "purchase"),
    *("purchased", "buy", "bought", "order", "ordered", "cart", "basket", "share", "shared"),
    *("follow", "followed", "comment", "commented", "forward", "return", "returned", "complete"),
    *("completed", "finish", "finished", "skip", "skipped", "hide", "hidden", "hate", "save"),
    *("saved", "download", "install", "helpful", "votes", "quantity", "count", "recommended"),
}
SURROUNDINGS = {  # context: what was known before
    *("device", "place", "city", "country", "region", "weather", "os", "platform", "browser"),
    *("app", "channel", "page", "query", "season", "temperature", "language", "network"),
    *("location", "store", "campaign", "source", "referrer", "daypart", "holiday", "tab"),
}
UNITS = {"seconds": "s", "sec": "s", "secs": "s", "ms": "ms", "minutes": "minutes", "min": "min"}
MONEY = {"price", "paid", "pay", "revenue", "amount", "spend", "spent", "cost"}
STEPS = (1.0, 0.5, 0.25, 0.1)  # of levels
MAX_LEVELS = 101
ENDS = (1.0, 3.0, 4.0, 5.0, 6.0, 7.0, 10.0, 20.0, 100.0)  # of scales that people use
ID_NAME = re.compile(r"(^|_)(id|url|uri|link|image|img|hash|uuid)$")

USUAL = {  # comments of lines about which there is nothing else to say, by table and key
    "signals.kind": "guess: levels, a step apart",
    "signals.unit": "guess; what its values are counted in",
    "signals.step": "from one level to the next",
    "context.kind": "category: one of some words; number: any number",
    "item_columns.kind": "category: one of some words; number: any number",
    "item_columns.unit": "guess by its name",
}
WORDS_LINES = """
# What people call things here; take the marks away to use them.
# [words]
# item = "item"
# items = "items"
# topic = "topic"
# topics = "topics"
# session = "session"
# sessions = "sessions"
"""


@dataclass
class Guess:
    """A description, a comment for each of its lines, and what was left aside and why."""

    description: Description = field(default_factory=Description)
    comments: dict[str, str] = field(default_factory=dict)  # as `to_toml` takes them
    aside: dict[str, str] = field(default_factory=dict)  # "events: blob" -> why

    def toml(self) -> str:
        """The file, with what was left aside at its end."""
        usual = {
            f"{table}.{entry.name}.{key}": comment
            for (table, key), comment in ((k.split("."), said) for k, said in USUAL.items())
            for entry in getattr(self.description, table)
        }
        text = to_toml(self.description, usual | self.comments) + WORDS_LINES
        if self.aside:
            text += "\n# Not used:\n"
            text += "".join(f"# {_line(name)}: {why}\n" for name, why in self.aside.items())
        return text


def guess(tables: Tables) -> Guess:
    """What those tables seem to hold.

    Args:
        tables: unchecked; what cannot be read is passed over.
    """
    found = Guess()
    signals, context = _event_columns(tables.events, found)
    signals = _given(signals, tables.events, found)
    found.description = Description(
        signals=tuple(signals),
        like_from=_like_from(signals, tables.events, found),
        context=tuple(context),
        item_columns=tuple(_item_columns(tables.items, found)),
        traits=_traits(tables.users, found),
        pause=_pause(tables.events.frame, found),
        slate_size=_slate_size(tables.events.frame, found),
        repeats=_repeats(tables.events.frame, found),
    )
    return found


def _event_columns(table: Table, found: Guess) -> tuple[list[SignalEntry], list[ColumnEntry]]:
    """The columns of events that are feedback, and those that are context."""
    signals: list[SignalEntry] = []
    context: list[ColumnEntry] = []
    for name, column in _further(table, (*BUILT_IN, *KNOWN), found):
        values = _finite(column)
        if values.notna().sum() < texts(column).notna().sum():  # words
            entry = _category(f"events: {name}", name, column, found)
            if entry is not None:
                found.comments[f"context.{name}"] = "guess: words that were known before"
                context.append(entry)
            continue
        named = _named(name)
        if named & SURROUNDINGS:
            few = values.nunique() <= 20
            found.comments[f"context.{name}"] = "guess by its name: known before"
            context.append(
                ColumnEntry(name) if few else ColumnEntry(name, "number", unit=_unit(name))
            )
        elif named & OPINIONS:
            signals.append(_scale(name, values.dropna().to_numpy(), found))
        elif named & DEEDS or _is_binary(values):
            signals.append(_deed(name, values, found))
        else:
            why = "guess: a number that was known before; if it is what came of an event, write"
            found.comments[f"context.{name}"] = f"{why} [signals.{name}] with a kind"
            context.append(ColumnEntry(name, "number", unit=_unit(name)))
    if "rating" in table.frame:
        values = _finite(table.frame["rating"]).dropna()
        signals.append(_scale("rating", values.to_numpy(), found))
    return signals, context


def _given(signals: list[SignalEntry], table: Table, found: Guess) -> list[SignalEntry]:
    """Binary signals first; amounts that are there exactly where one of them is 1 are given it."""
    yes = {
        entry.name: (_finite(table.frame[entry.name]) == 1).to_numpy()
        for entry in signals
        if entry.kind == "binary"
    }
    told = []
    for entry in signals:
        values = _finite(table.frame[entry.name])
        there = (values > 0).to_numpy() if (values == 0).any() else values.notna().to_numpy()
        if entry.kind in ("nonnegative", "count") and there.any():
            given = next((name for name, where in yes.items() if (there == where).all()), None)
            if given is not None and not there.all():
                entry = replace(entry, given=given)
                found.comments[f"signals.{entry.name}.given"] = (
                    f"guess: it is there where {given} is 1, and nowhere else; 0 without it"
                )
        told.append(entry)
    return sorted(told, key=lambda entry: entry.given is not None)


def _further(table: Table, known: tuple[str, ...], found: Guess) -> Iterator[tuple[str, pd.Series]]:
    """Columns beyond the known ones that could be used; the others are left aside."""
    for label, column in table.frame.items():
        name = str(label)
        if name in known:
            continue
        where = f"{table.name.split('.')[0]}: {name}"
        if "." in name or not name:
            found.aside[where] = "a column's name has no dot; rename it to use it"
        elif column.isna().all():
            found.aside[where] = "empty in every row"
        elif pd.api.types.is_datetime64_any_dtype(column.dtype):
            found.aside[where] = "a date; make it a number or a category"
        elif len(column) and isinstance(column.dropna().iloc[0], list | tuple | dict | np.ndarray):
            found.aside[where] = "lists; only topics of items may be"
        elif ID_NAME.search(name.lower()):
            found.aside[where] = "an identifier by its name"
        else:
            yield name, column


def _category(where: str, name: str, column: pd.Series, found: Guess) -> ColumnEntry | None:
    """A column of words as categories, unless they are too many."""
    different = texts(column).nunique()
    if different > MAX_CATEGORIES or (different > 20 and different > len(column) / 2):
        found.aside[where] = (
            f"{different:,} different texts: free text or an identifier, not a category"
        )
        return None
    return ColumnEntry(name)


def _finite(column: pd.Series) -> pd.Series:
    """The column's numbers; NaN where there is none, or an infinite one."""
    return numbers(column).replace([np.inf, -np.inf], np.nan)


def _named(name: str) -> set[str]:
    """The name and its parts: "dwell_ms" is about dwell."""
    parts = [part for part in re.split(r"[^a-z0-9]+", name.lower()) if part]
    parts = [part[3:] if part.startswith("is_") else part for part in parts]
    pairs = {f"{a}_{b}" for a, b in pairwise(parts)}
    return {name.lower(), *parts, *pairs}


def _unit(name: str) -> str:
    for part in re.split(r"[^a-z0-9]+", name.lower()):
        if part in UNITS:
            return UNITS[part]
    return ""


def _is_binary(values: pd.Series) -> bool:
    return bool(values.dropna().isin((0.0, 1.0)).all())


def _deed(name: str, values: pd.Series, found: Guess) -> SignalEntry:
    """What came of an event: yes or no, a number of times, an amount, or any number."""
    seen = values.dropna()
    kind: SignalKind
    if _is_binary(values):
        kind, why = "binary", "guess: 0 or 1"
    elif (seen < 0).any():
        low, high = float(np.floor(seen.min())), float(np.ceil(seen.max()))
        found.comments[f"signals.{name}.kind"] = "guess: a number below 0 is among them"
        found.comments[f"signals.{name}.low"] = "the least seen; write the scale's own"
        return _said(SignalEntry(name, "real", _unit(name), low, high, weight=0.0), found)
    elif (seen == np.rint(seen)).all() and seen.max() <= 1_000 and not _measured(name):
        kind, why = "count", "guess: whole numbers from 0"
    else:
        kind, why = "nonnegative", "guess: an amount from 0"
    found.comments[f"signals.{name}.kind"] = f"{why}; mean {seen.mean():.3g}"
    unit = _unit(name) or {"binary": "count", "count": "count"}.get(kind, _amount(name))
    return _said(SignalEntry(name, kind, unit, weight=0.0), found)


def _said(entry: SignalEntry, found: Guess) -> SignalEntry:
    found.comments[f"signals.{entry.name}.weight"] = "reward per unit; 0: no part of the objective"
    if entry.unit:
        named = _unit(entry.name) or _amount(entry.name)
        found.comments[f"signals.{entry.name}.unit"] = (
            "guess by its name" if named == entry.unit else "guess by its kind"
        )
    return entry


def _measured(name: str) -> bool:
    """Whether whole numbers of it are amounts all the same: seconds, money."""
    return bool(_unit(name) or _named(name) & {*MONEY, "dwell", "watch", "play", "duration"})


def _amount(name: str) -> str:
    """The unit of an amount by its name."""
    named = _named(name)
    if named & MONEY:
        return "money"
    return "s" if named & {"dwell", "watch", "play", "listen", "read", "duration", "stay"} else ""


def _scale(name: str, values: NDArray[np.float64], found: Guess) -> SignalEntry:
    """An opinion: levels if there are few, any number else, on a scale that people use."""
    path = f"signals.{name}"
    if not len(values):
        return SignalEntry(name, "ordinal", low=RATING.low, high=RATING.high, weight=0.0)
    least, most = float(values.min()), float(values.max())
    found.comments[f"{path}.weight"] = "reward per unit; 0: no part of the objective"
    found.comments[f"{path}.low"] = f"the least seen is {least:g}; write the scale's own"
    found.comments[f"{path}.high"] = f"the most seen is {most:g}; write the scale's own"
    for stars in (RATING, HALF_STARS):
        if _multiples(values, stars.step) and stars.low <= least and most <= stars.high:
            return SignalEntry(
                name, "ordinal", "stars", stars.low, stars.high, stars.step, weight=0.0
            )
    step = next(
        (s for s in STEPS if _multiples(values, s) and (most - least) / s < MAX_LEVELS), None
    )
    high = next((end for end in ENDS if 0.8 * end <= most <= end), float(np.ceil(most)))
    low = least if step is not None else float(np.floor(least))
    if least > 0 and step is not None:
        low = min(step, least) if least <= 1 or step >= 1 else least
    if least < 0:
        high = next((e for e in ENDS if max(-least, most) <= e), max(-low, high))
        low = -high
    if least == 0 and (share := (values == 0).mean()) > 0.2:
        found.comments[f"{path}.low"] = (
            f"0 stands in {share:.0%} of the rows: if it means that nothing was said, empty those "
            "cells and write the lowest rating here"
        )
    if step is None or high <= low:
        found.comments[f"{path}.kind"] = "guess: any number between the ends"
        return SignalEntry(name, "real", "points", low, high if high > low else low + 1, weight=0.0)
    found.comments[f"{path}.kind"] = "guess: levels, a step apart"
    return SignalEntry(name, "ordinal", "points", low, high, step, weight=0.0)


def _multiples(values: NDArray[np.float64], step: float) -> bool:
    places = values / step
    return bool((np.abs(places - np.rint(places)) < 1e-6).all())


def _like_from(signals: list[SignalEntry], events: Table, found: Guess) -> float | None:
    """The rating from which on a thing is liked, spelled out."""
    scales = [entry for entry in signals if entry.kind == "ordinal"]
    named = [entry for entry in scales if entry.name == "rating"]
    if not scales or "like" in events.frame:
        return None
    entry = (named or scales)[0]
    assert entry.low is not None and entry.high is not None
    found.comments["like_from"] = (
        f"{entry.name} from here on counts as a like: three quarters up the scale; false: none does"
    )
    if entry.step is None:
        return entry.low + LIKED_UP * (entry.high - entry.low)
    steps = LIKED_UP * (entry.high - entry.low) / entry.step
    return entry.low + entry.step * math.ceil(steps - 1e-9)  # the next level: the same are liked


def _item_columns(table: Table, found: Guess) -> Iterator[ColumnEntry]:
    """The columns of items that describe them."""
    known = ("item", "title", "text", "year", "topics")
    for name, column in _further(table, known, found):
        values = _finite(column)
        path = f"item_columns.{name}"
        if values.notna().sum() < texts(column).notna().sum():
            if texts(column).str.len().mean() > 40 and "text" not in table.frame:
                found.aside[f"items: {name}"] = "a text; call the column text to use it"
                continue
            entry = _category(f"items: {name}", name, column, found)
            if entry is not None:
                found.comments[path] = f"guess: {texts(column).nunique()} categories"
                yield entry
        elif _is_binary(values):
            found.comments[path] = "guess: yes or no"
            yield ColumnEntry(name)
        else:
            found.comments[path] = f"guess: a number, {values.min():g} to {values.max():g}"
            yield ColumnEntry(name, "number", unit=_unit(name) or _amount(name))


def _traits(table: Table | None, found: Guess) -> tuple[ColumnEntry, ...] | None:
    """The columns of users that are traits; None where each is one as it stands."""
    if table is None:
        return None
    entries, as_they_are = [], True
    for name, column in _further(table, ("user",), found):
        values = _finite(column)
        if values.notna().sum() == texts(column).notna().sum() and values.nunique() > 20:
            cuts = np.unique(np.round(values.quantile([0.2, 0.4, 0.6, 0.8]).to_numpy()))
            entries.append(ColumnEntry(name, brackets=tuple(float(cut) for cut in cuts)))
            found.comments[f"traits.{name}.brackets"] = "lower ends, at fifths of the users"
            as_they_are = False
        elif (entry := _category(f"users: {name}", name, column, found)) is not None:
            found.comments[f"traits.{name}"] = f"guess: {texts(column).nunique()} categories"
            entries.append(entry)
    as_they_are &= not any(where.startswith("users: ") for where in found.aside)
    return None if as_they_are else tuple(entries)


def _pause(events: pd.DataFrame, found: Guess) -> float:
    """Half an hour, unless almost nobody does two things within one; then a day."""
    found.comments["pause"] = "seconds without an event that end a visit"
    if not {"user", "time"} <= set(events.columns):
        return PAUSE
    frame = pd.DataFrame({"user": texts(events["user"]), "time": seconds(events["time"])})
    frame = frame.dropna().sort_values(["user", "time"], kind="stable")
    gap = frame["time"].diff().to_numpy()[1:]
    gap = gap[(frame["user"].to_numpy()[1:] == frame["user"].to_numpy()[:-1]) & (gap > 0)]
    if not len(gap):
        return PAUSE
    within = {pause: float((gap < pause).mean()) for pause in (PAUSE, DAY)}
    pause = DAY if within[PAUSE] < 0.1 and within[DAY] > 2 * within[PAUSE] else PAUSE
    found.comments["pause"] += (
        f"; the median time between two events is {np.median(gap):,.0f} s, and "
        f"{within[pause]:.0%} are shorter than this"
    )
    return pause


def _slate_size(events: pd.DataFrame, found: Guess) -> int | None:
    """The commonest number of rows of a slate, where slates are logged."""
    if "slate_id" not in events or "user" not in events:
        return None
    sizes = events.groupby([texts(events["user"]), texts(events["slate_id"])]).size()
    if not len(sizes):
        return None
    size = int(sizes.mode().iloc[0])
    found.comments["slate_size"] = f"items in a slate; {(sizes == size).mean():.0%} have so many"
    return size


def _repeats(events: pd.DataFrame, found: Guess) -> bool | None:
    """Whether people come back to what they had."""
    if not {"user", "item"} <= set(events.columns):
        return None
    pairs = events[["user", "item"]].apply(texts)
    if "click" in events:
        pairs = pairs[(numbers(events["click"]) > 0).to_numpy()]
    share = float(pairs.duplicated().mean()) if len(pairs) else 0.0
    found.comments["repeats"] = (
        f"whether an item may be consumed again; {share:.1%} of rows repeat a pair"
    )
    return share > REPEATING


def _line(text: str) -> str:
    """On one line, whatever the name of the column."""
    return "".join(c if c.isprintable() else " " for c in text)
