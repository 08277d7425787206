"""One's own log: a folder with events, items and, where known, users, as CSV or Parquet."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from multiprocessing import parent_process
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from slategym.envs.names import UsageError
from slategym.envs.types import Column
from slategym.models.checksums import (
    FINISHED,
    Damaged,
    check_files,
    check_stated,
    some_lines,
    stated_in,
)
from slategym.models.data.description import (
    FILE,
    UNDESCRIBED,
    ColumnEntry,
    Description,
    SignalEntry,
)
from slategym.models.data.log import Log, build_log
from slategym.models.data.log_toml import read_description, to_toml
from slategym.models.data.schema import unused_columns
from slategym.models.data.tables import Table, Tables
from slategym.models.files import atomic_path, make_folder
from slategym.models.plain_file import check_file

logger = logging.getLogger(__name__)

LISTED = 8  # columns of a table that are named where nothing reads them
TABLES = ("events", "items", "users")
FORMS = ("csv", "parquet")
CHECKSUMS = "log.sha256"  # of the files that slategym wrote there; a log of one's own has none
WRITING = ".slategym-writing"  # stands in a log's folder while it is written
FORMULA = re.compile(r"'*[=+\-@\t\r]")  # what a spreadsheet would compute, guarded before or not
GUARDED = re.compile(r"^'('*[=+\-@\t\r])")  # the same with a ' before it
_OURS = FINISHED.partition(":")[0].encode()  # what a log.toml of slategym begins with
_TEXTS = ("user", "item", "slate_id", "title", "text", "topics")  # never numbers


def load_folder(folder: str | Path) -> Log:
    """Read, check and number a log; its name is the folder's.

    Args:
        folder: holds events.csv, items.csv and perhaps users.csv, each of them may be a .parquet
            instead, and perhaps log.toml. `schema` says what columns they have, `description` what
            can be said of them.

    Raises:
        FileNotFoundError: if a table is missing.
        Damaged: if slategym wrote one and it was altered.
        ValueError: if one breaks the schema; one line with file, line, column and fix.
    """
    folder = Path(folder)
    tables, description = read_folder(folder)
    log = build_log(folder.resolve().name, tables, description)
    if parent_process() is None:  # workers read what the command has read
        unused = unused_columns(tables, description)
        _say_unused(folder.resolve(), tuple(map(_shortened, unused.items())))
    return log


@cache
def _say_unused(folder: Path, unused: tuple[str, ...]) -> None:
    """Name columns that nothing reads, once: who wrote them may believe that they count."""
    if unused:
        logger.warning(
            "%r: not used, as neither known by name nor declared: %s; slategym data check says how "
            "to have them used",
            folder.name,
            "; ".join(unused),
        )


def _shortened(table: tuple[str, list[str]]) -> str:
    """A table's columns, the first few by name."""
    name, columns = table
    more = [f"and {len(columns) - LISTED} more"] if len(columns) > LISTED else []
    return f"{name}: {', '.join([*map(repr, columns[:LISTED]), *more])}"


def read_folder(
    folder: str | Path, unreadable: dict[str, str] | None = None
) -> tuple[Tables, Description]:
    """The tables of that folder, unchecked, and what its log.toml says; see `load_folder`.

    Args:
        folder: of the log.
        unreadable: where given, a table that is missing or cannot be read is no error; its name and
            the reason are put here, and the table is empty.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    description = read_description(folder)
    return read_tables(folder, description, unreadable), description


def read_tables(
    folder: Path,
    description: Description = UNDESCRIBED,
    unreadable: dict[str, str] | None = None,
) -> Tables:
    """The tables alone; see `read_folder`.

    Raises:
        Damaged: slategym is writing there, or was killed at it: tables of two logs may stand there.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    if (folder / WRITING).exists():
        raise Damaged(
            f"{folder} is half a log: slategym is writing it, or was killed at it ({WRITING} is "
            "there); write it again"
        )
    further = [*description.context, *description.item_columns, *(description.traits or ())]
    labels = [entry.name for entry in further if entry.kind == "category" and not entry.brackets]
    found: dict[str, Table | None] = {}
    for name in TABLES:
        try:
            table = _read(folder, name, labels)
            if table is None and name != "users":
                raise FileNotFoundError(
                    f"{folder}: neither {name}.csv nor {name}.parquet is there; slategym data "
                    "from-table makes a log of one table of events"
                )
        except (OSError, ValueError) as error:
            if unreadable is None:
                raise
            unreadable[name] = str(error)
            if isinstance(error, OSError) and error.filename:
                unreadable[name] = f"{error.strerror}: {error.filename}"
            table = Table(pd.DataFrame(), name)
        found[name] = table
    events, items = found["events"], found["items"]
    assert events is not None and items is not None
    return Tables(events, items, found["users"])


