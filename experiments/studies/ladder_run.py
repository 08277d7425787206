"""A ladder study from start to end: compute what is missing, then write and print what it says."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from slategym.experiments.runs.run import run_units
from slategym.experiments.runs.store import open_store
from slategym.experiments.studies.asked import Asked
from slategym.experiments.studies.ladder import Ladder, Size, plan_of
from slategym.experiments.studies.ladder_report import REPORT, print_ladder, write_ladder


def run_ladder(
    study: Ladder, asked: Asked, screen: Console | None = None, progress: Console | None = None
) -> Path:
    """Train and read what is missing in the run folder; a finished study computes nothing.

    Args:
        study: what.
        asked: how much of it, where, and with how many processes.
        screen: for the tables and the verdict; standard output if None.
        progress: for progress; standard error if None.

    Returns:
        where the report is.

    Raises:
        UsageError: the size is out of range, or a learner cannot act in a world.
        UnitError: a training or a reading failed; the next call goes on from there.
    """
    size, progress = Size(asked.profile, asked.seeds, asked.users), progress or Console(stderr=True)
    plan = plan_of(study, size)
    store = open_store(asked.out)
    logs = str((store.folder / "tensorboard").absolute())
    ran = run_units(
        plan.units,
        store,
        workers=asked.workers,
        settings={"device": asked.device, "tensorboard": logs},
        console=progress,
    )
    if not ran.computed:
        progress.print(f"nothing to compute: all {ran.reused} results are there", highlight=False)
    found = write_ladder(plan, size.command(study), store)
    print_ladder(found, screen or Console())
    return store.folder / REPORT
