"""What comes through the door, and what is turned away, each in one line."""

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slategym.envs.types import Signal
from slategym.models.data.log import Log, build_log
from slategym.models.data.schema import KNOWN_SIGNALS, Table, Tables

EVENTS = pd.DataFrame(
    {
        "user": ["ann", "bob", "ann", "cem"],
        "item": ["x", "y", "y", "x"],
        "time": [300, 200, 100, 400],
        "rating": [5.0, 3.0, 1.0, 4.0],
    }
)
ITEMS = pd.DataFrame({"item": ["x", "y"], "title": ["X", "Y"], "topics": ["Drama|War", "War"]})
USERS = pd.DataFrame({"user": ["ann", "bob", "cem"], "plan": ["free", "paid", "free"]})


def build(
    events: pd.DataFrame = EVENTS,
    items: pd.DataFrame = ITEMS,
    users: pd.DataFrame | None = USERS,
    signals: tuple[Signal, ...] = KNOWN_SIGNALS,
) -> Log:
    tables = Tables(
        events=Table(events, "events.csv", first=2, row="line"),
        items=Table(items, "items.csv", first=2, row="line"),
        users=None if users is None else Table(users, "users.csv", first=2, row="line"),
        signals=signals,
    )
    return build_log("mine", tables)


def with_cell(row: int, column: str, value: object) -> pd.DataFrame:
    """The events with one cell changed, as a CSV would be read: text if any cell is text."""
    cells = [value if position == row else cell for position, cell in enumerate(EVENTS[column])]
    texts = [str(cell) for cell in cells] if isinstance(value, str) else cells
    return EVENTS.assign(**{column: texts})


def test_a_good_log_is_sorted_and_numbered() -> None:
    log = build()
    assert log.events[["user", "item", "time"]].to_numpy().tolist() == [
        [0, 1, 100],
        [0, 0, 300],
        [1, 1, 200],
        [2, 0, 400],
    ]
    assert log.profile_names == ("plan",)
    assert log.users["plan"].tolist() == [0, 1, 0]
    assert log.topic_names == ("Drama", "War")
    assert log.item_topics.tolist() == [[1, 1], [0, 1]]
    assert log.items["text"].tolist() == ["X | Drama, War", "Y | War"]


def test_types_are_what_the_tensors_need() -> None:
    events = build(
        EVENTS.assign(slate_id=list("ppqr"), position=[0, 1, 0, 0], propensity=0.5)
    ).events
    assert events.dtypes.astype(str).to_dict() == {
        "user": "int32",
        "item": "int32",
        "time": "int64",
        "hour": "float32",
        "weekday": "int32",
        "slate_id": "int32",
        "position": "int32",
        "propensity": "float64",
        "click": "float32",
        "like": "float32",
        "rating": "float32",
    }


def test_the_propensity_of_a_long_slate_is_kept() -> None:
    events = build(EVENTS.assign(propensity=1e-160)).events
    assert events["propensity"].tolist() == [1e-160] * 4


def test_users_may_be_left_out() -> None:
    log = build(users=None)
    assert log.users["key"].tolist() == ["ann", "bob", "cem"]
    assert log.profile_names == log.profile_sizes == ()


def test_an_unobserved_rating_leaves_like_unobserved_and_click_zero() -> None:
    log = build(EVENTS.assign(rating=[5.0, np.nan, 1.0, 4.0]))
    bob = log.events.iloc[2]
    assert np.isnan(bob["rating"]) and np.isnan(bob["like"]) and bob["click"] == 0


def test_logged_signals_are_not_derived_again() -> None:
    log = build(EVENTS.assign(click=[1, 0, 1, 1], like=[0, 0, 0, 1]))
    assert [signal.provenance for signal in log.signals] == ["logged"] * 3
    assert log.events["like"].tolist() == [0, 0, 0, 1]


def test_own_signals_and_local_time() -> None:
    dwell = Signal("dwell", "nonnegative", "s", 0.0, float("inf"), "logged")
    events = EVENTS.assign(dwell=[1.5, 0, 2, 3], hour=[20.5, 1, 2, 3], weekday=[6, 0, 0, 0])
    log = build(events, signals=(*KNOWN_SIGNALS, dwell))
    assert [signal.name for signal in log.signals] == ["click", "like", "rating", "dwell"]
    assert log.events.iloc[1][["dwell", "hour", "weekday"]].tolist() == [1.5, 20.5, 6]


