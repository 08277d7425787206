"""slategym worlds: what there is."""

from __future__ import annotations

from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

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
        str | None, typer.Argument(help="Show this world's page instead of the list.")
    ] = None,
) -> None:
    """List the worlds, or show one's page: what people do, what is seen, rewarded and assumed."""
    from slategym.envs.registry import NAMESPACE, WORLDS
    from slategym.experiments.cli.world_page import page

    console = Console(highlight=False)
    if world is not None:
        console.print(page(world))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("world", no_wrap=True)
    table.add_column("what it is")
    for name, entry in WORLDS.items():
        table.add_row(name.removeprefix(NAMESPACE), entry.one_line)
    console.print(table)
    console.print("One of them, with its settings: slategym worlds NAME")
    console.print('To step it: gymnasium.make("slategym:NAME"), or slategym simulate NAME')
