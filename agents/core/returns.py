"""From rewards to what a learner is told: discounted sums and advantages, seed by seed.

S training seeds, T slates, B users in parallel; a session may end at any of them.
"""

from __future__ import annotations

import torch
from torch import Tensor


def discounted(reward_STB: Tensor, ended_STB: Tensor, gamma: float) -> Tensor:
    """Discounted reward to go until the session or the rollout ends, (S, T, B)."""
    zero_STB = torch.zeros_like(reward_STB)
    return advantages(reward_STB, zero_STB, zero_STB[:, 0], ended_STB, gamma, 1.0)


def advantages(
    reward_STB: Tensor,
    value_STB: Tensor,
    last_SB: Tensor,
    ended_STB: Tensor,
    gamma: float,
    gae_lambda: float,
) -> Tensor:
    """Generalised advantage estimates, (S, T, B).

    Args:
        reward_STB: of every slate.
        value_STB: of every request.
        last_SB: value of the request after the last slate.
        ended_STB: bool, sessions that the slate ended.
        gamma: discount, in [0, 1].
        gae_lambda: in [0, 1].

    Source: Schulman et al. 2016, arXiv:1506.02438, equation 16.
    """
    advantage_STB = torch.empty_like(reward_STB)
    ahead_SB, next_SB = torch.zeros_like(last_SB), last_SB
    for t in reversed(range(reward_STB.shape[1])):
        on_SB = (~ended_STB[:, t]).float()
        surprise_SB = reward_STB[:, t] + gamma * on_SB * next_SB - value_STB[:, t]
        ahead_SB = surprise_SB + gamma * gae_lambda * on_SB * ahead_SB
        advantage_STB[:, t], next_SB = ahead_SB, value_STB[:, t]
    return advantage_STB


def lambda_returns(
    reward_STB: Tensor, after_STB: Tensor, ended_STB: Tensor, gamma: float, td_lambda: float
) -> Tensor:
    """What a slate brought and led to, by TD(lambda), (S, T, B).

    Args:
        reward_STB: of every slate.
        after_STB: foreseen value of what follows each slate, its answers known.
        ended_STB: bool, sessions that the slate ended: nothing follows.
        gamma: discount, in [0, 1].
        td_lambda: weight of what did follow against what was foreseen, in [0, 1].

    Source: Sutton and Barto 2018, Reinforcement Learning, equation 12.18.
    """
    return_STB, next_SB = torch.empty_like(reward_STB), after_STB[:, -1]
    for t in reversed(range(reward_STB.shape[1])):
        follows_SB = torch.lerp(after_STB[:, t], next_SB, td_lambda) * ~ended_STB[:, t]
        next_SB = reward_STB[:, t] + gamma * follows_SB
        return_STB[:, t] = next_SB
    return return_STB


def normalised(advantage_SnK: Tensor) -> Tensor:
    """Zero mean in every seed and slot, unit spread in every seed."""
    centred_SnK = advantage_SnK - advantage_SnK.mean(1, keepdim=True)
    return centred_SnK / (centred_SnK.square().mean((1, 2), keepdim=True).sqrt() + 1e-8)