BAD: dict[str, tuple[Callable[[], Log], str]] = {
    "missing column": (
        lambda: build(EVENTS.drop(columns="time")),
        "events.csv: column 'time' is missing; times are unix seconds",
    ),
    "string in a rating": (
        lambda: build(with_cell(2, "rating", "five")),
        "events.csv, line 4: column 'rating' holds 'five'; a rating is a number from 1 to 5",
    ),
    "rating out of range": (
        lambda: build(with_cell(3, "rating", 9.0)),
        "events.csv, line 5: column 'rating' holds 9; a rating is a number from 1 to 5",
    ),
    "half a click": (
        lambda: build(EVENTS.assign(click=[1, 0.5, 1, 1])),
        "events.csv, line 3: column 'click' holds 0.5; a click is 0 or 1",
    ),
    "click unobserved": (
        lambda: build(EVENTS.assign(click=[1, np.nan, 1, 1])),
        "events.csv, line 3: column 'click' is empty; a click is 0 or 1",
    ),
    "duplicate rows": (
        lambda: build(pd.concat([EVENTS, EVENTS.iloc[[1]]])),
        "events.csv, line 6: column 'user': user 'bob', item 'y', time 200 stands already in "
        "line 3 (1 such rows); drop duplicates",
    ),
    "milliseconds": (
        lambda: build(EVENTS.assign(time=[881250949, 881250949000, 881250949, 881250949])),
        "events.csv, line 3: column 'time' holds 881250949000; times are unix seconds in UTC",
    ),
    "a date for a time": (
        lambda: build(with_cell(0, "time", "1997-12-04")),
        "events.csv, line 2: column 'time' holds '1997-12-04'; times are unix seconds",
    ),
    "no time": (
        lambda: build(with_cell(0, "time", np.nan)),
        "events.csv, line 2: column 'time' is empty; times are unix seconds",
    ),
    "propensity zero": (
        lambda: build(EVENTS.assign(propensity=[0.5, 0.5, 0, 1])),
        "events.csv, line 4: column 'propensity' holds 0",
    ),
    "no signal": (
        lambda: build(EVENTS.drop(columns="rating")),
        "events.csv: no signal; at least one of the columns click, like, rating is needed",
    ),
    "empty signal": (
        lambda: build(EVENTS.assign(like=np.nan)),
        "events.csv: column 'like' is empty in every row; drop the column",
    ),
    "unknown item": (
        lambda: build(with_cell(1, "item", "zzz")),
        "events.csv, line 3: column 'item' holds 'zzz', which is not in items.csv; "
        "add it there or drop such rows (1 of 4)",
    ),
    "unknown user": (
        lambda: build(users=USERS.iloc[1:]),
        "events.csv, line 2: column 'user' holds 'ann', which is not in users.csv; "
        "add it there or drop such rows (2 of 4)",
    ),
    "no rows": (lambda: build(EVENTS.iloc[:0]), "events.csv: no rows"),
    "item twice": (
        lambda: build(items=pd.concat([ITEMS, ITEMS])),
        "items.csv, line 4: column 'item': item 'x' stands already in line 2",
    ),
    "item without a title": (
        lambda: build(items=ITEMS.assign(title=["X", None])),
        "items.csv, line 3: column 'title' is empty; every item has a title",
    ),
    "user without a trait": (
        lambda: build(users=USERS.assign(plan=["free", None, "paid"])),
        "users.csv, line 3: column 'plan' is empty; every user has a plan",
    ),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_log_is_one_line_with_place_and_fix(fault: str) -> None:
    attempt, expected = BAD[fault]
    with pytest.raises(ValueError, match=re.escape(expected)) as caught:
        attempt()
    assert "\n" not in str(caught.value)


def test_a_trait_with_thousands_of_values_is_refused() -> None:
    names = [f"u{n}" for n in range(1_001)]
    users = pd.DataFrame({"user": ["ann", "bob", "cem", *names], "zip": ["a", "b", "c", *names]})
    with pytest.raises(ValueError, match="column 'zip' has 1004 distinct values"):
        build(users=users)


@given(st.permutations(range(4)))
def test_the_order_of_rows_does_not_matter(order: list[int]) -> None:
    events = EVENTS.assign(slate_id=list("qprs"))
    assert build(events.iloc[order]).sha256 == build(events).sha256


@pytest.mark.parametrize("column", EVENTS.columns)
def test_the_hash_sees_every_column(column: str) -> None:
    changed = {"user": "bob", "item": "x", "time": 101, "rating": 2.0}
    assert build(with_cell(2, column, changed[column])).sha256 != build().sha256
