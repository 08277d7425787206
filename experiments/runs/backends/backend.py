"""What every backend keeps to, and how a worker attempts one unit."""

from __future__ import annotations

import pickle
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, Protocol

from slategym.envs.names import UsageError
from slategym.experiments.runs.errors import UnitError, describe
from slategym.experiments.runs.progress import View
from slategym.experiments.runs.schedule import Queue
from slategym.experiments.runs.store import Store
from slategym.experiments.runs.units import Progress, Unit, compute

REPORT_EVERY = 0.2  # seconds between progress reports of one unit


class Backend(Protocol):
    """Works off a queue of units; the same units give the same rows on every backend."""

    def run(self, queue: Queue, store: Store, settings: Mapping[str, Any], view: View) -> None:
        """Compute every unit of the queue and keep it in the store, whole or not at all.

        A unit whose process is lost is said by name and tried once more.

        Args:
            queue: units, which of them is next.
            store: where results go.
            settings: handed to every unit.
            view: is told of every start, progress and end.

        Raises:
            UsageError, UnitError: at the first unit that fails; the others are ended.
        """
        ...

    def close(self) -> None:
        """End what waits for another queue."""
        ...


class Attempt(NamedTuple):
    """How an attempt at a unit ended, in values that cross to another process."""

    kind: Literal["done", "failed", "usage"]
    text: str = ""  # the error in one line
    trace: str = ""


class Died(UnitError):
    """A process was gone before its unit was done."""


def attempt(sent: bytes, store: Store, settings: Mapping[str, Any], progress: Progress) -> Attempt:
    """Compute one pickled unit; that it cannot even be read is an error like any other."""
    try:
        compute(pickle.loads(sent), store, settings, progress)
    except UsageError as error:
        return Attempt("usage", describe(error), traceback.format_exc())
    except Exception as error:  # all of it crosses to the caller, which raises it
        return Attempt("failed", describe(error), traceback.format_exc())
    return Attempt("done")


def raise_unless_done(unit: Unit, ended: Attempt) -> None:
    """The error that the attempt met, with its traceback as a note."""
    if ended.kind == "done":
        return
    error = (UsageError if ended.kind == "usage" else UnitError)(f"{unit.label}: {ended.text}")
    error.add_note(ended.trace)
    raise error


def death(unit: Unit, exitcode: int | None) -> Died:
    """Says which unit's process is gone, and how it went.

    Args:
        unit: what it was at.
        exitcode: of the process; negative: minus the signal that ended it; None: not known.
    """
    if exitcode is None:
        return Died(f"{unit.label}: its process is gone")
    if exitcode >= 0:
        return Died(f"{unit.label}: its process ended with code {exitcode}")
    hint = "; if memory ran out, use fewer workers" if -exitcode == signal.SIGKILL else ""
    how = f"was killed ({signal.Signals(-exitcode).name})"
    return Died(f"{unit.label}: its process {how}{hint}")


class Reporter:
    """A unit's progress, sent now and then."""

    def __init__(self, send: Callable[[tuple[float, float, str]], object]) -> None:
        self.send, self.last = send, 0.0

    def __call__(self, done: float, total: float, note: str = "") -> None:
        """Report done of total."""
        now = time.monotonic()
        if now - self.last >= REPORT_EVERY:
            self.last = now
            self.send((float(done), float(total), note))
