"""What comes through the door, and what is turned away, each in one line."""

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slategym.models.data.columns import Rule, settle
from slategym.models.data.description import (
    UNDESCRIBED,
    ColumnEntry,
    Description,
    SignalEntry,
)
from slategym.models.data.fitness import left_out
from slategym.models.data.log import Log, build_log
from slategym.models.data.tables import Table, Tables

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
    description: Description = UNDESCRIBED,
) -> Log:
    tables = Tables(
        events=Table(events, "events.csv", first=2, row="line"),
        items=Table(items, "items.csv", first=2, row="line"),
        users=None if users is None else Table(users, "users.csv", first=2, row="line"),
    )
    return build_log("mine", tables, description)


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


def test_a_row_in_which_nothing_was_observed_is_left_out_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = build(EVENTS.assign(rating=[5.0, np.nan, 1.0, 4.0]))
    assert log.events["user"].tolist() == [0, 0, 2]  # bob has no row: neither click nor refusal
    assert log.events[["click", "rating"]].to_numpy().tolist() == [[1, 1], [1, 5], [1, 4]]
    assert log.unobserved == 1
    (line,) = left_out(log)  # `data check` and `fit` say it; reading the log does not
    assert line.startswith("1 of 4 rows are left out: nothing was observed in them")
    assert not caplog.records and not left_out(build())


def test_an_unobserved_rating_leaves_like_unobserved() -> None:
    log = build(EVENTS.assign(rating=[5.0, np.nan, 1.0, 4.0], click=[1, 0, 1, 1]))
    bob = log.events.iloc[2]
    assert np.isnan(bob["rating"]) and np.isnan(bob["like"]) and bob["click"] == 0
    assert log.unobserved == 0


def test_who_stayed_for_no_second_has_not_clicked() -> None:
    stays = Description(signals=(SignalEntry("dwell", "nonnegative", "s"),))
    log = build(EVENTS.drop(columns="rating").assign(dwell=[3.0, 0.0, 0.0, 1.0]), description=stays)
    assert log.events["click"].tolist() == [0, 1, 0, 1]
    assert log.signals[0].provenance == "derived"


@pytest.mark.parametrize(
    ("ratings", "scale", "likes"),
    [
        ([5, 3, 1, 4], (1, 5, 1), [0, 1, 0, 1]),
        ([0.5, 3.5, 4.5, 4], (0.5, 5, 0.5), [1, 0, 0, 1]),
    ],
)
def test_stars_are_kept_exactly(
    ratings: list[float], scale: tuple[float, ...], likes: list[float]
) -> None:
    log = build(EVENTS.assign(rating=ratings))
    rating = log.signals[2]
    assert (rating.low, rating.high, rating.step) == scale
    assert log.events["rating"].tolist() == [ratings[n] for n in (2, 0, 1, 3)]
    assert log.events["like"].tolist() == likes


@pytest.mark.parametrize(
    ("low", "high", "step", "ratings"),
    [(0, 10, 1, [10, 7, 0, 8]), (0, 100, 1, [75, 74, 0, 100]), (-10, 10, 0.25, [9.75, 4, -10, 5])],
)
def test_any_declared_scale(low: float, high: float, step: float, ratings: list[float]) -> None:
    entry = SignalEntry("rating", low=low, high=high, step=step)
    log = build(EVENTS.assign(rating=ratings), description=Description(signals=(entry,)))
    assert log.events["rating"].tolist() == [ratings[n] for n in (2, 0, 1, 3)]
    assert log.events["like"].tolist() == [0, 1, 0, 1]  # three quarters up the scale
    assert log.like_from == low + 0.75 * (high - low)


def test_the_like_threshold_is_declared_or_switched_off() -> None:
    log = build(description=Description(like_from=5.0))
    assert log.events["like"].tolist() == [0, 1, 0, 0]
    none = build(description=Description(like_from=False))
    assert [signal.name for signal in none.signals] == ["click", "rating"]
    assert none.like_from is None


def test_whether_items_are_had_again_is_the_logs_own() -> None:
    assert not build().repeats
    again = pd.concat([EVENTS, EVENTS.assign(time=EVENTS["time"] + 1_000)])
    assert build(again).repeats
    assert not build(again, description=Description(repeats=False)).repeats


def test_people_may_number_their_slates_each_from_one() -> None:
    slates = EVENTS.assign(slate_id=[1, 1, 2, 1], position=0)
    assert build(slates).events["slate_id"].tolist() == [1, 0, 2, 3]
    assert build(slates).slate_size == 1


def test_topics_and_texts_without_words() -> None:
    items = ITEMS.assign(topics=["Drama|War", None], text=["long", " "])
    log = build(items=items)
    assert log.topic_names == ("Drama", "War", "unknown")
    assert log.items["text"].tolist() == ["long", "Y | unknown"]


def test_logged_signals_are_not_derived_again() -> None:
    log = build(EVENTS.assign(click=[1, 0, 1, 1], like=[0, 0, 0, 1]))
    assert [signal.provenance for signal in log.signals] == ["logged"] * 3
    assert log.events["like"].tolist() == [0, 0, 0, 1]


