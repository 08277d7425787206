from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from slategym.envs.types import CLICK, Signal
from slategym.models.multitask.calibrate import Platt, calibrate, fit_platt, reliability_rows
from slategym.models.multitask.predict import Predictions
from slategym.models.tasks import tasks_of

TASKS = tasks_of((CLICK, Signal("like", "binary", "count", 0, 1)))


def predictions(logit_x, label_x):
    """Like predictions of 40 users, one clicked item a row."""
    n = len(logit_x)
    ones, index = np.ones((n, 1), np.float32), np.arange(n)
    return Predictions(
        TASKS,
        row_x=index,
        user_x=index % 40,
        id_xC=np.zeros((n, 1), np.int64),
        click_xC=ones,
        used_xC=ones > 0,
        clicked_xC=ones,
        output_xM=np.stack([ones[:, 0], logit_x.astype(np.float32)], 1),
        value_xM=np.stack([ones[:, 0], label_x.astype(np.float32)], 1),
        rank_x=index,
        surprise_x=ones[:, 0],
    )


def world(scale, shift, n=6000):
    """Log-odds z and labels whose true log-odds are scale * z + shift."""
    rng = np.random.default_rng(0)
    logit_x = rng.normal(0, 2, n)
    return logit_x, (rng.random(n) < expit(scale * logit_x + shift)).astype(np.float64)


def test_platt_equals_logistic_regression():
    logit_x, label_x = world(0.5, 0.3)
    platt = fit_platt(logit_x, label_x)
    reference = LogisticRegression(C=1e9).fit(logit_x[:, None], label_x)
    assert platt.scale == pytest.approx(float(reference.coef_[0, 0]), rel=1e-3)
    assert platt.shift == pytest.approx(float(reference.intercept_[0]), rel=1e-2)


def test_platt_of_labels_all_alike_stays_finite():
    platt = fit_platt(np.array([0.1, 0.2, 0.3]), np.ones(3))
    assert np.isfinite([platt.scale, platt.shift]).all()


def test_an_overconfident_head_is_scaled():
    found = calibrate(predictions(*world(0.5, 0.3)), "like")
    assert found.kept
    assert found.platt.scale == pytest.approx(0.5, abs=0.05)
    assert found.ece_platt < 0.5 * found.ece_raw
    assert "like: Platt scaling kept" in found.sentence()


def test_a_calibrated_head_is_left_alone_and_it_says_so():
    found = calibrate(predictions(*world(1.0, 0.0)), "like")
    assert not found.kept
    assert found.platt == Platt()
    assert "tried and not kept" in found.sentence()


def test_of_one_person_nothing_is_tried_and_it_says_so():
    found = calibrate(replace(predictions(*world(1.0, 0.0)), user_x=np.zeros(6000, int)), "like")
    assert found.platt == Platt() and "no Platt scaling tried" in found.sentence()
    assert "nan" not in found.sentence()


def test_unobserved_likes_are_left_out():
    logit_x, label_x = world(0.5, 0.3)
    label_x[::2] = np.nan
    found = calibrate(predictions(logit_x, label_x), "like")
    assert found.rows == 3000
    assert found.platt.scale == pytest.approx(0.5, abs=0.08)


def test_reliability_rows_after_scaling():
    logit_x = np.array([-4.0, -4.0, 4.0])
    rows = reliability_rows(
        predictions(logit_x, np.array([0.0, 1.0, 1.0])), "tiny", "like", Platt(0.5, 0.0), bins=2
    )
    low, high = expit(-2.0), expit(2.0)
    assert [(r["model"], r["head"], r["bin"], r["observed"], r["count"]) for r in rows] == [
        ("tiny", "like", 0, 0.5, 2),
        ("tiny", "like", 1, 1.0, 1),
    ]
    assert [r["predicted"] for r in rows] == pytest.approx([low, high], abs=1e-6)
