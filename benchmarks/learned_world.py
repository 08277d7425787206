"""User-steps per second of people learned by a BERT: python benchmarks/learned_world.py.

World: slategym/MovieLens-v0, 1,682 films, slates of 5, one torch thread. Its models are fitted
first if they are not in the cache (about two minutes). `raw` is the engine alone: transition,
observe, and the next person where one has left. `env` is the same as Gymnasium users call it, numpy
in and out. `state` means that the agents' own network reads the session too, so that observations
hold its state embedding. Slates are drawn beforehand.

For scale, the naive way in the same run: MiniLM, a text BERT of 6 layers, reads "history [SEP]
item" for every user and every item of a slate. Figures are medians of several timings of this
process's CPU time, taken in turns so that a busy machine harms all alike; read the ratios, not the
absolute figures. Freed memory is kept for the next tensor, as `slategym train` and `benchmark` keep
it (glibc). Then the forward calls of every BERT are counted: steps of the world make none.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.modules.module import register_module_forward_pre_hook

from slategym.envs import engine
from slategym.envs.gym import SlateVectorEnv, turn_of
from slategym.envs.registry import make_world
from slategym.envs.types import World
from slategym.experiments.runs.memory import keep_freed_memory
from slategym.models.assets.registry import fetch
from slategym.models.multitask.bert import Bert
from slategym.models.text.settings import DEFAULT_ENCODER

WORLD, TARGET = "slategym/MovieLens-v0", 10_000  # user-steps/s at B = 1,024 with the observer
WARM_UP = 12  # steps: past the first people who lose patience
NAIVE_USERS = 4  # of one naive step; its rate hardly depends on it
TOKENS = 256  # of history and item; ten films with their genres fit


@dataclass(frozen=True)
class Contestant:
    """Something that can be stepped, and how many users a step serves."""

    name: str
    num_users: int
    step: Callable[[], object]


def slates_of(world: World, num_users: int) -> Iterator[np.ndarray]:
    """Sixteen random slates of distinct films, again and again."""
    rng = np.random.default_rng(0)
    shape = (16, num_users, world.slate_size)
    slates = rng.integers(world.num_candidates - world.slate_size, size=shape, dtype=np.int32)
    return cycle(np.sort(slates, axis=2) + np.arange(world.slate_size, dtype=np.int32))


def env(world: World, num_users: int, *, compile: bool) -> Callable[[], object]:
    """The vector environment, closed loop."""
    made, slates = SlateVectorEnv(world, num_users, compile=compile), slates_of(world, num_users)
    made.reset(seed=0)
    return lambda: made.step(next(slates))


def raw(world: World, num_users: int, *, compile: bool) -> Callable[[], object]:
    """The engine alone, tensors in and out."""
    turn = turn_of(world, compile)
    user_B = torch.arange(num_users, dtype=torch.int32) % world.population.size
    session = engine.start(world, torch.zeros_like(user_B), user_B, torch.zeros_like(user_B))
    slates = map(torch.from_numpy, slates_of(world, num_users))

    @torch.no_grad()
    def step() -> Tensor:
        nonlocal session
        session, outcome, _, ended_B = turn(session, next(slates))
        if bool(ended_B.any()):
            session, fresh = engine.replace_rows(world, session, ended_B.nonzero()[:, 0])
            engine.observe(world, fresh)
        return outcome.reward

    return step


def naive(world: World) -> Callable[[], object]:
    """A text BERT over history and item, for each user and each item of the slate."""
    from transformers import AutoTokenizer, BertModel
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    folder = fetch(DEFAULT_ENCODER)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = BertModel.from_pretrained(folder, local_files_only=True)
    model.train(False)
    text, history_UH = world.catalogue.text, world.population.history
    assert history_UH is not None
    pasts = ["; ".join(text[i] for i in row) for row in history_UH[:NAIVE_USERS].tolist()]
    slates = slates_of(world, NAIVE_USERS)

    @torch.no_grad()
    def step() -> Tensor:
        pairs = [
            (past, text[i]) for past, row in zip(pasts, next(slates), strict=True) for i in row
        ]
        tokens = tokenizer(
            [past for past, _ in pairs],
            [item for _, item in pairs],
            padding=True,
            truncation="only_first",
            max_length=TOKENS,
            return_tensors="pt",
        )
        pooled: Tensor = model(**tokens).pooler_output
        return pooled

    return step


def bert_calls(contestant: Contestant, num_steps: int) -> int:
    """Forward calls of any BERT, over items or texts, in so many steps, whoever makes them."""
    from transformers import BertModel

    calls = 0

    def count(module: torch.nn.Module, inputs: Any) -> None:
        nonlocal calls
        calls += isinstance(module, Bert | BertModel)

    handle = register_module_forward_pre_hook(count)
    for _ in range(num_steps):
        contestant.step()
    handle.remove()
    return calls


def rate(contestant: Contestant, seconds: float) -> float:
    """User-steps per second of this process's CPU time."""
    count, begin = 0, time.process_time()
    while time.process_time() - begin < seconds:
        contestant.step()
        count += 1
    return count * contestant.num_users / (time.process_time() - begin)


