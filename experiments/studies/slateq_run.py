"""The SlateQ study from start to end: compute what is missing, then write and print the table."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from slategym.experiments.runs.run import run_units
from slategym.experiments.runs.store import open_store
from slategym.experiments.studies.asked import Asked
from slategym.experiments.studies.slateq import SlateQStudy
from slategym.experiments.studies.slateq_numbers import compute_numbers
from slategym.experiments.studies.slateq_report import print_slateq, write_slateq


def run_slateq(asked: Asked) -> Path:
    """Train and read what is missing; a finished study computes nothing. The report's path."""
    study = SlateQStudy(asked.profile, asked.seeds, asked.users)
    plan, store, console = study.plan(), open_store(asked.out), Console(stderr=True)
    settings = {
        "device": asked.device,
        "tensorboard": str((store.folder / "tensorboard").absolute()),
    }
    done = run_units(plan.units, store, workers=asked.workers, settings=settings, console=console)
    if not done.computed:
        console.print(f"nothing to compute: all {done.reused} results are there", highlight=False)
    rows, curves = plan.rows(store), plan.curves(store)
    numbers = compute_numbers(rows, curves)
    report = write_slateq(study, rows, curves, numbers, store)
    print_slateq(numbers, Console())
    return report
