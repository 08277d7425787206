"""What follows from a signal: draws have the stated means, losses their minimum at the truth."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from slategym.envs.names import UsageError
from slategym.envs.types import CLICK, Signal
from slategym.models import tasks as module
from slategym.models.tasks import (
    Binary,
    Count,
    Nonnegative,
    Ordinal,
    Real,
    column,
    from_json,
    head_names,
    head_weights,
    label,
    task_of,
    tasks_of,
    to_json,
)

LIKE = Signal("like", "binary", "count", 0.0, 1.0, "derived")
STARS = Signal("rating", "ordinal", "stars", 1.0, 5.0)
HALVES = Signal("rating", "ordinal", "stars", 0.5, 5.0, step=0.5)
TEN = Signal("rating", "ordinal", "points", -10.0, 10.0)
HUNDRED = Signal("rating", "ordinal", "percent", 0.0, 100.0)
LEVEL = Signal("mood", "real", "units", -1.0, 3.0)
DWELL = Signal("dwell", "nonnegative", "s", 0.0, 600.0)
ENDLESS = Signal("dwell", "nonnegative", "s", 0.0, math.inf)
PLAYS = Signal("plays", "count", "plays", 0.0, 1000.0)

OUTPUTS = {  # on the scale of `link`, from low to high
    "ordinal": [0.2, 1.0, 3.0, 6.0],
    "real": [-1.5, 0.0, 0.7, 2.5],
    "nonnegative": [-1.0, 0.0, 1.0, 2.5],
    "count": [-2.0, 0.0, 1.5, 3.5],
    "binary": [-3.0, 0.0, 1.0, 4.0],
}
UNIFORM = (torch.arange(200_000) + 0.5) / 200_000


def outputs(signal: Signal) -> torch.Tensor:
    return torch.tensor(OUTPUTS[signal.kind])


@pytest.mark.parametrize(
    "signal", [LIKE, STARS, HALVES, TEN, HUNDRED, LEVEL, DWELL, ENDLESS, PLAYS]
)
def test_draws_have_the_stated_mean_and_stay_in_range(signal: Signal) -> None:
    task = task_of(signal)
    for output in outputs(signal):
        value_x = task.sample(output.expand(len(UNIFORM)), UNIFORM, None)
        mean = float(task.mean(output, None))
        scale = max(1e-3, float(value_x.std()))
        assert float(value_x.mean()) == pytest.approx(mean, abs=2e-2 * scale), output
        assert signal.low <= float(value_x.min()) <= float(value_x.max()) <= signal.high


@pytest.mark.parametrize("signal", [STARS, HALVES, TEN, HUNDRED])
def test_a_rating_agrees_with_the_like_that_is_derived_from_it(signal: Signal) -> None:
    cut = 0.75 * signal.high
    _, like, rating = tasks_of((CLICK, LIKE, signal), like_from=cut)
    assert (like.given, rating.given) == (None, "like")
    for output in torch.tensor([0.5, 2.0, 3.0]):
        for liked in (0.0, 1.0):
            given = torch.full_like(UNIFORM, liked)
            value_x = rating.sample(output.expand(len(UNIFORM)), UNIFORM, given)
            assert bool(((value_x >= cut) == (liked > 0)).all()) or signal is HUNDRED
            assert signal.low <= float(value_x.min()) <= float(value_x.max()) <= signal.high
            mean = float(rating.mean(output, torch.tensor(liked)))
            error = 2e-2 * max(1e-2, float(value_x.std()))
            assert float(value_x.mean()) == pytest.approx(mean, abs=error)


def test_levels_keep_halves_and_tell_the_unobserved() -> None:
    task = task_of(HALVES)
    value_x = torch.tensor([math.nan, 0.0, 0.5, 3.0, 3.5, 5.0, 9.0])
    assert task.level(value_x).tolist() == [0, 0, 1, 6, 7, 10, 0]
    assert task.num_levels == 11
    assert task_of(STARS).num_levels == 6  # as the stars of MovieLens: 0 is not rated
    assert task_of(TEN).level(torch.tensor([-10.0, 0.0, math.nan])).tolist() == [1, 11, 0]
    assert task_of(CLICK).level(torch.tensor([math.nan, 0.0, 1.0])).tolist() == [0, 1, 2]
    assert task_of(PLAYS).level(torch.tensor([0.0, 2.0, 99.0, math.nan])).tolist() == [1, 3, 16, 0]


@pytest.mark.parametrize("signal", [LIKE, STARS, TEN, LEVEL, DWELL, PLAYS])
def test_every_value_has_a_level_and_a_finite_loss(signal: Signal) -> None:
    task = task_of(signal).fitted(np.linspace(signal.low, signal.high, 9))
    value_x = torch.linspace(signal.low, signal.high, 50)
    level_x = task.level(value_x)
    assert int(level_x.min()) >= 1 and int(level_x.max()) < task.num_levels
    unknown = task.loss(torch.zeros(1), torch.tensor([math.nan]))
    assert bool(unknown.isfinite().all())  # it is masked; a NaN would survive the mask
    for output in (-50.0, 50.0):
        assert bool(task.loss(torch.tensor([output]), value_x[-1:]).isfinite().all())


@pytest.mark.parametrize("signal", [LIKE, STARS, LEVEL, DWELL, PLAYS])
def test_losses_are_least_where_the_mean_of_the_linked_values_is(signal: Signal) -> None:
    """The best constant output is the start, and both losses agree inside the range."""
    task = task_of(signal)
    rng = np.random.default_rng(0)
    values = rng.integers(1, 4, 400) if signal.kind != "binary" else rng.random(400) < 0.3
    value_x = np.asarray(values, np.float32)
    zero_x = np.zeros(400, np.int64)
    offset, item_N = task.start(zero_x, zero_x, value_x, 1, 1)
    best = offset + float(item_N[0])
    grid = np.linspace(best - 1.0, best + 1.0, 81)
    losses = [
        float(task.loss(torch.full((400,), float(g)), torch.as_tensor(value_x)).mean())
        for g in grid
    ]
    assert grid[int(np.argmin(losses))] == pytest.approx(best, abs=0.06)
    held = task.held_out_loss(np.full(400, best), value_x).mean()
    trained = task.loss(torch.full((400,), best), torch.as_tensor(value_x)).mean()
    assert float(held) == pytest.approx(float(trained), rel=1e-4)


def test_a_scale_of_stars_counts_in_stars_and_others_in_quarters() -> None:
    assert Ordinal(STARS).scale == 1.0
    assert Ordinal(TEN).scale == 5.0
    assert Ordinal(TEN).spread == pytest.approx(4.5)


def test_columns_and_labels() -> None:
    tasks = tasks_of((CLICK, LIKE, STARS, DWELL, PLAYS))
    names = ["clicks", "likes", "rating_mean", "dwell_total", "plays_total"]
    assert [column(task) for task in tasks] == names
    assert [label(task) for task in tasks][2:] == ["mean rating, stars", "dwell, s", "plays, plays"]
    assert column(task_of(Signal("watch", "binary", "count", 0, 1))) == "watches"


def test_weights_by_kind_and_by_name() -> None:
    tasks = tasks_of((CLICK, LIKE, STARS))
    assert head_names(tasks) == ("click", "like", "rating", "next")
    assert head_weights(tasks, {}) == {"click": 1.0, "like": 1.0, "rating": 0.5, "next": 1.0}
    assert head_weights(tasks, {"next": 0.2})["next"] == 0.2
    with pytest.raises(UsageError, match="did you mean 'rating'"):
        head_weights(tasks, {"ratin": 1.0})


def test_json_brings_back_what_was_fitted() -> None:
    signals = (CLICK, LIKE, STARS, LEVEL, ENDLESS, PLAYS)
    values = np.array([0.0, 1.0, 2.0, 10.0])
    tasks = tuple(
        t.fitted(values).measured(values / 9, values) for t in tasks_of(signals, like_from=4.0)
    )
    again = from_json(json.loads(json.dumps(to_json(tasks))))
    assert repr(again) == repr(tasks)
    assert again[2].given == "like"


def test_a_log_normal_scale_is_the_median_and_its_spread_is_measured() -> None:
    rng = np.random.default_rng(1)
    value_x = np.expm1(rng.normal(3.0, 0.5, 20_000)).clip(0)
    task = Nonnegative(ENDLESS).fitted(value_x)
    linked_x = np.log1p(value_x / task.scale)
    task = task.measured(np.full_like(linked_x, linked_x.mean()), value_x)
    mean = float(task.mean(torch.tensor(float(linked_x.mean())), None))
    assert task.factor == pytest.approx(1.0, abs=0.02)
    assert mean == pytest.approx(value_x.mean(), rel=0.02)


@pytest.mark.parametrize("signal", [ENDLESS, PLAYS], ids=lambda signal: signal.kind)
def test_a_small_logs_amounts_are_drawn_as_large_as_held_out_rows_have_them(signal: Signal) -> None:
    """A head that is off its mark, and a tail that is heavier than a log-normal's."""
    rng = np.random.default_rng(2)
    value_x = np.minimum(np.floor(rng.pareto(1.8, 400) * 2.0), 40.0)
    task = task_of(signal).fitted(value_x)
    link_x = task.link(torch.as_tensor(value_x)).numpy()
    output_x = np.full(400, (link_x.mean() if signal is ENDLESS else 0.0) - 0.3)
    few = task.measured(output_x[:4], value_x[:4])
    assert abs(few.factor - 1) < abs(value_x[:4].mean() / task.mean(_t(output_x[:1]), None) - 1)
    task = task.measured(output_x, value_x)
    mean = float(task.mean(_t(output_x[:1]), None))
    drawn_x = task.sample(torch.full_like(UNIFORM, float(output_x[0])), UNIFORM, None)
    assert mean == pytest.approx(value_x.mean(), rel=0.05)
    assert float(drawn_x.mean()) == pytest.approx(mean, rel=0.05)


