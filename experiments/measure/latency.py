"""How long an exported policy takes per call, for catalogues of several sizes."""

from __future__ import annotations

import inspect
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from slategym.agents.core.agent import Agent
from slategym.agents.serving.export import Exported, export
from slategym.envs.names import UsageError
from slategym.envs.registry import find_world, make_world
from slategym.experiments.measure.training import Home

SIZES = (1_000, 10_000, 100_000)  # items
BATCHES = (1, 64)  # users a call
WARM_UP, CALLS, SECONDS = 5, 300, 2.0  # calls thrown away; calls timed, or as many as fit in a time


@dataclass(frozen=True)
class Latency:
    """Of one call of the exported program."""

    items: int  # in the catalogue
    batch: int  # users a call
    calls: int  # timed
    p50: float  # ms
    p95: float  # ms


@dataclass(frozen=True)
class Unmeasured:
    """Why there is no latency for a size."""

    items: int
    reason: str


def measure(
    agent: Agent, exported: Exported, home: Home, sizes: Sequence[int] = SIZES
) -> list[Latency | Unmeasured]:
    """Latencies of the agent's own catalogue, and of others where the world can have them.

    The same kind of agent, untrained, stands for a trained one of another size: it computes the
    same things.

    Args:
        agent: that was exported.
        exported: what came of it.
        home: where it was trained.
        sizes: numbers of items.
    """
    own = agent.world.catalogue.num_items
    found: list[Latency | Unmeasured] = [*_time(exported, own)]
    builder = find_world(home.world)[1].load()
    resizable = "num_items" in inspect.signature(builder).parameters
    for size in sizes:
        if size == own:
            continue
        if not resizable:
            found.append(Unmeasured(size, f"{home.world} has {own} items and no other number"))
            continue
        try:
            world = make_world(home.world, **{**home.settings, "num_items": size})
            twin = type(agent)(world, agent.settings, seeds=agent.seeds[:1])
            found += _time(export(twin), size)
        except UsageError as error:
            found.append(Unmeasured(size, str(error)))
    return sorted(found, key=lambda latency: latency.items)


@torch.no_grad()
def _time(exported: Exported, items: int) -> list[Latency]:
    found = []
    for batch in BATCHES:
        users = torch.arange(batch) % len(next(iter(exported.inputs.values())))
        shown = {name: x[users] for name, x in exported.inputs.items()}
        for _ in range(WARM_UP):
            exported.slate(shown)
        times: list[float] = []
        until = time.perf_counter() + SECONDS
        while len(times) < CALLS and (time.perf_counter() < until or len(times) < WARM_UP):
            began = time.perf_counter()
            exported.slate(shown)
            times.append(1e3 * (time.perf_counter() - began))
        p50, p95 = np.quantile(times, [0.5, 0.95])
        found.append(Latency(items, batch, len(times), float(p50), float(p95)))
    return found
