"""A log as it arrives: three tables, and where their rows came from."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Table:
    """A frame and where it came from, so that a message can point at the row."""

    frame: pd.DataFrame
    name: str  # "events.csv"
    first: int = 0  # number of the first row of data
    row: str = "row"  # what people call a row of it: "line" in a text file

    def place(self, position: int) -> str:
        """Where the row at that position is, for people: "line 7"."""
        return f"{self.row} {position + self.first}"


@dataclass(frozen=True)
class Tables:
    """A log as it arrives, unchecked."""

    events: Table
    items: Table
    users: Table | None = None
