"""Label efficiency: equal budgets, nothing known beyond them, nulls said."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from slategym.envs.names import UsageError
from slategym.models.multitask.settings import MultiTaskSettings
from slategym.models.multitask.training_settings import TrainingSettings
from slategym.models.quality import labels
from slategym.models.quality.labels import ASKED, ONLY, RANDOM, LabelCurve, Point, label_curve

TINY = MultiTaskSettings(width=8, num_layers=1, feedforward=8, max_history=8)
QUICK = TrainingSettings(epochs=1, batch_events=64, warmup_steps=2)


@pytest.fixture(scope="module")
def curve(tiny_log, tiny_vectors, tmp_path_factory) -> LabelCurve:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLATEGYM_HOME", str(tmp_path_factory.mktemp("labels")))
        return label_curve(
            tiny_log,
            shares=(0.2, 0.5, 1.0),
            seeds=1,
            settings=TINY,
            training=QUICK,
            text_vectors_ND0=tiny_vectors,
            progress=False,
        )


def test_equal_budgets_in_every_way(curve, tiny_log):
    assert {(p.way, p.share, p.seed) for p in curve.points} == {
        (way, share, seed)
        for way in (ONLY, RANDOM, ASKED)
        for share in (0.2, 0.5, 1.0)
        for seed in (0,)
    }
    for share in curve.shares:
        assert len({p.labels for p in curve.points if p.share == share}) == 1
    assert curve.figure_names == ("like_auc", "rating_rmse")
    whole = [p for p in curve.points if p.share == 1.0 and p.seed == 0]
    assert whole[0].labels < 0.85 * len(tiny_log.events)
    assert all(p.figures == whole[0].figures for p in whole)


def test_the_curve_is_told_and_is_json(curve):
    document = json.loads(json.dumps(curve.to_json(), allow_nan=False))
    assert len(document["points"]) == 9 and document["summary"] == []
    assert "outside the budget are known to nobody" in curve.protocol
    mean, error = curve.mean(RANDOM, 0.2, "like_auc")
    values = [p.figures["like_auc"] for p in curve.points if (p.way, p.share) == (RANDOM, 0.2)]
    assert mean == pytest.approx(np.mean(values))
    assert error == 0 and np.isnan(curve.mean(RANDOM, 0.3, "like_auc")[0])


def test_nothing_is_known_beyond_the_budget(tiny_log, tiny_vectors):
    """Hidden labels change nothing: not the training, not what is read, not who is asked."""
    pool_E, test_E = labels._parts(tiny_log, ["like", "rating"])
    pool, rows = np.flatnonzero(pool_E), np.flatnonzero(test_E)
    known = pool[::4]
    events = tiny_log.events.copy()
    hidden = np.ones(len(events), bool)
    hidden[known] = False
    events.loc[hidden, "rating"] = 6 - events.loc[hidden, "rating"]
    events.loc[hidden, "like"] = 1 - events.loc[hidden, "like"]
    outputs = []
    for log in (tiny_log, replace(tiny_log, events=events, sha256="9" * 64)):
        work = labels._Work(
            log, ["like", "rating"], pool, test_E, rows, TINY, QUICK, tiny_vectors, "cpu", False
        )
        for way in (RANDOM, ONLY):
            model, part = work._trained(way, known, 0)
            outputs.append(work._read(model, part, rows).output_xM)
        outputs.append(work.ask(known, 10, 0))
    for one, other in zip(outputs[:3], outputs[3:], strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(outputs[2]) == len(known) + 10 == len(set(outputs[2].tolist()))
    assert set(outputs[2].tolist()) <= set(pool.tolist())


def test_rows_without_a_label_train_only_where_they_may(tiny_log, tiny_vectors):
    pool_E, test_E = labels._parts(tiny_log, ["like", "rating"])
    pool = np.flatnonzero(pool_E)
    work = labels._Work(
        tiny_log, ["like", "rating"], pool, test_E, np.flatnonzero(test_E), TINY, QUICK,
        tiny_vectors, "cpu", False,
    )  # fmt: skip
    only, whole = work._known(pool[::4], True), work._known(pool[::4], False)
    assert int(only.train_E.sum()) == len(pool[::4]) and int(whole.train_E.sum()) == len(pool)
    for part in (only, whole):
        assert part.log.events.loc[part.train_E, "like"].notna().sum() == len(pool[::4])
        assert part.log.events.loc[~part.train_E, "like"].isna().all()
        moved = part.log.events["item"].to_numpy()[part.place_E[test_E]]
        assert (moved == tiny_log.events["item"][test_E]).all()


def _curve(gain: float, noise: float) -> LabelCurve:
    rng = np.random.default_rng(0)
    points = []
    for seed in range(3):
        for share in (0.1, 1.0):
            for way in (ONLY, RANDOM, ASKED):
                value = 0.7 + gain * (way == ASKED) + noise * rng.normal()
                points.append(Point(way, share, 10, seed, {"like_auc": value}))
    return LabelCurve("made up", tuple(points), "")


def test_a_gain_is_said_and_so_is_none():
    assert any("asked better than random" in line for line in _curve(0.05, 0.001).summary())
    lines = _curve(0.0, 0.01).summary()
    assert "asking for the least certain rows is clearly better at no budget" in lines
    worse = _curve(-0.05, 0.001).summary()
    assert "asked worse than random" in worse[0]


def test_what_makes_no_curve_is_said(tiny_log):
    with pytest.raises(UsageError, match="tiny has no signal beside the click"):
        label_curve(replace(tiny_log, signals=tiny_log.signals[:1]))
    for shares in ((0.5, 0.2, 1.0), (0.0, 1.0), (0.1, 0.5)):
        with pytest.raises(UsageError, match="shares of labels must grow"):
            label_curve(tiny_log, shares=shares)
