"""The two constants of choice: how an appeal turns into a click.

Where a log holds slates and what was passed over, they are fitted on those. A log of ratings holds
only what people took up; there they are fixed by two stated marginals: how often a random slate
gets a click, and how often a slate of popular items does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.types import Items, World
from slategym.models.conditional_logit import fit_choices, nothing_for
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
    """What the rates or the slates imply, and what was reached."""

    skip: float  # log-odds at which an item is as good as nothing
    temperature: float
    random_rate: float  # 0 where fitted on slates
    popular_rate: float
    met: bool = True  # whether both stated rates were
    slates: int = 0  # logged ones that it was fitted on; 0: solved for stated rates
    logged_rate: float = 0.0  # share of those that got a click


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
    cold, hot = COLDEST, HOTTEST
    for _ in range(ROUNDS):
        temperature = (cold * hot) ** 0.5
        skip = _skip_for(appeal_popular_UK, temperature, rates.popular)
        too_cold = _rate(appeal_random_UK, skip, temperature) < rates.random
        cold, hot = (temperature, hot) if too_cold else (cold, temperature)
    temperature = (cold * hot) ** 0.5
    skip = _skip_for(appeal_popular_UK, temperature, rates.popular)
    random, popular = (_rate(x, skip, temperature) for x in (appeal_random_UK, appeal_popular_UK))
    if max(abs(random - rates.random), abs(popular - rates.popular)) > TOLERANCE:
        raise ValueError(
            f"click rates of {rates.random} for random and {rates.popular} for popular slates "
            f"cannot be met, the nearest are {random:.3f} and {popular:.3f}: the appeals of the "
            "two differ too little or too much"
        )
    return Constants(skip, temperature, random_rate=random, popular_rate=popular)


def nearest(appeal_random_UK: Tensor, appeal_popular_UK: Tensor, rates: ClickRates) -> Constants:
    """`solve`, or where that cannot be the popular rate alone, at a temperature of one."""
    try:
        return solve(appeal_random_UK, appeal_popular_UK, rates)
    except ValueError:
        skip = _skip_for(appeal_popular_UK, 1.0, rates.popular)
        random, popular = (_rate(x, skip, 1.0) for x in (appeal_random_UK, appeal_popular_UK))
        return Constants(skip, 1.0, random_rate=random, popular_rate=popular, met=False)


def solve_slates(appeal_SK: Tensor, shown_SK: Tensor, clicked_SK: Tensor) -> Constants:
    """Skip and temperature under which logged clicks are most likely, and as many as logged.

    Maximum likelihood of the multinomial logit over the items of a slate and taking nothing, with
    an effect of each slot beyond the first, so that what stood in front is not taken for liking. In
    the world all slots are alike: skip is then set such that the logged share of slates is clicked.

    Args:
        appeal_SK: raw click + like_weight * like, log-odds.
        shown_SK: bool, False: an empty slot.
        clicked_SK: bool; of several clicks in a slate each counts for its share.
    """
    appeal, number_S = appeal_SK.double(), clicked_SK.sum(1)
    (inverse,), _ = fit_choices(appeal[..., None], shown_SK, clicked_SK)
    temperature = min(max(1.0 / inverse, COLDEST), HOTTEST)
    rate = float((number_S > 0).double().mean())
    shown = appeal.masked_fill(~shown_SK, -torch.inf)
    skip = _skip_for(shown, temperature, rate)
    return Constants(skip, temperature, 0.0, 0.0, slates=len(appeal), logged_rate=rate)


def _rate(appeal_UK: Tensor, skip: float, temperature: float) -> float:
    """Share of slates that get a click."""
    logits_U = ((appeal_UK.double() - skip) / temperature).logsumexp(1)
    return float(logits_U.sigmoid().mean())


def _skip_for(appeal_UK: Tensor, temperature: float, wanted: float) -> float:
    """The skip at which this share of the slates gets a click."""
    utility_U = (appeal_UK.double() / temperature).logsumexp(1)
    most = MOST_SKIP / temperature
    return temperature * nothing_for(utility_U, wanted, -most, most)


def raw_appeal(world: World, users: LearnedUsers, slate_UK: Tensor) -> Tensor:
    """Click + like_weight * like at everybody's first request, (U, K)."""
    user_U = torch.arange(world.population.size, dtype=torch.int32)
    zero_U = torch.zeros_like(user_U)
    session = engine.start(world, zero_U, user_U, zero_U)
    plain = replace(users, skip=0.0, temperature=1.0)
    state = plain.initial(engine.arrive(world.population, user_U), Luck(zero_U))
    return plain.appeal(state, Items(slate_UK.int(), world.catalogue), session.context)
