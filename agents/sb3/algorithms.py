"""stable-baselines3's algorithms, unchanged, in steps that can be stopped between.

Settings make an algorithm on an environment; a driver does what the algorithm's own `learn` does,
one collection and one update at a time, and knows what it must remember from one to the next. A
test holds the driven training against `learn` itself, bit for bit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from stable_baselines3 import PPO, SAC, TD3
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.noise import NormalActionNoise
from torch import Tensor

from slategym.agents.sb3.env import SlateVecEnv
from slategym.envs.settings import Amount, Count, Rate

POLICY = "MultiInputPolicy"  # observations are dictionaries


class Driver(Protocol):
    """Moves one algorithm on, by a collection and an update."""

    @property
    def model(self) -> Any:
        """The stable-baselines3 algorithm."""
        ...

    def cycle(self, callback: BaseCallback) -> None:
        """Collect, then learn, as one round of the algorithm's `learn`."""
        ...

    def memory(self) -> dict[str, Tensor]:
        """What it remembers of what it has seen, as live tensors."""
        ...

    def remember(self, memory: dict[str, Tensor]) -> None:
        """Take over what `memory` gave."""
        ...


@dataclass(frozen=True)
class OffPolicy:
    """SAC and TD3: everything seen is kept in a replay buffer."""

    model: Any

    def cycle(self, callback: BaseCallback) -> None:
        """One slate of every user, then some gradient steps."""
        model = self.model
        model.collect_rollouts(
            model.env,
            train_freq=model.train_freq,
            action_noise=model.action_noise,
            callback=callback,
            learning_starts=model.learning_starts,
            replay_buffer=model.replay_buffer,
        )
        if model.num_timesteps > model.learning_starts and model.gradient_steps:
            model.train(batch_size=model.batch_size, gradient_steps=model.gradient_steps)

    def memory(self) -> dict[str, Tensor]:
        """The replay buffer, its arrays shared and not copied, and where it is written next."""
        buffer = self.model.replay_buffer
        found = {name: torch.from_numpy(x) for name, x in self._arrays().items()}
        return {**found, "written": torch.tensor([buffer.pos, buffer.full])}

    def remember(self, memory: dict[str, Tensor]) -> None:
        """Take it over, in place."""
        for name, x in self._arrays().items():
            x[...] = memory[name].cpu().numpy()
        position, full = memory["written"].tolist()
        self.model.replay_buffer.pos, self.model.replay_buffer.full = position, bool(full)

    def _arrays(self) -> dict[str, Any]:
        buffer = self.model.replay_buffer
        seen = {f"seen.{name}": x for name, x in buffer.observations.items()}
        next_seen = {f"next_seen.{name}": x for name, x in buffer.next_observations.items()}
        rest = ("actions", "rewards", "dones", "timeouts")
        return {**seen, **next_seen, **{name: getattr(buffer, name) for name in rest}}


@dataclass(frozen=True)
class OnPolicy:
    """PPO: what was seen is used up by the update, so that nothing is remembered."""

    model: Any

    def cycle(self, callback: BaseCallback) -> None:
        """Some slates of every user, then some epochs over them."""
        model = self.model
        model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)
        model._update_current_progress_remaining(model.num_timesteps, model._total_timesteps)
        model.train()

    def memory(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def remember(self, memory: dict[str, Tensor]) -> None:
        """Nothing."""


@dataclass(frozen=True)
class _StableOffPolicy(ABC):
    """What settings of SAC and TD3 share."""

    num_steps: Count = 100_000  # slates shown in training
    num_users: Count = 100  # side by side
    updates: Count = 10  # gradient steps after every slate of all users
    batch: Count = 256  # transitions per gradient step
    buffer: Count = 100_000  # transitions kept, rounded down to whole rounds of all users
    warm_up: Count = 2_000  # slates under random actions before the first update
    learning_rate: Amount = 3e-4  # Adam's, of all networks
    gamma: Rate = 0.9  # discount per slate, in [0, 1]
    tau: Rate = 0.01  # share by which the target networks follow, in (0, 1]
    hidden: tuple[Count, ...] = (256, 256)  # widths of the layers of every network

    @abstractmethod
    def make(self, env: SlateVecEnv, seed: int) -> OffPolicy:
        """The algorithm on this environment."""

    def _shared(self, env: SlateVecEnv, seed: int) -> dict[str, Any]:
        """Under stable-baselines3's names."""
        return {
            "learning_rate": self.learning_rate,
            "buffer_size": self.buffer,
            "learning_starts": self.warm_up,
            "batch_size": self.batch,
            "tau": self.tau,
            "gamma": self.gamma,
            "train_freq": 1,
            "gradient_steps": self.updates,
            "policy_kwargs": {"net_arch": list(self.hidden)},
            "stats_window_size": max(100, self.num_users),
            "seed": seed,
            "device": env.world.device,
        }


@dataclass(frozen=True)
class StableSAC(_StableOffPolicy):
    """Settings of stable-baselines3's SAC.

    Source: Haarnoja et al. 2018, arXiv:1812.05905.
    """

    entropy: Amount | None = None  # reward per nat; None: tuned to minus the action's width, nats

    def make(self, env: SlateVecEnv, seed: int) -> OffPolicy:
        """The algorithm on this environment."""
        entropy = "auto_0.1" if self.entropy is None else self.entropy
        return OffPolicy(SAC(POLICY, env, ent_coef=entropy, **self._shared(env, seed)))


@dataclass(frozen=True)
class StableTD3(_StableOffPolicy):
    """Settings of stable-baselines3's TD3.

    Source: Fujimoto et al. 2018, arXiv:1802.09477.
    """

    noise: Amount = 0.2  # standard deviation of exploration, of actions in [-1, 1]

    def make(self, env: SlateVecEnv, seed: int) -> OffPolicy:
        """The algorithm on this environment."""
        assert env.action_space.shape is not None
        (width,) = env.action_space.shape
        noise = NormalActionNoise(np.zeros(width), np.full(width, self.noise))
        return OffPolicy(TD3(POLICY, env, action_noise=noise, **self._shared(env, seed)))


@dataclass(frozen=True)
class StablePPO:
    """Settings of stable-baselines3's PPO, by default its own but for many users side by side.

    Source: Schulman et al. 2017, arXiv:1707.06347.
    """

    num_steps: Count = 200_000  # slates shown in training
    num_users: Count = 64  # side by side
    rollout: Count = 32  # slates of every user before each update
    batch: Count = 64  # slates per gradient step
    epochs: Count = 10  # over each collection
    learning_rate: Amount = 3e-4  # Adam's
    gamma: Rate = 0.99  # discount per slate, in [0, 1]
    gae_lambda: Rate = 0.95  # bias against variance of advantages, in [0, 1]
    clip: Amount = 0.2  # of the ratio of new to old probability, around 1
    entropy: Amount = 0.0  # weight of the entropy, reward per nat
    hidden: tuple[Count, ...] = (64, 64)  # widths of the layers, of actor and critic each

    def make(self, env: SlateVecEnv, seed: int) -> OnPolicy:
        """The algorithm on this environment."""
        model = PPO(
            POLICY,
            env,
            learning_rate=self.learning_rate,
            n_steps=self.rollout,
            batch_size=self.batch,
            n_epochs=self.epochs,
            gamma=self.gamma,
            gae_lambda=self.gae_lambda,
            clip_range=self.clip,
            ent_coef=self.entropy,
            policy_kwargs={"net_arch": list(self.hidden)},
            stats_window_size=max(100, self.num_users),
            seed=seed,
            device=env.world.device,
        )
        return OnPolicy(model)