def _t(array: np.ndarray) -> torch.Tensor:
    return torch.as_tensor(array)


def test_starts_of_one_sided_data_are_finite() -> None:
    item, ones = np.zeros(4, np.int64), np.ones(4)
    for start in (
        Binary(LIKE).start(item, item, ones, 1, 2),
        Binary(LIKE).item_start(item, ones, 2),
    ):
        assert np.isfinite(start.item_N).all()
    nothing = np.zeros(0, np.int64)
    for signal in (LIKE, STARS, LEVEL, DWELL, PLAYS):
        task = task_of(signal).fitted(np.zeros(0))
        for start in (
            task.start(nothing, nothing, np.zeros(0), 1, 2),
            task.item_start(nothing, np.zeros(0), 2),
        ):
            assert np.isfinite([start.offset, *start.item_N]).all()


def test_an_ordinal_scale_of_many_levels_is_drawn_as_a_real_one() -> None:
    assert isinstance(task_of(HUNDRED), Real)
    assert isinstance(task_of(replace_step(HUNDRED, 10.0)), Ordinal)
    assert isinstance(task_of(PLAYS), Count)


def replace_step(signal: Signal, step: float) -> Signal:
    return signal._replace(step=step)


@pytest.mark.parametrize(
    ("signal", "message"),
    [
        (STARS._replace(kind="ordinl"), "did you mean 'ordinal'"),
        (STARS._replace(high=1.0), "low must be below high, got 1 and 1"),
        (STARS._replace(step=0.0), r"step must be in \(0, 4\]"),
    ],
)
def test_impossible_signals_are_refused(signal: Signal, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task_of(signal)


def test_two_signals_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="different names, got click, click"):
        tasks_of((CLICK, CLICK))


def test_undefined_figures_are_no_numbers() -> None:
    task = task_of(LIKE)
    ones, users = np.ones(5), np.arange(5)
    figures = task.figures(ones, np.zeros(5), users, np.zeros(5))
    assert math.isnan(figures["like_auc"]) and math.isnan(figures["like_gauc"])
    none = np.zeros(0)
    for signal in (LIKE, STARS, LEVEL, DWELL, PLAYS):
        assert all(math.isnan(v) for v in task_of(signal).figures(none, none, none, none).values())


def test_an_ordinal_task_has_a_step_between_any_two_levels() -> None:
    assert module.NEXT == "next" and replace(Ordinal(STARS)).steps == 4
