"""slategym worlds, slategym agents: what there is."""

from __future__ import annotations

from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table


def register(app: typer.Typer) -> None:
    """Add the two commands."""
    app.command("worlds")(worlds)
    app.command("agents")(agents)


def worlds(
    world: Annotated[
        str | None, typer.Argument(help="Show this world's page instead of the list.")
    ] = None,
) -> None:
    """List the worlds, or show one world's page: what it is, observes, rewards and assumes."""
    from slategym.envs.registry import WORLDS, describe_world

    console = Console()
    if world is not None:
        console.print(describe_world(world), markup=False, highlight=False)
        return
    table = Table("world", "what it is", box=box.SIMPLE_HEAD)
    for name, entry in WORLDS.items():
        table.add_row(name, entry.one_line)
    console.print(table)
    console.print('Make one with gymnasium.make("slategym:NAME") or slategym simulate NAME.')


def agents() -> None:
    """List the policies that can be simulated, and those that can be trained."""
    from slategym.agents.policies import POLICIES

    table = Table("policy", "kind", "what it does", box=box.SIMPLE_HEAD)
    for name, entry in POLICIES.items():
        table.add_row(name, entry.kind, entry.one_line)
    console = Console()
    console.print(table)
    console.print(
        "References are told what no real system knows. Learners are named by the folder that "
        "their training left."
    )
