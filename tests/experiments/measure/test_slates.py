"""Sessions of a few people: the same people with the same luck, and why a slate is what it is."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from small_worlds import learned_world, ranker_in

from slategym.agents.core.choice import ConditionalLogit
from slategym.agents.core.random_slates import Random
from slategym.agents.core.ranker import Ranker
from slategym.agents.core.supervised import Supervised
from slategym.envs import engine
from slategym.envs.types import World
from slategym.experiments.measure.because import ADDS, _of, because, utilities
from slategym.experiments.measure.play import play
from slategym.experiments.measure.slates import _last_of, _Shown
from slategym.experiments.measure.traits import traits_of
from slategym.experiments.statistics.segments import TRAIT
from slategym.experiments.statistics.slates import MOMENT

LUCK = 3


def ranker_of(world: World) -> Ranker:
    """Weighs two heads."""
    return replace(ranker_in(world), choice=ConditionalLogit(0.5, (("like", 0.3),)))


@pytest.fixture(scope="module")
def world() -> World:
    return learned_world()


@pytest.fixture(scope="module")
def shown(world: World) -> _Shown:
    """The ranker's sessions, and what random would show in between."""
    ranker = ranker_of(world)
    found = _Shown(world, ranker, LUCK)
    user_U = torch.tensor([4, 1, 7, 12, 19], dtype=torch.int32)
    policy = Supervised(ranker, world.catalogue.topic.long(), world.slate_size)
    found.session("ranker", policy, user_U, keep=True)
    found.session("random", Random(world.num_candidates, world.slate_size), user_U, keep=False)
    found.moment({"random": Random(world.num_candidates, world.slate_size)}, "ranker")
    return found


def test_sessions_are_those_that_are_read(world: World, shown: _Shown) -> None:
    rows = shown.frame()
    for name in ("ranker", "random"):
        policy = (
            Random(world.num_candidates, world.slate_size)
            if name == "random"
            else Supervised(ranker_of(world), world.catalogue.topic.long(), world.slate_size)
        )
        read = play(world, policy, torch.tensor([1, 4, 7, 12, 19]), seed=LUCK).set_index("user")
        mine = rows[(rows["policy"] == name) & (rows["session_of"] == name)].groupby("user")
        assert mine["reward"].sum().to_numpy() == pytest.approx(read["return"].to_numpy())
        assert mine["step"].max().add(1).tolist() == read["length"].tolist()


def test_everybody_is_asked_at_the_same_moment_of_the_rankers_session(shown: _Shown) -> None:
    rows = shown.frame()
    asked = rows[rows["asked"]]
    assert set(asked["session_of"]) == {"ranker"} and set(asked["policy"]) == {"ranker", "random"}
    steps = asked.groupby(["user", "policy"])["step"].first().unstack()
    assert (steps["ranker"] == steps["random"]).all() and steps["ranker"].max() == MOMENT
    last = rows[rows["policy"] == "ranker"].groupby("user")["step"].max()
    assert steps["ranker"].tolist() == last.clip(upper=MOMENT).tolist()
    assert asked.groupby(["user", "policy"]).size().eq(shown.world.slate_size).all()


def test_the_past_told_again_gives_the_same_utilities(world: World, shown: _Shown) -> None:
    ranker, at = ranker_of(world), _last_of(shown._before)
    item_BK = torch.arange(3).expand(len(at.step), 3) * 5
    now_BK = ranker.utility(engine.observe(world, at), item_BK)
    arrival = engine.arrive(world.population, at.user_id)
    past = [_of(moment, at) for moment in shown._lived[: int(at.step.max())]]
    torch.testing.assert_close(
        utilities(world, ranker, at, item_BK, arrival, past), now_BK, atol=1e-4, rtol=1e-4
    )


def test_what_a_click_adds_is_what_is_lost_without_it(world: World, shown: _Shown) -> None:
    ranker, at = ranker_of(world), _last_of(shown._before)
    item_BK = torch.arange(3).expand(len(at.step), 3) * 5
    found = because(world, ranker, at, item_BK, shown._lived)
    arrival = engine.arrive(world.population, at.user_id)
    assert arrival.history is not None
    past = [_of(moment, at) for moment in shown._lived[: int(at.step.max())]]
    whole_BK = utilities(world, ranker, at, item_BK, arrival, past)
    falls = []
    for e in range(arrival.history.shape[1]):
        gone = arrival.history.clone()
        gone[:, e] = -1
        without = utilities(
            world, ranker, at, item_BK, type(arrival)(**{**vars(arrival), "history": gone}), past
        )
        falls.append(whole_BK - without)
    most_BK = torch.stack(falls).amax(0)  # of the log's events; those of the session may be more
    adds_BK = torch.as_tensor(found["because_adds"]).view(most_BK.shape).float()
    assert (adds_BK >= most_BK - 1e-5).all() and (adds_BK - most_BK < 1e-5).any()
    assert adds_BK.abs().max() > 1e-3
    titles = {"", *world.catalogue.title, *(f"item {i}" for i in range(40))}
    assert set(found["because"]) <= titles


def test_heads_add_up_to_the_utility_but_for_the_mean(world: World, shown: _Shown) -> None:
    rows = shown.frame()
    asked = rows[rows["asked"]]
    adds = [name for name in rows.columns if name.startswith(ADDS)]
    rest = asked["utility"] - asked[adds].sum(axis=1)
    spread = rest.groupby(asked["user"]).agg(np.ptp)
    assert adds == ["adds_click", "adds_like"]
    assert spread.max() < 1e-4 and asked["utility"].std() > 1e-2  # one mean a person
    mine = asked[asked["policy"] == "ranker"].sort_values(["user", "position"])
    assert mine["ranker_place"].tolist() == [1, 2, 3] * mine["user"].nunique()
    assert rows.loc[~rows["asked"], "utility"].isna().all()


def test_traits_are_halves_and_the_logs_own_words(world: World) -> None:
    user_U = torch.arange(world.population.size, dtype=torch.int32)
    found = pd.DataFrame(traits_of(world, user_U, seed=0))
    assert {TRAIT + "taste"} <= set(found.columns)
    for name, levels in (("activity", {"light", "heavy"}), ("taste", {"narrow", "broad"})):
        if TRAIT + name in found:
            assert set(found[TRAIT + name]) <= levels
    few = traits_of(world, user_U[:2], seed=0)
    assert all(len(x) == 2 for x in few.values())


def test_every_column_is_described(shown: _Shown) -> None:
    page = (Path(__file__).parents[3] / "docs" / "rows.md").read_text(encoding="utf-8")
    described = set(re.findall(r"`(\w+)`", page.partition("## slates.parquet")[2]))
    columns = {name for name in shown.frame().columns if not name.startswith(ADDS)}
    signals = {signal.name for signal in shown.world.users.signals[1:]}
    assert columns - signals <= described | {"place", "seed"}
