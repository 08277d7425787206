"""Single columns of a log's tables: what each must hold, and its values with their types settled.

A column is read whole: every row that breaks its rule is found at once, not the first alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slategym.envs.types import Signal

YEAR_2100 = 4_102_444_800  # unix seconds; every time in milliseconds since 1970-02-17 is later
OFFSET = r"\d:\d{2}\S*([+-]\d{2}):?(\d{2})$"  # the zone that an ISO time ends with
EPOCH = pd.Timestamp(0, tz="UTC")
EXACT = 2**53  # whole numbers from here on lose digits as floating point
SINGLE = 2.0**-24  # relative error of a number kept in single precision
PRINTED_NAME = r"""'([^']*)'|"([^"]*)\""""  # in a list of texts as Python or NumPy prints it
PRINTED = re.compile(rf"\[\s*(?:(?:{PRINTED_NAME})\s*(?:,\s*)?)*\]")

Bad = NDArray[np.bool_]  # (rows,) True where the rule is broken


@dataclass(frozen=True)
class Rule:
    """What the cells of a column hold, and what to do where they do not."""

    kind: Literal["key", "text", "number", "whole", "level", "time", "topics", "category"]
    fix: str  # for people: the rule, and how to keep it
    low: float = -np.inf
    high: float = np.inf
    step: float = 1.0  # of levels: from low, by so much
    required: bool = True  # the column must be there
    empty: bool = False  # a cell may be
    categories: tuple[str, ...] | None = None  # None: any


def settle(column: pd.Series, rule: Rule) -> tuple[pd.Series, Bad]:
    """The column's values with their type, and which rows break the rule.

    Returns:
        Text for keys, texts and categories; float64 for numbers and times (seconds); lists of
        texts for topics. Empty cells are NaN (None in lists of topics).
    """
    if rule.kind == "topics":
        return _topics(column)
    if rule.kind == "time":
        values: pd.Series = seconds(column)
    elif rule.kind in ("key", "text", "category"):
        values = texts(column)
    else:
        values = pd.Series(_at_limits(numbers(column).to_numpy(np.float64), rule))
    empty_E = values.isna().to_numpy()
    said_E = ~texts(column).isna().to_numpy() if empty_E.any() else ~empty_E
    bad_E = empty_E & said_E  # something stands there, and is no number or no time
    if not rule.empty:
        bad_E |= empty_E
    if rule.categories is not None:
        bad_E |= ~empty_E & ~values.isin(list(rule.categories)).to_numpy()
    if rule.kind in ("key", "text", "category"):
        bad_E |= _lists(column)
    else:
        bad_E |= ~empty_E & ~_within(values.to_numpy(np.float64), rule)
    return values, bad_E


def _lists(column: pd.Series) -> Bad:
    """Which cells of a column of texts are lists, which their printed form would stand for."""
    if pd.api.types.infer_dtype(column, skipna=True) != "mixed":
        return np.zeros(len(column), bool)
    found: Bad = column.map(pd.api.types.is_list_like).to_numpy(bool)
    return found


def _at_limits(values_E: NDArray[np.float64], rule: Rule) -> NDArray[np.float64]:
    """Values that are a limit of the range but for the rounding of single precision are that."""
    for limit in (rule.low, rule.high):
        if np.isfinite(limit):
            near_E = np.abs(values_E - limit) <= SINGLE * abs(limit)
            values_E = np.where(near_E, limit, values_E)
    return values_E


def _within(values_E: NDArray[np.float64], rule: Rule) -> Bad:
    """Whether each is finite, in range and, of whole numbers and levels, one of them."""
    with np.errstate(invalid="ignore"):
        good: Bad = np.isfinite(values_E) & (values_E >= rule.low) & (values_E <= rule.high)
        if rule.kind == "whole":
            good &= values_E == np.rint(values_E)
        if rule.kind == "level":
            steps_E = (values_E - rule.low) / rule.step
            good &= np.abs(steps_E - np.rint(steps_E)) < 1e-4
    return good


def rounded(column: pd.Series) -> Bad:
    """Which cells are whole numbers so large that floating point has lost digits of them."""
    if not pd.api.types.is_float_dtype(column.dtype):
        return np.zeros(len(column), bool)
    values = column.to_numpy(np.float64, na_value=np.nan)
    found: Bad = np.isfinite(values) & (np.abs(values) >= EXACT)
    return found


def is_empty(cell: object) -> bool:
    """Whether nothing stands in a cell that holds no list."""
    missing: bool = pd.api.types.is_scalar(cell) and bool(pd.isna(cell))
    return missing or not str(cell).strip()


def texts(column: pd.Series) -> pd.Series:
    """Cells as text without blanks around it; NaN where nothing is left. 7.0 is "7"."""
    if pd.api.types.is_float_dtype(column.dtype):
        values = column.to_numpy(np.float64, na_value=np.nan)
        whole = np.isfinite(values) & (np.abs(values) < EXACT) & (values == np.rint(values))
        if whole.sum() == np.isfinite(values).sum():
            column = pd.Series(pd.array(np.where(whole, values, 0), dtype="Int64")).mask(~whole)
    empty = column.isna().to_numpy()
    text = column.reset_index(drop=True).astype("str").str.strip()
    return text.mask(empty | (text == "").to_numpy())