def write_folder(log: Log, folder: str | Path, form: Literal["parquet", "csv"] = "parquet") -> Path:
    """Write a log as a folder that reads as the same log.

    In CSV a text that a spreadsheet would take for a formula gets a ' before it; reading takes it
    away.

    Args:
        log: any.
        folder: made if absent; a log that slategym wrote there is replaced.
        form: of the tables.

    Returns:
        The folder.

    Raises:
        OSError: if it cannot be written. UsageError: it holds a log of somebody's own.
    """
    folder = Path(folder)
    check_replaceable(folder)
    traits = log.traits or tuple(
        Column(name, tuple(str(code) for code in range(size)))
        for name, size in zip(log.profile_names, log.profile_sizes, strict=True)
    )
    events = log.events.assign(
        user=_keys(log.users["key"], log.events["user"]),
        item=_keys(log.items["key"], log.events["item"]),
    )
    items = log.items.drop(columns=["topic", "topics"], errors="ignore").rename(
        columns={"key": "item"}
    )
    items["topics"] = [
        [log.topic_names[g] for g in np.flatnonzero(row_G)] for row_G in log.item_topics
    ]
    if "topics" in log.items:
        items["topics"] = log.items["topics"]
    users = log.users.rename(columns={"key": "user"})
    for table, columns in ((events, log.context), (items, log.item_columns), (users, traits)):
        for column in columns:
            if column.categories:
                names = np.array([*column.categories, None], dtype=object)  # -1: unknown
                table[column.name] = names[table[column.name].to_numpy()]
    description = Description(
        words=log.words,
        signals=tuple(SignalEntry.of(signal) for signal in log.signals),
        like_from=False if log.like_from is None else log.like_from,
        context=tuple(ColumnEntry.of(column) for column in log.context),
        item_columns=tuple(ColumnEntry.of(column) for column in log.item_columns),
        traits=tuple(ColumnEntry.of(column) for column in traits),
        pause=log.pause,
        slate_size=log.slate_size,
        repeats=log.repeats,
        notes=log.notes,
    )
    if form == "csv":
        items["topics"] = items["topics"].map("|".join)
        for table in (events, items, users):
            for column in table.select_dtypes(["object", "string"]):
                table[column] = table[column].map(guarded)
    other = "csv" if form == "parquet" else "parquet"
    with written_whole(folder, description):
        for name, table in zip(TABLES, (events, items, users), strict=True):
            with atomic_path(folder / f"{name}.{form}") as path:
                write = table.to_parquet if form == "parquet" else table.to_csv
                write(path, index=False)
            (folder / f"{name}.{other}").unlink(missing_ok=True)
    return folder


def check_replaceable(folder: Path) -> None:
    """Refuse a folder with a log that slategym did not write: nothing of people's own is lost.

    Raises:
        UsageError: it has tables or a `log.toml` that are not slategym's, or are as they were
            changed since.
    """
    names = (FILE, *(f"{name}.{form}" for name in TABLES for form in FORMS))
    there = [name for name in names if (folder / name).exists()]
    if not there or (folder / WRITING).exists():
        return
    told, why = check_file(folder / FILE), "which slategym did not write"
    with told.open("rb") if told.exists() else BytesIO() as file:
        if file.read(len(_OURS)) == _OURS:
            there, why = changed(folder, there), "changed since slategym wrote the log"
    if there:
        raise UsageError(
            f"{folder} holds {', '.join(there)}, {why}; nothing is written over it: choose another "
            "folder"
        )


def changed(folder: Path, names: Iterable[str]) -> list[str]:
    """Of files of a log that slategym wrote, those that are others than it wrote.

    Raises:
        Damaged: what it says of them cannot be read.
    """
    stated = stated_in(folder / CHECKSUMS)
    found = []
    for name in names if stated else ():
        try:
            check_files(folder, {name: stated[name]})
        except (Damaged, KeyError):
            found.append(name)
    return found


