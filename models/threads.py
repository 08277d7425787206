"""Processors and threads: how many there are, and that a computation takes one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

# read by the numerical libraries of a process when they are loaded
THREAD_LIMITS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def processors() -> int:
    """Processors that this process is allowed to run on."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Within, torch sums in the same order on every machine, and no thread waits for another."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
