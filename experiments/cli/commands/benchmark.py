"""slategym benchmark: a whole study, from log to verdict."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console

from slategym.envs.names import UsageError, lookup

EPILOG = r"""
**A first answer, in minutes on two cores: 3 seeds, 600 users**\
`slategym benchmark movielens`

**The answer to quote: 10 seeds, 1256 users, longer training**\
`slategym benchmark movielens --profile full --out runs/movielens-full`

**SlateQ's published table, beside the same agent with a value for no click: 2 seeds**\
`slategym benchmark slateq`

**Bored people: does an agent that sees clicks alone beat one that sees preferences?**\
`slategym benchmark sardine`

**A quick look at another slate size**\
`slategym benchmark movielens --slate-size 10 --seeds 1 --users 200`

Interrupt it at any time: the same call goes on where it stopped, and a finished one computes
nothing. The report is `OUT/report.html`, its numbers are `OUT/rows.parquet`, the trained policies
lie under `OUT/work/`, and `tensorboard --logdir OUT/tensorboard` shows the training.
"""


class StudyEntry(NamedTuple):
    """What a study is in a line, and what runs it."""

    one_line: str
    run: str  # "module:function" of a function from Asked to the path of its report
    also: tuple[str, ...] = ()  # options of its own


HERE = "slategym.experiments.studies"
STUDIES = {
    "movielens": StudyEntry(
        "RL against the supervised multi-task ranker on MovieLens-100K",
        f"{HERE}.movielens_run:run_movielens",
        also=("slate-size",),
    ),
    "slateq": StudyEntry(
        "SlateQ's published table, and what the value of no click does to it",
        f"{HERE}.slateq_run:run_slateq",
    ),
    "sardine": StudyEntry(
        "agents that see no preferences against a greedy one that does, where people are bored",
        f"{HERE}.sardine:run_sardine",
    ),
    "topicrec": StudyEntry(
        "GeMS and other learners against an oracle that does not look ahead, in GeMS' own world",
        f"{HERE}.topicrec:run_topicrec",
    ),
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("benchmark", epilog=EPILOG)(benchmark)


def benchmark(
    study: Annotated[str, typer.Argument(help=f"Which study: {', '.join(STUDIES)}.")],
    profile: Annotated[str, typer.Option(help="How much of everything: quick, full.")] = "quick",
    seeds: Annotated[
        int | None, typer.Option(help="Training seeds per agent; by default the profile's.")
    ] = None,
    users: Annotated[
        int | None, typer.Option(help="Simulated evaluation users; by default the profile's.")
    ] = None,
    slate_size: Annotated[
        int | None, typer.Option(help="Films per slate (movielens; 5 by default).")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    out: Annotated[
        Path | None, typer.Option(help="Run folder; runs/STUDY-PROFILE by default.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes, 0 for this one only; by default one per processor."),
    ] = None,
    open_report: Annotated[
        bool, typer.Option("--open", help="Open the report in a browser at the end.")
    ] = False,
) -> None:
    """Train what is missing, read every policy on the same people, and say who wins.

    Every study has a static twin, in which looking ahead is worth nothing: the control that RL must
    not win. In `movielens` the simulator's, the agents' and the judge's models are fitted on
    different people besides.
    """
    entry = lookup("study", study, STUDIES)
    if slate_size is not None and "slate-size" not in entry.also:
        takers = ", ".join(name for name, other in STUDIES.items() if "slate-size" in other.also)
        raise UsageError(f"--slate-size is not for {study}, whose slates are given; for: {takers}")
    if workers is not None and workers < 0:
        raise UsageError(f"--workers must be 0 (this process) or more, got {workers}")
    from slategym.experiments.cli.main import resolve_device
    from slategym.experiments.runs.run import default_workers
    from slategym.experiments.studies.asked import Asked

    asked = Asked(
        profile=profile,
        out=out or Path("runs") / f"{study}-{profile}",
        workers=default_workers() if workers is None else workers,
        device=resolve_device(device),
        seeds=seeds,
        users=users,
        slate_size=slate_size,
    )
    module, _, function = entry.run.partition(":")
    run: Callable[[Asked], Path] = getattr(import_module(module), function)
    report = run(asked)
    Console(stderr=True).print(f"report: {report}", highlight=False, soft_wrap=True)
    if open_report:
        typer.launch(str(report.absolute()))
