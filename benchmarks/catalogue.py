"""People and retrieval against the size of the catalogue: python benchmarks/catalogue.py.

Three tables. People: Sardine-SlateTopK-Bored over more and more items, 1,024 users, eager: steps of
a user per second of CPU, bytes an item in the world, bytes a user in the session, and the most that
the process held. Learned people of random networks of width 16, without a wide part, N of them
before N items, some in session: seconds until they stand there, steps, bytes of each kind.
Retrieval: the 100 items of the greatest product with each of so many queries, exact in blocks
(`agents/slates/retrieval.py`) beside one product with all items, and faiss where it is installed
(pip install faiss-cpu): microseconds a query, and bytes of products held at once. Every size runs
in a process of its own; one torch thread; medians of several timings.
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
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from slategym.agents.slates.retrieval import BLOCK, best_products
from slategym.envs.candidates import unseen
from slategym.envs.gym import SlateVectorEnv
from slategym.envs.registry import make_world
from slategym.envs.trees import map_tensors

WORLD, USERS, WIDTH, COUNT = "slategym/Sardine-SlateTopK-Bored-v0", 1_024, 64, 100
IN_SESSION, SLOTS, HORIZON, BEFORE, SOME = 64, 5, 20, 6, 100  # learned people


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


def learned(number: int, rounds: int) -> dict[str, float]:
    """So many learned people before so many items."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from small_worlds import learned_world, random_population

    begin = time.process_time()
    few = random_population(number, SOME, BEFORE)  # it draws a table of users and items
    assert few.history is not None
    people = replace(few, history=few.history * (number // SOME))
    world = learned_world(number, SLOTS, HORIZON, population=people)
    world = replace(world, candidates=unseen(number, BEFORE + SLOTS * HORIZON))
    envs = SlateVectorEnv(world, IN_SESSION)
    envs.reset(seed=0)
    built = time.process_time() - begin
    shape = (8, IN_SESSION, SLOTS)
    slates = np.random.default_rng(0).integers(number, size=shape, dtype=np.int32)
    turn = iter(range(10**9))
    seconds = timed(lambda: [envs.step(slates[next(turn) % 8]) for _ in range(5)], rounds)
    session = held(envs.get_state()) / IN_SESSION
    return {
        "built": built,
        "rate": 5 * IN_SESSION / seconds,
        "item": held(world.catalogue) / number,
        "arrival": held(world.population) / number,
        "user": session,
        "pair": session / number,
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
    parser.add_argument("--learned", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument(
        "--only", choices=("people", "retrieval", "learned"), help=argparse.SUPPRESS
    )
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.only:
        (size,) = asked.items
        rounds, queries = asked.rounds, asked.queries
        if asked.only == "retrieval":
            found = retrieval(size, queries, rounds)
        else:
            found = {"people": people, "learned": learned}[asked.only](size, rounds)
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
    print(f"\nlearned people, {IN_SESSION} in session")
    print(
        f"{'users, items':>12}{'built':>9}{'user-steps/s':>14}{'bytes an item':>15}"
        f"{'an arrival':>12}{'in session':>12}{'user x item':>13}{'most':>11}"
    )
    for size in asked.learned:
        row = alone([*given, "--items", str(size), "--only", "learned"])
        print(
            f"{size:12,}{row['built']:7,.1f} s{row['rate']:14,.0f}{row['item']:15,.0f}"
            f"{row['arrival']:12,.0f}{row['user']:12,.0f}{row['pair']:13,.1f}"
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
