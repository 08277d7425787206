"""Options that several commands take, each with the same words."""

from __future__ import annotations

from typing import Annotated

import typer

Users = Annotated[int, typer.Option(help="Simulated users, one session each.")]
Luck = Annotated[
    int, typer.Option(min=0, max=2**31 - 1, help="Decides what happens, not who the users are.")
]
Batch = Annotated[int, typer.Option(help="Users side by side; changes no result.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
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
        "--trust", help="Import what a trained policy's folder names as module:Name, and run it."
    ),
]
