"""What is guessed of tables that nobody has described, and that the guess reads."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_log import write_shop

from slategym.models.data import log_toml
from slategym.models.data.describe import guess
from slategym.models.data.description import (
    FILE,
    ColumnEntry,
    Description,
    SignalEntry,
)
from slategym.models.data.folder import load_folder, read_tables
from slategym.models.data.log import build_log
from slategym.models.data.log_toml import parse_description, to_toml
from slategym.models.data.tables import Table, Tables

RECIPE = Path(__file__).parents[3] / "docs" / "recipes" / "own_log.md"


def events(**columns: object) -> pd.DataFrame:
    """Forty events of four users with ten items, a minute apart."""
    n = np.arange(40)
    frame = pd.DataFrame({"user": n % 4, "item": n % 10, "time": 10**9 + 60 * n})
    return frame.assign(
        **{name: np.resize(np.asarray(cells), 40) for name, cells in columns.items()}
    )


ITEMS = pd.DataFrame({"item": range(10), "title": [f"thing {n}" for n in range(10)]})


def guessed(frame: pd.DataFrame, items: pd.DataFrame = ITEMS) -> Description:
    """The guess, after a journey through TOML."""
    found = guess(Tables(Table(frame, "events.csv"), Table(items, "items.csv")))
    description = parse_description(found.toml())
    assert description == found.description
    return description


@pytest.mark.parametrize(
    ("name", "cells", "kind", "unit"),
    [
        ("dwell_ms", [0.5, 3000.25], "nonnegative", "ms"),
        ("watch_seconds", [1, 40], "nonnegative", "s"),
        ("price_paid", [9.99, 0.0], "nonnegative", "money"),
        ("purchased", [0, 1, 1], "binary", "count"),
        ("is_follow", [True, False], "binary", "count"),
        ("quantity", [1, 2, 7], "count", "count"),
        ("amount", [-3.5, 2.0], "real", ""),
    ],
)
def test_what_came_of_an_event_is_a_signal(
    name: str, cells: list[float], kind: str, unit: str
) -> None:
    description = guessed(events(**{name: cells}))
    (entry,) = description.signals
    assert (entry.name, entry.kind, entry.unit, entry.weight) == (name, kind, unit, 0.0)
    assert description.context == ()


@pytest.mark.parametrize("nothing", [0.0, np.nan])
def test_what_is_there_only_with_a_purchase_is_given_it(nothing: float) -> None:
    columns = {"paid": [nothing, 3.5, nothing, 9.0], "purchased": [0, 1, 0, 1]}
    description = guessed(events(**columns))
    assert [(e.name, e.kind, e.given) for e in description.signals] == [
        ("purchased", "binary", None),
        ("paid", "nonnegative", "purchased"),
    ]
    (dwell,) = guessed(events(dwell=[1.0, 2.0], rating=[1, 5])).signals[:1]
    assert dwell.given is None


@pytest.mark.parametrize(
    ("name", "cells", "kind"),
    [
        ("device", ["phone", "laptop"], "category"),
        ("os", [1, 2, 3], "category"),
        ("temperature", np.linspace(-5, 30, 40), "number"),
        ("mood", [3, 4, 9], "number"),
    ],
)
def test_what_was_known_before_is_context(name: str, cells: list[object], kind: str) -> None:
    description = guessed(events(rating=[1, 5], **{name: cells}))
    assert [(entry.name, entry.kind) for entry in description.context] == [(name, kind)]


@pytest.mark.parametrize(
    ("cells", "kind", "scale", "like_from"),
    [
        ([1, 3, 5], "ordinal", (1, 5, 1), 4.0),
        ([2, 4], "ordinal", (1, 5, 1), 4.0),
        ([0.5, 5, 3.5], "ordinal", (0.5, 5, 0.5), 4.0),
        ([1, 10, 7], "ordinal", (1, 10, 1), 8.0),
        ([0, 100, 55], "ordinal", (0, 100, 1), 75.0),
        ([-10, 9.5, 3], "ordinal", (-10, 10, 0.5), 5.0),
        ([-9.281, 3.333], "real", (-10, 10, None), None),
    ],
)
def test_the_scale_of_a_rating(
    cells: list[float], kind: str, scale: tuple[float, ...], like_from: float | None
) -> None:
    description = guessed(events(rating=cells))
    (entry,) = description.signals
    assert (entry.kind, (entry.low, entry.high, entry.step)) == (kind, scale)
    assert description.like_from == like_from


def test_what_is_liked_is_the_same_with_and_without_a_description() -> None:
    """Three quarters up is no level of half stars; the next level is written."""
    stars = list(np.arange(0.5, 5.5, 0.5))
    frame = events(rating=stars)
    tables = Tables(Table(frame, "events.csv"), Table(ITEMS, "items.csv"))
    described, plain = (
        build_log("stars", tables, description) for description in (guessed(frame), Description())
    )
    assert described.like_from == 4.0 and plain.like_from == 3.875
    assert described.events["like"].tolist() == plain.events["like"].tolist()


def test_infinite_numbers_are_passed_over() -> None:
    (entry,) = guessed(events(rating=[np.inf, 1, 5, -np.inf])).signals
    assert (entry.low, entry.high) == (1, 5)


def test_zeros_that_may_mean_nothing_are_pointed_out() -> None:
    found = guess(Tables(Table(events(rating=[0, 0, 7, 10]), "events.csv"), Table(ITEMS, "items")))
    assert "if it means that nothing was said, empty those" in found.toml()


def test_what_is_left_aside_says_why() -> None:
    frame = events(rating=[1, 5], session_id=range(40), query=[f"how to {n}" for n in range(40)])
    items = ITEMS.assign(brand=["a", "b"] * 5, price=np.arange(10) / 3, text=None)
    found = guess(Tables(Table(frame, "events.csv"), Table(items, "items.csv")))
    assert found.aside.keys() == {"events: session_id", "events: query"}
    assert found.description.item_columns == (
        ColumnEntry("brand"),
        ColumnEntry("price", "number", unit="money"),
    )


def test_visits_repeats_and_slates_are_measured() -> None:
    description = guessed(events(click=[1, 0, 1, 1]))
    assert description.repeats is True  # every pair comes twice
    assert description.pause == 1_800
    days = events(click=[1]).assign(time=lambda e: e["time"] * 300)  # five hours apart
    assert guessed(days).pause == 86_400
    slates = events(click=[1]).assign(slate_id=np.arange(40) // 8)
    assert guessed(slates).slate_size == 2  # the user changes with every row


def test_every_line_has_a_comment(tmp_path: Path) -> None:
    write_shop(tmp_path)
    events = pd.read_csv(tmp_path / "events.csv")
    events["score"] = np.arange(len(events)) % 11
    events["votes"] = np.arange(len(events)) % 7
    events.to_csv(tmp_path / "events.csv", index=False)
    lines = guess(read_tables(tmp_path)).toml().splitlines()
    assert any(line.startswith("step = ") for line in lines)
    assert [line for line in lines if " = " in line and "#" not in line] == []


def test_ages_become_brackets_and_post_codes_no_trait(tmp_path: Path) -> None:
    write_shop(tmp_path)
    users = pd.read_csv(tmp_path / "users.csv")
    rng = np.random.default_rng(0)
    users["years"] = rng.integers(10, 90, len(users)).astype(float)
    users.loc[0, "years"] = np.nan
    users["post_code"] = [f"z{n}" for n in range(len(users))]
    users.to_csv(tmp_path / "users.csv", index=False)
    (tmp_path / FILE).write_text(guess(read_tables(tmp_path)).toml(), "utf-8")
    log = load_folder(tmp_path)
    assert log.profile_names == ("age", "years")
    assert log.profile_sizes == (2, 6)  # five brackets, and unknown
    assert [signal.name for signal in log.signals] == ["click", "dwell"]
    assert [column.name for column in log.context] == ["device"]
    assert [column.name for column in log.item_columns] == ["price", "brand"]
    assert log.slate_size == 4 and log.repeats


def test_any_description_survives_toml() -> None:
    description = Description(
        signals=(SignalEntry("wait, what?", "real", 'a "unit"\x1b', -1.5, 2e300, weight=-0.25),),
        like_from=False,
        context=(ColumnEntry("where", categories=("", "a\nb", "é☃")),),
        item_columns=(ColumnEntry("x y", "number", unit="\\", low=-1e-9, high=float("inf")),),
        traits=(),
        pause=0.5,
        slate_size=3,
        repeats=False,
    )
    assert parse_description(to_toml(description)) == description


@pytest.mark.parametrize("text", [RECIPE.read_text("utf-8"), str(log_toml.__doc__)])
def test_the_log_toml_of_the_pages_reads(text: str) -> None:
    (toml,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    description = parse_description(toml)
    assert description.signals and description.context and description.item_columns
    assert description.words.item == "film"
