"""A slate policy that stable-baselines3's tools can ask: `evaluate_policy`, callbacks, videos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from slategym.agents.core.agent import Agent
from slategym.envs.luck import Luck


class StablePredictor:
    """An agent whose `predict` answers as stable-baselines3's does: action and recurrent state.

    `Agent.predict` returns the slate alone, and serves unless told to explore. Here a call without
    `deterministic` explores, as there.

    Args:
        agent: trained or not.
    """

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self._asked = 0  # users so far: every one of them has luck of their own

    def predict(
        self,
        observation: Mapping[str, Any],
        state: tuple[Any, ...] | None = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Any, tuple[Any, ...] | None]:
        """Slates for an observation of an environment, one user's or a batch.

        Args:
            observation: entries as arrays or tensors.
            state: of a recurrent policy; handed back as it is.
            episode_start: not read: what was shown before is in the observation.
            deterministic: True: as it serves.

        Returns:
            (K,) or (B, K) int32 positions, and `state`.
        """
        step = torch.as_tensor(observation["step"])
        num_users = 1 if step.dim() == 1 else len(step)
        stream_B = torch.arange(self._asked, self._asked + num_users) % 2**31
        self._asked += num_users
        luck = Luck(stream_B.int().to(self.agent.world.device))
        return self.agent.predict(observation, deterministic, luck), state
