"""One's own log: a folder with events, items and, where known, users, as CSV or Parquet."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from slategym.envs.types import Signal
from slategym.models.data.log import Log, build_log
from slategym.models.data.schema import KNOWN_SIGNALS, Table, Tables


def load_folder(folder: Path, signals: Sequence[Signal] = ()) -> Log:
    """Read, check and number a log; its name is the folder's.

    Args:
        folder: holds events.csv, items.csv and perhaps users.csv, each of them may be a .parquet
            instead. `schema` says what columns they have.
        signals: further columns of events to read, beside click, like and rating.

    Raises:
        FileNotFoundError: if a table is missing.
        ValueError: if one breaks the schema; one line with file, line, column and fix.
    """
    return build_log(folder.resolve().name, read_tables(folder, signals))


def read_tables(folder: Path, signals: Sequence[Signal] = ()) -> Tables:
    """The tables of that folder, unchecked; see `load_folder`."""
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    events, items, users = (_read(folder, name) for name in ("events", "items", "users"))
    for name, table in (("events", events), ("items", items)):
        if table is None:
            raise FileNotFoundError(f"{folder}: neither {name}.csv nor {name}.parquet is there")
    assert events is not None and items is not None
    return Tables(events, items, users, (*KNOWN_SIGNALS, *signals))


def _read(folder: Path, name: str) -> Table | None:
    """That table from either format; None where there is neither."""
    text, parquet = folder / f"{name}.csv", folder / f"{name}.parquet"
    if text.exists() and parquet.exists():
        raise ValueError(f"{folder}: both {text.name} and {parquet.name} are there; remove one")
    if parquet.exists():
        return Table(pd.read_parquet(parquet), parquet.name)
    if not text.exists():
        return None
    keys = {"user": str, "item": str, "slate_id": str, "title": str, "text": str, "topics": str}
    if name == "users":
        keys = {"user": str}
    try:
        # "NA" is somebody's item id, and Null somebody's surname: only an empty cell is empty.
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # longer lines than the header
            frame = pd.read_csv(
                text, dtype=keys, keep_default_na=False, na_values=[""], index_col=False
            )
    except pd.errors.ParserWarning as error:
        raise ValueError(
            f"{text.name}: some line has more cells than the header; quote cells with commas"
        ) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{text.name}: not a CSV file in UTF-8 ({str(error).strip()})") from error
    if text.read_bytes().rstrip().count(b"\n") != len(frame):  # blank lines, or breaks inside cells
        return Table(frame, text.name, first=1, row="record")
    return Table(frame, text.name, first=2, row="line")
