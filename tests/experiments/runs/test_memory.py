"""Freed memory is used again."""

from __future__ import annotations

import subprocess
import sys

import pytest

COUNT = """
import resource
import sys
import torch
from slategym.experiments.runs.memory import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
before = None
for turn in range(40):
    alive = [torch.ones(2_500_000) for _ in range(8)]  # 10 MB each, for an instant
    del alive
    now = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    before = now if turn == 4 else before
print(now - before)
"""


def faults(how: str) -> int:
    """Pages that the kernel had to hand out while 80 MB came and went 35 times."""
    found = subprocess.run(
        [sys.executable, "-c", COUNT, how], capture_output=True, text=True, check=True
    )
    return int(found.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_freed_memory_is_used_again():
    pages = 80_000_000 // 4096
    assert faults("usual") >= pages  # what the function is for
    assert faults("kept") < pages
