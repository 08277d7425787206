"""The grid from start to end: logs first, then every study and every reading that is missing."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
from rich.console import Console

from slategym.experiments.runs.run import backend_of, run_units
from slategym.experiments.runs.store import Store, open_store, write_json, write_parquet
from slategym.experiments.truth.claims import judged
from slategym.experiments.truth.grid import GridSettings, Size, log_of, part_of
from slategym.models.console import plain_console
from slategym.models.files import checked_path

TABLES = ("claims", "comparisons", "policies", "watched")  # files in the run folder, .parquet


@dataclass(frozen=True)
class Grid:
    """What the grid says, as tables."""

    size: Size
    command: str
    logs: pd.DataFrame  # one row per log: its cell, users, visits, slates, clicks
    claims: pd.DataFrame  # one row per verdict
    comparisons: pd.DataFrame  # one row per difference that a verdict rests on
    policies: pd.DataFrame  # one row per policy, learned and true return
    watched: pd.DataFrame  # one row per snapshot of a training, learned and true gain
    seconds: float  # of all units together, as they were computed


def run_truth(
    asked: GridSettings, screen: Console | None = None, progress: Console | None = None
) -> Path:
    """Compute what is missing of the grid, then write and print what it says.

    Args:
        asked: how much, where, with how many processes.
        screen: for the tables; standard output if None.
        progress: for progress; standard error if None.

    Returns:
        where the report is.

    Raises:
        UsageError: a scenario, profile or number cannot be.
        UnitError: a unit failed; the next call goes on from there.
    """
    from slategym.experiments.truth.page import print_grid, write_page

    size, progress = asked.size, progress or plain_console(stderr=True)
    store = open_store(Path(asked.out))
    settings = {"device": "cpu", "tensorboard": str((store.folder / "tensorboard").absolute())}
    compute = partial(run_units, store=store, settings=settings, console=progress)
    began = time.monotonic()
    # a log has to be there before it is known which units its study has
    if asked.workers:
        with closing(backend_of(asked.workers, None)) as where:
            compute([log_of(cell) for cell in size.cells], where=where)
            parts = [part_of(cell, size, store) for cell in size.cells]
            every = {unit.id: unit for part in parts for unit in part.units}
            compute(list(every.values()), where=where)
    else:  # cell by cell: what a process keeps of a log serves it all, and a killed grid has cells
        for number, cell in enumerate(size.cells, start=1):
            progress.print(f"{number} of {len(size.cells)}: {cell.name}", highlight=False)
            compute([log_of(cell)])
            compute(part_of(cell, size, store).units)
    progress.print(
        f"all units are there after {time.monotonic() - began:,.0f} s; holding verdicts against "
        "the truth",
        highlight=False,
    )
    grid = grid_of(asked, store)
    for name in TABLES:
        with checked_path(store.folder / f"{name}.parquet") as place:
            write_parquet(getattr(grid, name), place)
    write_json(
        {"command": grid.command, "claims": grid.claims.to_dict("records")},
        store.folder / "summary.json",
    )
    path = write_page(grid, store.folder)
    print_grid(grid, screen or plain_console())
    return path


def grid_of(asked: GridSettings, store: Store) -> Grid:
    """What the completed units say."""
    size = asked.size
    parts = [part_of(cell, size, store) for cell in size.cells]
    found = [one for part in parts for one in judged(part, store)]
    logs = [
        {
            "scenario": part.cell.scenario,
            "strength": part.cell.strength,
            "seed": part.cell.seed,
            "asked": part.cell.visits,
            **store.read(log_of(part.cell)),
        }
        for part in parts
    ]
    units = {unit.id: unit for part in parts for unit in (log_of(part.cell), *part.units)}

    def rows(name: str) -> pd.DataFrame:
        return pd.concat([getattr(one, name) for one in found], ignore_index=True)

    comparisons, policies, watched = map(rows, ("comparisons", "policies", "watched"))
    return Grid(
        size=size,
        command=asked.command,
        logs=pd.DataFrame(logs),
        claims=pd.DataFrame([one.claim for one in found]),
        comparisons=comparisons,
        policies=policies,
        watched=watched,
        seconds=sum(store.seconds(unit) for unit in units.values()),
    )
