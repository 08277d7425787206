"""The command line: commands by name, and one way out for every error."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from copy import copy
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from slategym import __version__
from slategym.envs.names import UsageError, lookup, plain
from slategym.experiments.runs.errors import DEFECTS, describe
from slategym.experiments.runs.memory import keep_freed_memory
from slategym.models.checksums import Damaged
from slategym.models.console import plain_console, spell_what_cannot_be_printed
from slategym.models.ending import Ended, raise_when_told_to_end
from slategym.models.plain_file import is_of_paths

COMMANDS = (  # as in --help
    *("data", "fit", "refit", "evaluate_model", "explain", "worlds", "agents", "studies", "check"),
    *(
        "validate",
        "diagnose",
        "presets",
        "train",
        "search",
        "simulate",
        "compare",
        "ope",
        "export",
        "serve",
    ),
    *("benchmark", "report", "app", "doctor", "init"),
)
DEVICES = {
    "auto": "a GPU if there is one",
    "cpu": "the processor",
    "cuda": "a GPU, or an error",
}

# click's UsageError and ClickException, wherever the installed typer keeps them
TyperUsageError: type[Exception] = typer.BadParameter.__mro__[1]
TyperError: type[Exception] = typer.BadParameter.__mro__[2]

HELP = (
    "Does reinforcement learning beat a good supervised ranker for slates shown to people whose "
    "state changes, and can the answer be believed?"
)
EPILOG = r"""
**From ratings to a verdict, in minutes**\
`slategym benchmark movielens --profile quick`

**How good is the supervised ranker?**\
`slategym evaluate-model movielens-100k --split time`

**What happens to 200 people under one policy?**\
`slategym simulate MovieLens-v0 --policy supervised --users 200`

**Train a learner and let it act**\
`slategym train slateq --world InterestEvolution-v0`\
`slategym simulate InterestEvolution-v0 --policy runs/slateq-InterestEvolution-v0-seed0`

**What does a log already say of a policy?**\
`slategym ope open-bandit-bts --policy random`

**What is there?**\
`slategym worlds`\
`slategym agents`\
`slategym data list`

Exit code 0: done. 1: failed. 2: asked for something that cannot be. 130: interrupted. 143, 129:
ended by SIGTERM, SIGHUP.
"""


class Commands(TyperGroup):
    """The commands; an unknown one is answered with the nearest."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Groups first, then commands as they were added."""
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: not isinstance(self.commands[name], TyperGroup))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command named first in args.

        Raises:
            UsageError: if there is none of that name.
        """
        lookup("command", args[0], self.commands)
        return super().resolve_command(ctx, args)


def build() -> typer.Typer:
    """The app with all its commands."""
    app = typer.Typer(
        name="slategym",
        cls=Commands,
        help=HELP,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        add_completion=True,
        epilog=EPILOG,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    for name in COMMANDS:
        import_module(f"slategym.experiments.cli.commands.{name}").register(app)
    return app


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"slategym {__version__}")
        raise typer.Exit


def _root(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error. Works anywhere.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_show_version, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Options of every command."""


def main() -> int:
    """Run the command that this process was started with; return its exit code."""
    keep_freed_memory()
    raise_when_told_to_end()
    spell_what_cannot_be_printed()
    if "--debug" not in sys.argv:
        warnings.formatwarning = _warning_line
    return answer(_build_here, sys.argv[1:])


def _warning_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: Any = None
) -> str:
    """A warning as a user needs it; where in the code it arose --debug shows."""
    return f"warning: {plain(str(message))}\n"


def _build_here() -> typer.Typer:
    """The app, in a folder that is there: libraries that look for their files end without one."""
    try:
        os.getcwd()
    except FileNotFoundError as error:
        raise UsageError("the folder that this was started in is gone; go to another") from error
    return build()


def answer(make_app: Callable[[], typer.Typer], arguments: Sequence[str]) -> int:
    """Run a command; every error is one line on standard error.

    Args:
        make_app: the app, made inside so that a command that cannot be imported is a line too.
        arguments: as typed, without the program's name.

    Returns:
        Exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted, 128 + the signal that ended it.
    """
    given = list(arguments)
    options = given[: given.index("--")] if "--" in given else given
    debug = "--debug" in options
    if debug:
        given.remove("--debug")
    try:
        app = make_app()
        app = _with_one_command(app, given[0]) if given else app
        code = app(given or ["--help"], prog_name="slategym", standalone_mode=False)
    except (Exception, KeyboardInterrupt, Ended) as error:
        if debug:
            traceback.print_exception(error)
        return _explain(error)
    if code == 130:  # some versions of typer turn an interrupt into this
        return _explain(KeyboardInterrupt())
    return code if isinstance(code, int) else 0


def _with_one_command(app: typer.Typer, name: str) -> typer.Typer:
    """The app with this command alone: typer reads the options of all in 70 ms.

    The app itself where no command or group of it has this name.
    """
    commands = [command for command in app.registered_commands if command.name == name]
    groups = [group for group in app.registered_groups if group.name == name]
    if not commands and not groups:
        return app
    found = copy(app)
    found.registered_commands, found.registered_groups = commands, groups
    return found


def _explain(error: BaseException) -> int:
    """Say it in one line; return the exit code."""
    code = 1
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        line, code = "interrupted; what was finished is kept", 130
    elif isinstance(error, Ended):
        line, code = f"{error}; what was finished is kept", 128 + error.number
    elif isinstance(error, TyperUsageError):
        line, code = _typer_line(error), 2
    elif isinstance(error, TyperError):
        line = _typer_line(error)
    elif isinstance(error, UsageError | Damaged) or is_of_paths(error):
        line, code = describe(error), 2
    elif isinstance(error, DEFECTS):
        line = f"a defect of slategym: {describe(error)}; --debug shows where"
    else:
        line = describe(error)
    plain_console(stderr=True, style="bold red" if code == 1 else None).print(
        f"error: {line}", highlight=False, soft_wrap=True
    )
    return code


def _typer_line(error: Any) -> str:
    """Typer's message, and where the help is."""
    message = " ".join(error.format_message().split()).rstrip(".") or "missing command"
    context = getattr(error, "ctx", None)
    return f"{message}; see {context.command_path} --help" if context else message


def resolve_device(name: str) -> str:
    """The device to compute on, "cpu" or "cuda".

    Args:
        name: "auto" takes a GPU if there is one; "cpu"; "cuda".

    Raises:
        UsageError: if it is none of these, or "cuda" on a machine without.
    """
    lookup("device", name, DEVICES)
    import torch

    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise UsageError(
            "--device cuda: torch sees no CUDA device on this machine; use --device auto or cpu"
        )
    return "cuda" if found and name != "cpu" else "cpu"


if __name__ == "__main__":
    sys.exit(main())
