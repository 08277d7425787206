"""Two stated click rates fix skip and temperature, or are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_worlds import learned_world

from slategym.envs import engine
from slategym.envs.choice import MultinomialLogit, PositionBased
from slategym.envs.types import Items
from slategym.envs.users.assumed import Assumed
from slategym.models.simulator.click_rates import (
    ClickRates,
    nearest,
    raw_appeal,
    solve,
    solve_slates,
)
from slategym.models.simulator.users import LearnedUsers

U, K = 300, 5


def appeals(shift: float, spread: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Of random slates, and of slates that appeal more by `shift` log-odds."""
    generator = torch.Generator().manual_seed(0)
    random_UK = spread * torch.randn(U, K, generator=generator)
    return random_UK, random_UK.flip(0) + shift


@pytest.mark.parametrize("rates", [ClickRates(0.15, 0.5), ClickRates(0.3, 0.35)])
def test_the_constants_give_the_stated_rates(rates: ClickRates) -> None:
    random_UK, popular_UK = appeals(3.0)
    found = solve(random_UK, popular_UK, rates)
    assert found.temperature > 0
    for appeal_UK, wanted, said in (
        (random_UK, rates.random, found.random_rate),
        (popular_UK, rates.popular, found.popular_rate),
    ):
        weight_U = ((appeal_UK.double() - found.skip) / found.temperature).exp().sum(1)
        reached = float((weight_U / (1 + weight_U)).mean())
        assert reached == pytest.approx(wanted, abs=1e-6)
        assert said == pytest.approx(reached, abs=1e-9)


def test_a_whole_unit_of_temperature_scales_everything() -> None:
    rates = ClickRates(0.15, 0.5)
    plain = solve(*appeals(3.0), rates)
    double = solve(*(2 * x for x in appeals(3.0)), rates)
    assert double.temperature == pytest.approx(2 * plain.temperature, rel=1e-4)
    assert double.skip == pytest.approx(2 * plain.skip, rel=1e-4)


def test_rates_that_cannot_be_met_are_refused() -> None:
    for shift in (0.0, 500.0):  # as much as popular ones; far too little
        with pytest.raises(ValueError, match=r"of 0\.15 for random .* cannot be met, the nearest"):
            solve(*appeals(shift), ClickRates(0.15, 0.5))
    for random, popular in ((0.5, 0.5), (0.0, 0.5), (0.2, 1.0)):
        with pytest.raises(ValueError, match=f"random={random}, popular={popular}"):
            ClickRates(random, popular)


def test_raw_appeal_is_click_and_half_a_like_at_the_first_request() -> None:
    world = learned_world()
    assert isinstance(world.users, Assumed) and isinstance(world.users.inner, LearnedUsers)
    users, size = world.users.inner, world.population.size
    slate_UK = torch.arange(3).expand(size, -1)
    user_U = torch.arange(size, dtype=torch.int32)
    session = engine.start(world, 0 * user_U, user_U, 0 * user_U)
    items = Items(slate_UK.int(), world.catalogue)
    click_UK, like_UK, _ = users.taste.score(session.user.inner, items.id, session.context)
    raw_UK = raw_appeal(world, users, slate_UK)
    torch.testing.assert_close(raw_UK, click_UK + 0.5 * like_UK)
    appeal_UK = users.appeal(session.user.inner, items, session.context)
    torch.testing.assert_close((raw_UK - users.skip) / users.temperature, appeal_UK)


def test_what_was_passed_over_tells_skip_and_temperature() -> None:
    generator = torch.Generator().manual_seed(1)
    S, K, skip, temperature = 60_000, 4, 3.0, 2.0
    appeal_SK = 2.0 * torch.randn(S, K, generator=generator) + 1.0
    shown_SK = torch.rand(S, K, generator=generator) < 0.9
    slot_K = torch.tensor([0.0, -0.3, -0.6, -0.9])  # further down is seen less
    logit_SK = ((appeal_SK - skip) / temperature + slot_K).masked_fill(~shown_SK, -torch.inf)
    share_SJ = torch.cat([logit_SK, torch.zeros(S, 1)], 1).softmax(1)
    taken_S = torch.multinomial(share_SJ, 1, generator=generator)[:, 0]
    clicked_SK = torch.nn.functional.one_hot(taken_S, K + 1)[:, :K].bool()
    found = solve_slates(appeal_SK[..., None], shown_SK, clicked_SK)
    logged = float(clicked_SK.any(1).float().mean())
    assert found.temperature == pytest.approx(temperature, rel=0.05)
    assert (found.slates, found.logged_rate) == (S, pytest.approx(logged))
    flat_SK = ((appeal_SK - found.skip) / found.temperature).masked_fill(~shown_SK, -torch.inf)
    assert float(flat_SK.logsumexp(1).sigmoid().mean()) == pytest.approx(logged, abs=1e-4)
    assert found.decay is None and isinstance(found.choice, MultinomialLogit)
    assert found.skip > skip  # slots further down are seen less: on average less is clicked


@pytest.mark.parametrize("like_weight", [-0.6, 0.9])
def test_logged_slates_tell_how_much_of_a_like_is_in_a_choice(like_weight: float) -> None:
    generator = torch.Generator().manual_seed(2)
    S, K = 40_000, 4
    head_SKF = torch.randn(S, K, 2, generator=generator)
    logit_SK = head_SKF[..., 0] + like_weight * head_SKF[..., 1]
    share_SJ = torch.cat([logit_SK, torch.zeros(S, 1)], 1).softmax(1)
    taken_S = torch.multinomial(share_SJ, 1, generator=generator)[:, 0]
    clicked_SK = torch.nn.functional.one_hot(taken_S, K + 1)[:, :K].bool()
    shown_SK = torch.ones(S, K, dtype=torch.bool)
    assert solve_slates(head_SKF, shown_SK, clicked_SK).like_weight == pytest.approx(
        like_weight, abs=0.05
    )
    few = solve_slates(head_SKF[:100], shown_SK[:100], clicked_SK[:100])
    assert few.like_weight == 0.5  # too few slates to tell


def test_several_clicks_a_slate_are_told_from_one() -> None:
    generator = torch.Generator().manual_seed(3)
    S, K, skip, temperature, decay = 60_000, 5, 1.0, 0.5, 0.8
    head_SK = torch.randn(S, K, generator=generator)
    shown_SK = torch.rand(S, K, generator=generator) < 0.9
    prob_SK = decay ** torch.arange(K) * ((head_SK - skip) / temperature).sigmoid()
    clicked_SK = shown_SK & (torch.rand(S, K, generator=generator) < prob_SK)
    found = solve_slates(head_SK[..., None], shown_SK, clicked_SK)
    assert found.decay == pytest.approx(decay, abs=0.02)
    assert isinstance(found.choice, PositionBased) and found.choice.decay == found.decay
    assert found.skip == pytest.approx(skip, abs=0.05)
    assert found.temperature == pytest.approx(temperature, rel=0.05)


def test_a_model_that_tells_nothing_apart_meets_the_popular_rate_alone() -> None:
    same_UK = torch.zeros(50, 5)
    found = nearest(same_UK, same_UK, ClickRates(0.15, 0.5))
    assert (found.met, found.temperature) == (False, 1.0)
    assert found.popular_rate == found.random_rate == pytest.approx(0.5)
    assert found.skip == pytest.approx(np.log(5))
