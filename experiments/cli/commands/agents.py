"""slategym agents: what can choose slates."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table

from slategym.experiments.cli.completion import of_policies
from slategym.experiments.cli.options import ListAsJson
from slategym.models.console import plain_console

if TYPE_CHECKING:
    from slategym.agents.entries import PolicyEntry

EPILOG = r"""
**All policies; then one of them, with its settings**\
`slategym agents`\
`slategym agents slateq`

**Let one act, and read what comes of it**\
`slategym simulate MovieLens-v0 --policy supervised --users 200`

**Train a learner**\
`slategym train slateq --world InterestEvolution-v0`
"""
KINDS = {
    "baseline": "Baselines: no training, no secrets",
    "supervised": "Supervised: fitted to a log, not to what follows from a slate",
    "bandit": "Bandits: learn by trial, do not look ahead",
    "learner": "Learners: learn by trial what follows from a slate",
    "reference": "References: told what no real system knows",
    "plug-in": "Of other packages",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("agents", epilog=EPILOG)(agents)


def agents(
    agent: Annotated[
        str | None,
        typer.Argument(
            autocompletion=of_policies, help="Show this one's page instead of the list."
        ),
    ] = None,
    as_json: ListAsJson = False,
) -> None:
    """List what can choose slates, by kind, or show one's page: what it does, and its settings."""
    from slategym.agents.entries import FROM_REFIT, PRESENT
    from slategym.agents.registry import find_entry, policies

    every = policies.all()
    if agent is not None:
        find_entry(agent, "agent")
        from slategym.experiments.cli.agent_page import page  # needs torch, the list does not

        plain_console().print(page(agent))
        return
    if as_json:
        typer.echo(json.dumps([_row(name, entry) for name, entry in every.items()], indent=1))
        return
    console = plain_console()
    for kind, title in KINDS.items():
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("name", no_wrap=True, min_width=16)
        table.add_column("what it does")
        table.add_column("needs")
        for name, entry in every.items():
            if entry.kind == kind:
                table.add_row(name, entry.one_line, entry.needs)
        if table.row_count:
            console.print(table)
    console.print(f"A learner told to look at the present only: its name and {PRESENT}")
    console.print(
        f"plackett-luce, rollout or adaptive-trace from supervised-refit on: {FROM_REFIT}"
    )
    console.print("One of them, with its settings: slategym agents NAME")
    console.print("To train a learner or a bandit: slategym train NAME --world WORLD")
    console.print("To let one act: slategym simulate WORLD --policy NAME, or its folder")


def _row(name: str, entry: PolicyEntry) -> dict[str, Any]:
    """A policy for programs."""
    return {
        "name": name,
        "kind": entry.kind,
        "what": entry.one_line,
        "needs": entry.needs,
        "trained": entry.agent is not None,
    }
