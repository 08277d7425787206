"""What `compare --families` prints: a row for each role and family."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from slategym.experiments.cli.column_blocks import print_whole
from slategym.models.console import plain_console

if TYPE_CHECKING:
    from slategym.experiments.measure.families import FamilyGrid


def print_families(grid: FamilyGrid) -> None:
    """Returns and differences, then in how many cells the first policy is ahead, then notes."""
    first, *others = grid.policies
    table = Table(
        title="return a session; differences of the same users with the same luck, [95 %]",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("people", no_wrap=True)
    for name in grid.policies:
        table.add_column(name, justify="right", no_wrap=True)
    for name in others:
        table.add_column(f"{first} - {name}", justify="right", no_wrap=True)
    for (role, family), cell in grid.cells.items():
        means = (f"{mean.value:.2f}" for mean in cell.means.values())
        differences = (d.estimate.signed() for d in cell.differences[: len(others)])
        table.add_row(f"{role} {family}", *means, *differences)
    console = plain_console()
    print_whole(console, table)
    for line in (*grid.summary(), *grid.notes):
        console.print(line, soft_wrap=True)


def families_json(grid: FamilyGrid) -> dict[str, Any]:
    """The same for programs."""
    others = len(grid.policies) - 1
    return {
        "families": [
            {
                "role": role,
                "family": family,
                "returns": {name: mean.to_json() for name, mean in cell.means.items()},
                "differences": [
                    {"minus": d.minus, **d.estimate.to_json(), "clear": d.clear}
                    for d in cell.differences[:others]
                ],
            }
            for (role, family), cell in grid.cells.items()
        ],
        "summary": grid.summary(),
        "notes": list(grid.notes),
    }
