"""slategym app: the live page, on this machine."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from typing import Annotated

import typer

from slategym.envs.names import UsageError
from slategym.experiments.cli.completion import of_policies, of_worlds
from slategym.experiments.cli.options import WorldSettings

EPILOG = r"""
**A person's session, slate by slate, under two policies**\
`slategym app InterestEvolution-v0 --policies myopic,random`

**All that acted in a study; its report; how it stands while it runs**\
`slategym app runs/movielens-quick`

**What was trained, where it was trained**\
`slategym app runs/slateq-InterestEvolution-v0-seed0`

Change hour, device, weather or history by hand, and see slate and probabilities move: these are the
world's own, which no policy but a reference is told. The page listens on 127.0.0.1 alone, asks no
other host for anything and sends no statistics. Needs `pip install 'slategym[app]'`.
"""
ADDRESS = "127.0.0.1"


def register(app_: typer.Typer) -> None:
    """Add the command."""
    app_.command("app", epilog=EPILOG)(app)


def app(
    what: Annotated[
        str,
        typer.Argument(
            autocompletion=of_worlds,
            help="A world, or the folder of a study or a training; a small world by default.",
            metavar="[run|world]",
        ),
    ] = "",
    policies: Annotated[
        str,
        typer.Option(
            autocompletion=of_policies,
            metavar="A,B,...",
            help="To choose from; the first two are shown.",
        ),
    ] = "",
    world: Annotated[
        str,
        typer.Option(
            autocompletion=of_worlds, help="Where a run is shown; by default where it was trained."
        ),
    ] = "",
    settings: WorldSettings = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="To listen on.")] = 8501,
) -> None:
    """Open a live page on this machine: sessions by hand, a running study, its report."""
    from slategym.experiments.cli.world_settings import read_settings
    from slategym.experiments.workbench.settings import asked_of

    names = tuple(name.strip() for name in policies.split(",") if name.strip())
    asked = asked_of(what, world, None, names)
    if settings:
        asked = asked_of(what, world, read_settings(asked.world, settings), names)
    if find_spec("streamlit") is None:
        raise UsageError("the page needs streamlit, not installed: pip install 'slategym[app]'")
    typer.echo(f"http://{ADDRESS}:{port}: {asked.world}; Ctrl-C ends it")
    raise typer.Exit(subprocess.call(command_of(asked.as_text(), port)))


def command_of(asked: str, port: int) -> list[str]:
    """What starts the page: bound to this machine, no statistics, no look at the outside."""
    from slategym.experiments.workbench import page_file

    options = {
        "server.address": ADDRESS,
        "server.port": str(port),
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "browser.serverAddress": ADDRESS,
        "client.toolbarMode": "minimal",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return [sys.executable, "-m", "streamlit", "run", str(page_file()), *words, "--", asked]
