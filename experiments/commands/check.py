"""slategym check: does a user model keep the contract?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from slategym.envs.names import UsageError

if TYPE_CHECKING:
    from slategym.envs.types import UserModel

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
    import torch

    from slategym.envs.check import check_user_model
    from slategym.envs.registry import find_user_model

    torch.set_num_threads(1)
    check_user_model(_made(find_user_model(model), model))
    console = Console(highlight=False, soft_wrap=True)
    for line in CHECKED:
        console.print(f"checked: {line}", markup=False)
    console.print(f"OK: {model} keeps the contract of a user model", markup=False)


def _made(make: Any, name: str) -> UserModel[Any]:
    """The model, without arguments."""
    from slategym.envs.types import UserModel

    if not callable(make):
        raise UsageError(f"{name} must name a class or a function, got {type(make).__name__}")
    try:
        model: UserModel[Any] = make()
    except Exception as error:
        raise ValueError(
            f"{name}() failed: {type(error).__name__}: {error}. A model is made "
            "without arguments here: give every field a default"
        ) from error
    methods = [method for method in vars(UserModel) if not method.startswith("_")]
    missing = [method for method in methods if method not in dir(model)]
    if missing:
        raise ValueError(
            f"{name} makes a {type(model).__name__}, which lacks {', '.join(missing)}: derive it "
            "from slategym.envs.types.UserModel"
        )
    return model
