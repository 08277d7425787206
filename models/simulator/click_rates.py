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
from slategym.envs.choice import MultinomialLogit, PositionBased
from slategym.envs.luck import Luck
from slategym.envs.types import Items, World
from slategym.models.conditional_logit import fit_choices, nothing_for
from slategym.models.position_based import fit_positions
from slategym.models.simulator.users import LIKE_WEIGHT, LearnedUsers
from slategym.models.taste import Outputs

ROUNDS = 60  # bisections: far below float32 rounding
COLDEST, HOTTEST = 0.05, 50.0  # temperatures that are tried
MOST_SKIP = 100.0  # log-odds, either way
TOLERANCE = 1e-6  # of a rate
SEVERAL = (
    0.01  # of the slates with a click: with more than one in more of them, slots are for themselves
)
ENOUGH = 500  # slates, by which a second head's weight is told; by fewer it is stated


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
    like_weight: float = LIKE_WEIGHT  # of the second head beside the click's
    decay: float | None = None  # of examination, slot by slot; None: at most one click a slate

    @property
    def choice(self) -> MultinomialLogit | PositionBased:
        """How people choose."""
        return MultinomialLogit() if self.decay is None else PositionBased(self.decay)


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


def solve_slates(head_SKF: Tensor, shown_SK: Tensor, clicked_SK: Tensor) -> Constants:
    """How the heads' log-odds turn into clicks, as is most likely for logged ones.

    Where slates have at most one click: the multinomial logit over the items of a slate and taking
    nothing, with an effect of each slot beyond the first, so that what stood in front is not taken
    for liking. In the world all slots are alike: skip is then set such that the logged share of
    slates is clicked. Where slates have several clicks: the position-based model.

    Args:
        head_SKF: log-odds by the click's head, and by that of the first binary signal after it
            where there is one.
        shown_SK: bool, False: an empty slot.
        clicked_SK: bool.
    """
    number_S = clicked_SK.sum(1)
    rate = float((number_S > 0).double().mean())
    head = head_SKF.double()
    several = float((number_S > 1).double().sum()) > SEVERAL * float((number_S > 0).sum())
    like_weight = 0.0 if head.shape[2] == 1 else LIKE_WEIGHT
    if head.shape[2] > 1 and len(head) < ENOUGH:
        head = head[..., :1] + like_weight * head[..., 1:2]
    decay, positions = None, None
    if several:
        positions = fit_positions(head, shown_SK, clicked_SK)
        weight, decay = positions.weight, positions.decay
    else:
        weight, _ = fit_choices(head, shown_SK, clicked_SK)
    temperature = min(max(1.0 / weight[0], COLDEST), HOTTEST)
    if len(weight) > 1:
        like_weight = weight[1] / weight[0]
        head = head[..., :1] + like_weight * head[..., 1:2]
    if positions is not None:
        skip = positions.nothing * temperature
    else:
        shown = head[..., 0].masked_fill(~shown_SK, -torch.inf)
        skip = _skip_for(shown, temperature, rate)
    return Constants(
        *(skip, temperature, 0.0, 0.0),
        slates=len(head),
        logged_rate=rate,
        like_weight=like_weight,
        decay=decay,
    )


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
    plain = replace(users, skip=0.0, temperature=1.0)
    return plain.combine(_outputs(world, users, slate_UK))


def raw_heads(world: World, users: LearnedUsers, slate_UK: Tensor) -> Tensor:
    """Log-odds that make the appeal, click first, at everybody's first request, (U, K, F)."""
    return torch.stack(users.wishes(_outputs(world, users, slate_UK)), -1)


def _outputs(world: World, users: LearnedUsers, slate_UK: Tensor) -> Outputs:
    user_U = torch.arange(world.population.size, dtype=torch.int32)
    zero_U = torch.zeros_like(user_U)
    session = engine.start(world, zero_U, user_U, zero_U)
    state = users.initial(engine.arrive(world.population, user_U), Luck(zero_U))
    items = Items(slate_UK.int(), world.catalogue)
    return users.taste.score(state, items.id, session.context)
