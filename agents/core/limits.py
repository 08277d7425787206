"""Limits that slates have to keep on average, and the prices by which a learner keeps them.

A world's reward is a vector, one number per signal, weighed by its declared `objective`. Beside it
a learner may be given limits: the mean cost of a slate may not exceed a bound. What it maximises is
then reward minus price times cost, and after every rollout a limit's price rises by how far it was
exceeded, and falls, to zero at the lowest, by how far it was kept. Slates keep a limit on average,
as they are drawn. Where all users want alike and draws are next to certain, slates jump from one
end to the other as a price moves: a learner with a limit needs some `entropy`.

Source: Altman 1999, Constrained Markov Decision Processes, chapter 3; Tessler et al. 2019,
arXiv:1805.11074, equations 5 and 6 (reward constrained policy optimisation).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from slategym.agents.core.shown import attention, providers, slate_distance
from slategym.envs.names import UsageError, lookup
from slategym.envs.types import Items, World

Cost = Callable[[Items, Tensor, Tensor], Tensor]
"""Of the items (B, K), which slots are shown (B, K) and the feedback (B, K, M): (B,) each slate."""


@dataclass(frozen=True)
class Limit:
    """The mean cost of a slate stays at or below a bound."""

    name: str
    most: float  # in the unit of the cost
    cost: Cost


def provider_exposure(world: World, provider: str, least: float) -> Limit:
    """A provider, or a topic where items have none, gets at least that share of a slate's exposure.

    Args:
        world: whose items.
        provider: by name.
        least: share of exposure, mean over slates, in [0, 1].

    Raises:
        UsageError: there is no such provider; the share is out of range.
    """
    provider_N, names = providers(world.catalogue)
    lookup("provider", provider, dict.fromkeys(names))
    _check_share("least", least)
    theirs_N = provider_N == names.index(provider)
    weight_K = attention(world.slate_size).float().to(world.device)

    def cost(items: Items, shown_BK: Tensor, feedback_BKM: Tensor) -> Tensor:
        seen_BK = weight_K * shown_BK
        theirs_BK = seen_BK * theirs_N[items.id.long()]
        return -theirs_BK.sum(1) / seen_BK.sum(1).clamp(min=1e-9)

    return Limit(f"exposure of {provider} at least {least:g}", -least, cost)


def diversity_floor(least: float) -> Limit:
    """Items of a slate are at least so far apart: mean of 1 - cosine over its pairs, in [0, 2]."""
    if not 0 <= least <= 2:
        raise UsageError(f"a mean distance lies in [0, 2]; least must, too, got {least:g}")

    def cost(items: Items, shown_BK: Tensor, feedback_BKM: Tensor) -> Tensor:
        return -slate_distance(items, shown_BK)

    return Limit(f"distance at least {least:g}", -least, cost)


def harm(world: World, signal: str, most: float) -> Limit:
    """A signal that does harm, a report or an annoyance, comes at most so often (or is so large).

    Args:
        world: with that signal.
        signal: by name.
        most: of the signal's sum over a slate, mean over slates, in its unit.

    Raises:
        UsageError: there is no such signal.
    """
    names = [one.name for one in world.users.signals]
    lookup("signal", signal, dict.fromkeys(names))
    m = names.index(signal)

    def cost(items: Items, shown_BK: Tensor, feedback_BKM: Tensor) -> Tensor:
        return feedback_BKM[..., m].sum(1)

    return Limit(f"{signal} at most {most:g} a slate", most, cost)


def costs(limits: Sequence[Limit], items: Items, shown_BK: Tensor, feedback_BKM: Tensor) -> Tensor:
    """How far each slate exceeds each limit, (B, L); below zero where it keeps it."""
    found = [limit.cost(items, shown_BK, feedback_BKM) - limit.most for limit in limits]
    return torch.stack(found, 1) if found else feedback_BKM.new_zeros(len(shown_BK), 0)


def next_prices(price_SL: Tensor, excess_SL: Tensor, rate: float | Tensor) -> Tensor:
    """Prices after a rollout, never below zero.

    Args:
        price_SL: reward per unit of cost, of each seed and limit.
        excess_SL: mean cost above the bound.
        rate: reward per unit of cost and unit of excess, perhaps of each seed, (S, 1).

    >>> next_prices(torch.tensor([[1.0, 0.1]]), torch.tensor([[0.5, -2.0]]), 0.2)
    tensor([[1.1000, 0.0000]])
    """
    return (price_SL + rate * excess_SL).clamp(min=0.0)


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise UsageError(f"{name} is a share in [0, 1], got {value:g}")
