"""slategym studies: what can be asked, from start to verdict."""

from __future__ import annotations

import json

import typer
from rich import box
from rich.table import Table

from slategym.experiments.cli.options import ListAsJson
from slategym.models.console import plain_console

EPILOG = r"""
**All studies; then run one**\
`slategym studies`\
`slategym benchmark sardine --profile quick`
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("studies", epilog=EPILOG)(studies)


def studies(
    as_json: ListAsJson = False,
) -> None:
    """List the studies: each trains learners, reads them beside opponents, gives a verdict."""
    from slategym.experiments.studies.registry import studies as registry

    listed = [(name, entry.one_line) for name, entry in registry.all().items()]
    if as_json:
        typer.echo(json.dumps([{"name": name, "what": what} for name, what in listed], indent=1))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("study", no_wrap=True)
    table.add_column("what it asks")
    for name, what in listed:
        table.add_row(name, what)
    console = plain_console()
    console.print(table)
    console.print("To run one: slategym benchmark NAME")
