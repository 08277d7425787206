"""The units of a ladder study: train one learner, read one policy."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

import pandas as pd
import torch

from slategym.agents.core.agent import Progress
from slategym.agents.registry import make_policy
from slategym.envs.registry import make_world
from slategym.experiments.measure.play import play
from slategym.experiments.runs.units import Work
from slategym.experiments.studies.ladder import Lesson, Reading

CHECKPOINT_EVERY = 30.0  # seconds
CURVE = ("steps", "seconds", "return_mean")


def learn(work: Work) -> pd.DataFrame:
    """Train; the agent goes to the unit's folder, its learning curve is the table.

    The last row says where training ended; its return is missing.
    """
    lesson: Lesson = work.spec
    logs: str | None = work.settings.get("tensorboard")

    def tell(now: Progress) -> None:
        earned = now.figures.get("rollout/ep_rew_mean")
        note = "" if earned is None else f"return {earned:.1f}"
        work.progress(now.steps, now.total, note)

    agent = lesson.training.run(
        work.folder,
        device=work.settings.get("device", "cpu"),
        callback=tell,
        tensorboard=Path(logs) / work.unit.name if logs else None,
        checkpoint_every=CHECKPOINT_EVERY,
    )
    points = [astuple(point) for point in agent.curve]
    points.append((agent.steps, agent.seconds, float("nan")))
    return pd.DataFrame(points, columns=list(CURVE)).assign(
        policy=lesson.policy,
        trained_in=lesson.place,
        seed=lesson.training.seeds[0],
        cpu_seconds=agent.cpu_seconds,
    )


def read(work: Work) -> pd.DataFrame:
    """A session of every evaluation user under a named policy, or under the one just trained."""
    reading: Reading = work.spec["reading"]
    device = work.settings.get("device", "cpu")
    elsewhere = {} if device == "cpu" else {"device": device}
    world = make_world(reading.world, **reading.settings, **elsewhere)
    policy, trained_in, seed = work.spec["policy"], "", 0
    if policy is None:
        lesson: Lesson = work.unit.needs[0].spec
        policy, trained_in, seed = lesson.policy, lesson.place, lesson.training.seeds[0]
        chooser = make_policy(str(work.needed_folder()), world)
    else:
        chooser = make_policy(policy, world)
    first, count = reading.first_user, reading.num_users
    size = world.population.size
    if size < first + count:  # a table of people: those at its end
        first = max(0, size - count)
    user_U = torch.arange(first, min(size, first + count), dtype=torch.int32)
    done = 0

    def advance(number: int) -> None:
        nonlocal done
        done += number
        work.progress(done, len(user_U))

    rows = play(world, chooser, user_U.to(world.device), seed=reading.luck, on_batch=advance)
    return rows.assign(
        policy=policy,
        trained_in=trained_in,
        seed=seed,
        world=reading.world,
        variant=reading.place,
        boredom=0.0,
        group="evaluation",
    )
