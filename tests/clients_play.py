"""What clients' policies earn where they can gain. Importable by every test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from slategym.agents.adapters.gymnasium import (
    FlatObservationVectorWrapper,
    FlatObservationWrapper,
    ProtoActionVectorWrapper,
    ProtoActionWrapper,
)

WORLD = "LongTermSatisfaction-v0"  # random slates earn some 960 seconds here, the best some 1,118
Act = Callable[[np.ndarray], Any]  # observations (B, X) to points of the item space (B, D)


def flat_env() -> gym.Env[Any, Any]:
    """One environment: a vector in, a point of the item space out."""
    return FlatObservationWrapper(ProtoActionWrapper(gym.make(f"slategym:{WORLD}")))


def flat_envs(num_envs: int) -> FlatObservationVectorWrapper:
    """Many at once, the same."""
    native: Any = gym.make_vec(f"slategym:{WORLD}", num_envs=num_envs)
    return FlatObservationVectorWrapper(ProtoActionVectorWrapper(native))


def earned(envs: Any, act: Act) -> np.ndarray:
    """One session's return of each user, (B,); the same users and luck whoever acts."""
    seen, _ = envs.reset(seed=1)
    total_B = np.zeros(envs.num_envs)
    going_B = np.ones(envs.num_envs, dtype=bool)
    while going_B.any():
        seen, reward_B, left_B, cut_B, _ = envs.step(act(seen))
        total_B += np.where(going_B, reward_B, 0.0)
        going_B &= ~(left_B | cut_B)
    return total_B


def random_slates(envs: Any) -> np.ndarray:
    """What random slates earn of the same users."""
    native = envs.unwrapped
    native.action_space.seed(0)
    return earned(native, lambda seen: native.action_space.sample())


def gain(act: Act, users: int = 128) -> tuple[float, float]:
    """What is earned beyond random slates, paired by user: mean, and half its 95 % interval."""
    envs = flat_envs(users)
    return paired(earned(envs, act) - random_slates(envs))


def paired(difference_B: np.ndarray) -> tuple[float, float]:
    """Mean, and half the 95 % interval."""
    half = 1.96 * difference_B.std(ddof=1) / len(difference_B) ** 0.5
    return float(difference_B.mean()), float(half)


def assert_gains(gained: tuple[float, float], least: float) -> None:
    """More than `least`, the interval's lower end too."""
    mean, half = gained
    print(f"\ngained {mean:+.1f} ± {half:.1f} over random slates")
    assert mean - half > least, f"gained {mean:.1f} ± {half:.1f} over random slates"


def tensor(x: np.ndarray) -> torch.Tensor:
    """As float32."""
    return torch.as_tensor(x, dtype=torch.float32)
