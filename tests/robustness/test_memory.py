"""Steps hold on to nothing: what a process has after many is what it had after few."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "memory.py"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


def test_steps_hold_on_to_nothing() -> None:
    found = importlib.util.spec_from_file_location("memory_benchmark", SCRIPT)
    assert found is not None and found.loader is not None
    memory = importlib.util.module_from_spec(found)
    found.loader.exec_module(memory)
    first, *_, last = memory.curve("slategym/InterestEvolution-v0", steps=600, num_envs=2, points=3)
    assert (first.descriptors, first.threads) == (last.descriptors, last.threads)
    assert last.objects < first.objects + 50
    assert last.megabytes < first.megabytes + 5
