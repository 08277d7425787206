"""What tables hold and must not: one line for each, with its place and the fix."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from slategym.models.data.columns import Bad, Rule, is_empty, rounded, settle
from slategym.models.data.description import NAMES
from slategym.models.data.tables import Table

LISTED = 5  # rows named per column and rule


@dataclass(frozen=True)
class Problem:
    """One thing that a table holds and must not; as a string, one line with place and fix."""

    table: str  # "events.csv"
    place: str  # "line 7"; empty: the table as a whole
    column: str  # empty: no single one
    says: str  # " holds 'five'"
    fix: str
    value: str = ""  # what stands there
    more: int = 0  # rows with the same problem that are not listed

    def __str__(self) -> str:
        at = f"{self.table}, {self.place}" if self.place else self.table
        column = f" column {self.column!r}" if self.column else ""
        more = f" ({self.more:,} more such rows)" if self.more else ""
        return f"{at}:{column}{self.says}; {self.fix}{more}"


class Inspection:
    """Where columns are settled and problems are collected."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def say(self, table: Table, says: str, fix: str, column: str = "") -> None:
        """A problem of a table as a whole."""
        self.problems.append(Problem(table.name, "", column, says, fix))

    def rows(self, table: Table, column: str, bad_E: Bad, fix: str, says: str = "") -> None:
        """A problem of those rows."""
        positions = np.flatnonzero(bad_E)
        for position in positions[:LISTED]:
            held = readable(table.frame[column].iloc[position])
            self.problems.append(
                Problem(
                    table.name,
                    table.place(int(position)),
                    column,
                    (f" holds {held}" if held else " is empty") + says,
                    fix,
                    held,
                )
            )
        if (more := len(positions) - LISTED) > 0:
            self.problems[-1] = replace(self.problems[-1], more=more)

    def settle(self, table: Table, rules: dict[str, Rule]) -> pd.DataFrame:
        """The columns that have a rule and are there."""
        if table.frame.empty:
            self.say(table, " no rows", "write at least one")
        found = ", ".join(map(str, table.frame.columns))
        settled = {}
        for name, rule in rules.items():
            if name in table.frame:
                values, bad_E = settle(table.frame[name], rule)
                if bad_E.any():
                    self.rows(table, name, bad_E, rule.fix)
                if rule.kind == "key" and (lost_E := rounded(table.frame[name])).any():
                    says = ", of whose digits floating point keeps 15"
                    self.rows(table, name, lost_E, "write ids as texts or whole numbers", says)
                settled[name] = values
            elif rule.required:
                self.say(
                    table,
                    " is missing",
                    f"{_renamed(name, table)}{rule.fix} (found: {found})",
                    name,
                )
        return pd.DataFrame(settled)


def _renamed(name: str, table: Table) -> str:
    """What to rename where a column that is missing stands there by a name that people give it."""
    known = {name, *NAMES.get(name, ())}
    called = [str(column) for column in table.frame.columns if str(column).lower() in known]
    return f"rename {called[0]!r} if it is that: " if called else ""


def readable(held: object) -> str:
    """A cell for people: numbers as they are, texts in quotes; nothing where it is empty."""
    if isinstance(held, list | tuple | np.ndarray):
        return repr([str(part) for part in held])
    if is_empty(held):
        return ""
    return f"{held:.15g}" if pd.api.types.is_number(held) else repr(str(held))
