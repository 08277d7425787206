"""What was freed is kept for the next tensor, instead of being given back and asked for anew."""

from __future__ import annotations

import ctypes
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # parameters of glibc's mallopt, from malloc.h
KEPT = 512 * 2**20  # bytes that may lie free at the top before some are given back
BY_HEAP = 32 * 2**20  # bytes up to which a block comes from what is kept; the most glibc allows


def keep_freed_memory() -> bool:
    """Tell this process's allocator to reuse freed memory; changes no result.

    Tensors of a few MB live for an instant and are made again with every slate. By default glibc
    maps such blocks anew each time, and the kernel clears every page of them: a third of the time
    in which people are shown slates.

    Returns:
        Whether it was told: glibc alone understands it.
    """
    if not sys.platform.startswith("linux"):
        return False
    found = getattr(ctypes.CDLL(None), "mallopt", None)
    return bool(found and found(TRIM_THRESHOLD, KEPT) and found(MMAP_THRESHOLD, BY_HEAP))
