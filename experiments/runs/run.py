"""The one loop: compute what is missing, in as many processes as wanted, and keep it.

The same units give the same files with any number of workers, here or elsewhere: every unit runs on
one torch thread and gets nothing but its spec and the results it needs.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from slategym.envs.names import UsageError
from slategym.experiments.runs.backends.backend import Backend
from slategym.experiments.runs.backends.here import Here
from slategym.experiments.runs.backends.processes import Processes
from slategym.experiments.runs.errors import describe
from slategym.experiments.runs.progress import View, duration
from slategym.experiments.runs.schedule import Queue, missing
from slategym.experiments.runs.store import Store
from slategym.experiments.runs.units import Unit
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
    ray: str | None = None,
    where: Backend | None = None,
    settings: Mapping[str, Any] | None = None,
    console: Console | None = None,
) -> Summary:
    """Compute the units that are not completed, and what they need, longest way first.

    Args:
        units: what must be there in the end; what only a completed unit needed is not computed.
        store: where results go.
        workers: processes, each with one torch thread; 0: this one.
        ray: the address of a Ray cluster to compute on instead, or "auto"; see `backends/ray`.
        where: a backend that is open already, instead of `workers` and `ray`; it is left open.
        settings: handed to every unit; picklable; may not change a result (device, log folder).
        console: for progress; standard error if None.

    Raises:
        UsageError: if workers is negative, if there is no such cluster, or if a unit was asked for
            something that cannot be.
        UnitError: if a unit fails or its process dies twice. Nothing of it is kept, what others had
            finished is, and the next call goes on from there.
        RuntimeError: if another run is writing into the same folder.
    """
    found = backend_of(workers, ray) if where is None else where
    console = console or plain_console(stderr=True)
    asked = {unit.id: unit for unit in units}
    began = time.monotonic()
    with store.lock(), _told(store):
        todo, damaged = missing(asked.values(), store)
        reused = len(asked) - len(asked.keys() & {unit.id for unit in todo})
        with View(todo, reused, console) as view:
            for unit in damaged:
                view.say(f"{unit.label}: its file is damaged or foreign; computing it again")
            try:
                if todo:
                    found.run(Queue(todo), store, settings or {}, view)
            finally:
                if where is None:
                    found.close()
    summary = Summary(len(todo), reused, time.monotonic() - began)
    if todo:
        took = duration(summary.seconds)
        console.print(f"{len(todo)} computed, {reused} reused, in {took}", highlight=False)
    return summary


def check_where(workers: int | None, ray: str | None) -> None:
    """Refuse before anything is computed.

    Raises:
        UsageError: if both are given, one of them cannot be, or Ray is not installed, or nothing
            listens at its address.
    """
    if workers is not None and workers < 0:
        raise UsageError(f"--workers must be 0 (this process) or more, got {workers}")
    if ray is None:
        return
    from slategym.experiments.runs.backends.ray import check_answers, check_installed

    if workers is not None:
        raise UsageError("--workers is for this machine, --ray for a cluster: give one of them")
    check_installed()
    check_answers(ray)


def backend_of(workers: int, ray: str | None) -> Backend:
    """Where to compute; see `run_units`. What it starts ends with its `close`.

    Raises:
        UsageError: workers is negative.
    """
    if workers < 0:
        raise UsageError(f"workers must be 0 or more; got {workers}")
    if ray is not None:
        from slategym.experiments.runs.backends.ray import Ray

        return Ray(ray)
    return Processes(workers) if workers else Here()


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
