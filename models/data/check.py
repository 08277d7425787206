"""A folder held against the door: every problem at once, or the log and what it is fit for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from slategym.models.data.describe import guess
from slategym.models.data.description import FILE, Description
from slategym.models.data.fitness import Facts, Use, facts, uses, warnings
from slategym.models.data.folder import read_folder
from slategym.models.data.log import Log, number
from slategym.models.data.schema import Problem, Tables, inspect, unused_columns


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
    problems: list[Problem | Unreadable]  # none: `log` is there
    log: Log | None = None
    facts: Facts | None = None
    uses: list[Use] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)  # a line each, with how to use them


def check_folder(folder: Path) -> Checked:
    """Check the log in that folder; see `folder.load_folder`.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if log.toml says what cannot be.
    """
    unreadable: dict[str, str] = {}
    tables, description = read_folder(folder, unreadable)
    name = folder.resolve().name
    settled, problems = inspect(tables, description)
    if settled is None:
        lines = [Unreadable(table, message) for table, message in unreadable.items()]
        return Checked(name, [*lines, *(p for p in problems if p.table not in unreadable)])
    log = number(name, settled, description)
    found = facts(log)
    return Checked(
        name=name,
        problems=[],
        log=log,
        facts=found,
        uses=uses(log, found),
        warnings=warnings(log, found),
        unused=_unused(tables, description, has_description=(folder / FILE).exists()),
    )


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