def compete(sizes: list[int], *, compile: bool) -> list[Contestant]:
    """Everybody, in the order of the table; the naive way last."""
    field = []
    worlds = {"state": make_world(WORLD), "": make_world(WORLD, state=False)}
    for way, make in (("env", env), ("raw", raw)):
        for reading, world in worlds.items():
            for compiled in [False, True] if compile else [False]:
                for size in sizes:
                    words = [way, reading or "bare", f"B={size}"] + ["compiled"] * compiled
                    step = make(world, size, compile=compiled)
                    field.append(Contestant(" ".join(words), size, step))
    return [*field, Contestant("naive text BERT", NAIVE_USERS, naive(worlds["state"]))]


def measure(field: list[Contestant], rounds: int, seconds: float) -> list[dict[str, Any]]:
    """A row per contestant; ratios are to the last."""
    for contestant in field[:-1]:
        for _ in range(WARM_UP):
            contestant.step()
    field[-1].step()
    rates: dict[str, list[float]] = {contestant.name: [] for contestant in field}
    for _ in range(rounds):
        for contestant in field:
            rates[contestant.name].append(rate(contestant, seconds))
    base = statistics.median(rates[field[-1].name])
    return [
        {
            "name": contestant.name,
            "user_steps_per_second": (middle := statistics.median(rates[contestant.name])),
            "best": max(rates[contestant.name]),
            "times_naive": middle / base,
            "bert_calls": bert_calls(contestant, 1 if contestant is field[-1] else WARM_UP),
        }
        for contestant in field
    ]


def main() -> None:
    """Time everything in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 64, 256, 1024], help="users")
    parser.add_argument("--rounds", type=int, default=5, help="timings of each")
    parser.add_argument("--seconds", type=float, default=0.4, help="length of a timing")
    parser.add_argument("--compile", action="store_true", help="time compiled steps as well")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    field = compete(chosen.sizes, compile=chosen.compile)
    rows = measure(field, chosen.rounds, chosen.seconds)
    target = {"name": "env state B=1024", "user_steps_per_second": TARGET}
    if chosen.json:
        print(json.dumps({"world": WORLD, "torch_threads": 1, "rows": rows, "target": target}))
        return
    print(f"{'':28s}{'user-steps/s':>14s}{'best':>12s}{'x naive':>12s}{'BERT calls':>12s}")
    for row in rows:
        print(f"{row['name']:28s}{row['user_steps_per_second']:14,.1f}{row['best']:12,.1f}", end="")
        print(f"{row['times_naive']:12,.1f}{row['bert_calls']:12,d}")
    print(f"target, {target['name']}: {TARGET:,}")


if __name__ == "__main__":
    main()
