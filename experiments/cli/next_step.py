"""The last line of a command: what to run next."""

from __future__ import annotations

import shlex

import typer


def say_next(*commands: str, to_person: bool = False) -> None:
    """Print "next: ..." behind what a command found.

    Args:
        commands: to run next, as they are typed; any of them.
        to_person: on standard error, where standard output is for a program.
    """
    typer.echo(f"next: {' · '.join(commands)}", err=to_person)


def quoted(*words: object) -> str:
    """Words as a shell reads them.

    >>> quoted("my log", "a")
    "'my log' a"
    """
    return shlex.join([str(word) for word in words])
