"""Training slate policies through stable-baselines3, on the native batched environment."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from slategym.agents.core.ranker import Ranker
from slategym.agents.policy_gradient.residual import (
    PlackettLuce,
    PlackettLucePolicy,
    RankedView,
    ResidualNetwork,
    ResidualSettings,
)
from slategym.agents.saved import recent_topics
from slategym.agents.sb3.env import SlateVecEnv
from slategym.agents.sb3.proto_action import ActorNetwork, Proto, ProtoView
from slategym.envs.types import World

Listener = Callable[[int, int, dict[str, float]], None]  # steps done, steps in all, figures


@dataclass(frozen=True)
class PPOSettings:
    """How a residual Plackett-Luce policy is trained.

    Source: Schulman et al. 2017, arXiv:1707.06347; the values are those that worked here.
    """

    num_steps: int = 307_200  # slates shown in training
    num_envs: int = 256  # users side by side
    rollout: int = 15  # slates per user and update
    epochs: int = 3
    minibatch: int = 960
    learning_rate: float = 3e-3  # Adam's, falling linearly to a tenth
    gamma: float = 0.95
    gae_lambda: float = 0.9
    clip: float = 0.2
    entropy: float = 0.001
    target_kl: float = 0.1  # epochs stop beyond 1.5 times this


@dataclass(frozen=True)
class SACSettings:
    """How a proto-action policy is trained.

    Source: Haarnoja et al. 2018, arXiv:1812.05905, as stable-baselines3 has it.
    """

    num_steps: int = 32_000  # slates shown in training
    num_envs: int = 64  # users side by side
    updates: int = 6  # gradient steps per slate of every user
    batch: int = 256
    buffer: int = 32_000
    warm_up: int = 6_400  # slates shown before the first update
    learning_rate: float = 3e-4
    gamma: float = 0.9
    tau: float = 0.01
    hidden: tuple[int, ...] = (128, 128)
    entropy: float = 0.1  # reward per nat; without it the actor runs after errors of the critic


class CurvePoint(NamedTuple):
    """Where a learner stood when it had seen so much."""

    steps: int  # slates shown so far
    seconds: float  # since training began
    return_mean: float  # of the sessions that ended lately, exploring


def train_plackett_luce(
    world: World,
    ranker: Ranker,
    settings: PPOSettings,
    network_settings: ResidualSettings,
    *,
    seed: int,
    listener: Listener | None = None,
    tensorboard: Path | None = None,
) -> tuple[PlackettLuce, list[CurvePoint]]:
    """Improve on the ranker by PPO in this world.

    Args:
        world: where to learn; its population are the training users.
        ranker: the supervised start.
        settings: of PPO.
        network_settings: of the policy network.
        seed: decides the weights, the exploration and the training users' luck.
        listener: told of progress.
        tensorboard: folder for event files; None: none.

    Returns:
        The policy, which serves its mode, and its learning curve.
    """
    recent = recent_topics(world)
    view = RankedView(ranker, recent, network_settings.num_candidates, world.slate_size)
    network = ResidualNetwork(
        network_settings, ranker.unit_items, recent.topic_N, recent.num_topics, seed
    ).to(world.device)
    env = SlateVecEnv(world, settings.num_envs, view, seed=seed, bootstrap_at_limit=False)
    algorithm = PPO(
        PlackettLucePolicy,
        env,
        learning_rate=lambda left: settings.learning_rate * max(0.1, left),
        n_steps=settings.rollout,
        batch_size=settings.minibatch,
        n_epochs=settings.epochs,
        gamma=settings.gamma,
        gae_lambda=settings.gae_lambda,
        clip_range=settings.clip,
        ent_coef=settings.entropy,
        vf_coef=0.25,
        target_kl=settings.target_kl,
        policy_kwargs={"network": network, "num_slots": world.slate_size, "seed": seed},
        tensorboard_log=None if tensorboard is None else str(tensorboard),
        seed=seed,
        device=world.device,
    )
    curve = _learn(algorithm, settings.num_steps, settings.num_envs * world.horizon, listener)
    return PlackettLuce(network.eval(), view, world), curve


def train_proto_sac(
    world: World,
    ranker: Ranker,
    settings: SACSettings,
    *,
    seed: int,
    num_candidates: int = 100,
    residual: bool = True,
    listener: Listener | None = None,
    tensorboard: Path | None = None,
) -> tuple[Proto, list[CurvePoint]]:
    """Learn a direction of the item space by stable-baselines3's own SAC.

    Args:
        world: where to learn; its population are the training users.
        ranker: retrieves the candidates and, if residual, ranks them to start with.
        settings: of SAC.
        seed: decides the weights, the exploration and the training users' luck.
        num_candidates: C, retrieved.
        residual: whether an action moves the supervised ranking or replaces it.
        listener: told of progress.
        tensorboard: folder for event files; None: none.

    Returns:
        The policy, which serves its mean action, and its learning curve.
    """
    view = ProtoView(ranker, recent_topics(world), num_candidates, world.slate_size, residual)
    env = SlateVecEnv(world, settings.num_envs, view, seed=seed, bootstrap_at_limit=False)
    algorithm = SAC(
        "MultiInputPolicy",
        env,
        learning_rate=settings.learning_rate,
        buffer_size=settings.buffer,
        learning_starts=settings.warm_up,
        batch_size=settings.batch,
        tau=settings.tau,
        gamma=settings.gamma,
        train_freq=1,
        gradient_steps=settings.updates,
        ent_coef=settings.entropy,
        policy_kwargs={"net_arch": list(settings.hidden)},
        tensorboard_log=None if tensorboard is None else str(tensorboard),
        seed=seed,
        device=world.device,
    )
    curve = _learn(algorithm, settings.num_steps, settings.num_envs * world.horizon, listener)
    actor = ActorNetwork.of(algorithm.actor, view, settings.hidden)
    return Proto(actor.eval(), view, world), curve


def _learn(
    algorithm: BaseAlgorithm, num_steps: int, stretch: int, listener: Listener | None
) -> list[CurvePoint]:
    recorder = _Recorder(num_steps, stretch, listener)
    algorithm.learn(num_steps, callback=recorder, log_interval=10)
    return recorder.curve


class _Recorder(BaseCallback):
    """Collects the learning curve and passes progress on.

    Users begin together, so sessions end in waves: those that are broken off early, then the whole
    ones. A point is the mean over a stretch in which every user has time for a whole session, and
    the first such stretch, in which only the short ones are new, is left out.

    Args:
        total: slates of the whole training.
        stretch: slates in which every user has time for a whole session.
        listener: told of every point.
    """

    def __init__(self, total: int, stretch: int, listener: Listener | None) -> None:
        super().__init__()
        self.total, self.stretch, self.listener = total, stretch, listener
        self.curve: list[CurvePoint] = []
        self._ended: list[tuple[int, float]] = []  # slates shown by then, return
        self._began = time.perf_counter()
        self._every = max(total // 60, 1)
        self._due = 2 * stretch if 2 * stretch <= total else self._every  # brief: what there is

    def _on_step(self) -> bool:
        infos: list[dict[str, Any]] = self.locals["infos"]
        now = self.num_timesteps
        self._ended += [(now, info["episode"]["r"]) for info in infos if info]
        if now >= self._due and self._ended:
            self._ended = [(at, r) for at, r in self._ended if at > now - self.stretch]
            mean = float(np.mean([r for _, r in self._ended]))
            seconds = time.perf_counter() - self._began
            self.curve.append(CurvePoint(now, seconds, mean))
            self._due = now + self._every
            if self.listener is not None:
                self.listener(now, self.total, {"return": mean})
        return True
