"""Attributes that a log's description declares: of events, items and users; what they may hold."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from slategym.envs.types import Column
from slategym.models.data.columns import Rule, texts
from slategym.models.data.description import FILE, ColumnEntry
from slategym.models.data.problems import Inspection
from slategym.models.data.tables import Table

MAX_CATEGORIES = 1_000  # of one column; more is an identifier, not an attribute
UNKNOWN = "unknown"  # category of a trait whose cell is empty


def column_rules(entries: tuple[ColumnEntry, ...], where: str) -> dict[str, Rule]:
    """What each of them may hold; `where` says, with its name, where it is declared."""
    rules = {}
    for entry in entries:
        place = where.format(entry.name)
        if entry.kind == "number":
            low = -np.inf if entry.low is None else entry.low
            high = np.inf if entry.high is None else entry.high
            span = "" if np.isinf(low) and np.isinf(high) else f" from {low:g} to {high:g}"
            fix = f"{place} says a number{span}; leave unknown ones empty"
            rules[entry.name] = Rule("number", fix, low, high, empty=True)
        else:
            listed = ", ".join((entry.categories or ())[:8])
            fix = f"{place} says one of {listed}" if listed else f"{place} declares it"
            rules[entry.name] = Rule("category", fix, empty=True, categories=entry.categories)
    return rules


def declared_columns(
    table: Table, settled: pd.DataFrame, entries: tuple[ColumnEntry, ...], inspection: Inspection
) -> tuple[Column, ...]:
    """What the declared columns are; what is not declared of them is found."""
    columns = []
    for entry in entries:
        if entry.name not in settled:
            continue
        values = settled[entry.name]
        if len(values) and values.isna().all():
            fix = f"drop the column, and its table in {FILE}"
            inspection.say(table, " is known in no row", fix, entry.name)
            continue
        if entry.kind == "category":
            found = categories_of(table.frame[entry.name], entry)
            if len(found) > MAX_CATEGORIES:
                too_many(table, entry.name, len(found), "a category column", inspection)
            columns.append(Column(entry.name, found))
            continue
        low, high = values.min(), values.max()
        low = float(low) if entry.low is None else entry.low
        high = float(high) if entry.high is None else entry.high
        columns.append(Column(entry.name, (), entry.unit, low, high if high > low else low + 1))
    return tuple(columns)


def categories_of(column: pd.Series, entry: ColumnEntry) -> tuple[str, ...]:
    """The categories: declared, or the column's own, or those found, numbers by size."""
    if entry.categories is not None:
        return entry.categories
    if isinstance(column.dtype, pd.CategoricalDtype):
        return tuple(texts(pd.Series(column.cat.categories)))
    if pd.api.types.is_numeric_dtype(column.dtype):
        return tuple(texts(pd.Series(np.sort(column.dropna().unique()))))
    return tuple(sorted(texts(column).dropna().unique()))


def bracketed(values: pd.Series, ends: tuple[float, ...]) -> tuple[pd.Series, tuple[str, ...]]:
    """Numbers as names of brackets, NaN where there is none; and all names, lowest first."""
    between = [f"{low:g} to {high:g}" for low, high in pairwise(ends)]
    names = (f"under {ends[0]:g}", *between, f"{ends[-1]:g} and over")
    place = np.searchsorted(np.array(ends), values.to_numpy(), side="right")
    bracket = pd.Series(np.array(names, dtype=object)[place], dtype="str")
    return bracket.mask(values.isna().to_numpy()), names


def too_many(table: Table, column: str, size: int, what: str, inspection: Inspection) -> None:
    """Say that a column of this size is an identifier rather than an attribute."""
    inspection.say(
        table,
        f" has {size} distinct values",
        f"{what} has at most {MAX_CATEGORIES}: group them (ages into brackets, say) or drop the "
        "column",
        column,
    )
