from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from small_log import shop_log

from slategym.models.metrics import auc
from slategym.models.multitask.biases import item_biases
from slategym.models.multitask.sequences import Sequences
from slategym.models.quality.anchors import fit_anchors, popularity_click_auc, popularity_ranks
from slategym.models.statistics import RATE_PRIOR, rating_biases
from slategym.models.tasks import tasks_of

RATING = 2  # place of the signal in the tiny log


def tasks(log):
    return tasks_of(log.signals, log.like_from)


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


def test_item_biases_by_hand(tiny_log):
    events = pd.DataFrame(
        {
            "user": [0, 1, 2, 0],
            "item": [0, 0, 0, 1],
            "click": [1.0, 1.0, 1.0, 1.0],
            "like": [1.0, 0.0, np.nan, 1.0],
            "rating": [4.0, 2.0, np.nan, 5.0],
        }
    )
    biases = item_biases(events, tasks(tiny_log), num_users=3, num_items=3)
    click_N, like_N, _, next_N = biases.item_YN
    np.testing.assert_allclose(next_N, np.log(np.array([3.5, 1.5, 0.5]) / 5.5))
    np.testing.assert_allclose(click_N, next_N + np.log(3))
    overall = 2.5 / 4
    rate = (1 + RATE_PRIOR * overall) / (2 + RATE_PRIOR)
    assert like_N[0] == pytest.approx(np.log(rate / (1 - rate)))
    assert like_N[2] == pytest.approx(np.log(overall / (1 - overall)))
    assert biases.offset_M[RATING] == pytest.approx(11 / 3)


def test_the_online_anchor_reads_earlier_rows_and_no_later_ones(tiny_log):
    sequences = Sequences.from_log(tiny_log)
    train_E = np.isin(sequences.user_E.numpy(), np.arange(10))
    before = fit_anchors(sequences, tasks(tiny_log), train_E).online_EM[:, RATING]
    events = tiny_log.events.copy()
    row = int(sequences.first_U[12]) + 3  # not a training row
    events.loc[row, "rating"] = 6 - events.loc[row, "rating"]
    after = fit_anchors(
        Sequences.from_log(replace(tiny_log, events=events)), tasks(tiny_log), train_E
    ).online_EM[:, RATING]
    changed = np.flatnonzero(np.abs(before - after) > 1e-9)
    stop = int(sequences.first_U[12] + sequences.count_U[12])
    assert changed.tolist() == list(range(row + 1, stop))


def test_the_online_anchor_by_hand(tiny_log):
    sequences = Sequences.from_log(tiny_log)
    train_E = np.ones(sequences.num_rows, bool)
    anchors = fit_anchors(sequences, tasks(tiny_log), train_E)
    events = tiny_log.events
    mean, user_U, item_N = rating_biases(
        events["user"].to_numpy(), events["item"].to_numpy(), events["rating"].to_numpy(), 20, 30
    )
    first = int(sequences.first_U[5])
    item, stars = events["item"].to_numpy(), events["rating"].to_numpy()
    residuals = [stars[r] - mean - item_N[item[r]] for r in (first, first + 1)]
    want = mean + item_N[item[first + 2]] + sum(residuals) / (2 + 15)
    assert anchors.online_EM[first + 2, RATING] == pytest.approx(want)
    assert anchors.static_EM[first, RATING] == pytest.approx(mean + user_U[5] + item_N[item[first]])


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


def test_popularity_is_held_against_what_was_shown():
    log = shop_log()
    sequences, count_N = Sequences.from_log(log), np.arange(48.0)
    rows = np.arange(400)
    label_x = (log.events["click"].to_numpy()[rows] > 0).astype(float)
    want = auc(label_x, count_N[log.events["item"].to_numpy()[rows]])
    assert popularity_click_auc(sequences, count_N, rows, 4, 0) == pytest.approx(want)


def test_rows_without_a_click_are_held_against_clicks_where_there_are_no_slates(tiny_log):
    """Refused items are the most popular, so that popularity is worse than a guess."""
    count_N = np.bincount(tiny_log.events["item"], minlength=30).astype(float)
    popular_E = count_N[tiny_log.events["item"]] >= np.median(count_N)
    log = replace(tiny_log, events=tiny_log.events.assign(click=np.where(popular_E, 0.0, 1.0)))
    rows = np.arange(len(log.events))
    assert popularity_click_auc(Sequences.from_log(log), count_N, rows, 0, 0) == 0.0


def test_an_unobserved_rating_is_no_rating(tiny_log):
    """A row without one changes no later prediction, whatever stands beside it."""
    events = tiny_log.events.copy()
    row = int(Sequences.from_log(tiny_log).first_U[12]) + 3
    events.loc[row, ["rating", "like"]] = np.nan
    sequences = Sequences.from_log(replace(tiny_log, events=events))
    train_E = np.isin(sequences.user_E.numpy(), np.arange(10))
    anchors = fit_anchors(sequences, tasks(tiny_log), train_E)
    assert np.isfinite(anchors.online_EM[:, 1:]).all()
    without = events.drop(index=row).reset_index(drop=True)
    fewer = Sequences.from_log(replace(tiny_log, events=without))
    kept = np.delete(np.arange(len(events)), row)
    other = fit_anchors(fewer, tasks(tiny_log), train_E[kept])
    np.testing.assert_allclose(anchors.online_EM[kept, 1:], other.online_EM[:, 1:])


def test_a_derived_like_is_ranked_by_its_rating(tiny_log):
    sequences = Sequences.from_log(tiny_log)
    anchors = fit_anchors(sequences, tasks(tiny_log), np.ones(sequences.num_rows, bool))
    assert (anchors.online_EM[:, 1] == anchors.online_EM[:, RATING]).all()
