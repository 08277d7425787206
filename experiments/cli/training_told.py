"""Whom `slategym train` tells: event files, reporters, and a reading on selection people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

import numpy as np

from slategym.agents.core.agent import Agent, Callback, Progress
from slategym.agents.core.evaluation import Evaluated, Evaluation
from slategym.agents.core.reporting import events
from slategym.envs.gym import SlateVectorEnv
from slategym.experiments.measure.training import Training
from slategym.models.multitask.reporters import Picture, Reporter, open_reporters

SLATES, SHOWN = "slates", 3  # name of the picture; slates of it
BEST = "best"  # in the training's folder


class Told:
    """A training's readers, open while it goes on.

    Args:
        training: that they are told of.
        folder: of the training.
        reporters: by name, as `slategym fit --report-to` takes them.
        tensorboard: whether readings on selection people go into event files.
    """

    def __init__(
        self, training: Training, folder: Path, reporters: Sequence[str], tensorboard: bool
    ) -> None:
        self._training, self._folder, self._names = training, folder, reporters
        self._events = folder / "tensorboard" if tensorboard else None
        self._reporters: list[Reporter] = []
        self._readings: list[Evaluation] = []
        self._stack = ExitStack()

    def __enter__(self) -> Told:
        settings = {**asdict(self._training.settings), **self._training.about}
        self._reporters = open_reporters(self._names, self._folder, self._training.name, settings)
        for reporter in self._reporters:
            self._stack.callback(reporter.close)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def points(self) -> list[Evaluated]:
        """What was read on selection people."""
        return [point for reading in self._readings for point in reading.points]

    def progress(self, now: Progress) -> None:
        """A cycle is over; its figures go to the reporters, event files have them already."""
        for reporter in self._reporters:
            reporter.record(now.steps, now.figures)

    def picture(self, agent: Agent, steps: int) -> None:
        """What one person is shown, slate by slate, for reporters; nothing without any."""
        if self._reporters:
            image = _session(agent)
            for reporter in self._reporters:
                reporter.picture(steps, SLATES, image)

    def reading(self, every: int, patience: int, agent: Agent) -> Callback:
        """A reading of this learner every so many slates, told as everything else."""
        found = Evaluation(
            agent,
            every=every,
            patience=patience,
            folder=self._folder / BEST,
            about=self._training.about,
            tell=self._read,
        )
        self._readings.append(found)
        self._agent = agent
        self._write = self._stack.enter_context(events(self._events))  # one file, in order
        return found

    def _read(self, steps: int, figures: Mapping[str, float]) -> None:
        self._write(steps, figures)
        for reporter in self._reporters:
            reporter.record(steps, figures)
        self.picture(self._agent, steps)


def _session(agent: Agent) -> Picture:
    """The first slates of a person who arrives first among those whom choices are made on."""
    chosen_on = agent.world.selection
    env = SlateVectorEnv(
        agent.world if chosen_on is None else chosen_on(), 1, render_mode="rgb_array"
    )
    shown, _ = env.reset(seed=0)
    for _ in range(SHOWN):
        shown, _, ended, cut, _ = env.step(agent.predict(shown))
        if (ended | cut).any():
            break
    (image,) = env.render() or ()
    return np.asarray(image, dtype=np.uint8)
