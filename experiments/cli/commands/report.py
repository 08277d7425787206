"""slategym report: finished studies, one or several side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from slategym.envs.names import UsageError
from slategym.experiments.cli.options import AsJson
from slategym.models.console import plain_console

EPILOG = r"""
**What came out, in a few lines**\
`slategym report runs/movielens-quick`

**Two runs side by side; for programs**\
`slategym report runs/movielens-quick runs/movielens-full`\
`slategym report runs/* --json`

The whole story is in each folder's report.html. Nothing is computed anew but means and their
intervals, from the folder's rows; runs of other people or settings differ for that reason, too.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report", epilog=EPILOG)(report)


def report(
    runs: Annotated[
        list[str],
        typer.Argument(help="Folders that slategym benchmark left, one or more.", metavar="run..."),
    ],
    as_json: AsJson = False,
) -> None:
    """Say what finished studies found, side by side: verdicts, and what each policy earned."""
    for run in runs:  # before pandas, which takes seconds to import
        if not Path(run).is_dir():
            raise UsageError(f"there is no folder {run}")
    from slategym.experiments.report.side_by_side import as_document, read_finished, side_by_side

    found = [read_finished(run) for run in dict.fromkeys(runs)]
    if as_json:
        typer.echo(json.dumps({"runs": as_document(found)}, indent=1, allow_nan=False))
        return
    console = plain_console()
    side_by_side(found, console)
    console.print("To serve the policy that earned most: slategym serve RUN")
