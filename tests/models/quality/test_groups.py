"""Gaps between groups: found where they were put, not beyond chance where there are none."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from small_worlds import TASKS

from slategym.envs.types import Column
from slategym.models.multitask.calibrate import Platt
from slategym.models.multitask.predict import Predictions
from slategym.models.quality.groups import Gap, GroupReport, group_report

PEOPLE, ROWS, ITEMS = 120, 20, 40
WEIGHTS = {"click": 1.0, "like": 1.0, "rating": 1.0, "next": 1.0}


def predictions(informed_U, seed=0) -> Predictions:
    """Likes that are predicted as well as `informed_U` says of each person."""
    rng = np.random.default_rng(seed)
    user_x = np.repeat(np.arange(PEOPLE), ROWS)
    count = len(user_x)
    like_x = (rng.random(count) < 0.5).astype(np.float32)
    like_logit_x = informed_U[user_x] * (2 * like_x - 1) + rng.normal(size=count)
    id_xC = np.concatenate(
        [rng.integers(0, ITEMS, (count, 1)), rng.integers(0, ITEMS, (count, 4))], 1
    )
    rating_x = 2 + 2 * like_x
    clicked_xC = np.zeros((count, 5), np.float32)
    clicked_xC[:, 0] = 1
    return Predictions(
        TASKS,
        row_x=np.arange(count),
        user_x=user_x,
        id_xC=id_xC,
        click_xC=rng.normal(size=(count, 5)).astype(np.float32),
        used_xC=np.ones((count, 5), bool),
        clicked_xC=clicked_xC,
        output_xM=np.stack([like_logit_x, like_logit_x, rating_x], 1).astype(np.float32),
        value_xM=np.stack([np.ones(count), like_x, rating_x], 1).astype(np.float32),
        rank_x=rng.integers(0, ITEMS, count),
        surprise_x=np.ones(count, np.float32),
    )


LOG = SimpleNamespace(
    traits=(Column("gender", ("F", "M")),),
    profile_names=("gender", "age"),
    profile_sizes=(2, 3),
    users=pd.DataFrame({"gender": np.arange(PEOPLE) % 2, "age": np.arange(PEOPLE) // 2 % 3}),
)
COUNT_N = np.arange(ITEMS, 0, -1).astype(float)


def report(informed_U, seed=0) -> GroupReport:
    return group_report(LOG, predictions(informed_U, seed), {}, WEIGHTS, COUNT_N, seed=seed)


@pytest.fixture(scope="module")
def unequal() -> GroupReport:
    return report(np.where(np.arange(PEOPLE) % 2 == 0, 0.3, 1.5))


def test_the_group_that_is_served_worse_is_named(unequal):
    gap = unequal.largest()
    assert (gap.column, gap.best, gap.worst) == ("gender", "M", "F")
    assert gap.figure == "like_auc" and gap.beyond_chance and gap.low > 0.1
    assert "largest gap: like AUC by gender: M better than F" in unequal.summary()[0]
    age = [g for g in unequal.gaps if g.column == "age" and g.figure == "like_auc"]
    assert not age[0].beyond_chance


def test_every_group_has_counts_and_intervals(unequal):
    found = {(g.column, g.name): g for g in unequal.groups}
    assert {name for _, name in found} >= {"F", "M", "0", "1", "2"}
    women = found["gender", "F"]
    assert (women.rows, women.people) == (PEOPLE * ROWS // 2, PEOPLE // 2)
    for name in ("like_auc", "like_ece", "hr10"):
        figure = women.figures[name]
        assert figure.low < figure.value < figure.high
    popular = [g for g in unequal.groups if g.name.startswith("popular")]
    assert len(popular) == 1 and popular[0].rows < PEOPLE * ROWS / 2


def test_equal_groups_are_seldom_called_unequal():
    called = []
    for seed in range(3):
        found = report(np.ones(PEOPLE), seed)
        called += [gap.beyond_chance for gap in found.gaps if gap.column != "items"]
    assert len(called) >= 24 and np.mean(called) < 0.2


def test_calibration_is_compared_as_delivered():
    p = predictions(np.ones(PEOPLE))
    raw = group_report(LOG, p, {}, WEIGHTS, COUNT_N)
    flat = group_report(LOG, p, {"like": Platt(0.0, 0.0)}, WEIGHTS, COUNT_N)
    one, other = (r.groups[0].figures["like_ece"].value for r in (raw, flat))
    assert one != other and other < 0.05  # half of them are liked


def test_small_groups_are_shown_and_not_compared():
    log = SimpleNamespace(**vars(LOG))
    log.users = LOG.users.assign(gender=(np.arange(PEOPLE) < 3).astype(int))
    found = group_report(log, predictions(np.ones(PEOPLE)), {}, WEIGHTS, COUNT_N)
    assert [g.people for g in found.groups if g.column == "gender"] == [PEOPLE - 3, 3]
    assert not [g for g in found.gaps if g.column == "gender"]
    assert "gender: 1 groups of fewer than 10 people" in found.notes[0]


def test_a_report_is_json_and_back(unequal):
    text = json.dumps(unequal.to_json(), allow_nan=False)
    again = GroupReport.from_json(json.loads(text))
    assert again.to_json() == unequal.to_json() and isinstance(again.gaps[0], Gap)
    assert "large enough" in GroupReport((), (), ()).summary()[0]
