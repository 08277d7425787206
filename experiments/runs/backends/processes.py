"""Units in processes of this machine, which end when this one does, however it ends.

The pool is `concurrent.futures`. One executor for each process: of a pool of several that breaks,
every unit fails and none says whose process died; of a pool of one, the unit is known and the
others go on.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from slategym.experiments.runs.backends.backend import (
    REPORT_EVERY,
    Attempt,
    Reporter,
    attempt,
    death,
    raise_unless_done,
)
from slategym.experiments.runs.memory import keep_freed_memory
from slategym.experiments.runs.progress import View
from slategym.experiments.runs.schedule import Queue
from slategym.experiments.runs.store import Store
from slategym.experiments.runs.units import Unit
from slategym.models.ending import FROM_TERMINAL, end_with_parent
from slategym.models.threads import THREAD_LIMITS

PATIENCE = 3.0  # seconds between asking a process to end and ending it


@dataclass(frozen=True)
class Processes:
    """So many processes, each with one torch thread.

    They stay for the next queue, with all that they have imported and read, until `close`.
    """

    workers: int
    running: list[Worker] = field(default_factory=list)

    def run(self, queue: Queue, store: Store, settings: Mapping[str, Any], view: View) -> None:
        """See `Backend`."""
        if any((worker.store, worker.settings) != (store, settings) for worker in self.running):
            self.close()
        try:
            self._work_off(queue, store, settings, view)
        except BaseException:
            self.close()
            raise

    def _work_off(
        self, queue: Queue, store: Store, settings: Mapping[str, Any], view: View
    ) -> None:
        running = self.running
        again: set[str] = set()  # ids of units whose process died once
        while queue.undone:
            idle = [worker for worker in running if worker.unit is None]
            while idle or len(running) < self.workers:
                free = idle.pop() if idle else None
                elsewhere = {worker.world for worker in running if worker is not free} - {""}
                found = queue.next("" if free is None else free.world, elsewhere)
                if found is None:
                    break
                if free is None:
                    free = Worker(store, settings)
                    running.append(free)
                view.start(found)
                free.give(found)
            for worker in _ended(running, view):
                unit = worker.unit
                assert unit is not None
                try:
                    ended = worker.take()
                except BrokenProcessPool:
                    died = death(unit, worker.end())
                    running.remove(worker)
                    if unit.id in again:
                        raise died from None
                    again.add(unit.id)
                    view.say(f"{died}; trying once more")
                    running.append(Worker(store, settings))
                    running[-1].give(unit)
                    continue
                raise_unless_done(unit, ended)
                view.finish(unit)
                queue.done(unit)

    def close(self) -> None:
        """End all of them."""
        for worker in self.running:
            worker.ask_to_end()
        until = time.monotonic() + PATIENCE
        for worker in self.running:
            worker.end(until - time.monotonic())
        self.running.clear()


class Worker:
    """A pool of one process, and what it is at."""

    def __init__(self, store: Store, settings: Mapping[str, Any]) -> None:
        self.store, self.settings = store, settings
        context = get_context("spawn")  # a forked torch may hang
        self.progress, self._theirs = context.Pipe(duplex=False)
        given = (self._theirs, store, dict(settings), os.getpid())
        self.pool = ProcessPoolExecutor(1, context, initializer=_begin, initargs=given)
        self.process: BaseProcess | None = None  # from its first unit on
        self.unit: Unit | None = None
        self.world = ""  # of its last unit that had one
        self.future: Future[Attempt] = Future()

    def give(self, unit: Unit) -> None:
        """Compute it; the first one starts the process."""
        self.unit, self.world, sent = unit, unit.world or self.world, pickle.dumps(unit)
        try:
            if self.process is not None:
                self.future = self.pool.submit(_serve, sent)
                return
            before = active_children()
            with _one_thread_each():
                self.future = self.pool.submit(_serve, sent)
            (self.process,) = (child for child in active_children() if child not in before)
            self._theirs.close()
        except BrokenProcessPool as error:  # it died idle
            self.future = Future()
            self.future.set_exception(error)

    def take(self) -> Attempt:
        """How its unit ended; it is idle from now on.

        Raises:
            BrokenProcessPool: the process is gone.
        """
        ended = self.future.result()
        self.unit = None
        return ended

    def ask_to_end(self) -> None:
        """A training keeps a checkpoint, all else ends at once: see `models/ending`."""
        if self.process is not None:
            self.process.terminate()

    def end(self, patience: float = PATIENCE) -> int | None:
        """It is gone after so many seconds: what it had not finished writing is not there.

        Returns:
            The exit code; negative: minus the signal that ended it.
        """
        if self.process is None:
            self.pool.shutdown()
            return None
        self.process.join(max(0.0, patience))
        if self.process.is_alive():
            self.process.kill()
        self.pool.shutdown(cancel_futures=True)  # waits until the process is gone
        self.progress.close()
        return self.process.exitcode


def _ended(running: list[Worker], view: View) -> list[Worker]:
    """Workers whose unit has ended, waiting a moment for one; the others' progress is shown."""
    working = {worker.future: worker for worker in running if worker.unit is not None}
    done = wait(working, timeout=REPORT_EVERY, return_when=FIRST_COMPLETED).done
    for worker in working.values():
        with suppress(EOFError, OSError):  # of a process that is gone; its future says so
            while worker.progress.poll():
                told = worker.progress.recv()
                if worker.unit is not None and worker.future not in done:
                    view.progress(worker.unit, *told)
    return [worker for future, worker in working.items() if future in done]


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


@dataclass(frozen=True)
class _Given:
    """What a process is started with."""

    progress: Connection
    store: Store
    settings: Mapping[str, Any]


_given: list[_Given] = []  # in the process of a worker alone: its own


def _begin(progress: Connection, store: Store, settings: Mapping[str, Any], parent: int) -> None:
    """A process's first act."""
    end_with_parent(parent)  # at once on Linux; elsewhere the thread sees to it
    for number in FROM_TERMINAL:
        signal.signal(number, signal.SIG_IGN)  # the parent, told to end as well, ends us
    threading.Thread(target=_end_with_parent, daemon=True).start()
    keep_freed_memory()
    _given.append(_Given(progress, store, settings))


def _serve(sent: bytes) -> Attempt:
    """Compute one unit."""
    (given,) = _given
    return attempt(sent, given.store, given.settings, Reporter(given.progress.send))


def _end_with_parent() -> None:
    """Nothing outlives a parent that was killed."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
