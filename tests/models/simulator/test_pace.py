"""What a log tells of time, against counts by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from small_log import shop_log
from small_worlds import small_log

from slategym.models.data.log import Log
from slategym.models.simulator.pace import STATED_HORIZON, STATED_SECONDS, moves_of, pace_of


@pytest.fixture(scope="module")
def shop() -> Log:
    return shop_log()


def test_a_slate_lasts_as_long_as_the_logs(shop: Log) -> None:
    pace = pace_of(shop)
    assert (pace.seconds_per_slate, pace.visit) == (60.0, 8.0)  # visits of eight, a minute apart
    assert pace.horizon == 10  # nine in ten are no longer than 8: the shortest horizon
    assert {label for _, label, _ in pace.labels} == {"derived"}
    given = pace_of(shop, seconds=5.0, horizon=6)
    assert (given.seconds_per_slate, given.horizon, given.visit) == (5.0, 6, 6.0)


def test_without_slates_every_event_counts_as_one() -> None:
    log = small_log()
    time = log.events.groupby("user")["time"].diff()
    inside = time[(time > 0) & (time < 1_800)]
    visits = int((time.isna() | (time >= 1_800)).sum())
    pace = pace_of(log)
    assert pace.seconds_per_slate == float(np.median(inside))
    assert pace.horizon >= 10 and pace.visit == pytest.approx(len(log.events) / visits, abs=1.0)


def test_times_that_say_nothing_are_stated(shop: Log) -> None:
    constant = replace(shop, events=shop.events.assign(time=np.int64(1_000_000)))
    pace = pace_of(constant)
    assert (pace.seconds_per_slate, pace.horizon, pace.visit) == (
        STATED_SECONDS,
        STATED_HORIZON,
        None,
    )
    assert {label for _, label, _ in pace.labels} == {"assumed"}
    assert "visits apart" in pace.labels[0][2]


def test_short_visits_tell_nothing_of_patience(shop: Log) -> None:
    lone = shop.events[shop.events["slate_id"] % 8 < 2]  # visits of two slates
    pace = pace_of(replace(shop, events=lone.reset_index(drop=True)))
    assert pace.visit is None and pace.horizon == 10


def test_context_moves_as_the_logs_does(shop: Log) -> None:
    (move,) = moves_of(shop)
    assert move is not None and move.values.tolist() == [0.0, 1.0]
    first = shop.events.drop_duplicates(["user", "slate_id"])
    first = first[first["slate_id"] % 8 == 0]  # of each visit
    after = first.groupby("user")["device"].shift(-1)
    table = pd.crosstab(first["device"], after).to_numpy() + 0.5 * np.eye(2)
    np.testing.assert_allclose(move.share.numpy(), table / table.sum(1, keepdims=True), rtol=1e-5)
    assert moves_of(replace(shop, context=())) == ()
