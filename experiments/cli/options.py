"""Options that several commands take, each with the same words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slategym.envs.names import UsageError
from slategym.models.files import check_not_home


def place(text: str) -> Path:
    """Where results go, as typed.

    Raises:
        typer.BadParameter: nothing was typed, or a place in the cache of models.
    """
    if not text.strip():
        raise typer.BadParameter("a path is needed; leave it out for the default, or give .")
    try:
        return check_not_home(Path(text))
    except UsageError as error:
        raise typer.BadParameter(str(error)) from error


MOST_SEEDS = 1_000  # of a training, side by side
Users = Annotated[int, typer.Option(help="Simulated users, one session each.")]
Luck = Annotated[
    int, typer.Option(min=0, max=2**31 - 1, help="Decides what happens, not who the users are.")
]
Batch = Annotated[int, typer.Option(help="Users side by side; changes no result.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Workers = Annotated[
    int | None,
    typer.Option(help="Processes, 0 for this one only; by default one per processor."),
]
RayCluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Compute on this Ray cluster instead; auto: one that runs here, or else this "
        "machine's processors (extra ray).",
    ),
]
WorldSettings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A setting of the world; repeatable."),
]
AgentSettings = Annotated[
    list[str] | None,
    typer.Option("--agent-set", metavar="NAME=VALUE", help="One of the learner; repeatable."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust", help="Import what a folder or file given here names as module:Name, and run it."
    ),
]
ListAsJson = Annotated[
    bool, typer.Option("--json", help="Print the list as JSON and nothing else.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]
Seed = Annotated[int, typer.Option(min=0, help="Decides all that is drawn.")]
Encoder = Annotated[
    str | None,
    typer.Option(
        help="Of the item texts: a folder that save_pretrained wrote, or a hub id; MiniLM by "
        "default."
    ),
]
ModelSettings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A setting of the model; see below."),
]
