"""slategym worlds, slategym agents: what there is."""

from __future__ import annotations

from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

WORLDS_EPILOG = r"""
**All worlds; then one of them, with its settings**\
`slategym worlds`\
`slategym worlds MovieLens-v0`
"""
AGENTS_EPILOG = r"""
**All policies**\
`slategym agents`

**Let one act, and read what comes of it**\
`slategym simulate MovieLens-v0 --policy supervised --users 200`
"""


def register(app: typer.Typer) -> None:
    """Add the two commands."""
    app.command("worlds", epilog=WORLDS_EPILOG)(worlds)
    app.command("agents", epilog=AGENTS_EPILOG)(agents)


def worlds(
    world: Annotated[
        str | None, typer.Argument(help="Show this world's page instead of the list.")
    ] = None,
) -> None:
    """List the worlds, or show one's page: what people do, what is seen, rewarded and assumed."""
    from slategym.envs.registry import NAMESPACE, WORLDS
    from slategym.experiments.world_page import page

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


def agents() -> None:
    """List the policies: baselines, the supervised ranker, references, and learners."""
    from slategym.agents.policies import POLICIES

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("policy", "kind"):
        table.add_column(column, no_wrap=True)
    table.add_column("what it does")
    for name, entry in POLICIES.items():
        table.add_row(name, entry.kind, entry.one_line)
    console = Console(highlight=False)
    console.print(table)
    console.print(
        "Supervised policies and learners need a world with a learned state: MovieLens-v0 or "
        "MovieLens-Judge-v0. References are told what no real system knows. Learners must be "
        "trained first (slategym benchmark does), and are named by the folder that training left."
    )
    console.print("To let one act: slategym simulate WORLD --policy NAME")
