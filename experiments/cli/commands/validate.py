"""slategym validate: is this world like its log?"""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import Annotated

import typer

from slategym.envs.names import UsageError
from slategym.experiments.cli.completion import of_worlds
from slategym.experiments.cli.next_step import quoted, say_next
from slategym.experiments.cli.options import AsJson, Users, WorldSettings, place
from slategym.experiments.runs.store import check_folder
from slategym.models.console import plain_console

EPILOG = r"""
**The world learned from MovieLens, on people whom nothing was trained on**\
`slategym validate MovieLens-v0 --log movielens-100k --set users=evaluation`

**A log of your own, and a page with figures**\
`slategym validate Log-v0 --log my-folder --set log=my-folder --set users=evaluation \
--out runs/like`

**A world of your own, against a log with the same items**\
`slategym validate my_package:MyWorld --log my-folder`

The world is shown what the log's policy showed, so that what differs is the world's doing. Every
line states its bounds and says pass, warn or fail; a difference counts as far as random halves of
the log's people, or a 95 % interval, do not explain it. Exit code 1 where something fails, so that
a script can stop there.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("validate", epilog=EPILOG)(validate)


def validate(
    world: Annotated[
        str,
        typer.Argument(
            autocompletion=of_worlds, help="A world's name, as slategym worlds lists it."
        ),
    ],
    log: Annotated[str, typer.Option("--log", help="The log: a folder, or a data set's name.")],
    settings: WorldSettings = None,
    users: Users = 1_000,
    seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, help="Of the luck, and of what is resampled.")
    ] = 0,
    as_json: AsJson = False,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=place,
            metavar="FOLDER",
            help="Write validation.html, its figure and validation.json here.",
        ),
    ] = None,
) -> None:
    """Hold a world against a log: does what happens in it look like what happened?

    Predictions on unknown people, click rates by slot and context, lengths, values, pauses, runs of
    topics, a classifier that tries to tell visits apart, what the log's own policy earns, and what
    must hold in any world. Standard output holds the result and nothing else.
    """
    from slategym.envs.registry import find_world
    from slategym.models.data.datasets import find_log

    id, _ = find_world(world)  # names first: torch takes seconds to import
    if users < 2:
        raise UsageError(f"--users must be at least 2, got {users}")
    find_log(log)
    if out is not None:
        check_folder(out)
    import torch

    from slategym.envs.registry import make_world
    from slategym.experiments.cli.world_settings import read_settings
    from slategym.experiments.measure.preparation import quality_of
    from slategym.experiments.runs.store import write_json
    from slategym.experiments.validation.lines import STATUSES
    from slategym.experiments.validation.page import write_validation
    from slategym.experiments.validation.validate import validate_world
    from slategym.models.data.datasets import load_log

    torch.set_num_threads(1)
    given, begun = read_settings(world, settings or []), time.perf_counter()
    screen = plain_console(stderr=True)
    with screen.status("the world and its models") as status:
        read, where = load_log(log), make_world(world, **given)
        learned = quality_of(id, given)
        found = validate_world(
            where, read, users=users, seed=seed, quality=learned, tell=lambda x: status.update(x)
        )
    document = {"world": id, "settings": given, "log": read.name, "seed": seed, **found.to_json()}
    page = None
    if out is not None:
        words = ["slategym", "validate", world, "--log", log, "--users", str(users)]
        for pair in settings or []:
            words += ["--set", pair]
        page = write_validation(
            found, id, read.name, out, shlex.join([*words, "--seed", str(seed)])
        )
        write_json(document, out / "validation.json")
    if as_json:
        typer.echo(json.dumps(document, allow_nan=False))
    else:
        for status_word in STATUSES:
            for line in found.of(status_word):
                bounds = "" if line.bounds is None else f" ({line.bounds})"
                typer.echo(f"{line.status:8}  {line.check}: {line.said}{bounds}")
        typer.echo(f"\n{found.sentence} The world was shown {found.shown}.")
        typer.echo(f"{time.perf_counter() - begun:.0f} s")
        if page is not None:
            typer.echo(f"page: {page}")
        else:
            typer.echo("figures: the same with --out FOLDER")
        say_next(f"slategym diagnose {quoted(log)}", f"slategym benchmark log {quoted(log)}")
    if found.of("fail"):
        raise typer.Exit(1)
