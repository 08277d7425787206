"""How long a policy takes per call: as it is in a study, or exported, for several catalogues."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from slategym.agents.core.agent import Agent
from slategym.agents.serving.export import Exported, export
from slategym.agents.types import Policy
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.registry import find_world, make_world
from slategym.envs.types import World
from slategym.experiments.measure.slates import first_seed
from slategym.experiments.measure.training import Home
from slategym.experiments.measure.units import users_of, world_of
from slategym.experiments.runs.units import Unit, Work

SIZES = (1_000, 10_000, 100_000)  # items
BATCHES = (1, 64)  # users a call
WARM_UP, CALLS, SECONDS = 5, 300, 2.0  # calls thrown away; calls timed, or as many as fit in a time
ACT_SECONDS = 0.4  # of each policy and batch of a study


@dataclass(frozen=True)
class Latency:
    """Of one call of the exported program."""

    items: int  # in the catalogue
    batch: int  # users a call
    calls: int  # timed
    p50: float  # ms
    p95: float  # ms
    cpu: float  # ms of processor time, median: what other work on the machine does not change


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


def _time(exported: Exported, items: int) -> list[Latency]:
    found = []
    for batch in BATCHES:
        users = torch.arange(batch) % len(next(iter(exported.inputs.values())))
        shown = {name: x[users] for name, x in exported.inputs.items()}
        found.append(_timed(lambda shown=shown: exported.slate(shown), items, batch, SECONDS))  # type: ignore[misc]
    return found


@torch.no_grad()
def _timed(call: Callable[[], object], items: int, batch: int, seconds: float) -> Latency:
    """Of so many calls as fit into a time, CALLS at most."""
    for _ in range(WARM_UP):
        call()
    times, spent = list[float](), list[float]()
    until = time.perf_counter() + seconds
    while len(times) < CALLS and (time.perf_counter() < until or len(times) < WARM_UP):
        began, busy = time.perf_counter(), time.process_time()
        call()
        times.append(1e3 * (time.perf_counter() - began))
        spent.append(1e3 * (time.process_time() - busy))
    p50, p95 = np.quantile(times, [0.5, 0.95])
    return Latency(items, batch, len(times), float(p50), float(p95), float(np.median(spent)))


def serving(work: Work) -> dict[str, Any]:
    """What a slate of each policy costs at the first request, from an observation on.

    Read on the machine that the study runs on, which may be busy with other work; of learners the
    lowest training seed, as it serves.

    Returns:
        "threads": of torch. "latency": a `Latency` for each batch, by the policy's name in tables.
    """
    spec, device = work.spec, work.settings.get("device", "cpu")
    world = world_of(spec["world"], spec["settings"], device)
    readings: dict[str, list[Unit]] = {}
    for unit in work.unit.needs:
        if unit.function == "read@1":
            readings.setdefault(unit.spec["label"], []).append(unit)
    found: dict[str, list[dict[str, Any]]] = {}
    for done, (name, units) in enumerate(readings.items()):
        work.progress(done, len(readings), name)
        policy = first_seed(work, world, units)
        found[name] = [
            asdict(_slate_time(world, policy, spec["first_user"], batch)) for batch in BATCHES
        ]
    return {"threads": torch.get_num_threads(), "device": device, "latency": found}


def _slate_time(world: World, policy: Policy, first: int, batch: int) -> Latency:
    user_B = users_of(world, first, batch)
    zero_B = torch.zeros_like(user_B)
    session = engine.start(world, zero_B, user_B, zero_B)
    observation = engine.observe(world, session)
    if policy.privileged:
        observation = replace(observation, hidden=session)
    now = Luck.at(session.key, session.step)
    items = world.catalogue.num_items
    return _timed(lambda: policy.act(observation, now), items, len(user_B), ACT_SECONDS)
