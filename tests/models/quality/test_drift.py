"""What moved: found where it was put, and no more often than chance where nothing was."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from small_log import shop_log

from slategym.models.quality.drift import DriftReport, Reading, jensen_shannon, shifts
from slategym.models.quality.resampling import Interval


@pytest.fixture(scope="module")
def log():
    return shop_log(60, 24, slates=12)


@pytest.fixture(scope="module")
def fresh_E(log):
    """Of each person the second half."""
    place = log.events.groupby("user").cumcount().to_numpy()
    return place >= 24


def test_jensen_shannon_by_hand():
    assert jensen_shannon(np.array([0.5, 0.5]), np.array([0.5, 0.5])) == 0
    # H(.75, .25) - (H(.5, .5) + H(1, 0)) / 2 = .811278 - .5
    found = jensen_shannon(np.array([0.5, 0.5]), np.array([1.0, 0.0]))
    assert found == pytest.approx(0.311278, abs=1e-6)


def test_chance_is_rarely_called_a_move(log):
    """A 95 % point: of things that did not move about one in twenty is beyond it."""
    rng = np.random.default_rng(0)
    block_E = log.events["user"].to_numpy() * 2 + (np.arange(len(log.events)) % 48 >= 24)
    called = []
    for seed in range(6):
        fresh_E = (rng.permutation(int(block_E.max()) + 1) % 2 == 0)[block_E]
        called += [shift.moved for shift in shifts(log, fresh_E, seed=seed)]
    assert len(called) >= 30 and np.mean(called) < 0.2


@pytest.mark.parametrize("moved", ["click", "device", "weekday", "which products", "dwell"])
def test_what_was_moved_is_named(log, fresh_E, moved):
    events = log.events.copy()
    if moved == "click":
        events.loc[fresh_E, "click"] = np.float32(0)
        events.loc[np.flatnonzero(fresh_E)[::3], "click"] = np.float32(1)
    elif moved == "device":
        events.loc[fresh_E, "device"] = 1
    elif moved == "weekday":
        events.loc[fresh_E, "weekday"] = 6
    elif moved == "dwell":
        events.loc[fresh_E, "dwell"] *= 4
    else:
        events.loc[fresh_E, "item"] = events.loc[fresh_E, "item"] // 2
    found = {shift.name: shift for shift in shifts(replace(log, events=events), fresh_E)}
    assert found[moved].moved and found[moved].distance > 1.5 * found[moved].null
    if moved == "click":
        assert (
            found["click"].new == pytest.approx(1 / 3, abs=0.01) and found["click"].unit == "rate"
        )


def _reading(figure: str, rows: str, change: float, clear: bool = True) -> Reading:
    low, high = (change - 0.01, change + 0.01) if clear else (change - 1, change + 1)
    return Reading(figure, rows, 100, 0.5, 0.5 + change, Interval(change, low, high))


@pytest.mark.parametrize(
    ("figure", "rows", "change", "verdict"),
    [
        ("like_auc", "old", -0.05, "forgotten"),
        ("like_auc", "old", 0.05, "better"),
        ("like_auc", "new", 0.05, "gained"),
        ("rating_rmse", "new", -0.05, "gained"),
        ("rating_rmse", "old", 0.05, "forgotten"),
        ("like_ece", "new", 0.05, "worse"),
    ],
)
def test_a_change_is_named(figure, rows, change, verdict):
    assert _reading(figure, rows, change).verdict == verdict
    assert _reading(figure, rows, change, clear=False).verdict == "not clear"


def test_what_is_worse_is_said_first_and_nothing_gained_is_said():
    bad, good = _reading("like_auc", "old", -0.05), _reading("like_auc", "new", 0.05)
    lines = DriftReport((), (good, bad), {}).summary()
    assert "forgotten" in lines[0] and "gained" in lines[1]
    lines = DriftReport((), (_reading("hr10", "new", 0.0, clear=False),), {}).summary()
    assert lines == [
        "nothing is clearly forgotten or worse",
        "nothing is clearly gained: the model before would do as well",
    ]
    json.dumps(DriftReport((), (good, bad), {}).to_json(), allow_nan=False)
