"""The agents' choice model comes back from slates that people chose from by it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from small_worlds import learned_world, random_population

from slategym.agents.core.choice import STATED, ConditionalLogit
from slategym.agents.core.choice_fit import _log_odds, fitted_choice
from slategym.agents.core.ranker import stated_ranker
from slategym.agents.core.supervised import head_settings, ranker_of, setting_of, tune_ranker
from slategym.envs.types import Shown, World

S, K, N = 6_000, 4, 40


@pytest.fixture(scope="module")
def world() -> World:
    """Whose agents may learn from slates that were chosen from with weights of .3 and .5."""
    plain = learned_world(num_items=N)
    draw = torch.Generator().manual_seed(1)
    people = random_population(S, N, 6, seed=5)
    item_SK = torch.rand(S, N, generator=draw).topk(K, 1).indices
    item_SK[:, -1] = torch.where(torch.rand(S, generator=draw) < 0.2, -1, item_SK[:, -1])
    shown = Shown(people, item_SK, torch.zeros(S, K, dtype=torch.bool))
    log_odds_SKF = _log_odds(plain, stated_ranker(plain), shown, ["click", "like"])
    utility_SK = log_odds_SKF @ torch.tensor([0.3, 0.5])
    utility_SK = utility_SK.masked_fill(item_SK < 0, -math.inf)
    gumbel = -torch.log(-torch.log(torch.rand(S, K + 1, generator=draw)))
    nothing_S1 = utility_SK.logsumexp(1).mean().expand(S, 1)
    best_S = (torch.cat([utility_SK, nothing_S1], 1) + gumbel).argmax(1)
    clicked_SK = torch.arange(K) == best_S[:, None]
    assert plain.agent_log is not None
    log = replace(plain.agent_log, shown=replace(shown, clicked_SK=clicked_SK))
    return replace(plain, agent_log=log)


def test_weights_come_back(world: World) -> None:
    found = fitted_choice(world)
    assert found is not None
    assert found.click == pytest.approx(0.3, abs=0.05)
    assert dict(found.further) == {"like": pytest.approx(0.5, abs=0.08)}
    assert (
        found.competes
        and found.origin == "fitted on 6,000 logged slates that agents may learn from"
    )
    assert fitted_choice(world) == found


def test_it_is_tried_first_and_stands_where_nobody_can_be_asked(world: World) -> None:
    found = fitted_choice(world)
    assert found is not None
    first, second, *_ = head_settings(world)
    assert first == setting_of(replace(stated_ranker(world), choice=found))
    assert second == setting_of(stated_ranker(world))
    ranker = ranker_of(world)
    assert setting_of(ranker) == first and ranker.choice.competes
    note = str(tune_ranker(world))
    assert "choice model fitted on 6,000 logged slates" in note
    assert "choice model stated, not fitted" in str(tune_ranker(learned_world()))


def test_without_slates_it_is_stated() -> None:
    world = learned_world()
    assert fitted_choice(world) is None
    assert ranker_of(world).choice == STATED == ConditionalLogit() and STATED.origin == "stated"