def test_own_signals_and_local_time() -> None:
    dwell = Description(signals=(SignalEntry("dwell", "nonnegative", "s"),))
    events = EVENTS.assign(dwell=[1.5, 0, 2, 3], hour=[20.5, 1, 2, 3], weekday=[6, 0, 0, 0])
    log = build(events, description=dwell)
    assert [signal.name for signal in log.signals] == ["click", "like", "dwell", "rating"]
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
    "half a weekday": (
        lambda: build(EVENTS.assign(weekday=[1, 2.7, 3, 4])),
        "events.csv, line 3: column 'weekday' holds 2.7; a weekday is 0 (Monday) to 6",
    ),
    "two items in a slot": (
        lambda: build(EVENTS.assign(slate_id=1, position=0)),
        "events.csv, line 4: column 'position' holds 0 again in its slate; a slot of a slate",
    ),
    "rating of another scale": (
        lambda: build(EVENTS.assign(rating=[0, 30, 60, 90])),
        "events.csv, line 2: column 'rating' holds 0; a rating is a number from 1 to 5 (stars): "
        "rescale, or drop such rows; a rating of another scale is declared in log.toml",
    ),
    "an empty topic": (
        lambda: build(items=ITEMS.assign(topics=["Drama||War", "War"])),
        "items.csv, line 2: column 'topics' holds 'Drama||War'; an empty topic name",
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
    "a trait of nobody": (
        lambda: build(users=USERS.assign(plan=[None, None, None])),
        "users.csv: column 'plan' is known in no row; drop the column",
    ),
    "an id that was rounded": (
        lambda: build(EVENTS.assign(user=[2.0**60, 1.0, 2.0, 3.0]), users=None),
        "events.csv, line 2: column 'user' holds 1.15292150460685e+18, of whose digits floating "
        "point keeps 15; write ids as texts or whole numbers",
    ),
    "an id that became decimal": (
        lambda: build(EVENTS.assign(item=["1.0", "2.0"] * 2), ITEMS.assign(item=["1", "2"])),
        "events.csv, line 2: column 'item' holds '1.0', which is not in items.csv; write items as "
        "whole numbers",
    ),
    "a column by another name": (
        lambda: build(EVENTS.rename(columns={"user": "User_ID"})),
        "events.csv: column 'user' is missing; rename 'User_ID' if it is that",
    ),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_log_is_one_line_with_place_and_fix(fault: str) -> None:
    attempt, expected = BAD[fault]
    with pytest.raises(ValueError, match=re.escape(expected)) as caught:
        attempt()
    assert "\n" not in str(caught.value)


def test_what_is_not_known_of_a_user_or_an_item_is_left_empty() -> None:
    items = ITEMS.assign(year=pd.array([1999, None], dtype="Int64"))
    users = USERS.assign(plan=["free", None, "paid"], age=[31.0, np.nan, 70.0])
    traits = (ColumnEntry("plan", categories=("paid", "free")), ColumnEntry("age", brackets=(40,)))
    log = build(items=items, users=users, description=Description(traits=traits))
    assert [column.categories for column in log.traits] == [
        ("paid", "free", "unknown"),
        ("under 40", "40 and over", "unknown"),
    ]
    assert log.users[["plan", "age"]].to_numpy().tolist() == [[1, 0], [2, 2], [0, 1]]
    assert log.items["year"].tolist() == [1999, 0]
    as_found = build(users=users[["user", "plan"]])
    assert as_found.traits[0].categories == ("free", "paid", "unknown")


def test_a_trait_with_thousands_of_values_is_refused() -> None:
    names = [f"u{n}" for n in range(1_001)]
    users = pd.DataFrame({"user": ["ann", "bob", "cem", *names], "zip": ["a", "b", "c", *names]})
    with pytest.raises(ValueError, match="column 'zip' has 1004 distinct values"):
        build(users=users)


@settings(deadline=None)
@given(st.permutations(range(4)))
def test_the_order_of_rows_does_not_matter(order: list[int]) -> None:
    events = EVENTS.assign(slate_id=list("qprs"))
    assert build(events.iloc[order]).sha256 == build(events).sha256


@pytest.mark.parametrize("column", EVENTS.columns)
def test_the_hash_sees_every_column(column: str) -> None:
    changed = {"user": "bob", "item": "x", "time": 101, "rating": 2.0}
    assert build(with_cell(2, column, changed[column])).sha256 != build().sha256


def test_a_limit_in_single_precision_is_the_limit() -> None:
    """.02 as a 32-bit float is .0199999996: a table of such numbers is within 0.02 to 3."""
    rule = Rule("number", "", 0.02, 3.0)
    values, bad = settle(pd.Series([0.02, 3.0, 1.0], dtype="float32"), rule)
    assert values.tolist() == [0.02, 3.0, 1.0] and not bad.any()
    assert settle(pd.Series([0.0199, 3.001]), rule)[1].all()
