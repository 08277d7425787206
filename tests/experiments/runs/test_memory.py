"""Freed memory is used again."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

COUNT = """
import resource
import sys
from slategym.experiments.runs.memory import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
for turn in range(40):
    alive = [bytes([turn + 1]) * 2**20 for _ in range(8)]  # for an instant
    del alive
    if turn == 4:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
USUAL = {f"MALLOC_{name}_THRESHOLD_": str(128 * 2**10) for name in ("TRIM", "MMAP")}


def faults(how: str) -> int:
    """Pages that the kernel had to hand out while 8 MiB came and went 35 times."""
    found = subprocess.run(
        [sys.executable, "-c", COUNT, how],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **USUAL},  # where glibc begins, before it adapts
    )
    return int(found.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_freed_memory_is_used_again():
    pages = 8 * 2**20 // 4096
    assert faults("usual") > 30 * pages  # what the function is for
    assert faults("kept") < pages
