"""Figures of weighted rows are those of the rows themselves, and people are drawn whole."""

from __future__ import annotations

import numpy as np
import pytest
from small_worlds import TASKS

from slategym.models.multitask.calibrate import Platt
from slategym.models.multitask.predict import Predictions
from slategym.models.multitask.scores import model_figures
from slategym.models.quality.resampling import (
    drawn_weights,
    groups_left_out,
    intervals,
    row_figures,
)

WEIGHTS = {"click": 1.0, "like": 1.0, "rating": 1.0, "next": 1.0}
PLATT = {"click": Platt(0.7, 0.2), "like": Platt(1.4, -0.1)}


def made_up(rows: int = 300) -> Predictions:
    """Predictions with ties, unobserved signals, unused negatives and rows passed over."""
    rng = np.random.default_rng(2)
    clicked_xC = np.zeros((rows, 4), np.float32)
    clicked_xC[:, 0] = rng.random(rows) < 0.7
    used_xC = rng.random((rows, 4)) < 0.8
    used_xC[:, 0] = True
    value_xM = np.stack(
        [clicked_xC[:, 0], rng.integers(0, 2, rows), rng.integers(1, 6, rows)], 1
    ).astype(np.float32)
    value_xM[::5, 1:] = np.nan
    return Predictions(
        TASKS,
        row_x=np.arange(rows),
        user_x=rng.integers(0, 25, rows),
        id_xC=rng.integers(0, 9, (rows, 4)),
        click_xC=rng.normal(size=(rows, 4)).round(1).astype(np.float32),
        used_xC=used_xC,
        clicked_xC=clicked_xC,
        output_xM=np.stack([rng.normal(size=rows).round(1)] * 2 + [rng.uniform(0, 7, rows)], 1),
        value_xM=value_xM,
        rank_x=rng.integers(0, 40, rows),
        surprise_x=np.ones(rows),
        other_xC=np.zeros((rows, 0)),
    )


def part(p: Predictions, rows: np.ndarray) -> Predictions:
    return Predictions(p.tasks, **{n: v[rows] for n, v in vars(p).items() if n != "tasks"})


@pytest.mark.parametrize("seed", range(3))
def test_weights_count_rows_as_often_as_they_are_there(seed):
    p = made_up()
    times = np.random.default_rng(seed).integers(0, 3, len(p.row_x))
    again = model_figures("", part(p, np.repeat(np.arange(len(times)), times)), PLATT, WEIGHTS)
    found = row_figures(p, PLATT, WEIGHTS)(times.astype(float))
    assert set(found) == {
        "click_auc", "click_ece", "like_auc", "like_ece", "rating_rmse", "hr10", "ndcg10"
    }  # fmt: skip
    for name, value in found.items():
        assert value == pytest.approx(again.values[name], abs=1e-6), name


def test_a_head_that_was_not_trained_and_rows_that_define_nothing():
    p = made_up()
    found = row_figures(p, {}, {**WEIGHTS, "like": 0.0, "next": 0.0})(np.zeros(len(p.row_x)))
    assert set(found) == {"click_auc", "click_ece", "rating_rmse"}
    assert all(np.isnan(value) for value in found.values())


def test_people_are_drawn_whole():
    user_x = np.array([3, 5, 3, 5, 5, 9])
    for weight_x in drawn_weights(user_x, 20, 0):
        assert weight_x[0] == weight_x[2] and weight_x[1] == weight_x[3] == weight_x[4]
        assert weight_x[0] + weight_x[1] + weight_x[5] == 3


def test_an_interval_covers_a_mean_as_people_allow():
    """People, not rows: 20 people of 50 equal rows each have the interval of 20 numbers."""
    rng = np.random.default_rng(1)
    mean_U = rng.normal(size=20)
    user_x, value_x = np.repeat(np.arange(20), 50), np.repeat(mean_U, 50)

    def mean(weight_x):
        return {"m": float((weight_x * value_x).sum() / weight_x.sum())}

    found = intervals(mean, user_x, draws=400)["m"]
    wide = 2 * 1.96 * mean_U.std() / np.sqrt(20)
    assert found.high - found.low == pytest.approx(wide, rel=0.2)
    half = intervals(mean, user_x, among_x=user_x < 10)["m"]
    assert half.value == pytest.approx(mean_U[:10].mean())
    none = intervals(lambda weight_x: {"m": float("nan")}, user_x)["m"]
    assert np.isnan(none.low) and not none.clear and none.to_json()["value"] is None


def test_each_group_of_people_is_left_out_once_and_whole():
    user_x = np.random.default_rng(4).integers(0, 50, 400)
    left_gx = np.array(list(groups_left_out(user_x, 20)))
    assert left_gx.shape == (20, 400)
    assert ((left_gx == 0).sum(0) == 1).all()  # of every row, one group
    for user in np.unique(user_x):
        assert (left_gx[:, user_x == user].std(1) == 0).all()  # people are left out whole
    people_g = [len(np.unique(user_x[weight_x == 0])) for weight_x in left_gx]
    assert max(people_g) - min(people_g) <= 1
    value_x = user_x.astype(float)  # the mean's standard error is that of as many people
    figure_g = (left_gx * value_x).sum(1) / left_gx.sum(1)
    error = np.std(figure_g) * np.sqrt(19)
    assert 0.5 < error / (np.std(np.arange(50)) / np.sqrt(50)) < 2
