"""slategym export: a trained policy that runs without the environment, and how fast it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from slategym.envs.names import lookup
from slategym.experiments.cli.completion import of_policies, of_worlds
from slategym.experiments.cli.options import Trust, WorldSettings, place
from slategym.experiments.cli.world_settings import home_of
from slategym.models.console import plain_console

if TYPE_CHECKING:
    from slategym.experiments.measure.latency import Latency, Unmeasured

EPILOG = r"""
**Train, export, and look at how fast it is**\
`slategym train slateq --world InterestEvolution-v0`\
`slategym export runs/slateq-InterestEvolution-v0-seed0`

**Somewhere else, without timing**\
`slategym export runs/slateq-InterestEvolution-v0-seed0 --out policy --no-latency`

**A policy that needs no training; for onnxruntime, without torch**\
`slategym export supervised --world MovieLens-v0 --out policy --format onnx`

The folder holds the programs (`policy.pt` is TorchScript, `policy.onnx` ONNX), `policy.json` (their
inputs in order, with shapes and types; latencies), serve.py (requests in, slates out, with torch or
onnxruntime alone), examples.json (requests) and README.md (how to call it). What is written serves
exactly what the policy serves on observations that its own slates lead to; what does not is
refused. A policy of a learned world takes the user's raw events: the model that reads them is in
the program, `policy.json` has the log's keys, and serve.py takes events by the log's own names and
answers with item keys. ONNX: `pip install 'slategym[onnx]'`.
"""
FORMATS = {
    "torchscript": "a program that torch.jit.load reads",
    "onnx": "a program that onnxruntime reads",
    "all": "both",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export", epilog=EPILOG)(export)


def export(
    policy: Annotated[
        str,
        typer.Argument(
            autocompletion=of_policies,
            help="What slategym train left; FOLDER#3 for seed 3 of several; or a policy's name.",
            metavar="policy",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            parser=place, metavar="PATH", help="Where to write; RUN_FOLDER/export by default."
        ),
    ] = None,
    format: Annotated[str, typer.Option(help="torchscript, onnx or all.")] = "torchscript",
    world: Annotated[
        str,
        typer.Option(
            autocompletion=of_worlds, help="Where it acts; by default where it was trained."
        ),
    ] = "",
    settings: WorldSettings = None,
    latency: Annotated[
        bool, typer.Option("--latency/--no-latency", help="Time it at 1 k, 10 k and 100 k items.")
    ] = True,
    trust: Trust = False,
) -> None:
    """Write a policy as a program of its own, check it, and time it.

    Observations in, slates out: item ids where the whole catalogue is on offer, positions among the
    candidates elsewhere. The number of users in a call is free.
    """
    lookup("format", format, FORMATS)
    home = home_of(policy, world, settings)  # before torch, which takes seconds to import
    formats = ("torchscript", "onnx") if format == "all" else (format,)
    if "onnx" in formats:
        from slategym.agents.serving.onnx_export import check_installed

        check_installed()
    from slategym.agents.serving.export import CHECKED
    from slategym.experiments.cli.export_files import write_export

    done = write_export(policy, out, home=home, formats=formats, latency=latency, trust=trust)
    console = plain_console(soft_wrap=True)
    if done.latencies:
        _print(list(done.latencies), console)
    for program in done.programs:
        console.print(f"{program}: the policy's own slates on {CHECKED} observations")
    console.print(f"To serve it: slategym serve {done.folder}")


def _print(times: list[Latency | Unmeasured], console: Console) -> None:
    """The table, and why some sizes are not in it."""
    lines = Table(title="Latency of a call, one thread", title_justify="left", box=SIMPLE_HEAD)
    for head in ("items", "users a call", "p50, ms", "p95, ms"):
        lines.add_column(head, justify="right")
    left_out: dict[str, list[str]] = {}
    for time in (vars(time) for time in times):
        if "reason" in time:
            left_out.setdefault(time["reason"], []).append(f"{time['items']:,}")
        else:
            numbers = (f"{time['p50']:.3f}", f"{time['p95']:.3f}")
            lines.add_row(f"{time['items']:,}", str(time["batch"]), *numbers)
    console.print(lines)
    for reason, sizes in left_out.items():
        console.print(f"not measured with {', '.join(sizes)} items: {reason}")
