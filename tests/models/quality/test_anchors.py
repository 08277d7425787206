from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from slategym.models.multitask.biases import LIKE_PRIOR, item_biases, rating_biases
from slategym.models.multitask.sequences import Sequences
from slategym.models.quality.anchors import fit_anchors, popularity_click_auc, popularity_ranks


def test_rating_biases_solve_their_regularised_least_squares():
    rng = np.random.default_rng(0)
    user, item, rating = rng.integers(0, 6, 80), rng.integers(0, 9, 80), rng.integers(1, 6, 80)
    mean, user_U, item_N = rating_biases(user, item, rating.astype(float), 7, 10)
    design = np.zeros((80, 17))
    design[np.arange(80), user] = design[np.arange(80), 7 + item] = 1
    ridge = np.diag([15.0] * 7 + [10.0] * 10)
    want = np.linalg.solve(design.T @ design + ridge, design.T @ (rating - rating.mean()))
    assert mean == rating.mean()
    np.testing.assert_allclose(np.concatenate([user_U, item_N]), want, atol=1e-4)
    assert user_U[6] == item_N[9] == 0  # nobody's rows


def test_item_biases_by_hand():
    events = pd.DataFrame(
        {
            "user": [0, 1, 2, 0],
            "item": [0, 0, 0, 1],
            "click": [1.0, 1.0, 1.0, 1.0],
            "like": [1.0, 0.0, np.nan, 1.0],
            "rating": [4.0, 2.0, np.nan, 5.0],
        }
    )
    biases = item_biases(events, num_users=3, num_items=3)
    np.testing.assert_allclose(biases.next_N, np.log(np.array([3.5, 1.5, 0.5]) / 5.5))
    np.testing.assert_allclose(biases.click_N, biases.next_N + np.log(3))
    overall = 2.5 / 4
    rate = (1 + LIKE_PRIOR * overall) / (2 + LIKE_PRIOR)
    assert biases.like_N[0] == pytest.approx(np.log(rate / (1 - rate)))
    assert biases.like_N[2] == pytest.approx(np.log(overall / (1 - overall)))
    assert biases.rating_mean == pytest.approx(11 / 3)


def test_the_online_anchor_reads_earlier_rows_and_no_later_ones(tiny_log):
    sequences = Sequences.from_log(tiny_log)
    train_E = np.isin(sequences.user_E.numpy(), np.arange(10))
    before = fit_anchors(sequences, train_E).online_E
    events = tiny_log.events.copy()
    row = int(sequences.first_U[12]) + 3  # not a training row
    events.loc[row, "rating"] = 6 - events.loc[row, "rating"]
    after = fit_anchors(Sequences.from_log(replace(tiny_log, events=events)), train_E).online_E
    changed = np.flatnonzero(np.abs(before - after) > 1e-9)
    stop = int(sequences.first_U[12] + sequences.count_U[12])
    assert changed.tolist() == list(range(row + 1, stop))


def test_the_online_anchor_by_hand(tiny_log):
    sequences = Sequences.from_log(tiny_log)
    train_E = np.ones(sequences.num_rows, bool)
    anchors = fit_anchors(sequences, train_E)
    events = tiny_log.events
    mean, user_U, item_N = rating_biases(
        events["user"].to_numpy(), events["item"].to_numpy(), events["rating"].to_numpy(), 20, 30
    )
    first = int(sequences.first_U[5])
    item, stars = events["item"].to_numpy(), events["rating"].to_numpy()
    residuals = [stars[r] - mean - item_N[item[r]] for r in (first, first + 1)]
    want = mean + item_N[item[first + 2]] + sum(residuals) / (2 + 15)
    assert anchors.online_E[first + 2] == pytest.approx(want)
    assert anchors.static_E[first] == pytest.approx(mean + user_U[5] + item_N[item[first]])


def test_popularity_ranks_and_auc(tiny_log):
    sequences = Sequences.from_log(tiny_log)
    count_N = np.arange(30.0)
    rows = np.array([0, 50, 150])
    events = tiny_log.events
    for row, rank in zip(rows, popularity_ranks(sequences, count_N, rows), strict=True):
        same_user = events["user"] == events["user"][row]
        before = set(events["item"][same_user & (events.index < row)])
        assert rank == len(set(range(events["item"][row] + 1, 30)) - before)
    everything = np.arange(sequences.num_rows)
    clicked = np.bincount(events["item"], minlength=30)
    assert popularity_click_auc(sequences, clicked.astype(float), everything, 4, 0) > 0.5


def test_anchors_need_ratings(tiny_log):
    log = replace(tiny_log, events=tiny_log.events.drop(columns="rating"))
    sequences = Sequences.from_log(log)
    with pytest.raises(ValueError, match="need a rating in every row"):
        fit_anchors(sequences, np.ones(sequences.num_rows, bool))
