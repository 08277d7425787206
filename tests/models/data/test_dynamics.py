"""What a log says of runs, repeats and returns, on logs of which the answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from small_log import shop_log

from slategym.models.data.dynamics import DAY, dynamics, topic_runs
from slategym.models.data.log import Log


def made(topics: list[list[int]], seconds: int = 60, likes: list[list[float]] | None = None) -> Log:
    """A log in which each user clicks items of these topics, one after the other."""
    shop = shop_log()
    topic_N = shop.items["topic"].to_numpy()
    first = [int(np.flatnonzero(topic_N == g)[0]) for g in range(3)]
    rows = [
        (user, first[g], t * seconds, 1.0, 0.0 if likes is None else likes[user][t])
        for user, theirs in enumerate(topics)
        for t, g in enumerate(theirs)
    ]
    events = pd.DataFrame(rows, columns=["user", "item", "time", "click", "dwell"])
    return replace(shop, events=events.astype({"user": "int32", "item": "int32"}), sha256="x" * 64)


def test_runs_by_hand() -> None:
    user_E = np.array([0] * 7 + [1] * 5)
    topic_E = np.array([0, 0, 1, 0, 2, 1, 1, 2, 2, 2, 1, 1])
    # user 0: 00102 ends on 2 (once), 01021 on 1 (twice), 10211 on 1 (three times); user 1: 11 twice
    assert topic_runs(user_E, topic_E) == pytest.approx(1 / 4)
    assert topic_runs(user_E[:4], topic_E[:4]) is None


def test_people_who_stay_with_a_topic_are_told_from_chance() -> None:
    rng = np.random.default_rng(1)
    sticky = [np.repeat(rng.integers(3, size=10), 6).tolist() for _ in range(60)]
    found = dynamics(made(sticky))
    assert found.run_lift is not None and found.run_lift > 0.5
    chance = dynamics(made([rng.permutation(row).tolist() for row in sticky]))
    assert chance.run_lift == pytest.approx(0.0, abs=0.05)
    # all in one second: the order in a block says nothing, and runs are chance
    block = dynamics(made(sticky, seconds=0))
    assert block.run_lift == pytest.approx(0.0, abs=0.05)
    assert block.runs_blocks == pytest.approx(block.runs_shuffled, abs=0.02)


def test_repeats_visits_and_pauses_by_hand() -> None:
    log = made([[0, 1, 0, 0], [2]], seconds=int(2 * DAY))
    found = dynamics(log)
    assert found.repeats == pytest.approx(2 / 5)
    assert (found.visits, found.returning) == (2.5, 0.5)
    assert found.pauses == pytest.approx((2.0, 2.0, 2.0))
    assert found.pause_after_liked is None  # too few pauses to speak of
    assert dynamics(made([[0, 1, 2]])).pauses is None


def test_whether_liking_hastens_a_return() -> None:
    rng = np.random.default_rng(0)
    rows = []
    for user in range(80):
        time = 0.0
        for _ in range(8):
            liked = float(rng.uniform())
            rows.append((user, int(rng.integers(40)), int(time), 1.0, liked))
            time += DAY * (1.0 + 5.0 * np.exp(-2.0 * liked) * rng.exponential())
    events = pd.DataFrame(rows, columns=["user", "item", "time", "click", "dwell"])
    log = replace(shop_log(), events=events.astype({"user": "int32", "item": "int32"}))
    found = dynamics(log)
    assert found.liked == "dwell" and found.interval is not None
    assert found.pause_after_liked < -0.2 and found.interval[1] < 0
    shuffled = events.assign(dwell=rng.permutation(events["dwell"].to_numpy()))
    chance = dynamics(replace(log, events=shuffled.astype({"user": "int32", "item": "int32"})))
    low, high = chance.interval
    assert low < 0 < high
