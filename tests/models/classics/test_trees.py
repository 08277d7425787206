"""Features and boosted trees: what enters them, and what must not."""

from dataclasses import replace

import numpy as np
import pytest

from slategym.models.classics import trees
from slategym.models.classics.features import RECENT_PRIOR, USER_PRIOR, Statistics, describe
from slategym.models.classics.gaussian import START
from slategym.models.classics.trees import (
    CrossFitted,
    TreeSettings,
    best_size,
    fit_trees,
)
from slategym.models.closed_form.events import Events
from slategym.models.closed_form.sides import Sides

PROCESSES = {"like": START, "rating": START}
SMALL = TreeSettings(folds=3, least_rows=5, most=30, patience=5, members=2)


@pytest.fixture(scope="module")
def events(tiny_log) -> Events:
    return Events.from_log(tiny_log)


@pytest.fixture(scope="module")
def train(events) -> np.ndarray:
    return events.user_E < 14


@pytest.fixture(scope="module")
def sides(tiny_log, tiny_vectors) -> Sides:
    return Sides.from_log(tiny_log, tiny_vectors)


@pytest.fixture(scope="module")
def cross_fitted(events, train, sides) -> CrossFitted:
    return CrossFitted.fit(events, train, sides, PROCESSES, folds=3)


def test_running_features_by_hand(events, train, sides):
    statistics = [Statistics.fit(events, "rating", train, sides, START)]
    table = describe(events, sides, statistics, np.array([16]))
    assert table.value_EX.shape == (events.num_rows, len(table.names))
    rows = np.flatnonzero(events.user_E == 16)
    assert np.isnan(np.delete(table.value_EX, rows, 0)).all()  # only who was asked for
    column = {name: table.value_EX[rows, x] for x, name in enumerate(table.names)}
    residual = statistics[0].process.base.residual(events)[rows]
    at = 5
    assert column["events before"][at] == pytest.approx(np.log(6))
    assert column["rating: user residual"][at] == pytest.approx(
        residual[:5].sum() / (5 + USER_PRIOR), rel=1e-5
    )
    assert column["rating: user spread"][at] == pytest.approx(residual[:5].std(), rel=1e-5)
    assert column["rating: last 3"][at] == pytest.approx(
        residual[2:5].sum() / (3 + RECENT_PRIOR), rel=1e-5
    )
    mean = np.array([residual[:t].sum() / (t + USER_PRIOR) for t in range(5)])
    item = events.item_E[rows]
    like = (sides.text_ND[item[:5]] @ sides.text_ND[item[5]]).clip(0) ** 2
    want = (like * (residual[:5] - mean)).sum() / (like.sum() + 1)
    assert column["rating: like text, residual"][at] == pytest.approx(want, abs=1e-5)
    assert column["rating: like text, weight"][at] == pytest.approx(np.log1p(like.sum()), rel=1e-4)
    process = statistics[0].process.online(events, rows)
    base = statistics[0].process.base
    assert column["rating: process mean"][at] * base.scale == pytest.approx(
        process.mean[at] - base.mean - base.item_N[item[at]], abs=1e-5
    )
    assert column["age"][at] == 16 % 3


def test_a_rows_features_know_neither_its_own_value_nor_later_ones(events, cross_fitted):
    rows = np.flatnonzero(events.user_E == 15)
    values = {name: value_E.copy() for name, value_E in events.values.items()}
    values["rating"][rows[3]], values["like"][rows[3]] = 1.0, 1 - values["like"][rows[3]]
    other = replace(events, values=values)
    before = cross_fitted.describe(events, rows).value_EX[rows]
    after = cross_fitted.describe(other, rows).value_EX[rows]
    np.testing.assert_array_equal(before[:4], after[:4])
    assert (before[4:] != after[4:]).any(axis=1).all()


@pytest.mark.parametrize("user", [2, 11])
def test_a_users_own_rows_never_shape_the_statistics_that_describe_them(events, train, sides, user):
    """All values of a user are turned round: what is known of the items stays as it was."""
    mine_E = events.user_E == user
    turned = dict(events.values)
    turned["rating"] = np.where(mine_E, 6 - turned["rating"], turned["rating"])
    turned["like"] = np.where(mine_E, 1 - turned["like"], turned["like"])
    rows = np.flatnonzero(mine_E)
    first = CrossFitted.fit(events, train, sides, PROCESSES, folds=3)
    other = replace(events, values=turned)
    second = CrossFitted.fit(other, train, sides, PROCESSES, folds=3)
    table, again = first.describe(events, rows), second.describe(other, rows)
    of_items = [x for x, name in enumerate(table.names) if ": item " in name]
    assert len(of_items) == 6
    np.testing.assert_array_equal(
        table.value_EX[np.ix_(rows, of_items)], again.value_EX[np.ix_(rows, of_items)]
    )
    # somebody else of another fold is described by them
    others = np.flatnonzero((first.fold_U[events.user_E] != first.fold_U[user]) & train)
    before, after = (
        x.describe(e, others).value_EX[np.ix_(others, of_items)]
        for x, e in ((first, events), (second, other))
    )
    assert (before != after).any()


def test_who_has_no_rows_to_fit_on_is_described_by_all_of_them(events, train, cross_fitted, sides):
    assert (cross_fitted.fold_U[14:] == -1).all() and (cross_fitted.fold_U[:14] >= 0).all()
    assert np.bincount(cross_fitted.fold_U[:14]).min() >= 4
    rows = np.flatnonzero(events.user_E == 19)
    whole = [Statistics.fit(events, s, train, sides, START) for s in PROCESSES]
    want = describe(events, sides, whole, np.array([19])).value_EX[rows]
    np.testing.assert_array_equal(cross_fitted.describe(events, rows).value_EX[rows], want)


def test_trees_learn_what_people_like(events, train, cross_fitted):
    rows = np.arange(events.num_rows)
    table = cross_fitted.describe(events, rows)
    rating, like = events.value("rating"), events.value("like")
    held = np.flatnonzero(~train)
    num = best_size(events, "rating", train, ~train, table, SMALL)
    assert 1 <= num <= SMALL.most
    model = fit_trees(events, "rating", train, cross_fitted, table, 30, SMALL)
    predicted = model.scaled(2.0).online(events, held)
    assert predicted.mean.min() >= 1 and predicted.mean.max() <= 5
    spread = np.square(rating[held] - rating[train].mean()).mean()
    assert np.square(rating[held] - predicted.mean).mean() < 0.7 * spread
    np.testing.assert_allclose(predicted.variance, 2 * model.of(table, held).variance, rtol=1e-6)
    chance = fit_trees(events, "like", train, cross_fitted, table, 30, SMALL).online(events, held)
    assert ((chance.mean > 0) & (chance.mean < 1)).all()
    np.testing.assert_allclose(chance.variance, chance.mean * (1 - chance.mean))
    assert chance.mean[like[held] == 1].mean() > chance.mean[like[held] == 0].mean() + 0.1


def test_more_folds_than_people_are_refused(events, train, sides):
    with pytest.raises(ValueError, match="no more than the 14 users who have rows"):
        CrossFitted.fit(events, train, sides, PROCESSES, folds=15)


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn", None)
    with pytest.raises(ValueError, match=r"pip install 'slategym\[classics\]'"):
        trees._booster(False, SMALL, 10, 0)