@contextmanager
def written_whole(folder: Path, description: Description) -> Iterator[None]:
    """While the tables of a log are written: `log.toml` is there before and after, or not at all.

    Beside them `CHECKSUMS` is written, which `read_tables` holds the tables against: `log.toml` is
    for its owner to correct, and no longer replaced once it was. What was left by one that was
    killed may be written again.

    Raises:
        OSError: nothing can be written there. UsageError: it holds a log of somebody's own.
    """
    check_replaceable(folder)
    make_folder(folder)
    (folder / WRITING).touch()
    for name in (FILE, CHECKSUMS):
        (folder / name).unlink(missing_ok=True)
    yield
    with atomic_path(folder / FILE) as path:
        path.write_text(FINISHED + to_toml(description), "utf-8")
    tables = (folder / f"{name}.{form}" for name in TABLES for form in FORMS)
    with atomic_path(folder / CHECKSUMS) as path:
        path.write_text(some_lines([folder / FILE, *filter(Path.is_file, tables)]), "utf-8")
    (folder / WRITING).unlink()


def _keys(keys: pd.Series, rows: pd.Series) -> np.ndarray:
    found: np.ndarray = keys.to_numpy()[rows.to_numpy()]
    return found


def _read(folder: Path, name: str, labels: list[str]) -> Table | None:
    """That table from either format; None where there is neither."""
    text, parquet = folder / f"{name}.csv", folder / f"{name}.parquet"
    if text.exists() and parquet.exists():
        raise UsageError(f"{folder}: both {text.name} and {parquet.name} are there; remove one")
    there = [path.name for path in (text, parquet) if check_file(path).exists()]
    stated = stated_in(folder / CHECKSUMS)
    written = {path.name: stated[path.name] for path in (text, parquet) if path.name in stated}
    if not there or written.keys() <= set(there):  # else: another's table instead of it
        check_stated(folder, written, folder / CHECKSUMS)
    if parquet.exists():
        try:
            frame = pd.read_parquet(parquet)
        except (OSError, ValueError) as error:
            line = str(error).strip().splitlines()[0]
            raise UsageError(f"{parquet.name}: not a Parquet file ({line})") from error
        columns = table_names(frame.columns, parquet.name)
        return Table(frame.set_axis(columns, axis="columns"), parquet.name)
    if not text.exists():
        return None
    keys = {*(_TEXTS if name != "users" else ("user",)), *labels}
    form = {"skipinitialspace": True, "encoding": "utf-8-sig", "index_col": False}
    try:
        head = pd.read_csv(text, header=None, nrows=1, dtype=str, keep_default_na=False, **form)
        columns = table_names(head.iloc[0], text.name)
        # "NA" is somebody's item id, and Null somebody's surname: only an empty cell is empty.
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # longer lines than the header
            frame = pd.read_csv(
                text,
                header=0,
                names=columns,
                dtype={column: str for column in columns if column in keys},
                keep_default_na=False,
                na_values=[""],
                low_memory=False,
                **form,
            )
    except pd.errors.ParserWarning as error:
        raise UsageError(
            f"{text.name}: some line has more cells than the header; quote cells with commas"
        ) from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UsageError(f"{text.name}: not a CSV file in UTF-8 ({str(error).strip()})") from error
    for column in columns:
        texts = frame[column].dtype == object or isinstance(frame[column].dtype, pd.StringDtype)
        if texts and frame[column].str.startswith("'", na=False).any():
            frame[column] = frame[column].str.replace(GUARDED, r"\1", regex=True)
    lines = text.read_bytes().rstrip().count(b"\n")
    if lines != len(frame):  # blank lines, or breaks inside cells
        return Table(frame, text.name, first=1, row="record")
    return Table(frame, text.name, first=2, row="line")


def guarded(cell: Any) -> Any:
    """As a spreadsheet shows it and does not compute it: with ' before what begins a formula."""
    return f"'{cell}" if isinstance(cell, str) and FORMULA.match(cell) else cell


def table_names(head: Iterable[object], name: str) -> list[str]:
    """The names of a table's columns, without blanks around them.

    Raises:
        UsageError: if there is one column only, of a table with other marks between its cells; or
            two of one name.
    """
    columns = [str(cell).strip() or f"unnamed {n}" for n, cell in enumerate(head)]
    if len(columns) == 1 and (marks := [mark for mark in (";", "\t") if mark in columns[0]]):
        raise UsageError(f"{name}: cells are parted by {marks[0]!r}; write commas")
    for column in columns:
        if columns.count(column) > 1:
            raise UsageError(f"{name}: two columns are called {column!r}; rename one")
    return columns
