"""slategym benchmark: a whole study, from log to verdict."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from slategym.envs.names import UsageError, lookup

EPILOG = r"""
**A first answer, in minutes on two cores: 3 seeds, 600 users**\
`slategym benchmark movielens`

**The answer to quote: 10 seeds, 1256 users, longer training**\
`slategym benchmark movielens --profile full --out runs/movielens-full`

**A quick look at another slate size**\
`slategym benchmark movielens --slate-size 10 --seeds 1 --users 200`

Interrupt it at any time: the same call goes on where it stopped, and a finished one computes
nothing. The report is `OUT/report.html`, its numbers are `OUT/rows.parquet`, the trained policies
lie under `OUT/work/`, and `tensorboard --logdir OUT/tensorboard` shows the training.
"""
STUDIES = {"movielens": "RL against the supervised multi-task ranker on MovieLens-100K"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("benchmark", epilog=EPILOG)(benchmark)


def benchmark(
    study: Annotated[str, typer.Argument(help="Which study: movielens.")],
    profile: Annotated[str, typer.Option(help="How much of everything: quick, full.")] = "quick",
    seeds: Annotated[
        int | None, typer.Option(help="Training seeds per agent; by default the profile's.")
    ] = None,
    users: Annotated[
        int | None, typer.Option(help="Simulated evaluation users; by default the profile's.")
    ] = None,
    slate_size: Annotated[int, typer.Option(help="Films per slate.")] = 5,
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

    The simulator's, the agents' and the judge's models are fitted on different people; the static
    twin, in which looking ahead is worth nothing, is the control that RL must not win.
    """
    lookup("study", study, STUDIES)
    began = time.monotonic()
    from slategym.experiments.cli import resolve_device
    from slategym.experiments.report import write_report
    from slategym.experiments.run import default_workers, run_units
    from slategym.experiments.store import open_store, write_json
    from slategym.experiments.studies.movielens import MovieLensStudy
    from slategym.experiments.studies.movielens_result import ABOUT, about, result
    from slategym.experiments.terminal import print_report

    asked = MovieLensStudy(profile, seeds, users, slate_size)
    on = resolve_device(device)
    if workers is not None and workers < 0:
        raise UsageError(f"--workers must be 0 (this process) or more, got {workers}")
    store = open_store(out or Path("runs") / f"{study}-{profile}")
    console = Console(stderr=True)
    plan = asked.plan()
    compute = partial(
        run_units,
        store=store,
        workers=default_workers() if workers is None else workers,
        settings={"device": on, "tensorboard": str((store.folder / "tensorboard").absolute())},
        console=console,
    )
    before = compute(plan.before_learning)
    write_json(about(asked, plan, store), store.folder / ABOUT)  # fixed before anything is learned
    after = compute(plan.units)
    if not before.computed + after.computed:
        console.print(f"nothing to compute: all {after.reused} results are there", highlight=False)
    found = result(asked, plan, store, time.monotonic() - began)
    report = write_report(found, store.folder)
    print_report(found, report.numbers, Console())
    console.print(f"report: {report.path}", highlight=False, soft_wrap=True)
    if open_report:
        typer.launch(str(report.path.absolute()))