def numbers(column: pd.Series) -> pd.Series:
    """Cells as float64; NaN where they are none."""
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return pd.Series(np.full(len(column), np.nan))
    found = pd.to_numeric(column, errors="coerce")
    return pd.Series(found.to_numpy(np.float64, na_value=np.nan))


def seconds(column: pd.Series) -> pd.Series:
    """Moments as unix seconds, float64: numbers as they are, dates and times in UTC or a zone.

    Numbers and dates in one column: then the dates are NaN.
    """
    if not pd.api.types.is_datetime64_any_dtype(column.dtype):
        found = numbers(column)
        if found.notna().any() or column.isna().all():
            return found
        column = pd.to_datetime(texts(column), format="ISO8601", errors="coerce", utc=True)
    moments = pd.to_datetime(column, utc=True)
    return pd.Series(((moments - EPOCH) / pd.Timedelta(seconds=1)).to_numpy(np.float64))


def offsets(column: pd.Series) -> NDArray[np.float64] | None:
    """Seconds by which each moment's own clock is ahead of UTC; None where no zone is said."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        there = column.dt.tz_localize(None) - column.dt.tz_convert("UTC").dt.tz_localize(None)
        return np.asarray((there / pd.Timedelta(seconds=1)).fillna(0.0), np.float64)
    if pd.api.types.is_datetime64_any_dtype(column.dtype) or numbers(column).notna().any():
        return None
    zone = texts(column).str.extract(OFFSET)
    if zone[0].isna().all():
        return None
    hours = numbers(zone[0]).fillna(0.0).to_numpy()
    sign = np.where(zone[0].str.startswith("-", na=False), -1, 1)
    return np.asarray(hours * 3_600 + sign * numbers(zone[1]).fillna(0.0).to_numpy() * 60)


def _topics(column: pd.Series) -> tuple[pd.Series, Bad]:
    """Lists of names, from lists, printed ones too, or from "Comedy|Drama".

    A row with an empty name is bad.
    """
    lists: list[list[str] | None] = []
    bad = np.zeros(len(column), bool)
    for row, cell in enumerate(column):
        if isinstance(cell, list | tuple | np.ndarray):
            names = ["" if is_empty(name) else str(name).strip() for name in cell]
        elif is_empty(cell):
            names = []
        else:
            printed = _printed(str(cell))
            parts = str(cell).split("|") if printed is None else printed
            names = [name.strip() for name in parts]
        bad[row] = "" in names
        lists.append(list(dict.fromkeys(names)) or None)
    return pd.Series(lists, dtype=object), bad


def _printed(text: str) -> list[str] | None:
    """What a list of texts or numbers holds that Python, NumPy or JSON printed; None: no list."""
    text = text.strip()
    if not text.startswith("["):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, list) and all(isinstance(name, str | int) for name in found):
        return [str(name) for name in found]
    if PRINTED.fullmatch(text):
        return [one or other for one, other in re.findall(PRINTED_NAME, text)]
    return None


def signal_rule(signal: Signal, hint: str = "") -> Rule:
    """What the cells of that signal's column hold; an empty one was not observed.

    Args:
        signal: with its scale.
        hint: what else to do, behind the rule.
    """
    name, unit, low, high = signal.name, signal.unit, signal.low, signal.high
    if signal.kind == "binary":
        fix = f"a {name} is 0 or 1"
        return Rule("whole", fix, 0, 1, required=False, empty=name != "click")
    scale = f"from {low:g} to {high:g}" if np.isfinite(high) else f"from {low:g}"
    shown = f" ({unit})" if unit else ""
    if signal.kind == "ordinal":
        steps = "" if signal.step == 1 else f" in steps of {signal.step:g}"
        fix = f"a {name} is a number {scale}{steps}{shown}: rescale, or drop such rows{hint}"
        return Rule("level", fix, low, high, signal.step, required=False, empty=True)
    kind: Literal["whole", "number"] = "whole" if signal.kind == "count" else "number"
    noun = "whole number" if kind == "whole" else "number"
    fix = f"a {name} is a {noun} {scale}{shown}: rescale, or drop such rows{hint}"
    return Rule(kind, fix, low, high, required=False, empty=True)


def distinct(values: pd.Series) -> tuple[str, ...]:
    """The different texts, sorted."""
    return tuple(sorted(values.dropna().unique()))


def codes(values: pd.Series, categories: Sequence[str]) -> NDArray[np.int32]:
    """Place of each text among the categories, int32; -1 where it is empty or none of them."""
    found: NDArray[np.int32] = pd.Index(categories, dtype="str").get_indexer(values)
    return found.astype(np.int32)
