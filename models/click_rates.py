"""The two constants of choice that no log of ratings can tell, from two stated click rates.

A log of ratings holds what people took up, never what they were shown and passed over. How an
appeal turns into a click is therefore fixed by two stated marginals: how often a random slate gets
a click, and how often a slate of popular items does.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from slategym.envs import engine
from slategym.envs.types import Items, World
from slategym.models.learned_users import LearnedUsers

ROUNDS = 60  # bisections: far below float32 rounding


@dataclass(frozen=True)
class ClickRates:
    """Stated shares of slates that get a click, at a user's first request."""

    random: float = 0.15
    popular: float = 0.50

    def __post_init__(self) -> None:
        if not 0.0 < self.random < self.popular < 1.0:
            raise ValueError(
                "click rates must satisfy 0 < random < popular < 1, got "
                f"random={self.random}, popular={self.popular}"
            )


@dataclass(frozen=True)
class Constants:
    """What the rates imply, and what was reached."""

    skip: float  # log-odds at which an item is as good as nothing
    temperature: float
    random_rate: float
    popular_rate: float


def solve(appeal_random_UK: Tensor, appeal_popular_UK: Tensor, rates: ClickRates) -> Constants:
    """Skip and temperature such that both slates get their stated share of clicks.

    P(click) = v / (1 + v), v = sum_k exp((a_k - skip) / temperature), averaged over users. For any
    temperature one skip meets the popular rate; the temperature is then bisected on the random one,
    whose rate rises with it.

    Args:
        appeal_random_UK: raw click + like_weight * like of random slates. appeal_popular_UK: of
            popular ones, for the same users.

    Raises:
        ValueError: if popular slates do not appeal more than random ones by enough.
    """

    def rate(appeal_UK: Tensor, skip: float, temperature: float) -> float:
        logits_U = ((appeal_UK.double() - skip) / temperature).logsumexp(1)
        return float(logits_U.sigmoid().mean())

    def skip_for(temperature: float) -> float:
        low, high = -100.0, 100.0
        for _ in range(ROUNDS):
            middle = 0.5 * (low + high)
            too_easy = rate(appeal_popular_UK, middle, temperature) > rates.popular
            low, high = (middle, high) if too_easy else (low, middle)
        return 0.5 * (low + high)

    cold, hot = 0.05, 50.0
    if not rate(appeal_random_UK, skip_for(cold), cold) < rates.random:
        raise ValueError("random slates appeal as much as popular ones: the rates cannot be met")
    for _ in range(ROUNDS):
        temperature = (cold * hot) ** 0.5
        too_cold = rate(appeal_random_UK, skip_for(temperature), temperature) < rates.random
        cold, hot = (temperature, hot) if too_cold else (cold, temperature)
    temperature = (cold * hot) ** 0.5
    skip = skip_for(temperature)
    return Constants(
        skip=skip,
        temperature=temperature,
        random_rate=rate(appeal_random_UK, skip, temperature),
        popular_rate=rate(appeal_popular_UK, skip, temperature),
    )


def raw_appeal(world: World, users: LearnedUsers, slate_UK: Tensor) -> Tensor:
    """Click + like_weight * like at everybody's first request, (U, K)."""
    user_U = torch.arange(world.population.size, dtype=torch.int32)
    zero_U = torch.zeros_like(user_U)
    session = engine.start(world, zero_U, user_U, zero_U)
    plain = LearnedUsers(users.taste, skip=0.0, temperature=1.0, like_weight=users.like_weight)
    state = plain.initial(engine.arrive(world.population, user_U), engine.luck.Luck(zero_U))
    return plain.appeal(state, Items(slate_UK.int(), world.catalogue), session.context)
