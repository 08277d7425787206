"""Memory and descriptors over a long run: python benchmarks/memory.py [--steps 100000].

One environment of a small world is stepped under a fixed policy, its sessions following one
another. Every tenth of the way it prints what the process holds: resident memory, open descriptors,
threads and Python's objects. A flat line is what is wanted.
"""

from __future__ import annotations

import argparse
import gc
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from slategym.envs.gym import SlateVectorEnv
from slategym.envs.types import World

WORLD = "slategym/Workbench-v0"


class Held(NamedTuple):
    """What the process holds."""

    steps: int  # so far
    megabytes: float  # resident
    descriptors: int  # open
    threads: int
    objects: int  # that Python's collector knows


def held(steps: int) -> Held:
    """Now, after collecting what nobody holds; Linux only."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Held(
        steps,
        pages * os.sysconf("SC_PAGE_SIZE") / 1e6,
        len(os.listdir("/proc/self/fd")),
        threading.active_count(),
        len(gc.get_objects()),
    )


def curve(world: World | str, steps: int, num_envs: int, points: int = 10) -> Iterator[Held]:
    """What is held at so many points of the way."""
    env = SlateVectorEnv(world, num_envs)
    env.reset(seed=0)
    slates = np.tile(np.arange(env.world.slate_size), (num_envs, 1))
    for step in range(steps + 1):
        if step % max(1, steps // points) == 0 and step:
            yield held(step)
        env.step(slates)
    env.close()


def main() -> None:
    """Print the curve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", default=WORLD)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--num-envs", type=int, default=4)
    given = parser.parse_args()
    torch.set_num_threads(1)
    began = time.monotonic()
    print(f"{given.world}, {given.num_envs} users side by side")
    print(f"{'steps':>9} {'MB':>8} {'descriptors':>11} {'threads':>7} {'objects':>8}")
    for point in curve(given.world, given.steps, given.num_envs):
        steps, megabytes, *counts = point
        descriptors, threads, objects = counts
        line = f"{steps:>9,} {megabytes:>8.1f} {descriptors:>11} {threads:>7} {objects:>8,}"
        print(line, flush=True)
    print(f"{time.monotonic() - began:,.0f} s")


if __name__ == "__main__":
    main()
