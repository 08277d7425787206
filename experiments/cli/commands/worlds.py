"""slategym worlds: what there is."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from slategym.experiments.cli.completion import of_worlds
from slategym.experiments.cli.options import ListAsJson
from slategym.models.console import plain_console

EPILOG = r"""
**All worlds; then one of them, with its settings**\
`slategym worlds`\
`slategym worlds MovieLens-v0`
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("worlds", epilog=EPILOG)(worlds)


def worlds(
    world: Annotated[
        str | None,
        typer.Argument(
            autocompletion=of_worlds, help="Show this world's page instead of the list."
        ),
    ] = None,
    as_json: ListAsJson = False,
) -> None:
    """List the worlds, or show one's page: what people do, what is seen, rewarded and assumed."""
    from slategym.envs.registry import NAMESPACE, find_world
    from slategym.envs.registry import worlds as registry

    if world is not None:
        find_world(world)
        from slategym.experiments.cli.world_page import page

        plain_console().print(page(world))
        return
    listed = [(name.removeprefix(NAMESPACE), e.one_line) for name, e in registry.all().items()]
    if as_json:
        rows = [{"name": name, "what": what} for name, what in listed]
        typer.echo(json.dumps(rows, indent=1))
        return
    console = plain_console()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("world", no_wrap=True)
    table.add_column("what it is")
    for name, what in listed:
        table.add_row(name, what)
    console.print(table)
    console.print("One of them, with its settings: slategym worlds NAME")
    console.print('To step it: gymnasium.make("slategym:NAME"), or slategym simulate NAME')
