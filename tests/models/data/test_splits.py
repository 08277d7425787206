import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from slategym.envs.names import UsageError
from slategym.models.data.log import Log, build_log
from slategym.models.data.splits import hold_out, random_test, split_time, split_users
from slategym.models.data.tables import Table, Tables
from slategym.models.multitask.sequences import Sequences

weights = st.lists(st.integers(1, 20), min_size=1, max_size=4)


@given(st.integers(80, 400), weights, st.integers(0, 2**31))
def test_users_are_parted_disjointly_and_completely(
    num_users: int, weight: list[int], seed: int
) -> None:
    shares = {f"part {n}": w / sum(weight) for n, w in enumerate(weight)}
    parts = split_users(num_users, shares, seed)
    assert list(parts) == list(shares)
    together = np.concatenate(list(parts.values()))
    assert sorted(together) == list(range(num_users))
    for part, users in parts.items():
        assert abs(len(users) - shares[part] * num_users) <= 1
        assert (np.diff(users) > 0).all()
        np.testing.assert_array_equal(users, split_users(num_users, shares, seed)[part])


def test_another_seed_parts_them_otherwise() -> None:
    shares = {"A": 0.5, "B": 0.5}
    assert (split_users(100, shares, 1)["A"] != split_users(100, shares, 2)["A"]).any()


@pytest.mark.parametrize("shares", [{"A": 0.5, "B": 0.4}, {"A": 1.5, "B": -0.5}, {}])
def test_shares_that_are_none(shares: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="sum to 1"):
        split_users(10, shares, 0)


def test_too_few_users() -> None:
    with pytest.raises(UsageError, match="part 'B' would be empty"):
        split_users(3, {"A": 0.9, "B": 0.1}, 0)


def log_at(times: list[int]) -> Log:
    events = pd.DataFrame(
        {
            "user": [f"u{n % 3}" for n in range(len(times))],
            "item": [f"i{n}" for n in range(len(times))],
            "time": times,
            "click": 1,
        }
    )
    items = pd.DataFrame({"item": events["item"], "title": "a title"})
    return build_log("times", Tables(Table(events, "events"), Table(items, "items")))


@settings(deadline=None)
@given(st.lists(st.integers(0, 50), min_size=10, max_size=60))
def test_no_future_in_training(times: list[int]) -> None:
    log = log_at(times)
    try:
        split = split_time(log)
    except UsageError:
        assume(False)
    time_E = log.events["time"].to_numpy()
    once_E = split.train.astype(int) + split.validation.astype(int) + split.test.astype(int)
    assert (once_E == 1).all()
    assert time_E[split.train].max() < split.validation_from <= time_E[split.validation].min()
    assert time_E[split.validation].max() < split.test_from <= time_E[split.test].min()


def test_shares_of_a_log_without_ties() -> None:
    split = split_time(log_at(list(range(100))), test_share=0.2, validation_share=0.1)
    assert [int(m.sum()) for m in (split.train, split.validation, split.test)] == [70, 10, 20]
    assert (split.validation_from, split.test_from) == (70, 80)


def test_events_at_one_instant_stay_together() -> None:
    split = split_time(log_at([0] * 6 + [5] * 2 + [9] * 2), test_share=0.1, validation_share=0.2)
    assert int(split.test.sum()) == 2  # asked for 1; both happened at 9


def test_a_log_of_one_instant_cannot_be_parted() -> None:
    with pytest.raises(UsageError, match="too few distinct times"):
        split_time(log_at([7] * 10))


@pytest.mark.parametrize(("test", "validation"), [(0, 0.1), (0.6, 0.4), (0.2, 0), (1.2, 0.1)])
def test_shares_out_of_range(test: float, validation: float) -> None:
    with pytest.raises(UsageError, match="leave something to train on"):
        split_time(log_at(list(range(20))), test, validation)


def a_log(slates: bool = False) -> Log:
    """Six users with ten rows each, two to a slate."""
    rows = np.arange(60)
    events = pd.DataFrame(
        {"user": rows // 10, "item": rows % 10, "time": 100 + rows, "click": 1, "rating": 3}
    ).astype({"user": str, "item": str})
    if slates:
        events["slate_id"] = rows % 10 // 2
    items = pd.DataFrame({"item": [str(n) for n in range(10)], "title": "a title"})
    return build_log("plain", Tables(Table(events, "events"), Table(items, "items")))


def test_random_folds_part_the_rows() -> None:
    log = a_log()
    folds = np.stack([random_test(log, 5, fold) for fold in range(5)])
    assert (folds.sum(0) == 1).all()
    assert (folds.sum(1) == 12).all()
    with pytest.raises(UsageError, match="folds must be from 2 to 60"):
        random_test(log, 61, 0)


@pytest.mark.parametrize("slates", [False, True])
def test_what_is_held_out_comes_last_and_is_asked_at_once(slates: bool) -> None:
    log = a_log(slates)
    test_E = random_test(log, 3, 1)
    held = hold_out(log, test_E)
    rows = held.log.events
    assert (held.train.astype(int) + held.validation + held.test == 1).all()
    part_E = held.validation + 2 * held.test
    assert (rows.groupby("user")["item"].nunique() == 10).all()
    for user, own in rows.groupby("user"):
        at = part_E[own.index]
        assert (np.diff(at) >= 0).all()
        for part in range(3):
            assert own["time"][at == part].is_monotonic_increasing
        asked = set(log.events["item"][test_E & (log.events["user"] == user)])
        assert set(own["item"][at == 2]) == asked
    sequences = Sequences.from_log(held.log)
    for row in np.flatnonzero(held.test):  # read: the user's other rows, and none of the test
        user_E = rows["user"].to_numpy()
        others = int(((user_E == user_E[row]) & ~held.test).sum())
        assert int(sequences.order_E[row]) == others
    if slates:
        pairs = rows.groupby(["user", "slate_id"])
        assert all(len(set(part_E[own.index])) == 1 for _, own in pairs)
    assert held.log.sha256 not in (log.sha256, hold_out(log, random_test(log, 3, 2)).log.sha256)


def test_nothing_to_hold_out() -> None:
    log = a_log()
    with pytest.raises(UsageError, match="too few rows in plain"):
        hold_out(log, np.zeros(60, bool))
