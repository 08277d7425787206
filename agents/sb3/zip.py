"""Policies that stable-baselines3 itself has saved. Its zips hold pickles: code that runs."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor

from slategym.agents.sb3.env import RawView, SlateVecEnv, View
from slategym.agents.sb3.generators import ScopedGenerators
from slategym.agents.types import Action
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.types import Observation, World


@dataclass(frozen=True)
class Zipped:
    """A stable-baselines3 model as it serves: its mean or likeliest action."""

    model: BaseAlgorithm
    view: View
    world: World
    name: str
    privileged: ClassVar[bool] = False

    def act(self, observation: Observation, luck: Luck) -> Action:
        """The slate of that action."""
        shown = self.view.show(self.world, observation)
        chosen, _ = self.model.predict(self._seen(shown), deterministic=True)
        action = torch.as_tensor(chosen, device=self.world.device)
        return Action(self.view.slate(self.world, shown, action))

    def _seen(self, shown: dict[str, Tensor]) -> Any:
        """As arrays: the entries of its space, or the only one."""
        space = self.model.observation_space
        if isinstance(space, spaces.Dict):
            return {name: shown[name].cpu().numpy() for name in space.spaces}
        return next(iter(shown.values())).cpu().numpy()


def load_sb3_zip(
    path: Path | str,
    algorithm: type[BaseAlgorithm],
    world: World,
    view: View | None = None,
    *,
    trust: bool = False,
) -> Zipped:
    """A model that `model.save(path)` wrote, to act in this world.

    Args:
        path: the zip.
        algorithm: its class, such as `stable_baselines3.SAC`.
        world: where it will act.
        view: what it saw and did in training; None: the raw observation and positions.
        trust: True: you know who made the file. Reading it runs whatever code is pickled in it.

    Raises:
        UsageError: it is not trusted, is not there, or was trained for other spaces.

    Warns:
        UserWarning: always, that pickled code runs.
    """
    if not trust:
        raise UsageError(
            f"{path} is a stable-baselines3 zip, and reading it runs code that is pickled in it; "
            "if you know who made it, pass trust=True"
        )
    if not Path(path).is_file():
        raise UsageError(f"there is no file {path}")
    warnings.warn(f"reading {path} runs code that is pickled in it", UserWarning, stacklevel=2)
    view = RawView() if view is None else view
    with ScopedGenerators(world.device).active():
        try:
            model = algorithm.load(path, SlateVecEnv(world, 1, view), device=world.device)
        except ValueError as error:
            raise UsageError(f"{path} was not trained for {world.name}: {error}") from error
    return Zipped(model, view, world, name=algorithm.__name__.lower())
