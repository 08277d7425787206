"""Units in processes of their own, which end when this one does, however it ends.

One pipe to each worker, not a shared queue: a worker that is killed breaks its own pipe only, and
the unit it was at is known.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Literal, NamedTuple

from slategym.envs.names import UsageError
from slategym.experiments.runs.errors import UnitError, describe
from slategym.experiments.runs.memory import keep_freed_memory
from slategym.experiments.runs.progress import View
from slategym.experiments.runs.schedule import Queue
from slategym.experiments.runs.store import Store
from slategym.experiments.runs.units import Unit, compute
from slategym.models.ending import FROM_TERMINAL, end_with_parent

PATIENCE = 3.0  # seconds between asking a worker to end and ending it
REPORT_EVERY = 0.2  # seconds between progress reports of one unit
THREAD_LIMITS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Report(NamedTuple):
    """What a worker sends."""

    kind: Literal["progress", "done", "failed", "usage"]
    done: float = 0.0
    total: float = 0.0
    text: str = ""  # a note, or the error in one line
    trace: str = ""


@dataclass
class Worker:
    """A process and what it is at."""

    process: SpawnProcess
    pipe: Connection
    unit: Unit | None = None

    def ask_to_end(self) -> None:
        """A training keeps a checkpoint, all else ends at once: see `models/ending`."""
        self.process.terminate()

    def end(self, patience: float = PATIENCE) -> None:
        """It is gone after so many seconds: what it had not finished writing is not there."""
        self.process.join(patience)
        self.pipe.close()  # not before: who is told to end may still be reporting
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.process.close()


def run_in_processes(
    queue: Queue, store: Store, settings: Mapping[str, Any], view: View, workers: int
) -> None:
    """Work off the queue. A unit whose process dies is tried once more.

    Raises:
        UsageError, UnitError: at the first unit that fails; the others are ended.
    """
    crew: list[Worker] = []
    again: set[str] = set()  # ids of units whose process died once
    try:
        with _one_thread_each():
            for _ in range(min(workers, len(queue.waiting))):
                crew.append(_hire(store, settings))
        while queue.undone:
            for worker in crew:
                if worker.unit is None and (unit := queue.next()) is not None:
                    _give(worker, unit, view)
            for worker in _talking(crew):
                try:
                    _hear(worker, queue, view)
                except Died as death:
                    unit = worker.unit
                    if unit is None or unit.id in again:
                        raise
                    again.add(unit.id)
                    view.say(f"{death}; trying once more")
                    worker.end()
                    crew.remove(worker)
                    with _one_thread_each():
                        crew.append(_hire(store, settings))
                    _give(crew[-1], unit, view)
    finally:
        for worker in crew:
            worker.ask_to_end()
        until = time.monotonic() + PATIENCE
        for worker in crew:
            worker.end(max(0.0, until - time.monotonic()))


def _hire(store: Store, settings: Mapping[str, Any]) -> Worker:
    context = get_context("spawn")  # a forked torch may hang
    ours, theirs = context.Pipe()
    given = (theirs, store, dict(settings), os.getpid())
    process = context.Process(target=_serve, args=given, daemon=True)
    process.start()
    theirs.close()  # so that its death closes the pipe
    return Worker(process, ours)


def _give(worker: Worker, unit: Unit, view: View) -> None:
    view.start(unit)
    worker.unit = unit
    try:
        worker.pipe.send(unit)
    except OSError:
        raise _death(worker) from None


def _talking(crew: list[Worker]) -> list[Worker]:
    """Workers whose pipe has something to read, or is broken; waits for one."""
    ready = wait([worker.pipe for worker in crew if worker.unit is not None])
    return [worker for worker in crew if worker.pipe in ready]


def _hear(worker: Worker, queue: Queue, view: View) -> None:
    """Take one report."""
    unit = worker.unit
    assert unit is not None
    try:
        report: Report = worker.pipe.recv()
    except (EOFError, OSError):
        raise _death(worker) from None
    if report.kind == "progress":
        view.progress(unit, report.done, report.total, report.text)
        return
    if report.kind != "done":
        kind = UsageError if report.kind == "usage" else UnitError
        error = kind(f"{unit.label}: {report.text}")
        error.add_note(report.trace)
        raise error
    worker.unit = None
    view.finish(unit)
    queue.done(unit)


class Died(UnitError):
    """A process was gone before its unit was done."""


def _death(worker: Worker) -> Died:
    """Why a pipe broke: its process is gone."""
    worker.process.join(PATIENCE)
    code = worker.process.exitcode
    assert worker.unit is not None
    if code is not None and code < 0:
        how = f"was killed ({signal.Signals(-code).name})"
        hint = "; if memory ran out, use fewer workers" if -code == signal.SIGKILL else ""
    else:
        how, hint = f"ended with code {code}", ""
    return Died(f"{worker.unit.label}: its process {how}{hint}")


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started inside read these when they load torch and numpy, which is not yet."""
    before = {name: os.environ.get(name) for name in THREAD_LIMITS}
    os.environ.update(dict.fromkeys(THREAD_LIMITS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(pipe: Connection, store: Store, settings: Mapping[str, Any], parent: int) -> None:
    """A worker's life: units in, files out, until the pipe closes."""
    end_with_parent(parent)  # at once on Linux; elsewhere the thread sees to it
    for number in FROM_TERMINAL:
        signal.signal(number, signal.SIG_IGN)  # the parent, told to end as well, ends us
    threading.Thread(target=_end_with_parent, daemon=True).start()
    keep_freed_memory()
    while True:
        try:
            sent = pipe.recv_bytes()
        except EOFError:
            return
        pipe.send(_attempt(sent, pipe, store, settings))


def _attempt(sent: bytes, pipe: Connection, store: Store, settings: Mapping[str, Any]) -> Report:
    """Compute one unit; that it cannot even be read is an error like any other."""
    try:
        compute(pickle.loads(sent), store, settings, _Reporter(pipe))
    except UsageError as error:
        return Report("usage", text=describe(error), trace=traceback.format_exc())
    except Exception as error:  # all of it crosses to the parent, which raises it
        return Report("failed", text=describe(error), trace=traceback.format_exc())
    return Report("done")


class _Reporter:
    """A unit's progress, sent now and then."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe, self.last = pipe, 0.0

    def __call__(self, done: float, total: float, note: str = "") -> None:
        now = time.monotonic()
        if now - self.last >= REPORT_EVERY:
            self.last = now
            self.pipe.send(Report("progress", float(done), float(total), note))


def _end_with_parent() -> None:
    """Nothing outlives a parent that was killed."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
