"""Choosing on validation rows and reading test rows once."""

from dataclasses import replace

import numpy as np
import pytest
from small_log import shop_log

from slategym.models import metrics
from slategym.models.classics import next_figures, trees, value_figures
from slategym.models.classics.families import FAMILIES, Rows, choose, fit_next
from slategym.models.classics.figures import classic_figures
from slategym.models.classics.reading import (
    Reading,
    popular_negatives,
    slates_of,
    uniform_negatives,
)
from slategym.models.classics.replay import rank
from slategym.models.closed_form.events import Events
from slategym.models.data.slates import first_clicks
from slategym.models.multitask.sequences import Sequences
from slategym.models.quality.anchors import fit_anchors
from slategym.models.quality.evaluation import leave_one_out, time_split
from slategym.models.tasks import tasks_of

pytestmark = pytest.mark.usefixtures("whole_searches")

FEW = {
    "popularity": FAMILIES["popularity"],
    "ease": replace(
        FAMILIES["ease"],
        ladders={"fade": (0.7, 1.0), "ridge": (1.0, 10.0)},
        start={"fade": 1.0, "ridge": 10.0},
    ),
    "transitions": replace(FAMILIES["transitions"], ladders={"fade": (0.7, 0.8)}),
    "ease-transitions": replace(FAMILIES["ease-transitions"], ladders={"weight": (0.02, 0.04)}),
}


@pytest.fixture(scope="module")
def reading(tiny_log) -> Reading:
    split = time_split(tiny_log)
    return Reading(tiny_log, split.train, split.validation, split.test, refit=True)


@pytest.fixture
def quick(monkeypatch) -> None:
    for module in (next_figures,):
        monkeypatch.setattr(module, "FAMILIES", FEW)
    monkeypatch.setattr("slategym.models.classics.families.FAMILIES", FEW)
    monkeypatch.setattr("slategym.models.classics.gaussian.LADDERS", {"bias": (0.15, 0.4)})
    small = trees.TreeSettings(folds=3, least_rows=5, most=20, patience=5, members=1)
    monkeypatch.setattr(value_figures, "TreeSettings", lambda: small)


def test_every_family_is_read_and_says_what_was_chosen(reading, quick, tiny_vectors):
    rows = {f.model: f for f in classic_figures(reading, tiny_vectors)}
    assert list(rows) == [
        "popularity",
        "EASE",
        "transitions",
        "EASE + log transitions",
        "online biases",
        "online biases with drift",
        "Gaussian process",
        "boosted trees",
    ]
    assert set(rows["EASE"].figures) == {"click_auc", "click_auc_popular", "hr10", "ndcg10"}
    pair = rows["EASE + log transitions"].settings
    assert pair["ease.fade"] == rows["EASE"].settings["fade"]
    assert pair["transitions.fade"] == rows["transitions"].settings["fade"]
    for name in ("online biases", "Gaussian process", "boosted trees"):
        assert set(rows[name].figures) == {"rating_rmse", "like_auc", "like_gauc"}
        assert rows[name].settings["like_ranked_by"] in ("like", "rating", "all")
    assert rows["Gaussian process"].figures["like_auc"] > 0.8  # the first text column tells
    assert all(f.seconds >= 0 for f in rows.values())


def test_online_biases_are_the_anchor(reading, quick):
    rows = {f.model: f for f in classic_figures(reading, trees=False)}
    assert "boosted trees" not in rows
    sequences = Sequences.from_log(reading.log)
    anchors = fit_anchors(sequences, tasks_of(reading.log.signals), reading.known)
    stars = sequences.feedback_EM[:, 2].numpy()[reading.test]
    want = metrics.rmse(stars, anchors.online_EM[reading.test, 2].clip(1, 5))
    assert rows["online biases"].figures["rating_rmse"] == pytest.approx(want)


def test_settings_are_chosen_without_a_look_at_test_rows(reading, quick, tiny_log):
    """Ratings and items of test rows are exchanged: every choice stays as it was."""
    events = tiny_log.events.copy()
    last = events["user"] != events["user"].shift(-1)  # a user's last row is no one's history
    at = events.index[last & reading.test]
    events.loc[at, "rating"] = 6 - events.loc[at, "rating"]
    events.loc[at, "like"] = 1 - events.loc[at, "like"]
    changed = replace(reading, log=replace(tiny_log, events=events))
    before, after = (list(classic_figures(r)) for r in (reading, changed))
    assert [f.settings for f in before] == [f.settings for f in after]
    assert before[-1].figures != after[-1].figures


def test_a_log_of_clicks_alone_has_no_value_models(reading, quick, tiny_log):
    events = tiny_log.events.drop(columns=["like", "rating"])
    log = replace(tiny_log, events=events, signals=tiny_log.signals[:1])
    found = list(classic_figures(replace(reading, log=log)))
    assert [f.model for f in found][-1] == "EASE + log transitions"
    few = classic_figures(replace(reading, log=log), families=("ease", "ease-transitions"))
    assert [f.model for f in few] == ["EASE", "EASE + log transitions"]


