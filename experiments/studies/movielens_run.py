"""The MovieLens study from start to end: compute what is missing, then write and print it."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from slategym.experiments.report.report import write_report
from slategym.experiments.report.terminal import print_report
from slategym.experiments.runs.run import run_units
from slategym.experiments.runs.store import open_store, write_json
from slategym.experiments.studies.asked import Asked
from slategym.experiments.studies.movielens import MovieLensStudy
from slategym.experiments.studies.movielens_result import ABOUT, about, result


def run_movielens(asked: Asked) -> Path:
    """Train and read what is missing; a finished study computes nothing. The report's path."""
    began = time.monotonic()
    study = MovieLensStudy(asked.profile, asked.seeds, asked.users)
    if asked.slate_size is not None:
        study = replace(study, slate_size=asked.slate_size)
    store, console = open_store(asked.out), Console(stderr=True)
    plan = study.plan()
    logs = str((store.folder / "tensorboard").absolute())
    compute = partial(
        run_units,
        store=store,
        workers=asked.workers,
        settings={"device": asked.device, "tensorboard": logs},
        console=console,
    )
    before = compute(plan.before_learning)
    write_json(about(study, plan, store), store.folder / ABOUT)  # fixed before anything is learned
    after = compute(plan.units)
    if not before.computed + after.computed:
        console.print(f"nothing to compute: all {after.reused} results are there", highlight=False)
    found = result(study, plan, store, time.monotonic() - began)
    report = write_report(found, store.folder)
    print_report(found, report.numbers, Console())
    return report.path
