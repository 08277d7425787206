"""slategym init: a package to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slategym.experiments.cli.options import place
from slategym.experiments.cli.starter import KINDS, words_of, write_starter

EPILOG = r"""
**A user model of your own, checked**\
`slategym init user-model weary-users`\
`cd weary-users && python -m pip install -e '.[test]' && python -m pytest`\
`slategym check weary-users`

**The other kinds**\
`slategym init agent my-counts`\
`slategym init world my-shop`\
`slategym init study my-question`\
`slategym init log my-log`

Each package works as it is written: a module, an entry point by which slategym knows it, a test of
its contract, a README with what to try next. docs/extending.md has what else can be plugged in.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init", epilog=EPILOG)(init)


def init(
    kind: Annotated[str, typer.Argument(help=", ".join(KINDS) + ".", metavar="kind")],
    name: Annotated[
        str, typer.Argument(help="Of the package: letters, digits, - and _.", metavar="name")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            parser=place, metavar="PATH", help="Where its folder is made; here by default."
        ),
    ] = None,
) -> None:
    """Write a package to start from: a user model, agent, world, study or log, with its test."""
    where = out or Path()
    written = write_starter(kind, name, where)
    for path in written:
        typer.echo(str(path))
    entry = words_of(kind, name)["entry"]
    typer.echo(
        f"Next: cd {where / name} && python -m pip install -e '.[test]' && python -m pytest; then "
        f"slategym knows it as {entry} (README.md)"
    )
