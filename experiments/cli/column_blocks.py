"""A table that is wider than its console, as several beneath one another: nothing is cut."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

UNBOUNDED = 100_000  # columns of a terminal, to measure by


def print_whole(console: Console, table: Table, keys: int = 1) -> None:
    """Print a table, its columns in as many blocks as the console's width makes necessary.

    Title and caption are as wide as the console, however narrow the table is.

    Args:
        console: to print on.
        table: its first columns say what a row is.
        keys: how many of them, repeated in every block.
    """
    if table.title is not None:
        console.print(table.title, style="italic")
    for block in _blocks(console, table, keys):
        console.print(block)
    if table.caption is not None:
        console.print(table.caption, style="dim italic")


def _blocks(console: Console, table: Table, keys: int) -> list[Table]:
    """As many of the columns in each as fit."""
    free = console.options.update_width(UNBOUNDED)
    parts: list[list[int]] = [[]]
    for at in range(keys, len(table.columns)):
        tried = _block(table, [*range(keys), *parts[-1], at])
        if parts[-1] and console.measure(tried, options=free).maximum > console.width:
            parts.append([])
        parts[-1].append(at)
    return [_block(table, [*range(keys), *part]) for part in parts]


def _block(table: Table, chosen: list[int]) -> Table:
    """Some of its columns."""
    block = Table(box=table.box, padding=table.padding, pad_edge=table.pad_edge)
    columns = [table.columns[at] for at in chosen]
    for column in columns:
        block.add_column(column.header, justify=column.justify, no_wrap=column.no_wrap)
    for cells in zip(*(column.cells for column in columns), strict=True):
        block.add_row(*cells)
    return block
