"""A folder held against the door: every problem at once, or the log and what it is fit for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from slategym.models.data.datasets import find_log, load_log
from slategym.models.data.describe import guess
from slategym.models.data.description import FILE, Description
from slategym.models.data.fitness import Facts, Use, facts, uses, warnings
from slategym.models.data.folder import read_tables
from slategym.models.data.log import Log, number
from slategym.models.data.log_toml import DescriptionError, read_description
from slategym.models.data.log_toml_reader import Mistake
from slategym.models.data.problems import Problem
from slategym.models.data.schema import inspect, unused_columns
from slategym.models.data.tables import Tables


@dataclass(frozen=True)
class Unreadable:
    """A table that is missing, or no table at all."""

    table: str  # "events"
    message: str

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Checked:
    """What was found in a folder: problems, or a log."""

    name: str
    problems: list[Problem | Unreadable | Mistake]  # none: `log` is there
    log: Log | None = None
    facts: Facts | None = None
    uses: list[Use] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)  # a line each, with how to use them


def check_log(log: str | Path, *, progress: bool = True) -> Checked:
    """Check a folder, or say what a named data set is fit for; see `datasets.load_log`.

    Raises:
        UsageError: if it is neither. OSError: if a data set cannot be fetched.
    """
    found = find_log(log)
    if isinstance(found, Path):
        return check_folder(found)
    return _good(load_log(log, progress=progress))


def _good(log: Log, unused: Sequence[str] = ()) -> Checked:
    known = facts(log)
    return Checked(log.name, [], log, known, uses(log, known), warnings(log, known), list(unused))


def check_folder(folder: Path) -> Checked:
    """Check the log in that folder; see `folder.load_folder`.

    Raises:
        FileNotFoundError: if there is no such folder.
    """
    unreadable: dict[str, str] = {}
    mistakes, doubtful = list[Mistake](), set[str]()
    try:
        description = read_description(folder)
    except DescriptionError as error:
        mistakes, description, doubtful = list(error.mistakes), error.rest, error.columns
    tables = read_tables(folder, description, unreadable)
    name = folder.resolve().name
    settled, problems = inspect(tables, description)
    problems = [p for p in problems if p.table not in unreadable]
    if mistakes:  # what follows from a wrong description is no problem of the tables
        whole = all(mistake.key for mistake in mistakes)  # the rest of it could be read
        problems = [p for p in problems if whole and p.place and p.column not in doubtful]
    if settled is None or mistakes:
        lines = [Unreadable(table, message) for table, message in unreadable.items()]
        return Checked(name, [*mistakes, *lines, *problems])
    unused = _unused(tables, description, has_description=(folder / FILE).exists())
    return _good(number(name, settled, description), unused)


def _unused(tables: Tables, description: Description, has_description: bool) -> list[str]:
    """Columns that nothing reads, and how to have them used."""
    unused = unused_columns(tables, description)
    if not unused:
        return []
    frames = [tables.events, tables.items, *([tables.users] if tables.users else [])]
    left = [
        type(table)(table.frame[[*_keys(table.frame), *unused.get(table.name, [])]], table.name)
        for table in frames
    ]
    found = guess(Tables(left[0], left[1], left[2] if len(left) > 2 else None))
    lines = []
    for table, columns in unused.items():
        room = table.split(".")[0]
        tables_of = {
            f"{key}.{entry.name}": entry.name
            for key, entries in (
                ("signals", found.description.signals),
                ("context", found.description.context),
                ("item_columns", found.description.item_columns),
                ("traits", found.description.traits or ()),
            )
            for entry in entries
        }
        said = {name: path for path, name in tables_of.items()}
        for column in columns:
            how = (
                f"declare it: [{said[column]}]"
                if column in said
                else found.aside.get(f"{room}: {column}", f"declare it in {FILE}")
            )
            lines.append(f"{table}: not used: {column} ({how})")
    if not has_description:
        lines.append(f"slategym data describe FOLDER --write writes a {FILE} that uses them")
    return lines


def _keys(frame: pd.DataFrame) -> list[str]:
    return [name for name in ("user", "item", "time") if name in frame]
