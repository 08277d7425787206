"""The last line of a command: what to run next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from json import dumps
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from slategym.models.data.log import Log


def say_next(*commands: str, to_person: bool = False) -> None:
    """Print "next: ..." behind what a command found.

    Args:
        commands: to run next, as they are typed; any of them.
        to_person: on standard error, where standard output is for a program.
    """
    typer.echo(f"next: {' · '.join(commands)}", err=to_person)


def further(log: Log, given: str, done: str) -> list[str]:
    """Commands that a log is fit for, the nearest first.

    Args:
        log: read.
        given: what it was called.
        done: the command that was run just now.
    """
    from slategym.models.data.fitness import COMMANDS, facts, uses

    fit = {use.name for use in uses(log, facts(log)) if use.fit}
    return [
        f"slategym {command} {quoted(given)}"
        for use, command in reversed(COMMANDS.items())
        if use in fit and command != done
    ]


def with_settings(world: str, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """A world as commands take it, its settings behind it.

    >>> with_settings("Log-v0", {"log": "shop", "static": True})
    ('Log-v0', '--set', 'log=shop', '--set', 'static=true')
    """
    told = ((name, x if isinstance(x, str) else dumps(x)) for name, x in settings.items())
    return (world, *(word for name, x in told for word in ("--set", f"{name}={x}")))


def quoted(*words: object) -> str:
    """Words as a shell reads them.

    >>> quoted("my log", "a")
    "'my log' a"
    """
    return shlex.join([str(word) for word in words])
