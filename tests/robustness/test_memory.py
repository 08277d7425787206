"""Steps hold on to nothing: what a process has after many is what it had after few.

Each curve is measured in a process of its own: the resident memory of one that other tests share
moves for reasons of theirs.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

SCRIPTS = Path(__file__).parents[2] / "benchmarks"
TESTS = Path(__file__).parents[1]

CURVE = """
import sys
sys.path[:0] = sys.argv[1:3]
from memory import curve

world, steps, users, points = sys.argv[3:]
if world == "learned":
    from small_worlds import learned_world

    world = learned_world()
for point in curve(world, int(steps), int(users), int(points)):
    print(*point, flush=True)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


class Held(NamedTuple):
    """A line that the process prints, of benchmarks/memory.py."""

    steps: int
    megabytes: float
    descriptors: int
    threads: int
    objects: int


def curve(world: str, steps: int, num_envs: int, points: int) -> list[Held]:
    """What a fresh process holds on its way; 'learned' names the tests' small learned world."""
    told = subprocess.run(
        [sys.executable, "-c", CURVE, str(SCRIPTS), str(TESTS), world]
        + [str(steps), str(num_envs), str(points)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    print(told)
    lines = [line.split() for line in told.splitlines()]
    assert len(lines) == points
    return [Held(int(at), float(mb), *map(int, counts)) for at, mb, *counts in lines]


def check_flat(first: Held, last: Held) -> None:
    assert (first.descriptors, first.threads) == (last.descriptors, last.threads)
    assert last.objects < first.objects + 50
    assert last.megabytes < first.megabytes + 5


def test_steps_hold_on_to_nothing() -> None:
    first, *_, last = curve("slategym/InterestEvolution-v0", steps=600, num_envs=2, points=3)
    check_flat(first, last)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_hundred_thousand_of_a_learned_world_hold_on_to_nothing() -> None:
    """1,600 steps of 64 users, whose sessions follow one another."""
    first, *_, last = curve("learned", steps=1_600, num_envs=64, points=10)
    check_flat(first, last)
