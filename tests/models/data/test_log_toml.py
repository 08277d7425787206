"""Everything that is wrong with a log.toml is said at once, each on its line."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from small_log import write_shop

from slategym.models.data.check import check_folder
from slategym.models.data.description import Description, Words
from slategym.models.data.folder import load_folder
from slategym.models.data.log_toml import (
    DescriptionError,
    parse_description,
    read_description,
    to_toml,
)

WRONG = """paus = 60
like_from = "high"
slate_size = 0  # items
repeats = "no"

[words]
item = "film"
films = "films"

[signals.dwell]
kind = "nonnegativ"
unit = 3

# [signals.commented]
[ signals."rating" ]
kind = "ordinal"
low = 5
high = 1

[context.dwell]
[context.device]
categories = ["a", "a"]
low = 1

[traits.age]
brackets = [30, 20]
"""
FOUND = [
    (1, "unknown key 'paus'; did you mean 'pause'?"),
    (2, "like_from is a number; got 'high'"),
    (3, "slate_size is a whole number from 1; got 0"),
    (4, "repeats is true or false; got 'no'"),
    (8, "unknown key 'words.films'; did you mean 'items'?"),
    (11, "signals.dwell.kind is one of binary, ordinal, real, nonnegative, count; got 'non"),
    (12, "signals.dwell.unit is a text; got 3"),
    (15, "[signals.rating] low must be below high; got 5 and 1"),
    (22, "context.device.categories is a list of different texts; got ['a', 'a']"),
    (23, 'context.device.low is for numbers; write kind = "number"'),
    (26, "traits.age.brackets is an ascending list of numbers, without categories; got [30, 20]"),
]


def mistakes(text: str) -> DescriptionError:
    with pytest.raises(DescriptionError) as caught:
        parse_description(text)
    return caught.value


def test_every_mistake_is_found_with_its_line() -> None:
    error = mistakes(WRONG)
    pairs = zip(error.mistakes, FOUND, strict=True)
    assert [(m.line, m.says[: len(says)]) for m, (_, says) in pairs] == FOUND
    assert str(error.mistakes[6]) == "log.toml, line 12: signals.dwell.unit is a text; got 3"
    assert "did you mean 'nonnegative'?" in error.mistakes[5].says


def test_the_message_names_the_first_and_counts_the_others() -> None:
    assert str(mistakes(WRONG)).startswith("log.toml, line 1: unknown key 'paus'")
    assert "(10 more in log.toml; slategym data check lists all)" in str(mistakes(WRONG))
    assert "more" not in str(mistakes("pause = -1"))


def test_the_rest_is_read_without_what_is_mistaken() -> None:
    error = mistakes(WRONG)
    assert error.rest.words == Words(item="film") and error.columns >= {"dwell", "rating", "age"}
    assert [entry.name for entry in error.rest.context] == ["dwell"]


def test_what_is_both_signal_and_context_is_said() -> None:
    text = "[signals.dwell]\nkind = 'nonnegative'\n[context.dwell]\n"
    (found,) = mistakes(text).mistakes
    assert found.line == 3 and "is both a signal" in found.says


@pytest.mark.parametrize(
    ("signals", "message"),
    [
        (
            "[signals.paid]\nkind = 'nonnegative'\ngiven = 'buy'\n",
            "binary signal declared above it",
        ),
        (
            "[signals.paid]\nkind = 'count'\ngiven = 'buy'\n[signals.buy]\nkind = 'binary'\n",
            "declare that one first",
        ),
        ("[signals.mood]\nkind = 'real'\nlow = 0\nhigh = 1\ngiven = 'like'\n", "of what is 0"),
        ("[signals.paid]\nkind = 'count'\ngiven = 3\n", "signals.paid.given is a text; got 3"),
    ],
)
def test_what_a_signal_can_be_given(signals: str, message: str) -> None:
    assert message in str(mistakes(signals))
    assert parse_description("[signals.n]\nkind = 'count'\ngiven = 'like'\n").signals[0].given


def test_an_amount_without_its_purchase_is_refused_and_zeros_say_nothing(tmp_path: Path) -> None:
    write_shop(tmp_path)
    events = pd.read_csv(tmp_path / "events.csv")
    bought = (events["click"] == 1) & (events["item"] < "p024")
    events = events.drop(columns="dwell").assign(buy=bought.astype(int), paid=bought * 2.5)
    toml = (tmp_path / "log.toml").read_text()
    head, _, rest = toml.partition("[signals.dwell]")
    rest = rest[rest.index("[context") :]
    declared = "[signals.buy]\nkind = 'binary'\n[signals.paid]\nkind = 'nonnegative'\n"
    given = head + declared + "given = 'buy'\n" + rest
    (tmp_path / "log.toml").write_text(given)
    events.to_csv(tmp_path / "events.csv", index=False)
    log = load_folder(tmp_path)
    assert log.events["paid"].notna().sum() == bought.sum() and log.signals[-1].given == "buy"
    (tmp_path / "log.toml").write_text(head + declared + rest)
    assert load_folder(tmp_path).sha256 != log.sha256
    (tmp_path / "log.toml").write_text(given)
    events.loc[3, ["buy", "paid"]] = [0, 4.0]
    events.to_csv(tmp_path / "events.csv", index=False)
    (problem,) = check_folder(tmp_path).problems
    assert "line 5: column 'paid' holds 4 where buy is 0; [signals.paid] of" in str(problem)
    (tmp_path / "log.toml").write_text(given)
    events.drop(columns="buy").to_csv(tmp_path / "events.csv", index=False)
    assert any("'buy' is missing" in str(p) for p in check_folder(tmp_path).problems)


def test_what_a_purchase_is_given_may_be_given_something_itself(tmp_path: Path) -> None:
    """A purchase of what is in the cart, a price of what is bought."""
    write_shop(tmp_path)
    events = pd.read_csv(tmp_path / "events.csv")
    cart = (events["click"] == 1) & (events["item"] < "p024")
    buy = cart & (events["item"] < "p012")
    events = events.drop(columns="dwell").assign(cart=cart * 1, buy=buy * 1, paid=buy * 2.5)
    events.to_csv(tmp_path / "events.csv", index=False)
    toml = (tmp_path / "log.toml").read_text()
    head, _, rest = toml.partition("[signals.dwell]")
    declared = (
        "[signals.cart]\nkind = 'binary'\n[signals.buy]\nkind = 'binary'\ngiven = 'cart'\n"
        "[signals.paid]\nkind = 'nonnegative'\ngiven = 'buy'\n"
    )
    (tmp_path / "log.toml").write_text(head + declared + rest[rest.index("[context") :])
    log = load_folder(tmp_path)
    assert 0 < buy.sum() < cart.sum() < (events["click"] == 1).sum()
    assert log.events["buy"].notna().sum() == cart.sum()
    assert log.events["paid"].notna().sum() == buy.sum()  # and none where nothing is in the cart


def test_data_check_lists_them_beside_the_problems_of_the_tables(tmp_path: Path) -> None:
    write_shop(tmp_path)
    toml = (tmp_path / "log.toml").read_text()
    broken = toml.replace("[signals.dwell]", "[signals.dwell]\nfrm = 1\nlow = 'much'", 1)
    broken = broken.replace("slate_size = 4", "slate_size = 0")
    (tmp_path / "log.toml").write_text(broken)
    lines = (tmp_path / "events.csv").read_text().splitlines()
    column = lines[0].split(",").index("time")
    cells = lines[5].split(",")
    cells[column] = "yesterday"
    lines[5] = ",".join(cells)
    (tmp_path / "events.csv").write_text("\n".join(lines) + "\n")
    said = [str(problem) for problem in check_folder(tmp_path).problems]
    assert [line.partition(":")[0].partition(",")[0] for line in said] == [
        *(["log.toml"] * 3),
        "events.csv",
    ]
    assert "slate_size is a whole number" in said[0] and "'signals.dwell.frm'" in said[1]
    assert "low is a number" in said[2] and "yesterday" in said[3]
    with pytest.raises(DescriptionError, match=r"2 more in log.toml"):
        load_folder(tmp_path)


def test_what_is_no_toml_says_nothing_of_the_tables(tmp_path: Path) -> None:
    write_shop(tmp_path)
    (tmp_path / "log.toml").write_text("[signals\n")
    (problem,) = check_folder(tmp_path).problems
    assert "log.toml: not TOML" in str(problem)


def test_what_is_nested_without_end_is_one_line() -> None:
    with pytest.raises(DescriptionError, match=r"log\.toml: nested too deeply"):
        parse_description("a = " + "[" * 100_000)


def test_a_comment_acts_on_no_terminal_and_is_read_again(tmp_path: Path) -> None:
    """TOML has no control characters, in comments neither."""
    path = tmp_path / "log.toml"
    path.write_text(to_toml(Description(pause=60.0), {"pause": "a\x1b]0;owned\x07\nb"}))
    assert "\x1b" not in path.read_text() and "owned" in path.read_text()
    assert read_description(tmp_path).pause == 60.0
