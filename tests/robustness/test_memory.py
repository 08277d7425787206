"""Steps hold on to nothing: what a process has after many is what it had after few."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
from small_worlds import learned_world

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "memory.py"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


def benchmark() -> Any:
    found = importlib.util.spec_from_file_location("memory_benchmark", SCRIPT)
    assert found is not None and found.loader is not None
    memory = importlib.util.module_from_spec(found)
    found.loader.exec_module(memory)
    return memory


def check_flat(first: Any, last: Any) -> None:
    assert (first.descriptors, first.threads) == (last.descriptors, last.threads)
    assert last.objects < first.objects + 50
    assert last.megabytes < first.megabytes + 5


def test_steps_hold_on_to_nothing() -> None:
    world = "slategym/InterestEvolution-v0"
    first, *_, last = benchmark().curve(world, steps=600, num_envs=2, points=3)
    check_flat(first, last)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_hundred_thousand_of_a_learned_world_hold_on_to_nothing() -> None:
    """1,600 steps of 64 users, whose sessions follow one another."""
    told = []
    for point in benchmark().curve(learned_world(), steps=1_600, num_envs=64):
        print(point, flush=True)
        told.append(point)
    check_flat(told[0], told[-1])
