"""User-steps per second in a closed loop, beside SARDINE: python benchmarks/throughput.py.

World: Sardine-SlateTopK-Bored, 1,000 items, slates of 10, one torch thread. Every figure is the
median of several timings, taken in turns so that a busy machine harms all alike; read the ratios to
SARDINE in the same run, not the absolute figures. One user-step is one slate, the response to it
and the next observation. Slates are drawn beforehand. On a GPU: python benchmarks/throughput.py
--device cuda.

SARDINE itself is compared if it is installed: pip install --no-deps sardine-rec==1.0.8
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from slategym.envs.gym import SlateVectorEnv
from slategym.envs.registry import make_world
from slategym.envs.trees import map_tensors
from slategym.experiments.runs.memory import keep_freed_memory

WORLD, NUM_ITEMS, SLATE_SIZE = "slategym/Sardine-SlateTopK-Bored-v0", 1000, 10
WARM_UP = 102  # steps: past the first end of session, so that all is compiled
H100_BANDWIDTH = 3.35e12  # bytes per second, by its data sheet


@dataclass(frozen=True)
class Contestant:
    """Something that can be stepped, and how many users a step serves."""

    name: str
    num_users: int
    step: Callable[[], object]


def ours(num_users: int, *, compile: bool, num_items: int, device: str) -> Contestant:
    """The vector environment as Gymnasium users call it; tensors in and out on a GPU."""
    world = make_world(WORLD, num_items=num_items, device=device)
    on_device = device != "cpu"
    env = SlateVectorEnv(world, num_users, compile=compile, as_tensor=on_device)
    env.reset(seed=0)
    slates: list[np.ndarray | torch.Tensor] = []
    for number in range(16):
        rng = np.random.default_rng(number)
        slate = rng.integers(num_items, size=(num_users, SLATE_SIZE), dtype=np.int32)
        slates.append(torch.as_tensor(slate, device=device) if on_device else slate)
    turn = iter(range(10**12))
    name = f"{'compiled' if compile else 'eager'} B={num_users:,} N={num_items:,}"
    return Contestant(name, num_users, lambda: env.step(slates[next(turn) % 16]))


def sardine() -> Contestant | None:
    """The original, one user; None where it is not installed."""
    try:
        import gymnasium
        import sardine  # noqa: F401  registers its environments
    except ImportError:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        env = gymnasium.make("sardine/SlateTopK-Bored-v0", disable_env_checker=True).unwrapped
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    slates = [rng.integers(NUM_ITEMS, size=SLATE_SIZE) for _ in range(16)]
    turn = iter(range(10**12))

    def step() -> None:
        if env.step(slates[next(turn) % 16])[2]:
            env.reset()

    return Contestant("SARDINE B=1 N=1,000", 1, step)


def rate(contestant: Contestant, seconds: float, device: str) -> float:
    """User-steps per second: of this process's CPU time, or of wall time on a GPU."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    count, begin = 0, clock()
    while clock() - begin < seconds:
        contestant.step()
        count += 1
    if device != "cpu":
        torch.cuda.synchronize()
    return count * contestant.num_users / (clock() - begin)


def session_bytes(device: str) -> float:
    """Bytes of one user's session, all of which a step reads and writes."""
    env = SlateVectorEnv(make_world(WORLD, device=device), 64)
    env.reset(seed=0)
    sizes: list[int] = []

    def note(x: torch.Tensor) -> torch.Tensor:
        sizes.append(x.numel() * x.element_size())
        return x

    map_tensors(note, env.get_state())
    return sum(sizes) / 64


def main() -> None:
    """Time everything in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--sizes", type=int, nargs="+", help="users in parallel")
    parser.add_argument("--rounds", type=int, default=5, help="timings of each")
    parser.add_argument("--seconds", type=float, default=0.4, help="length of a timing")
    parser.add_argument("--eager-only", action="store_true", help="compile nothing")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as `slategym train` and `benchmark` do
    gpu = chosen.device != "cpu"
    sizes = chosen.sizes or ([2**10, 2**14, 2**17, 2**20] if gpu else [1, 1024, 16384])

    modes = [False] if chosen.eager_only else [False, True]
    field = [
        ours(size, compile=mode, num_items=NUM_ITEMS, device=chosen.device)
        for mode in modes
        for size in sizes
    ]
    many_items = 10 * NUM_ITEMS
    field += [
        ours(1024, compile=mode, num_items=many_items, device=chosen.device) for mode in modes
    ]
    original = sardine()
    field += [original] if original else []
    if original is None:
        print("SARDINE is not installed (pip install --no-deps sardine-rec==1.0.8): no ratios")
    for contestant in field:
        print(f"warming up {contestant.name}", flush=True)
        for _ in range(WARM_UP):
            contestant.step()
    runs: dict[str, list[float]] = {contestant.name: [] for contestant in field}
    for _ in range(chosen.rounds):
        for contestant in field:
            runs[contestant.name].append(rate(contestant, chosen.seconds, chosen.device))

    per_user = session_bytes(chosen.device)
    gathered = SLATE_SIZE * 10 * 4.0  # the embeddings of a slate, ten topics
    floor = H100_BANDWIDTH / (2 * per_user + gathered)
    base = statistics.median(runs[original.name]) if original else None
    print(f"\n{'':32s}{'user-steps/s':>16s}{'best':>16s}{'x SARDINE':>11s}", end="")
    print(f"{'of bandwidth':>14s}" if gpu else "")
    for name, values in runs.items():
        middle = statistics.median(values)
        ratio = f"{middle / base:11.2f}" if base else f"{'':11s}"
        share = f"{middle / floor:14.1%}" if gpu else ""
        print(f"{name:32s}{middle:16,.0f}{max(values):16,.0f}{ratio}{share}")
    print(f"\nmemory: {per_user:,.0f} bytes a user, {10 * 4 + 4 + 4} bytes an item")


if __name__ == "__main__":
    main()
