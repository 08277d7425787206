"""A forked process that computes with torch: it has none of its parent's threads."""

from __future__ import annotations

import os
import sys


def compute_alone_after_fork() -> None:
    """From now on, forked children compute with one torch thread.

    OpenMP's threads are not forked along, and a parallel region of the child would wait for them
    for ever; nor are those of torch's compiler, whose pool is made anew where it is wanted. What is
    started by other means than a fork is not concerned.

    Source: GCC bug 58378; pytorch/pytorch#41197. DataLoader's workers do the same.
    """
    if hasattr(os, "register_at_fork"):  # no fork on Windows
        os.register_at_fork(after_in_child=_compute_alone)


def _compute_alone() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "set_num_threads"):  # it may be half imported
        torch.set_num_threads(1)
    compiler = getattr(sys.modules.get("torch._inductor.async_compile"), "AsyncCompile", None)
    if pool := getattr(compiler, "pool", None):
        pool.cache_clear()  # torch forgets its processes there, not its threads
