"""slategym serve: a policy over HTTP, on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slategym.envs.names import lookup, plain
from slategym.experiments.cli.completion import of_worlds
from slategym.experiments.cli.options import Trust, WorldSettings, place
from slategym.experiments.cli.world_settings import home_of
from slategym.models.console import plain_console

if TYPE_CHECKING:
    from slategym.experiments.measure.training import Home

EPILOG = r"""
**Train, serve, ask**\
`slategym train slateq --world InterestEvolution-v0`\
`slategym serve runs/slateq-InterestEvolution-v0-seed0`\
`curl -d @body.json http://127.0.0.1:8000/recommend`

**The policy that earned most in a study's world; how long does it take?**\
`slategym serve runs/movielens-quick --load 200`

**An exported folder, with onnxruntime**\
`slategym serve runs/mine/export --runtime onnxruntime`

A training's folder is exported first, if it was not. `POST /recommend` takes
`{"requests": [...]}`, each of one user, and answers `{"slates": [[...], ...]}`; the folder's
examples.json has requests, its serve.py says what they hold. What cannot be read is answered with
status 422 and one line. `GET /health` says that it runs and what it has served. Requests that come
while the program computes share its next call. `--load` sends requests over 127.0.0.1 and prints
p50 and p95, then ends. Needs `pip install 'slategym[serve]'`.
"""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve", epilog=EPILOG)(serve)


def serve(
    run: Annotated[
        str,
        typer.Argument(
            help="What slategym export or train left, a study's folder, or a policy's name.",
            metavar="run",
        ),
    ],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8000,
    host: Annotated[
        str, typer.Option(help="Address to listen on; this machine alone by default.")
    ] = "127.0.0.1",
    load: Annotated[
        int,
        typer.Option(min=0, max=100_000, help="Send so many requests, print p50 and p95, and end."),
    ] = 0,
    batch: Annotated[
        int, typer.Option(min=1, max=1_024, help="Requests in one call of the program, at most.")
    ] = 64,
    runtime: Annotated[
        str, typer.Option(help="torch or onnxruntime; by default what the folder has.")
    ] = "",
    world: Annotated[
        str, typer.Option(autocompletion=of_worlds, help="Where a policy given by its name acts.")
    ] = "",
    settings: WorldSettings = None,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=place, metavar="PATH", help="Where to export; RUN_FOLDER/export by default."
        ),
    ] = None,
    trust: Trust = False,
) -> None:
    """Serve a policy over HTTP on this machine: slates for requests, in batches.

    Standard output says where; it runs until it is interrupted.
    """
    from slategym.experiments.cli.served_run import PROGRAMS, best_of_study, exported_in

    if runtime:
        lookup("runtime", runtime, PROGRAMS)

    screen = plain_console(stderr=True, soft_wrap=True)
    best = best_of_study(run, trust)
    if best is not None:
        run = best.run
        screen.print(f"{best.policy} earned most in {best.place}: {best.value:.2f} a session")
    folder, home = exported_in(run, runtime), None
    if folder is None:
        home = home_of(run, world, settings)
    from slategym.agents.serving.service import check_installed, listen, read_policy, server
    from slategym.agents.serving.service import service as application

    check_installed()
    if folder is None:
        if home is None and best is not None:
            from slategym.experiments.measure.training import Home

            home = Home(best.world, best.settings)
        folder = _export(run, out, home, runtime, trust)
        screen.print(f"exported to {folder}")
    import torch

    torch.set_num_threads(1)
    policy = read_policy(folder, runtime or None)
    if load:
        from slategym.agents.serving.load import read_examples, run_load

        typer.echo(str(run_load(policy, read_examples(folder), load)))
        return
    agent = plain(policy.about["agent"])
    with listen(host, port) as opened:
        typer.echo(f"http://{host}:{opened.getsockname()[1]}/recommend: {agent}")
        screen.print(f"requests to try: {folder / 'examples.json'}; Ctrl-C ends it")
        server(application(policy, batch)).run(sockets=[opened])


def _export(run: str, out: Path | None, home: Home | None, runtime: str, trust: bool) -> Path:
    from slategym.experiments.cli.export_files import write_export

    formats = ("onnx",) if runtime == "onnxruntime" else ("torchscript",)
    return write_export(run, out, home=home, formats=formats, trust=trust).folder
