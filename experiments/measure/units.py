"""What a study's units compute: describe a world, its headroom, tune, train, read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from slategym.agents.core.agent import Agent, Progress
from slategym.agents.core.files import CHECKPOINT, read_about, serves_start
from slategym.agents.core.tuning import Budget
from slategym.agents.registry import find_agent, make_policy
from slategym.agents.types import Policy
from slategym.envs.names import load_object
from slategym.envs.registry import make_world
from slategym.envs.types import World
from slategym.experiments.measure.headroom import kept_headroom
from slategym.experiments.measure.play import reading
from slategym.experiments.measure.training import Training, snapshot
from slategym.experiments.measure.twins import check_twin
from slategym.experiments.runs.units import Work
from slategym.models.tensor_files import remove_checkpoints

CHECKPOINT_EVERY = 30.0  # seconds
CURVE = ("steps", "seconds", "return_mean")
READINGS = 8  # of a headroom, roughly: greedy and others, and planners of several depths
WORLDS = 8  # kept at a time, as many as a study of one log has; tables of people are large


@lru_cache(maxsize=WORLDS)
def _world(name: str, settings: tuple[tuple[str, Any], ...], device: str) -> World:
    elsewhere = {} if device == "cpu" else {"device": device}
    return make_world(name, **dict(settings), **elsewhere)


def world_of(name: str, settings: Mapping[str, Any], device: str) -> World:
    """The world, built once a process as long as it is among the last few."""
    return _world(name, tuple(sorted(settings.items())), device)


def describe(work: Work) -> dict[str, Any]:
    """What the world is made of, in numbers and words, as its own pages have it.

    Raises:
        UsageError: it is a control, and no other than the world that it controls.
    """
    world = world_of(work.spec["world"], work.spec["settings"], "cpu")
    if "controls" in work.spec:
        open_place = work.spec["controls"]
        check_twin(world_of(open_place["world"], open_place["settings"], "cpu"), world)
    signals = world.users.signals
    weights = dict(zip((s.name for s in signals), world.objective, strict=False))
    return {
        "world": world.name,
        "labels": [list(label) for label in world.labels],
        "signals": [
            {
                "name": signal.name,
                "kind": signal.kind,
                "unit": signal.unit,
                "provenance": signal.provenance,
                "weight": weights.get(signal.name, 0.0),
            }
            for signal in signals
        ],
        "items": world.catalogue.num_items,
        "topics": world.catalogue.num_topics,
        "slate_size": world.slate_size,
        "horizon": world.horizon,
    }


def headroom(work: Work) -> dict[str, Any]:
    """What looking ahead could be worth in the world, told the truth; see `measure/headroom`."""
    spec, device = work.spec, work.settings.get("device", "cpu")
    world = replace(world_of(spec["world"], spec["settings"], device), chosen=chosen_by(work))
    done = 0

    def tell(name: str, number: int) -> None:
        nonlocal done
        done += number
        work.progress(done, READINGS * spec["num_users"], name)

    user_U = users_of(world, spec["first_user"], spec["num_users"])
    return kept_headroom(world, user_U, seed=spec["luck"], tell=tell)


def users_of(world: World, first: int, count: int) -> Tensor:
    """So many rows of the population from the first on; of a small table, those at its end."""
    size = world.population.size
    if size < first + count:
        first = max(0, size - count)
    return torch.arange(first, min(size, first + count), dtype=torch.int32).to(world.device)


def learn(work: Work) -> pd.DataFrame:
    """Train; the agent goes to the unit's folder, its learning curve is the table.

    The last row says where training ended; its return is missing. The checkpoint, mostly replay,
    goes when the training is done.
    """
    spec = work.spec
    logs: str | None = work.settings.get("tensorboard")

    def tell(now: Progress) -> None:
        earned = now.figures.get("rollout/ep_rew_mean")
        work.progress(now.steps, now.total, "" if earned is None else f"return {earned:.1f}")

    names = ("agent", "world", "world_settings", "settings", "seeds")
    device = work.settings.get("device", "cpu")
    agent = Training(**{name: spec[name] for name in names}).run(
        work.folder,
        world=world_of(spec["world"], spec["world_settings"], device),
        callback=tell,
        tensorboard=Path(logs) / work.unit.name if logs else None,
        checkpoint_every=CHECKPOINT_EVERY,
        chosen=chosen_by(work),
        snapshots=spec.get("snapshots", 0),
    )
    remove_checkpoints(work.folder / CHECKPOINT)
    points = [astuple(point) for point in agent.curve]
    points.append((agent.steps, agent.seconds, float("nan")))
    return pd.DataFrame(points, columns=list(CURVE)).assign(
        policy=spec["policy"],
        trained_in=spec["place"],
        seed=agent.seeds[0],
        cpu_seconds=agent.cpu_seconds / len(agent.seeds),
    )


def read(work: Work) -> pd.DataFrame:
    """A session of every user under a policy: a named one, tuned or not, or one just trained.

    Returns:
        what `reading` returns, and policy, trained_in, seed, world, variant (the place), group and,
        where the study sweeps over an assumption, strength.
    """
    spec = work.spec
    found = _read_before(work) if spec["policy"] is None else {}
    found |= _read_now(work, tuple(found))
    swept = {} if spec["strength"] is None else {"strength": float(spec["strength"])}
    return pd.concat([found[seed] for seed in sorted(found)], ignore_index=True).assign(
        policy=spec["label"],
        trained_in=work.need("learn@1").spec["place"] if spec["policy"] is None else "",
        world=spec["world"],
        variant=spec["place"],
        group=spec["group"],
        **swept,
    )


def _read_before(work: Work) -> dict[int, pd.DataFrame]:
    """Rows of seeds that serve what they began at, as that policy was read here, by seed."""
    if work.spec["serve"] or "snapshot" in work.spec:
        return {}  # it serves otherwise than its training decided
    about = read_about(work.needed_folder("learn@1"))
    there = {unit.spec["policy"]: unit for unit in work.unit.needs if unit.function == "read@1"}
    found = {}
    for at, seed in enumerate(work.need("learn@1").spec["seeds"]):
        start = serves_start(about, at)
        if start is not None and start in there:
            found[seed] = work.store.read(there[start]).assign(seed=seed)
    return found


def _read_now(work: Work, known: Sequence[int]) -> dict[int, pd.DataFrame]:
    """Rows of the policy, by training seed, 0 of what is not trained; none of seeds known."""
    spec, device = work.spec, work.settings.get("device", "cpu")
    if spec["policy"] is None and set(known) == set(work.need("learn@1").spec["seeds"]):
        return {}
    world = world_of(spec["world"], spec["settings"], device)
    user_U = users_of(world, spec["first_user"], spec["num_users"])
    policies = policies_of(work, world, known)
    total, done = len(policies) * len(user_U), 0

    def advance(number: int) -> None:
        nonlocal done
        done += number
        work.progress(done, total)

    return {
        seed: reading(world, policy, user_U, seed=spec["luck"], on_batch=advance).assign(seed=seed)
        for seed, policy in policies
    }


def policies_of(work: Work, world: World, known: Sequence[int] = ()) -> list[tuple[int, Policy]]:
    """Who is read by a unit, with the training seed of each, seeds known left out.

    Args:
        work: whose spec says "policy", by name, or None for what the training that it needs made,
            and then "serve", in which way.
        world: where.
        known: seeds of training that are left out.
    """
    spec = work.spec
    if spec["policy"] is None:
        return _trained(work, world, known)
    return [(0, make_policy(spec["policy"], replace(world, chosen=chosen_by(work))))]


def _trained(work: Work, world: World, known: Sequence[int]) -> list[tuple[int, Policy]]:
    """Other seeds of the training, each as an agent of its own that serves as asked."""
    kind = find_agent(work.need("learn@1").spec["agent"])
    folder, serve = work.needed_folder("learn@1"), work.spec["serve"]
    if "snapshot" in work.spec:  # what training made, before selection people had their say
        folder = snapshot(folder, work.spec["snapshot"])
    found: list[tuple[int, Policy]] = []
    for at, seed in enumerate(work.need("learn@1").spec["seeds"]):
        if seed in known:
            continue
        agent: Agent = kind.load(folder, world)
        agent.serving = at
        if serve:
            agent.settings = replace(agent.settings, **serve)
        found.append((seed, agent))
    return found


def tune(work: Work) -> dict[str, Any]:
    """Everything that is tuned of a policy, on the selection people of this world.

    Returns:
        "steps": a `Tuning` each, in the order in which they were made. "chosen": settings by the
        names of `World.chosen`.
    """
    world = world_of(work.spec["world"], work.spec["settings"], work.settings.get("device", "cpu"))

    def tell(shown: int) -> None:
        work.progress(shown, work.spec["slates"], "slates before selection people")

    steps = load_object(work.spec["tuning"])(world, Budget(work.spec["slates"], tell))
    return {
        "steps": [asdict(step) for step in steps],
        "chosen": {step.name: dict(step.chosen) for step in steps},
    }


def chosen_by(work: Work) -> dict[str, Any]:
    """What was tuned of the policies on which this unit rests; it holds wherever they are read."""
    found: dict[str, Any] = {}
    for unit in work.unit.needs:
        if unit.function == "tune@1":
            found |= work.store.read(unit)["chosen"]
    return found
