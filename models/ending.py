"""How a process ends when it is told to: whole files, a whole terminal, no child left behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

FROM_TERMINAL = (signal.SIGINT, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
ASKED = (*FROM_TERMINAL, signal.SIGTERM)  # to end, by whomever


class Ended(BaseException):
    """The process was told to end by a signal other than an interrupt from the keyboard."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.number = number


def raise_when_told_to_end() -> None:
    """From now on SIGTERM and SIGHUP raise `Ended`, so that everything is cleared away.

    A signal that is ignored, as nohup has SIGHUP ignored, stays so. Only the main thread can ask.
    """

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(
            number, signal.SIG_IGN
        )  # told once is enough: nothing interrupts the clearing
        raise Ended(number)

    if threading.current_thread() is threading.main_thread():
        for number in ASKED:
            own = number == signal.SIGINT  # of which Python makes an exception itself
            if not own and signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, end)


@contextmanager
def told_to_end() -> Iterator[Callable[[], bool]]:
    """Within, a signal to end waits until the block is left, and then does what it does.

    A second one of the same kind does not wait.

    Yields:
        Whether one is waiting: the block should come to a good place to stop, and leave.
    """
    waiting: list[int] = []
    before: dict[int, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        waiting.append(number)
        signal.signal(number, before[number])

    if threading.current_thread() is threading.main_thread():
        for number in ASKED:
            found = signal.getsignal(number)
            if found is not signal.SIG_IGN and found is not None:
                before[number] = found
                signal.signal(number, note)
    try:
        yield lambda: bool(waiting)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        if waiting:
            signal.raise_signal(waiting[0])


def end_with_parent(parent: int) -> None:
    """From now on this process is killed as soon as its parent is gone, where Linux can do so.

    Args:
        parent: its id; if it is gone already, this process ends here.
    """
    if sys.platform != "linux":
        return
    import ctypes

    set_parent_death_signal = 1  # PR_SET_PDEATHSIG of linux/prctl.h
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