def test_a_shop_is_read_on_what_it_logs(quick):
    """Slates with what was passed over, dwell instead of ratings, items bought again."""
    log = shop_log()
    split = time_split(log)
    found = list(classic_figures(Reading(log, split.train, split.validation, split.test, True)))
    assert [set(f.figures) for f in found[-4:]] == [{"dwell_rmsle"}] * 4
    events, clicked_E = Events.from_log(log), log.events["click"].to_numpy() > 0
    dwell_E = log.events["dwell"].to_numpy(np.float64)
    # exponential draws whose mean moves with the price: little more than the spread can be told
    spread = np.log1p(dwell_E[clicked_E & split.test]).std()
    assert all(0.5 * spread < f.figures["dwell_rmsle"] < 1.1 * spread for f in found[-4:])
    np.testing.assert_allclose(events.value("dwell")[clicked_E], np.log1p(dwell_E[clicked_E]))
    assert np.isnan(events.value("dwell")[~clicked_E]).all()


def test_clicks_are_held_against_what_was_shown_beside_them(quick):
    """In the test's slates the item that popularity ranks last is the clicked one."""
    log = shop_log()
    split = time_split(log)
    reading = Reading(log, split.train, split.validation, split.test, True)
    test_x = np.flatnonzero(split.test)
    slates = slates_of(reading, test_x)
    there_SK = slates.item_SK >= 0
    click_E, item_E = log.events["click"].to_numpy().copy(), log.events["item"].to_numpy()
    assert there_SK.sum() == len(test_x) and slates.item_SK.shape[1] == 4
    assert slates.took_SK.sum() == (click_E[test_x] > 0).sum()
    count_N = np.bincount(item_E[reading.known & (click_E > 0)], minlength=log.num_items)
    rarest_S = np.where(there_SK, count_N[slates.item_SK], np.inf).argmin(1)
    click_E[test_x] = 0.0
    click_E[slates.row_S + rarest_S] = 1.0
    changed = replace(log, events=log.events.assign(click=click_E))
    found = next(classic_figures(replace(reading, log=changed), trees=False))
    assert found.model == "popularity" and found.figures["click_auc"] < 0.25
    assert "click_auc_popular" not in found.figures


def test_leave_one_out_fits_on_training_rows_alone(tiny_log):
    split = leave_one_out(tiny_log)
    reading = Reading(tiny_log, split.train, split.validation, split.test, refit=False)
    assert not (reading.known & (split.validation | split.test)).any()


def test_negatives_are_never_met_and_the_popular_ones_are_popular(reading):
    events = Events.from_log(reading.log)
    rows = np.repeat(np.flatnonzero(reading.test), 1)
    met = set(zip(events.user_E.tolist(), events.item_E.tolist(), strict=True))
    count_N = np.bincount(events.item_E[reading.known], minlength=events.num_items)
    means = []
    for draw in (uniform_negatives, popular_negatives):
        id_xC = draw(reading, rows)
        assert id_xC.shape == (len(rows), 4)
        for row, ids in zip(rows, id_xC, strict=True):
            assert all((events.user_E[row], i) not in met for i in ids if i >= 0)
        means.append(count_N[id_xC[id_xC >= 0]].mean())
        np.testing.assert_array_equal(id_xC, draw(reading, rows))
    assert means[1] > means[0]


def test_settings_are_those_that_rank_validation_rows_best(reading):
    events = Events.from_log(reading.log)
    rows, held = Rows(events, reading.train), np.flatnonzero(reading.validation)
    family = FEW["ease"]

    def value(settings: dict[str, float]) -> float:
        return metrics.ndcg(rank(family.fit(rows, settings), events, held).rank_x, 10)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, "ease", family)
        found, best = choose("ease", rows, held)
    assert best == pytest.approx(value(found)) and best >= value(family.start)
    for name, ladder in family.ladders.items():
        assert all(value(found | {name: other}) <= best for other in ladder)


def test_an_unknown_family_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'ease'"):
        fit_next("eas", None, None)


def test_values_of_slates_are_judged_at_the_first_click_of_each(quick):
    log = shop_log()  # of at most a click a slate: two make one
    log = replace(log, events=log.events.assign(slate_id=log.events["slate_id"] // 2))
    events, split = Events.from_log(log), time_split(log)
    reading = Reading(log, split.train, split.validation, split.test, refit=False)
    biases = next(iter(value_figures.value_figures(reading, events, None, trees=False)))
    rows = np.flatnonzero(split.test)
    name = next(n for n in events.logged if f"{n}_rmsle" in biases.figures)
    value_x, told_x = events.value(name)[rows], first_clicks(log)[rows]
    judged_x = told_x & np.isfinite(value_x)
    assert 0 < judged_x.sum() < np.isfinite(value_x).sum()
    error = metrics.rmse(value_x[judged_x], biases.rows[name][judged_x])
    assert biases.figures[f"{name}_rmsle"] == pytest.approx(error)
