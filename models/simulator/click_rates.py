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
from slategym.envs.luck import Luck
from slategym.envs.types import Items, World
from slategym.models.simulator.users import LearnedUsers

ROUNDS = 60  # bisections: far below float32 rounding
COLDEST, HOTTEST = 0.05, 50.0  # temperatures that are tried
MOST_SKIP = 100.0  # log-odds, either way
TOLERANCE = 1e-6  # of a rate


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
        appeal_random_UK: raw click + like_weight * like of random slates, log-odds.
        appeal_popular_UK: of popular ones, for the same users.
        rates: to reach.

    Raises:
        ValueError: if no temperature in [0.05, 50] and skip in [-100, 100] give these rates:
            popular slates do not appeal more than random ones by enough, or by far too much.
    """

    def rate(appeal_UK: Tensor, skip: float, temperature: float) -> float:
        logits_U = ((appeal_UK.double() - skip) / temperature).logsumexp(1)
        return float(logits_U.sigmoid().mean())

    def skip_for(temperature: float) -> float:
        low, high = -MOST_SKIP, MOST_SKIP
        for _ in range(ROUNDS):
            middle = 0.5 * (low + high)
            too_easy = rate(appeal_popular_UK, middle, temperature) > rates.popular
            low, high = (middle, high) if too_easy else (low, middle)
        return 0.5 * (low + high)

    cold, hot = COLDEST, HOTTEST
    for _ in range(ROUNDS):
        temperature = (cold * hot) ** 0.5
        too_cold = rate(appeal_random_UK, skip_for(temperature), temperature) < rates.random
        cold, hot = (temperature, hot) if too_cold else (cold, temperature)
    temperature = (cold * hot) ** 0.5
    skip = skip_for(temperature)
    random, popular = (rate(x, skip, temperature) for x in (appeal_random_UK, appeal_popular_UK))
    if max(abs(random - rates.random), abs(popular - rates.popular)) > TOLERANCE:
        raise ValueError(
            f"click rates of {rates.random} for random and {rates.popular} for popular slates "
            f"cannot be met, the nearest are {random:.3f} and {popular:.3f}: the appeals of the "
            "two differ too little or too much"
        )
    return Constants(skip, temperature, random_rate=random, popular_rate=popular)


def raw_appeal(world: World, users: LearnedUsers, slate_UK: Tensor) -> Tensor:
    """Click + like_weight * like at everybody's first request, (U, K)."""
    user_U = torch.arange(world.population.size, dtype=torch.int32)
    zero_U = torch.zeros_like(user_U)
    session = engine.start(world, zero_U, user_U, zero_U)
    plain = LearnedUsers(users.taste, skip=0.0, temperature=1.0, like_weight=users.like_weight)
    state = plain.initial(engine.arrive(world.population, user_U), Luck(zero_U))
    return plain.appeal(state, Items(slate_UK.int(), world.catalogue), session.context)
