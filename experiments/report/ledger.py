"""Every number a report prints, and the rows it comes from."""

from __future__ import annotations

from typing import NamedTuple

from slategym.experiments.report.markup import Html, element, join
from slategym.experiments.statistics.estimate import Estimate

ROWS = "rows.parquet"
SUMMARY = "summary.json"
HEAD = ("number", "as printed", "file and rows")


class Entry(NamedTuple):
    """A number that was printed."""

    name: str  # its anchor: "n12"
    text: str  # as printed
    source: str  # file, statistic and filter


class Ledger:
    """Prints numbers and remembers where they are from."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def number(self, text: str, source: str) -> Html:
        """A number as a link to its entry, and back; pointing at it shows the rows, too."""
        entry = Entry(f"n{len(self.entries) + 1}", text, source)
        self.entries.append(entry)
        return element(
            "a",
            text,
            class_="number",
            href=f"#{entry.name}",
            id=f"{entry.name}-at",
            title=source,
            data_row=source,
        )

    def estimate(self, estimate: Estimate, *, signed: bool = False, digits: int = 2) -> Html:
        """A value with its interval."""
        value, ends = estimate.parts("+" if signed else "", digits)
        number = self.number(value, f"{ROWS}: {estimate.source}")
        return join([number, " ", element("span", ends, class_="interval")])

    def plain(self, estimate: Estimate, *, digits: int = 2) -> Html:
        """A value without its interval."""
        return self.number(f"{estimate.value:.{digits}f}", f"{ROWS}: {estimate.source}")

    def listing(self) -> Html:
        """All entries as a table that the numbers link to."""
        rows = [
            element(
                "tr",
                element(
                    "th",
                    element("a", f"{entry.name} ↩", href=f"#{entry.name}-at"),
                    scope="row",
                ),
                element("td", entry.text),
                element("td", element("code", entry.source)),
                id=entry.name,
            )
            for entry in self.entries
        ]
        head = element("tr", *(element("th", name, scope="col") for name in HEAD))
        return element("table", element("thead", head), element("tbody", *rows))
