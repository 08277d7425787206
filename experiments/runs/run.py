"""The one loop: compute what is missing, in as many processes as wanted, and keep it.

The same units give the same files with any number of workers: every unit runs on one torch thread
and gets nothing but its spec and the results it needs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich.console import Console

from slategym.envs.names import UsageError
from slategym.experiments.runs.errors import UnitError, describe
from slategym.experiments.runs.pool import run_in_processes
from slategym.experiments.runs.progress import View, duration
from slategym.experiments.runs.schedule import Queue, missing
from slategym.experiments.runs.store import Store
from slategym.experiments.runs.units import Unit, compute
from slategym.models.console import plain_console
from slategym.models.ending import Ended


@dataclass(frozen=True)
class Summary:
    """What a run did."""

    computed: int  # units
    reused: int  # units asked for and found done
    seconds: float  # wall clock


def run_units(
    units: Iterable[Unit],
    store: Store,
    *,
    workers: int = 0,
    settings: Mapping[str, Any] | None = None,
    console: Console | None = None,
) -> Summary:
    """Compute the units that are not completed, and what they need, longest way first.

    Args:
        units: what must be there in the end; what only a completed unit needed is not computed.
        store: where results go.
        workers: processes, each with one torch thread; 0: this one.
        settings: handed to every unit; picklable; may not change a result (device, log folder).
        console: for progress; standard error if None.

    Raises:
        UsageError: if workers is negative, or if a unit was asked for something that cannot be.
        UnitError: if a unit fails or its process dies twice. Nothing of it is kept, what others had
            finished is, and the next call goes on from there.
        RuntimeError: if another run is writing into the same folder.
    """
    if workers < 0:
        raise UsageError(f"workers must be 0 or more; got {workers}")
    console = console or plain_console(stderr=True)
    asked = {unit.id: unit for unit in units}
    began = time.monotonic()
    with store.lock(), _told(store):
        todo, damaged = missing(asked.values(), store)
        reused = len(asked) - len(asked.keys() & {unit.id for unit in todo})
        with View(todo, reused, console) as view:
            for unit in damaged:
                view.say(f"{unit.label}: its file is damaged or foreign; computing it again")
            if todo and workers:
                run_in_processes(Queue(todo), store, settings or {}, view, workers)
            elif todo:
                _run_here(Queue(todo), store, settings or {}, view)
    summary = Summary(len(todo), reused, time.monotonic() - began)
    if todo:
        took = duration(summary.seconds)
        console.print(f"{len(todo)} computed, {reused} reused, in {took}", highlight=False)
    return summary


@contextmanager
def _told(store: Store) -> Iterator[None]:
    """However the block ends, the folder says so."""
    store.status("running")
    try:
        yield
    except BaseException as error:
        ended = isinstance(error, KeyboardInterrupt | Ended)
        with suppress(OSError):  # a full disk, say: the error itself matters more
            store.status("killed" if ended else "failed", describe(error))
        raise
    store.status("finished")


def default_workers() -> int:
    """Processors that this process is allowed to run on."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _run_here(queue: Queue, store: Store, settings: Mapping[str, Any], view: View) -> None:
    """One after the other in this process."""
    with _one_torch_thread():
        while (unit := queue.next()) is not None:
            view.start(unit)
            try:
                compute(unit, store, settings, partial(view.progress, unit))
            except UsageError as error:
                raise UsageError(f"{unit.label}: {error}") from error
            except Exception as error:
                raise UnitError(f"{unit.label}: {describe(error)}") from error
            view.finish(unit)
            queue.done(unit)


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    """As in a worker, so that sums are taken in the same order."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
