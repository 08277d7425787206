"""One table of events, as shops and data warehouses export them, parted into a log's folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from warnings import catch_warnings, simplefilter

import pandas as pd
from pandas.errors import ParserWarning

from slategym.envs.names import UsageError
from slategym.models.data.describe import DEEDS, OPINIONS
from slategym.models.data.description import NAMES
from slategym.models.data.folder import guarded, table_names
from slategym.models.files import atomic_path, make_folder

EVENTS_OWN = {*DEEDS, *OPINIONS, "click", "like", "clicked", "liked", "slate_id", "position"}
MARKS = (",", ";", "\t", "|")  # between cells
LINE = 1_000_000  # characters of a first line that are looked at
ROWS_EACH = 2  # mean rows of an item or user below which nothing is known to be its own


class Parted(NamedTuple):
    """A log's tables, and which columns the three of a log were."""

    events: pd.DataFrame
    items: pd.DataFrame
    users: pd.DataFrame | None  # None: no column describes users
    named: Mapping[str, str]  # "user", "item", "time" -> column


def read_flat(path: Path) -> pd.DataFrame:
    """The table as it stands, cells as they are written.

    Raises:
        UsageError: it is neither CSV nor Parquet, not there, or cannot be read.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    try:
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path)
        if path.suffix.lower() in (".csv", ".tsv", ".txt"):
            return _read_text(path)
    except UsageError:
        raise
    except (ValueError, OSError, ParserWarning) as error:
        raise UsageError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    raise UsageError(f"{path} ends in {path.suffix or 'nothing'}; give .csv, .tsv or .parquet")


def _read_text(path: Path) -> pd.DataFrame:
    """Its cells are parted by that of `MARKS` which its first line has most of."""
    with path.open(encoding="utf-8-sig") as file:
        first = file.readline(LINE)
    form = {"sep": max(MARKS, key=first.count), "dtype": str, "keep_default_na": False}
    form |= {"encoding": "utf-8-sig", "index_col": False}
    head = pd.read_csv(path, header=None, nrows=1, **form)
    names = table_names(head.iloc[0], path.name)
    with catch_warnings():
        simplefilter("error", ParserWarning)  # longer lines than the header
        return pd.read_csv(path, header=0, names=names, **form)


def part(table: pd.DataFrame, named: Mapping[str, str | None]) -> Parted:
    """Who met what and when in one table, what describes items and users in theirs.

    A column describes items where every item has one value of it and items are met at least twice
    on average; users alike. What comes of an event by its name ("bought") is left in events.

    Args:
        table: a row an event.
        named: columns that are user, item and time; None or missing: by their names.

    Raises:
        UsageError: a column is not there, or none has such a name; one is named twice.
    """
    found = {role: _column(table, role, named.get(role)) for role in NAMES}
    if len(set(found.values())) < len(found):
        raise UsageError(f"user, item and time are three columns; got {', '.join(found.values())}")
    rest = [
        str(name)
        for name in table.columns
        if name not in found.values() and str(name).lower() not in EVENTS_OWN
    ]
    of_items = _own(table, found["item"], rest)
    of_users = _own(table, found["user"], [name for name in rest if name not in of_items])
    turned = {column: role for role, column in found.items()}
    events = table.drop(columns=[*of_items, *of_users]).rename(columns=turned)
    events = events[[*NAMES, *(name for name in events.columns if name not in NAMES)]]
    items = table[[found["item"], *of_items]].drop_duplicates(found["item"])
    users = table[[found["user"], *of_users]].drop_duplicates(found["user"])
    return Parted(
        events,
        items.rename(columns=turned),
        users.rename(columns=turned) if of_users else None,
        found,
    )


def write_parted(parted: Parted, folder: Path) -> list[Path]:
    """As CSV files that `data check` reads.

    Returns:
        The files.

    Raises:
        UsageError: there is a table of a log in the folder already.
    """
    tables = {"events": parted.events, "items": parted.items, "users": parted.users}
    there = [p for name in tables for p in folder.glob(f"{name}.*")]
    if there:
        raise UsageError(f"{there[0]} is there already; choose another folder with --out")
    make_folder(folder)
    written = []
    for name, table in tables.items():
        if table is not None:
            path = folder / f"{name}.csv"
            for column in table.select_dtypes(["object", "string"]):
                table[column] = table[column].map(_guarded)
            with atomic_path(path) as temporary:
                table.rename(columns=guarded).to_csv(temporary, index=False)
            written.append(path)
    return written


def _guarded(cell: Any) -> Any:
    """As `folder.guarded`, but for numbers, which are texts here: -5 stays -5."""
    try:
        float(cell)
    except (TypeError, ValueError):
        return guarded(cell)
    return cell


def _column(table: pd.DataFrame, role: str, given: str | None) -> str:
    """Which column is the user, item or time."""
    known = {str(name).strip().lower(): str(name) for name in table.columns}
    columns = ", ".join(map(str, table.columns))
    if given is not None:
        if given not in table.columns:
            raise UsageError(f"there is no column {given!r}; the table has {columns}")
        return given
    for name in NAMES[role]:
        if name in known:
            return known[name]
    raise UsageError(f"which column is the {role}? Say so with --{role} NAME; there are {columns}")


def _own(table: pd.DataFrame, key: str, names: list[str]) -> list[str]:
    """Of these columns those that have one value for each key, and more than one in all."""
    groups = table.groupby(key, sort=False)
    if len(table) < ROWS_EACH * groups.ngroups:
        return []
    return [
        name
        for name in names
        if table[name].nunique(dropna=False) > 1
        and int(groups[name].nunique(dropna=False).max()) == 1
    ]
