"""How a learner does while it learns: read on selection people, its best kept, stopped in time.

A callback of `Agent.learn`, for learners as stable-baselines3's `EvalCallback` is for its own:

    watched = Evaluation(agent, every=10_000, folder="runs/mine/best", patience=5)
    agent.learn(world, callback=watched)
    watched.points  # what it earned, with intervals
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from slategym.agents.core.agent import Agent, Progress
from slategym.agents.core.earned import BATCH, earned
from slategym.agents.core.step_back import LUCK
from slategym.agents.types import Policy
from slategym.envs.names import UsageError
from slategym.envs.types import World
from slategym.models.checksums import with_checksum
from slategym.models.files import atomic_path

SESSIONS = 200
POINTS = "evaluations.json"  # beside the best model
FORMAT = 1  # of it; raise it when what is written changes
Tell = Callable[[int, Mapping[str, float]], None]  # slates so far, figures by tag


@dataclass(frozen=True)
class Evaluated:
    """What a learner would have served earned at some point of its training."""

    steps: int  # slates seen so far, of each seed
    value: float  # expected return a session, mean over people and seeds
    low: float  # 95 % over people
    high: float
    best: bool  # no earlier point was higher

    def __str__(self) -> str:
        mark = ", the best so far" if self.best else ""
        return f"{self.steps:,} slates: {self.value:.2f} [{self.low:.2f}, {self.high:.2f}]{mark}"


class Evaluation:
    """Tells `Agent.learn` when to stop; keeps the best model.

    Args:
        agent: that learns.
        world: whose people are asked; None: selection people of the agent's world, who are neither
            trained on nor compared on; where people are drawn from luck, those of another luck.
        every: slates of each seed between two evaluations.
        sessions: read each time, the same people with the same luck.
        folder: for the best model, as `Agent.save` writes it, and for the points; None: not kept.
        patience: evaluations without a new best after which training stops; 0: it goes on.
        about: JSON kept beside the model: the world's id and settings, say.
        tell: called with slates and figures, for a reporter of one's own.

    Raises:
        UsageError: a number is out of range; the world has a log's people and sets none aside.
    """

    def __init__(
        self,
        agent: Agent,
        world: World | None = None,
        *,
        every: int = 10_000,
        sessions: int = SESSIONS,
        folder: str | Path | None = None,
        patience: int = 0,
        about: Mapping[str, Any] | None = None,
        tell: Tell | None = None,
    ) -> None:
        for name, number, least in (
            ("every", every, 1),
            ("sessions", sessions, 2),
            ("patience", patience, 0),
        ):
            if number < least:
                raise UsageError(f"{name} must be at least {least}, got {number}")
        if world is None and agent.world.selection is not None:
            world = agent.world.selection()
        elif world is None and agent.world.population.history is not None:
            raise UsageError(
                f"{agent.world.name} sets no selection people aside; say on whom: world=..."
            )
        self.agent, self.every, self.patience = agent, every, patience
        self.world = world or agent.world
        self.folder = None if folder is None else Path(folder)
        self.about, self.tell = dict(about or {}), tell
        self.points: list[Evaluated] = []
        size = self.world.population.size
        order_U = torch.arange(size) if size <= sessions else _some(size, sessions)
        self.people = order_U.int().to(self.world.device)
        self._due = every

    @property
    def best(self) -> Evaluated | None:
        """The highest point; None: nothing was read yet."""
        return max(self.points, key=lambda point: point.value, default=None)

    def __call__(self, now: Progress) -> bool | None:
        """After a cycle of training; False: stop."""
        if now.steps < self._due and now.steps < now.total:
            return None
        self._due = now.steps + self.every
        point = self._read(now.steps)
        self.points.append(point)
        if self.folder is not None:
            if point.best:
                self.agent.save(self.folder, self.about)
            with atomic_path(self.folder / POINTS) as path:
                points = [asdict(point) for point in self.points]
                told = {"format": FORMAT, "status": "finished", "points": points}
                path.write_text(json.dumps(with_checksum(told), indent=1) + "\n")
        if self.tell is not None:
            figures = {
                "eval/mean_reward": point.value,
                "eval/low": point.low,
                "eval/high": point.high,
            }
            self.tell(point.steps, figures)
        since = next(n for n, p in enumerate(reversed(self.points)) if p.best)
        return False if self.patience and since >= self.patience else None

    def by_person(self, policies: Sequence[Policy]) -> torch.Tensor:
        """What policies earn before the people that are read here, with the same luck.

        Returns:
            Expected return a session, mean over policies, of each person (where luck draws people,
            of each session), (P,).
        """
        parts = torch.split(self.people, BATCH)  # type: ignore[no-untyped-call]
        value_x = torch.stack(
            [torch.cat([earned(self.world, one, few, LUCK) for few in parts]) for one in policies]
        ).mean(0)
        person_U = self.world.population.person
        if person_U is not None:  # several arrivals of a person are one opinion
            person_x = torch.unique(person_U[self.people.long()], return_inverse=True)[1]  # type: ignore[no-untyped-call]
            count_P = torch.bincount(person_x)
            value_x = torch.bincount(person_x, value_x.double()) / count_P
        return value_x

    def _read(self, steps: int) -> Evaluated:
        value_x = self.by_person([self.agent.of_seed(seed) for seed in self.agent.seeds])
        value = float(value_x.mean())
        half = 1.96 * float(value_x.std()) / len(value_x) ** 0.5
        best = all(value > point.value for point in self.points)
        return Evaluated(steps, value, value - half, value + half, best)


def _some(size: int, number: int) -> torch.Tensor:
    return torch.randperm(size, generator=torch.Generator().manual_seed(LUCK))[:number]
