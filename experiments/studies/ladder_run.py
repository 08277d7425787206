"""A ladder study from start to end: compute what is missing, then write and print what it says."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from slategym.experiments.run import run_units
from slategym.experiments.store import open_store
from slategym.experiments.studies.ladder import Ladder, Size, plan_of
from slategym.experiments.studies.ladder_report import Found, print_ladder, write_ladder


def run_ladder(
    study: Ladder,
    asked: Size,
    out: Path,
    *,
    workers: int = 0,
    device: str = "cpu",
    screen: Console | None = None,
    progress: Console | None = None,
) -> Found:
    """Train and read what is missing in the run folder; a finished study computes nothing.

    Args:
        study: what.
        asked: how much of it.
        out: run folder.
        workers: processes; 0: this one.
        device: to compute on.
        screen: for the tables and the verdict; standard output if None.
        progress: for progress; standard error if None.

    Raises:
        UsageError: the size is out of range, or a learner cannot act in a world.
        UnitError: a training or a reading failed; the next call goes on from there.
    """
    plan = plan_of(study, asked)
    store = open_store(out)
    logs = str((store.folder / "tensorboard").absolute())
    run_units(
        plan.units,
        store,
        workers=workers,
        settings={"device": device, "tensorboard": logs},
        console=progress,
    )
    found = write_ladder(plan, asked.command(study), store)
    print_ladder(found, screen or Console())
    return found
