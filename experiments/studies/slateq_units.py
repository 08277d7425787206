"""The units of the SlateQ study: train all seeds of one lesson, read one row of the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd
import torch
from torch import Tensor

from slategym.agents.core.agent import Progress
from slategym.agents.core.files import CHECKPOINT
from slategym.agents.core.random_slates import Random
from slategym.agents.slateq.agent import SlateQ
from slategym.agents.types import Action, Policy
from slategym.envs.luck import Luck
from slategym.envs.registry import make_world
from slategym.envs.types import Items, Observation, Outcome, Session, World
from slategym.experiments.measure.play import play
from slategym.experiments.measure.training import Training
from slategym.experiments.runs.units import Work
from slategym.experiments.studies.slateq import WORLD, Reading
from slategym.experiments.studies.slateq_references import Analytic, BestQuality, MostClicked

BATCH = 2_500  # users side by side in a reading; changes no result
CURVE = ("steps", "seconds", "return_mean")
POLICIES: dict[str, Callable[[World], Policy]] = {
    "random": lambda world: Random(world.num_candidates, world.slate_size),
    "true-model myopic": MostClicked,
    "best topic quality": BestQuality,
    "analytic value": Analytic,
    "analytic value, null zero": lambda world: Analytic(world, null="zero"),
}


@dataclass(frozen=True)
class Served:
    """One seed of a training, its slates found in one of three ways."""

    agent: SlateQ
    how: str  # "ts" | "gs" | "os"
    name: ClassVar[str] = "slateq"
    privileged: ClassVar[bool] = False

    def act(self, observation: Observation, luck: Luck) -> Action:
        """The best slates of the seed that serves."""
        return Action(self.agent.slates(observation, self.how))


class Quality:
    """Listens to the slates of some users and sums the quality of what each of them clicked."""

    def __init__(self, world: World, first_user: int, num_users: int) -> None:
        self.first, self.total_U = first_user, torch.zeros(num_users, device=world.device)
        self.signal = [signal.name for signal in world.users.signals].index("quality")

    def __call__(self, before: Session, items: Items, action: Action, caused: Outcome) -> None:
        """Add a slate of a batch."""
        quality_B = caused.feedback[..., self.signal].sum(1)
        self.total_U.index_add_(0, before.user_id.long() - self.first, quality_B)


def learn(work: Work) -> pd.DataFrame:
    """Train; the agent goes to the unit's folder, the learning curve of all seeds is the table.

    The last row says where training ended; its return is missing.
    """
    training: Training = work.spec
    logs: str | None = work.settings.get("tensorboard")

    def tell(now: Progress) -> None:
        earned = now.figures.get("rollout/ep_rew_mean")
        work.progress(now.steps, now.total, "" if earned is None else f"return {earned:.1f}")

    agent = training.run(
        work.folder,
        device=work.settings.get("device", "cpu"),
        callback=tell,
        tensorboard=Path(logs) / work.unit.name if logs else None,
    )
    (work.folder / CHECKPOINT).unlink()  # mostly replay, which nobody needs any more
    points = [astuple(point) for point in agent.curve]
    points.append((agent.steps, agent.seconds, float("nan")))
    return pd.DataFrame(points, columns=list(CURVE)).assign(cpu_seconds=agent.cpu_seconds)


def read(work: Work) -> pd.DataFrame:
    """A session of every evaluation user, under each seed where the row was trained."""
    reading: Reading = work.spec
    row, device = reading.row, work.settings.get("device", "cpu")
    world = make_world(WORLD, static=row.place == "static", device=device)
    if row.lesson is None:
        parts = [_sessions(world, POLICIES[row.name](world), reading)]
    else:
        parts = []
        agent = SlateQ.load(work.needed_folder(), world)
        for at, seed in enumerate(agent.seeds):
            work.progress(at, len(agent.seeds), f"seed {seed}")
            agent.serving = at
            parts.append(_sessions(world, Served(agent, row.how), reading).assign(seed=seed))
    return pd.concat(parts, ignore_index=True).assign(
        policy=row.name,
        trained_in="" if row.lesson is None else row.place,
        world=WORLD,
        variant=row.place,
        boredom=0.0,
        group="evaluation",
    )


def _sessions(world: World, policy: Policy, reading: Reading) -> pd.DataFrame:
    first, number = reading.first_user, reading.num_users
    user_U: Tensor = torch.arange(first, first + number, dtype=torch.int32)
    quality = Quality(world, first, number)
    user_U, luck = user_U.to(world.device), reading.luck
    rows = play(world, policy, user_U, seed=luck, batch=BATCH, on_slate=quality)
    return rows.assign(seed=0, quality=quality.total_U.cpu().numpy())
