"""People and retrieval against the size of the catalogue: python benchmarks/catalogue.py.

Two tables. People: Sardine-SlateTopK-Bored over more and more items, 1,024 users, eager: user-steps
per second of CPU, bytes an item in the world, bytes a user in the session, and the most that the
process held. Retrieval: the 100 items of the greatest product with each of so many queries, exact
in blocks (`agents/slates/retrieval.py`) beside one product with all items, and faiss where it is
installed (pip install faiss-cpu): microseconds a query, and bytes of products held at once. Every
size runs in a process of its own; one torch thread; medians of several timings.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from slategym.agents.slates.retrieval import BLOCK, best_products
from slategym.envs.gym import SlateVectorEnv
from slategym.envs.registry import make_world
from slategym.envs.trees import map_tensors

WORLD, USERS, WIDTH, COUNT = "slategym/Sardine-SlateTopK-Bored-v0", 1_024, 64, 100


def held(value: object) -> int:
    """Bytes of its tensors."""
    sizes: list[int] = []

    def note(x: torch.Tensor) -> torch.Tensor:
        sizes.append(x.numel() * x.element_size())
        return x

    map_tensors(note, value)
    return sum(sizes)


def timed(do: Callable[[], object], rounds: int) -> float:
    """Seconds of this process's CPU, the median of the rounds after one that is not counted."""
    do()
    found = []
    for _ in range(rounds):
        begin = time.process_time()
        do()
        found.append(time.process_time() - begin)
    return statistics.median(found)


def people(num_items: int, rounds: int) -> dict[str, float]:
    """A step of 1,024 users."""
    world = make_world(WORLD, num_items=num_items)
    envs = SlateVectorEnv(world, USERS)
    envs.reset(seed=0)
    rng = np.random.default_rng(0)
    slates = [rng.integers(num_items, size=(USERS, 10), dtype=np.int32) for _ in range(8)]
    turn = iter(range(10**9))
    seconds = timed(lambda: [envs.step(slates[next(turn) % 8]) for _ in range(20)], rounds)
    return {
        "rate": 20 * USERS / seconds,
        "item": held(world.catalogue) / num_items,
        "user": held(envs.get_state()) / USERS,
        "most": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def retrieval(num_items: int, queries: int, rounds: int) -> dict[str, float]:
    """Microseconds a query."""
    generator = torch.Generator().manual_seed(0)
    item_ND = torch.randn(num_items, WIDTH, generator=generator)
    query_BD = torch.randn(queries, WIDTH, generator=generator)
    found = {
        "blocks": timed(lambda: best_products(query_BD, item_ND, COUNT), rounds),
        "whole": timed(lambda: (query_BD @ item_ND.T).topk(COUNT, dim=1), rounds),
    }
    try:
        import faiss

        faiss.omp_set_num_threads(1)
        index = faiss.IndexFlatIP(WIDTH)
        index.add(item_ND.numpy())
        found["faiss"] = timed(lambda: index.search(query_BD.numpy(), COUNT), rounds)
    except ImportError:
        pass
    return {name: 1e6 * seconds / queries for name, seconds in found.items()}


def alone(arguments: list[str]) -> dict[str, float]:
    """That size in a process of its own."""
    command = [sys.executable, __file__, *arguments]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found: dict[str, float] = json.loads(answer.stdout)
    return found


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("people", "retrieval"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.only:
        (size,) = asked.items
        rounds, queries = asked.rounds, asked.queries
        found = people(size, rounds) if asked.only == "people" else retrieval(size, queries, rounds)
        print(json.dumps(found))
        return
    given = ["--rounds", str(asked.rounds), "--queries", str(asked.queries)]
    print(f"{USERS:,} users of {WORLD}, eager")
    print(f"{'items':>10}{'user-steps/s':>14}{'bytes an item':>15}{'a user':>8}{'most':>11}")
    for size in asked.items:
        row = alone([*given, "--items", str(size), "--only", "people"])
        print(
            f"{size:10,}{row['rate']:14,.0f}{row['item']:15,.0f}{row['user']:8,.0f}"
            f"{row['most'] / 2**20:7,.0f} MiB",
            flush=True,
        )
    print(f"\nthe {COUNT} best of width {WIDTH} for {asked.queries} queries, microseconds a query")
    print(f"{'items':>10}{'blocks':>10}{'whole':>10}{'faiss':>10}   products held: blocks, whole")
    for size in asked.items:
        row = alone([*given, "--items", str(size), "--only", "retrieval"])
        exact = f"{row['faiss']:10,.0f}" if "faiss" in row else f"{'-':>10}"
        part = 4 * asked.queries * min(BLOCK, size) / 2**20
        whole = 4 * asked.queries * size / 2**20
        print(
            f"{size:10,}{row['blocks']:10,.0f}{row['whole']:10,.0f}{exact}   "
            f"{part:,.0f} MiB, {whole:,.0f} MiB",
            flush=True,
        )


if __name__ == "__main__":
    main()
