"""Biases with drift and Gaussian processes, against the normal distribution written out in full."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from slategym.models.classics.drift import fit_drift, noise_of
from slategym.models.classics.gaussian import START, fit_gaussian
from slategym.models.classics.types import Predicted
from slategym.models.closed_form.events import Events
from slategym.models.closed_form.factors import item_factors
from slategym.models.closed_form.residuals import Base
from slategym.models.closed_form.sides import Sides
from slategym.models.multitask.sequences import Sequences
from slategym.models.quality.anchors import fit_anchors
from slategym.models.tasks import tasks_of

DRIFT = {"bias": 0.3, "drift": 0.5, "tau": 3.0}


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
def process(events, train, sides):
    return fit_gaussian(events, "rating", train, sides)


def conditional(left: np.ndarray, residual: np.ndarray, row: int) -> tuple[float, float]:
    """Mean and variance of one value given those before it."""
    if not row:
        return 0.0, left[0, 0] + 1
    given = np.linalg.inv(left[:row, :row] + np.eye(row))
    mean = left[row, :row] @ given @ residual[:row]
    return mean, left[row, row] + 1 - left[row, :row] @ given @ left[:row, row]


def kernel(process, item: np.ndarray) -> np.ndarray:
    """The covariance written out pair by pair."""
    s, V = process.settings, process.factor_ND.numpy()
    text, topic = process.text_ND.double().numpy(), process.topic_NG.numpy()
    left = np.zeros((len(item), len(item)))
    for a, i in enumerate(item):
        for b, j in enumerate(item):
            left[a, b] = s["bias"] + s["factors"] * V[i] @ V[j] + s["topics"] * topic[i] @ topic[j]
            left[a, b] += s["text"] * np.exp((text[i] @ text[j] - 1) / s["length"])
            left[a, b] += s["drift"] * np.exp(-abs(a - b) / s["tau"])
    return left


def test_the_process_predicts_each_row_from_earlier_rows(events, process):
    user = 16  # none of whose rows were fitted on
    rows = np.flatnonzero(events.user_E == user)
    predicted = process.online(events, rows)
    left, base = kernel(process, events.item_E[rows]), process.base
    residual = base.residual(events)[rows]
    for at, row in enumerate(rows):
        mean, variance = conditional(left, residual, at)
        expected = base.mean + base.item_N[events.item_E[row]] + base.scale * mean
        assert predicted.mean[at] == pytest.approx(expected, abs=1e-5)
        assert predicted.variance[at] == pytest.approx(variance * base.scale**2, rel=1e-5)


def test_a_row_never_reads_itself_or_later_rows(events, process):
    rows = np.flatnonzero(events.user_E == 17)
    changed = events.values["rating"].copy()
    changed[rows[4]] = 6 - changed[rows[4]]
    other = replace(events, values={**events.values, "rating": changed})
    for model in (process, fit_drift(events, "rating", events.user_E < 14, **DRIFT)):
        before, after = model.online(events, rows).mean, model.online(other, rows).mean
        np.testing.assert_allclose(before[:5], after[:5], atol=1e-9)
        assert (np.abs(before[5:] - after[5:]) > 1e-6).all()


def test_outlook_is_the_online_prediction_of_every_item(events, process):
    rows = np.flatnonzero(events.user_E == 16)
    item, value = events.item_E[rows], events.value("rating")[rows]
    state = process.initial(
        torch.as_tensor(item[None, :4]), torch.as_tensor(value[None, :4], dtype=torch.float32)
    )
    unchanged = process.after(state, torch.tensor([3]), torch.tensor([1.0]), torch.tensor([False]))
    torch.testing.assert_close(process.outlook(unchanged).mean, process.outlook(state).mean)
    on = process.after(
        state, torch.as_tensor(item[4:5]), torch.as_tensor(value[4:5]), torch.tensor([True])
    )
    predicted = process.online(events, rows)
    for given, at in ((state, 4), (on, 5)):
        outlook = process.outlook(given)
        assert float(outlook.mean[0, item[at]]) == pytest.approx(predicted.mean[at], abs=1e-5)
        assert float(outlook.variance[0, item[at]]) == pytest.approx(
            predicted.variance[at], rel=1e-5
        )


def test_what_was_not_observed_tells_nothing_but_time_passes(events, train, sides):
    rows = np.flatnonzero(events.user_E == 16)
    gone = events.values["rating"].copy()
    gone[rows[2]] = np.nan
    partly = replace(events, values={**events.values, "rating": gone})
    for model in (
        fit_gaussian(events, "rating", train, sides),
        fit_drift(events, "rating", train, **DRIFT),
    ):
        predicted = model.online(partly, rows)
        assert np.isfinite(predicted.mean).all() and (predicted.variance > 0).all()
        assert predicted.mean[2] == pytest.approx(model.online(events, rows).mean[2], abs=1e-5)
    process = fit_gaussian(events, "rating", train, sides)
    left = kernel(process, events.item_E[rows[:6]])
    told = np.array([0, 1, 3, 4, 5])
    residual = process.base.residual(events)[rows[told]]
    mean, _ = conditional(left[np.ix_(told, told)], residual, 4)
    base = process.base
    expected = base.mean + base.item_N[events.item_E[rows[5]]] + base.scale * mean
    assert process.online(partly, rows).mean[5] == pytest.approx(expected, abs=1e-5)


def test_the_drift_filter_is_the_process_of_bias_and_drift(events, train, sides):
    only = {**START, **DRIFT, "factors": 0.0, "text": 0.0, "topics": 0.0}
    rows = np.flatnonzero(~train)
    want = fit_gaussian(events, "rating", train, sides, only).online(events, rows)
    found = fit_drift(events, "rating", train, **DRIFT).online(events, rows)
    np.testing.assert_allclose(found.mean, want.mean, atol=1e-6)
    np.testing.assert_allclose(found.variance, want.variance, rtol=1e-6)


def test_without_drift_it_is_the_online_anchor(events, train, tiny_log):
    model = fit_drift(events, "rating", train, bias=1 / 15, drift=0.0, tau=1.0)
    rows = np.flatnonzero(~train)
    tasks = tasks_of(tiny_log.signals)
    anchors = fit_anchors(Sequences.from_log(tiny_log), tasks, train)
    np.testing.assert_allclose(
        model.online(events, rows).mean, anchors.online_EM[rows, 2], atol=1e-9
    )


def test_the_drift_follows_users_event_by_event(events, train):
    model = fit_drift(events, "rating", train, **DRIFT)
    rows = np.flatnonzero(events.user_E == 18)
    item = torch.as_tensor(events.item_E[rows])
    value = torch.as_tensor(events.value("rating")[rows])
    state = model.initial(
        torch.cat([torch.tensor([-1]), item[:3]])[None],
        torch.cat([torch.tensor([torch.nan]), value[:3]])[None],
    )
    state = model.after(state, item[3:4], value[3:4], torch.tensor([True]))
    state = model.after(state, item[5:6], value[5:6], torch.tensor([False]))
    outlook, predicted = model.outlook(state), model.online(events, rows)
    assert float(outlook.mean[0, item[4]]) == pytest.approx(predicted.mean[4])
    assert float(outlook.variance[0, item[4]]) == pytest.approx(predicted.variance[4])


def test_factors_solve_their_ridge_regressions(events, train):
    base = Base.fit(events, "rating", train)
    one = item_factors(events, base, train, width=2, ridge=1.5, sweeps=200)
    two = item_factors(events, base, train, width=2, ridge=1.5, sweeps=201)
    np.testing.assert_allclose(one @ one.T, two @ two.T, atol=1e-3)
    assert np.abs(one).max() > 0.1
    parity = np.arange(30) % 2  # what people of the tiny log differ in
    likeness = one @ one.T
    same = parity[:, None] == parity
    assert likeness[same].mean() > 0.02 > -0.02 > likeness[~same].mean()


def test_noise_of_makes_errors_as_great_as_the_variance_says():
    predicted = Predicted(np.array([1.0, 2.0, np.nan]), np.array([1.0, 4.0, 1.0]))
    assert noise_of(np.array([3.0, 2.0, 5.0]), predicted) == pytest.approx(2.0)


def test_a_log_without_the_signal_is_told_so(events, train):
    with pytest.raises(ValueError, match="no signal 'dwell' beside the click; it has: like, rat"):
        fit_drift(events, "dwell", train, **DRIFT)
    nothing = replace(events, values={"rating": np.full(events.num_rows, np.nan)})
    with pytest.raises(ValueError, match="no row to fit on holds a value of 'rating'"):
        fit_drift(nothing, "rating", train, **DRIFT)


def test_sides_without_texts_or_topics(events, train, tiny_log):
    bare = Sides.from_log(replace(tiny_log, item_topics=np.zeros((30, 0), np.float32)))
    predicted = fit_gaussian(events, "rating", train, bare).online(events, np.arange(9))
    assert np.isfinite(predicted.mean).all()
