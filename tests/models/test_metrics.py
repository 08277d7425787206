import math

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from slategym.models import metrics


def test_auc_by_hand():
    # pairs (positive, negative): .8 > .3, .8 > .5, .4 > .3, .4 < .5: 3 of 4
    assert metrics.auc(np.array([1, 0, 0, 1]), np.array([0.8, 0.3, 0.5, 0.4])) == 0.75


def test_auc_counts_a_tie_as_half():
    assert metrics.auc(np.array([1, 0]), np.array([0.3, 0.3])) == 0.5


def test_auc_equals_scikit_learn_with_many_ties():
    rng = np.random.default_rng(0)
    label_x, score_x = rng.integers(0, 2, 500), rng.integers(0, 20, 500) / 20
    assert metrics.auc(label_x, score_x) == pytest.approx(roc_auc_score(label_x, score_x))


def test_auc_of_one_class_is_not_a_number():
    assert math.isnan(metrics.auc(np.ones(3), np.arange(3)))


def test_gauc_weights_users_by_rows_and_leaves_out_those_of_one_class():
    user_x = np.array([7, 3, 3, 7, 3, 9, 9])
    label_x = np.array([1, 1, 0, 0, 0, 1, 1])
    score_x = np.array([0.9, 0.5, 0.4, 0.1, 0.6, 0.2, 0.1])
    # user 7: 1 over 2 rows; user 3: one of two pairs right, over 3 rows; user 9: only positives
    assert metrics.gauc(user_x, label_x, score_x) == pytest.approx((1 * 2 + 0.5 * 3) / 5)


def test_rmse_by_hand():
    assert metrics.rmse(np.array([1.0, 5.0]), np.array([2.0, 3.0])) == pytest.approx(2.5**0.5)


def test_ece_by_hand():
    # bin [0, .5): mean .2, observed .5, two rows; bin [.5, 1]: mean .9, observed 1, one row
    label_x, prob_x = np.array([0, 1, 1]), np.array([0.1, 0.3, 0.9])
    assert metrics.ece(label_x, prob_x, bins=2) == pytest.approx((2 * 0.3 + 1 * 0.1) / 3)


def test_ece_keeps_probability_one_in_the_last_bin():
    assert metrics.reliability(np.array([1]), np.array([1.0]), bins=4) == [(1.0, 1.0, 1)]


def test_hit_rate_and_ndcg_by_hand():
    rank_x = np.array([0, 2, 9, 10])
    assert metrics.hit_rate(rank_x, 10) == 0.75
    expected = (1 / math.log2(2) + 1 / math.log2(4) + 1 / math.log2(11)) / 4
    assert metrics.ndcg(rank_x, 10) == pytest.approx(expected)


@pytest.mark.parametrize("num", [0, 1, 2, 300])
def test_ranks_are_scipys(num: int) -> None:
    rng = np.random.default_rng(num)
    for value_x in (rng.normal(size=num), rng.integers(0, 4, num), rng.normal(size=num).round(1)):
        np.testing.assert_array_equal(metrics.ranks(value_x), rankdata(value_x))
    unknown_x = np.array([1.0, np.nan, 2.0])
    np.testing.assert_array_equal(metrics.ranks(unknown_x), rankdata(unknown_x))
