"""slategym doctor: what is whole, and what to do about what is not."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slategym.experiments.cli.options import AsJson
from slategym.models.console import plain_console

if TYPE_CHECKING:
    from slategym.experiments.doctor import Finding

EPILOG = r"""
**What the cache holds, and whether it is whole**\
`slategym doctor`

**A run, a trained agent, a model**\
`slategym doctor runs/movielens-quick`\
`slategym doctor runs/slateq-InterestEvolution-v0-seed0 --json`

**A log, and slates, that slategym wrote**\
`slategym doctor my-log`\
`slategym doctor slates.parquet`

Exit code 0: nothing is damaged. 1: something is.
"""
SUMMED = {  # states of which only the number is told, and a remark
    "whole": "",
    "unchecked": ": there is no checksum of these; taken as they are, and listed by --json",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor", epilog=EPILOG)(doctor)


def doctor(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="A run's, a model's, an agent's, a policy's or a log's; by default the cache."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what is whole in a folder, and what to do about what is not. It changes nothing.

    Every file is held against the checksum that was kept with it. What is damaged is set aside
    (NAME.damaged) and made again by the command that needs it; `doctor` tells beforehand.
    """
    from slategym.experiments.doctor import examine
    from slategym.models.files import home

    place = folder or home()
    found = list(examine(place))
    if as_json:
        told = {"folder": str(place), "found": [vars(finding) for finding in found]}
        typer.echo(json.dumps(told, indent=1))
    else:
        _print(place, found)
    if any(finding.state == "damaged" for finding in found):
        raise typer.Exit(1)


def _print(place: Path, found: list[Finding]) -> None:
    console = plain_console(soft_wrap=True)
    console.print(f"{place}")
    for state, remark in SUMMED.items():
        some = [finding for finding in found if finding.state == state]
        if some or state == "whole":
            kinds = Counter(finding.kind for finding in some)
            listed = ", ".join(f"{n} {kind}{'s' * (n > 1)}" for kind, n in kinds.items())
            size = sum(finding.size for finding in some) / 1e6
            console.print(f"{state}: {listed or 'nothing'} ({size:,.1f} MB){remark}")
    for f in found:
        if f.state not in SUMMED:
            style = "red" if f.state == "damaged" else None
            why = f" ({f.reason})" if f.reason else ""
            console.print(f"{f.state}: {f.kind} {f.path}{why}", style=style)
            if f.advice:
                console.print(f"    {f.advice}")
