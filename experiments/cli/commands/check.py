"""slategym check: does a user model keep the contract?"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

EPILOG = r"""
**A class of your own, in a file of this folder or an installed package**\
`slategym check my_users:Weary`

**One that a package registers as an entry point of slategym.user_models**\
`slategym check weary`

docs/recipes/user_model.md writes one from the first line to the last.
"""
CHECKED = (
    "signals: the click first, no name twice",
    "shapes, dtypes and devices of all that is returned",
    "finite numbers; probabilities, days and signals within their bounds",
    "arguments unchanged; no randomness but luck's; nothing kept in self",
    "users who do not affect one another, whatever the batch size",
    "a state of constant form over 12 slates",
    "mean feedback beside 4,096 samples of it",
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check", epilog=EPILOG)(check)


def check(
    model: Annotated[
        str, typer.Argument(help="pkg.module:Class, or a user model's registered name.")
    ],
) -> None:
    """Run a user model through its contract; the first rule that it breaks is said in words.

    Exit code 0: it keeps the contract. 1: it does not. 2: there is no such model.
    """
    from slategym.envs.registry import make_user_model, user_models

    user_models.find(model)  # before torch is imported, which takes seconds
    import torch

    from slategym.envs.check import check_user_model

    torch.set_num_threads(1)
    check_user_model(make_user_model(model))
    console = Console(highlight=False, soft_wrap=True)
    for line in CHECKED:
        console.print(f"checked: {line}", markup=False)
    console.print(f"OK: {model} keeps the contract of a user model", markup=False)
