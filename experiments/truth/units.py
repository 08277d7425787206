"""Units of the grid: a world writes a log; policies and trainings are read in that world again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from slategym.agents.core.earned import earned
from slategym.agents.core.files import ABOUT
from slategym.agents.references.planner import Planner
from slategym.agents.registry import find_agent, make_policy
from slategym.agents.types import Action, Policy
from slategym.envs.registry import make_world
from slategym.envs.types import Items, Outcome, Session, World
from slategym.experiments.measure.log_folder import write_log_folder
from slategym.experiments.measure.play import play, reading
from slategym.experiments.measure.slate_log import writing
from slategym.experiments.measure.training import snapshot
from slategym.experiments.measure.units import chosen_by, policies_of, world_of
from slategym.experiments.runs.units import Work
from slategym.experiments.truth.people import Met, after_slates, before_agents, living

WRITER = "noisy-greedy-mixed"  # policy that writes the logs: a ranker that errs, a fifth random
COUNTED = 256  # users by whose visits it is told how many users write a log
LOG_LUCK, TRUTH_LUCK = 1_021, 1_022  # seeds of what happens to people; no choice has met either
FIRST = 700_000  # of the users on whom policies are read in the true world; none wrote a log
HANDOVER = 8  # slates that the writer showed them before
DEPTH, FUTURES = 8, 4  # of the planner told the truth: slates ahead, futures of a slate
COLUMNS = ("policy", "trained_in", "seed", "steps", "where", "gain", "error")
FOLDER = "log"  # of a log, in its unit's own


def true_world(spec: Mapping[str, Any]) -> World:
    """The world that writes: a scenario of some strength, with people and items by the seed."""
    return make_world(
        f"Scenario-{spec['scenario']}-v0", strength=spec["strength"], seed=spec["seed"]
    )


def write(work: Work) -> dict[str, Any]:
    """A log of so many visits, with exact propensities.

    Returns:
        its numbers: users, visits, slates, clicks.
    """
    spec, world = work.spec, true_world(work.spec)
    users = _users_for(world, spec["visits"])
    work.progress(0, users, "users")
    counts = {"visits": users, "slates": 0, "clicks": 0}

    def count(
        before: Session, items: Items, action: Action, outcome: Outcome, after: Session
    ) -> None:
        away_B = world.users.away(after.user)
        going_B = ~(outcome.left | outcome.cut)
        counts["visits"] += 0 if away_B is None else int(((away_B > 0) & going_B).sum())
        counts["slates"] += len(going_B)
        counts["clicks"] += int((outcome.feedback[..., 0] > 0).sum())
        log.add(before, items, action, outcome, after)

    slates, done = work.folder / "slates.parquet", 0

    def advance(number: int) -> None:
        nonlocal done
        done += number
        work.progress(done, users, "users")

    about = {**{name: spec[name] for name in ("scenario", "strength", "seed")}, "policy": WRITER}
    about["luck"] = LOG_LUCK
    with writing(world, slates, about, observations=False) as log:
        everybody_U = torch.arange(users, dtype=torch.int32)
        policy = make_policy(WRITER, world)
        play(world, policy, everybody_U, seed=LOG_LUCK, on_slate=count, on_batch=advance)
    write_log_folder(world, slates, work.folder / FOLDER / spec["name"])
    slates.unlink()
    return {"users": users, **counts}


def _users_for(world: World, visits: int) -> int:
    """Users who pay so many visits, by the visits of the first few of them."""
    seen = COUNTED

    def count(
        before: Session, items: Items, action: Action, outcome: Outcome, after: Session
    ) -> None:
        nonlocal seen
        away_B = world.users.away(after.user)
        if away_B is not None:
            seen += int(((away_B > 0) & ~(outcome.left | outcome.cut)).sum())

    first_U = torch.arange(COUNTED, dtype=torch.int32)
    play(world, make_policy(WRITER, world), first_U, seed=LOG_LUCK, on_slate=count)
    return max(1, round(visits * COUNTED / seen))


def told(work: Work) -> pd.DataFrame:
    """Random, greedy told the truth and the planner told the truth, before the true people.

    Returns:
        as `read` does; the planner is read before the first `planned` of them.
    """
    spec = work.spec
    world, met = _met(spec)
    here = living(world, met)
    everybody_U = torch.arange(here.population.size, dtype=torch.int32)
    found = list[pd.DataFrame]()
    for name in ("random", "greedy", "planner"):
        policy: Policy
        if name == "planner":
            policy = Planner(here, depth=DEPTH, rollouts=FUTURES)
        else:
            policy = make_policy({"greedy": "myopic"}.get(name, name), here)
        user_U = everybody_U[: spec["planned"]] if name == "planner" else everybody_U
        work.progress(len(found), 3, name)
        found.append(_played(here, policy, user_U).assign(policy=name, seed=0, trained_in=""))
    return pd.concat(found, ignore_index=True)


def read(work: Work) -> pd.DataFrame:
    """A policy of the learned world, before people of the true one.

    Returns:
        a row per session as `play` has it, with policy, seed of training and trained_in.
    """
    spec = work.spec
    learned = world_of(spec["world"], spec["settings"], "cpu")
    here = _before_agents(spec, learned)
    user_U = torch.arange(here.population.size, dtype=torch.int32)
    found = [
        _played(here, policy, user_U).assign(seed=seed)
        for seed, policy in policies_of(work, learned)
    ]
    return pd.concat(found, ignore_index=True).assign(
        policy=spec["label"],
        trained_in=work.need("learn@1").spec["place"] if spec["policy"] is None else "",
    )


def watch(work: Work) -> pd.DataFrame:
    """Expected return of every snapshot of a training minus the opponent's, in the true world.

    Returns:
        a row per snapshot, in the columns of `measure/goodhart`, where "truth".
    """
    spec, training = work.spec, work.need("learn@1").spec
    learned = world_of(spec["world"], spec["settings"], "cpu")
    here = _before_agents(spec, learned)
    user_U = torch.arange(here.population.size, dtype=torch.int32)
    opponent = make_policy(spec["opponent"], replace(learned, chosen=chosen_by(work)))
    theirs_U = earned(here, opponent, user_U, TRUTH_LUCK).double()
    folder, kind = work.needed_folder("learn@1"), find_agent(training["agent"])
    rows = list[dict[str, Any]]()
    for number in range(1, spec["snapshots"] + 1):
        work.progress(number - 1, spec["snapshots"])
        place: Path = snapshot(folder, number)
        if not (place / ABOUT).is_file():
            continue  # of a training so short that one cycle passes several
        agent = kind.load(place, learned)
        gain_U = earned(here, agent, user_U, TRUTH_LUCK).double() - theirs_U
        error = float(gain_U.std(unbiased=True)) / len(gain_U) ** 0.5
        values = (training["policy"], training["place"], training["seeds"][0], agent.steps)
        found = (*values, "truth", float(gain_U.mean()), error)
        rows.append(dict(zip(COLUMNS, found, strict=True)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _played(world: World, policy: Policy, user_U: Tensor) -> pd.DataFrame:
    return reading(world, policy, user_U, seed=TRUTH_LUCK)


@lru_cache(maxsize=2)
def _people(scenario: str, strength: float, seed: int, users: int) -> tuple[World, Met]:
    world = true_world({"scenario": scenario, "strength": strength, "seed": seed})
    whose = range(FIRST, FIRST + users)
    seconds = 60.0 * world.users.visits.minutes_per_slate  # type: ignore[attr-defined]
    return world, after_slates(world, whose, WRITER, HANDOVER, seconds, TRUTH_LUCK)


def _met(spec: Mapping[str, Any]) -> tuple[World, Met]:
    """The true world, and who is read there: the same for everybody."""
    names = ("scenario", "strength", "seed", "users")
    return _people(*(spec["true"][name] for name in names))


def _before_agents(spec: Mapping[str, Any], learned: World) -> World:
    world, met = _met(spec)
    return before_agents(world, learned, met)
