"""What is shown, in numbers computed by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_worlds import fixed_world, learned_world, plain_taste

from slategym.agents.core.random_slates import Random
from slategym.agents.core.shown import attention, providers, slate_distance
from slategym.envs.types import Catalogue, Column, History, Items, World
from slategym.experiments.measure.compare import compare
from slategym.experiments.measure.exposure import (
    Exposure,
    gini,
    group_gap,
    miscalibration,
    provider_gap,
    self_information,
)
from slategym.experiments.measure.play import reading
from slategym.experiments.statistics.exposure import COLUMNS, exposure_means

FOUR = Catalogue(
    topic=torch.tensor([0, 0, 1, 1], dtype=torch.int32),
    embedding=torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]),
    quality=torch.zeros(4),
    topics=("a", "b"),
    popularity=torch.tensor([3.0, 1.0, 0.0, 0.0]),  # with one more each: 4, 2, 1, 1 of 8
)


def shelf() -> World:
    """Four items that all want alike, in slates of two."""
    flat = [0.0] * 4
    return fixed_world(plain_taste(flat, flat), [0, 0, 1, 1], flat, slate_size=2, horizon=3)


def slate(*ids: int) -> Items:
    return Items(torch.tensor([ids], dtype=torch.int32), FOUR)


def test_novelty_is_bits_of_popularity() -> None:
    bits_N = self_information(FOUR)
    assert bits_N is not None
    assert bits_N.tolist() == pytest.approx([1.0, 2.0, 3.0, 3.0])
    assert self_information(replace(FOUR, popularity=None)) is None


def test_distance_is_of_pairs_that_are_shown() -> None:
    every = torch.ones(1, 3, dtype=torch.bool)
    # cosines 1, 0, 0 of items 0, 1, 2; the pair of equal direction is at 0, others at 1
    assert slate_distance(slate(0, 1, 2), every).tolist() == pytest.approx([2 / 3])
    assert slate_distance(slate(0, 3, 3), torch.tensor([[True, True, False]])).tolist() == [2.0]
    assert slate_distance(slate(0, 1, 2), torch.tensor([[True, False, False]])).tolist() == [0.0]
    flat = replace(FOUR, embedding=torch.ones(4, 1))  # no vectors: topics
    items = Items(torch.tensor([[0, 1, 2]], dtype=torch.int32), flat)
    assert slate_distance(items, every).tolist() == pytest.approx([2 / 3])


def test_miscalibration_is_zero_where_shares_agree_and_grows() -> None:
    share_G = torch.tensor([0.5, 0.5])
    clicked_BG = torch.tensor([[0.0, 0.0], [3.0, 0.0], [3.0, 0.0]])
    shown_BG = torch.tensor([[2.0, 2.0], [4.0, 0.0], [0.0, 4.0]])
    # p of the last two: (3.5, .5) / 4; q: .99 * shares + .01 * p
    p, other = np.array([0.875, 0.125]), np.array([0.0, 1.0])
    fits, misses = (0.99 * shares + 0.01 * p for shares in (1.0 - other, other))
    wanted = [0.0, float(p @ np.log(p / fits)), float(p @ np.log(p / misses))]
    found = miscalibration(clicked_BG, shown_BG, share_G)
    assert found.tolist() == pytest.approx(wanted, rel=1e-5)
    assert found[2] > 5 * found[1]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [([1.0, 1.0], 0.0), ([0.0, 1.0], 0.5), ([0.0, 0.0, 0.0, 8.0], 0.75), ([1.0, 3.0], 0.25)],
)
def test_gini(values: list[float], wanted: float) -> None:
    assert gini(np.array(values)) == pytest.approx(wanted)


def test_gaps_of_providers_and_groups() -> None:
    exposed_N, provider_N = np.array([4.0, 0.0, 2.0, 2.0]), np.array([0, 0, 1, 1])
    assert provider_gap(exposed_N, provider_N) == 0.0
    assert provider_gap(exposed_N, np.array([0, 1, 1, 1])) == pytest.approx((4 - 4 / 3) / 2)
    return_U = np.array([1.0, 3.0, 5.0, 7.0, 100.0])
    assert group_gap(return_U, np.array([0, 0, 1, 1, 2])) == 4.0  # one session is no group
    assert group_gap(return_U, np.zeros(5, int)) is None


def test_providers_are_a_column_or_else_topics() -> None:
    number_N, names = providers(FOUR)
    assert number_N.tolist() == [0, 0, 1, 1] and names == ("a", "b")
    column = Column("creator", ("x", "y", "z"))
    creator_N = torch.tensor([2, 1, -1, 0], dtype=torch.int32)
    number_N, names = providers(replace(FOUR, attributes=((column, creator_N),)))
    assert number_N.tolist() == [2, 1, 3, 0] and names == ("x", "y", "z", "unknown")


def test_a_reading_adds_up_by_attention() -> None:
    world = replace(shelf(), catalogue=FOUR)
    exposure = Exposure(world)
    none = History(torch.full((1, 1), -1), torch.zeros(1, 1, 1), torch.zeros(1, 1))
    found = exposure.add(slate(0, 2), torch.ones(1, 2, dtype=torch.bool), none)
    assert found["novelty"].tolist() == pytest.approx([2.0])
    exposure.add(slate(0, 0), torch.tensor([[True, False]]), none)  # a repeat is an empty slot
    second = 1 / np.log2(3)
    assert attention(2).tolist() == pytest.approx([1.0, second])
    assert exposure.exposed_N.tolist() == pytest.approx([2.0, 0.0, second, 0.0])
    columns = exposure.columns(np.array([1.0]), torch.tensor([0]))
    assert columns["coverage"] == 0.5 and "group_gap" not in columns  # one session is no group
    assert columns["exposure_gini"] == pytest.approx(gini(np.array([2.0, 0, second, 0])))


def test_rows_have_it_whatever_the_batch() -> None:
    world = learned_world()
    user_U = torch.arange(world.population.size, dtype=torch.int32)
    policy = Random(world.num_candidates, world.slate_size)
    whole, parts = (reading(world, policy, user_U, seed=3, batch=size) for size in (64, 7))
    kept = [name for name in COLUMNS if name in whole]
    assert {"slate_distance", "miscalibration", "coverage", "exposure_gini"} <= set(kept)
    for name in kept:
        assert whole[name].to_numpy() == pytest.approx(parts[name].to_numpy(), rel=1e-5)
    assert whole["coverage"].nunique() == 1 and 0 < whole["coverage"].iloc[0] <= 1


def test_groups_are_the_first_trait() -> None:
    world = shelf()
    trait_UF = world.population.profile
    assert trait_UF is not None
    user_U = torch.arange(8, dtype=torch.int32)
    rows = reading(world, Random(world.num_candidates, world.slate_size), user_U, seed=1)
    by_group = rows.groupby(trait_UF[:8, 0].numpy())["return"].agg(["mean", "size"])
    means = by_group["mean"][by_group["size"] > 1]
    assert rows["group_gap"].iloc[0] == pytest.approx(means.max() - means.min())


def test_comparisons_say_it() -> None:
    found = compare("InterestEvolution-v0", ["random", "popularity"], users=8)
    said, means = str(found), exposure_means(found.rows)
    assert "what is shown" in said and "coverage" in said
    assert means.loc["random", "coverage"] > 0
