import re
import subprocess
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from small_worlds import small_log

from slategym.envs.names import UsageError
from slategym.envs.types import Column
from slategym.models.checksums import Damaged
from slategym.models.data.folder import (
    CHECKSUMS,
    _say_unused,
    load_folder,
    read_folder,
    write_folder,
)
from slategym.models.data.hugging_face import from_datasets
from slategym.models.data.schema import unused_columns

EVENTS = """user,item,time,rating
007,NA,881250949,5
8,x,881250950,
"""
ITEMS = """item,title,topics,shelf
NA,Null,Drama,3
x,"A title, with a comma",War|Drama,4
"""
USERS = """user,plan
007,free
8,paid
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "events.csv").write_text(EVENTS)
    (tmp_path / "items.csv").write_text(ITEMS)
    (tmp_path / "users.csv").write_text(USERS)
    return tmp_path


def test_keys_and_titles_stay_text(folder: Path) -> None:
    log = load_folder(folder)
    assert log.users["key"].tolist() == ["007", "8"]
    assert log.items["key"].tolist() == ["NA", "x"]
    assert log.items["title"].tolist() == ["Null", "A title, with a comma"]
    assert log.events[["user", "click"]].to_numpy().tolist() == [[0, 1]]  # 8 observed nothing
    assert log.name == folder.name


def test_parquet_gives_the_same_log(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "parquet"
    other.mkdir()
    for table, keys in (("events", "user item"), ("items", "item"), ("users", "user")):
        types = dict.fromkeys(keys.split(), str)
        frame = pd.read_csv(
            folder / f"{table}.csv", dtype=types, keep_default_na=False, na_values=[""]
        )
        frame.to_parquet(other / f"{table}.parquet")
    assert load_folder(other).sha256 == load_folder(folder).sha256


def test_columns_that_nothing_reads_are_named(folder: Path) -> None:
    assert unused_columns(*read_folder(folder)) == {"items.csv": ["shelf"]}


def test_loading_names_them_too_and_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        load_folder(folder)
    (told,) = caplog.messages
    assert "not used" in told and "items.csv: 'shelf'; slategym data check" in told
    caplog.clear()
    _say_unused.cache_clear()
    columns = ",".join(f"\x1b[{n}m" for n in range(11))
    (folder / "items.csv").write_text(f"item,title,{columns}\nNA,A{',1' * 11}\nx,B{',1' * 11}\n")
    load_folder(folder)
    (told,) = caplog.messages
    assert "and 3 more" in told and "\x1b" not in told


def refuse(folder: Path, message: str) -> None:
    with pytest.raises((ValueError, OSError), match=re.escape(message)) as caught:
        load_folder(folder)
    assert "\n" not in str(caught.value)


def test_the_line_named_is_the_line_in_the_file(folder: Path) -> None:
    (folder / "events.csv").write_text(EVENTS + "8,x,881250951,five\n")
    refuse(folder, "events.csv, line 4: column 'rating' holds 'five'")


def test_with_blank_lines_records_are_counted_instead(folder: Path) -> None:
    (folder / "events.csv").write_text(EVENTS + "\n\n8,x,881250951,five\n")
    refuse(folder, "events.csv, record 3: column 'rating' holds 'five'")


ISO = ["1997-12-04T16:55:49+01:00", "1997-12-04 15:55:50Z"]


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Paris"])
def test_a_date_in_parquet_is_a_time(folder: Path, zone: str | None) -> None:
    frame = pd.read_csv(
        folder / "events.csv", dtype={"user": str, "item": str}, keep_default_na=False
    )
    frame = frame.assign(rating=[5.0, 4.0])
    moments = pd.to_datetime(frame["time"], unit="s", utc=True)
    frame["time"] = moments.dt.tz_convert(zone)
    (folder / "events.csv").unlink()
    frame.to_parquet(folder / "events.parquet")
    events = load_folder(folder).events
    assert events["time"].tolist() == [881250949, 881250950]
    ahead = 1 if zone == "Europe/Paris" else 0  # the hour is the clock's where they are
    assert events["hour"].tolist() == pytest.approx([15 + ahead + 3349 / 3600] * 2, abs=1e-3)
    assert events["weekday"].tolist() == [3, 3]


def test_dates_and_times_in_a_csv_keep_their_zones(folder: Path) -> None:
    lines = [f"007,NA,{ISO[0]},5", f"8,x,{ISO[1]},4"]
    (folder / "events.csv").write_text("\n".join(["user,item,time,rating", *lines]) + "\n")
    events = load_folder(folder).events
    assert events["time"].tolist() == [881250949, 881250950]
    assert events["hour"].tolist() == pytest.approx([16 + 3349 / 3600, 15 + 3350 / 3600], abs=1e-3)


def test_numbers_and_dates_are_not_mixed(folder: Path) -> None:
    (folder / "events.csv").write_text(EVENTS + f"8,x,{ISO[0]},4\n")
    refuse(folder, f"events.csv, line 4: column 'time' holds '{ISO[0]}'; times are unix seconds")


def test_topics_may_be_lists(folder: Path) -> None:
    (folder / "items.csv").unlink()
    items = pd.DataFrame({"item": ["NA", "x", "y"], "title": list("ABC")})
    topics = [["Comedy", " Drama "], ["Drama"], []]
    items.assign(topics=topics).to_parquet(folder / "items.parquet")
    log = load_folder(folder)
    assert log.topic_names == ("Comedy", "Drama", "unknown")
    assert log.item_topics.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    items.assign(topics=[["Comedy", ""], ["Drama"], []]).to_parquet(folder / "items.parquet")
    refuse(folder, "items.parquet, row 0: column 'topics' holds ['Comedy', '']; an empty topic")


@pytest.mark.parametrize(
    ("cell", "topics"),
    [
        ("['War', \"Children's\"]", ["War", "Children's"]),
        ("['War' 'Two words']", ["War", "Two words"]),
        ('["War", "\\u00e7a"]', ["War", "ça"]),
        ("[1, 2]", ["1", "2"]),
        ("[]", ["unknown"]),
        ("[War]", ["[War]"]),
        ("['War', '']", None),
    ],
)
def test_topics_may_be_printed_lists(folder: Path, cell: str, topics: list[str] | None) -> None:
    """As pandas and JSON write a column of lists into a CSV."""
    pd.DataFrame({"item": ["NA", "x"], "topics": [cell, "Drama"]}).to_csv(
        folder / "items.csv", index=False
    )
    if topics is None:
        refuse(folder, "items.csv, line 2: column 'topics' holds")
    else:
        assert load_folder(folder).items["topics"][0] == topics


def test_an_empty_topic_in_parquet_is_a_missing_value_of_any_kind(folder: Path) -> None:
    (folder / "items.csv").unlink()
    topics = pd.array(["War", pd.NA], dtype="string")
    items = pd.DataFrame({"item": ["NA", "x"], "topics": topics, "year": [pd.NA, 1.5]})
    items.astype({"year": "Float64"}).to_parquet(folder / "items.parquet")
    refuse(folder, "items.parquet, row 1: column 'year' holds 1.5; a year is a whole number")
    items[["item", "topics"]].to_parquet(folder / "items.parquet")
    assert load_folder(folder).items["topics"].tolist() == [["War"], ["unknown"]]


def test_a_list_is_no_key_and_no_title(folder: Path) -> None:
    """Its printed form would be a key that nobody wrote."""
    (folder / "items.csv").unlink()
    items = pd.DataFrame({"item": ["NA", "x", "y"], "title": ["A", "B", "C"]})
    items.assign(title=[["A"], ["B", "b"], ["C"]]).to_parquet(folder / "items.parquet")
    refuse(folder, "items.parquet, row 0: column 'title' holds ['A']")
    items.assign(item=[["NA"], ["x"], ["y"]]).to_parquet(folder / "items.parquet")
    refuse(folder, "items.parquet, row 0: column 'item' holds ['NA']")


def test_blanks_around_cells_and_headers_do_not_matter(folder: Path) -> None:
    (folder / "events.csv").write_bytes(
        b"\xef\xbb\xbfuser , item, time, rating\r\n007 , NA, 881250949, 5\r\n"
    )
    (folder / "items.csv").write_text('item , title\nNA , "Null, the first "\nx,X\n')
    log = load_folder(folder)
    assert log.items["title"].tolist() == ["Null, the first", "X"]
    assert log.users["key"][log.events["user"][0]] == "007"


def test_a_title_or_text_may_be_left_out(folder: Path) -> None:
    (folder / "items.csv").write_text("item,text\nNA,\nx,a long story\n")
    log = load_folder(folder)
    assert log.items["title"].tolist() == ["NA", "x"]
    assert log.items["text"].tolist() == ["NA | any", "a long story"]


def test_two_columns_of_one_name(folder: Path) -> None:
    (folder / "events.csv").write_text("user,item,time,rating, rating\n007,x,1,5,4\n")
    refuse(folder, "events.csv: two columns are called 'rating'; rename one")


def test_a_declared_column_that_is_empty_everywhere(described: Path) -> None:
    text = (described / "items.csv").read_text().replace("acme", "")
    (described / "items.csv").write_text(text)
    refuse(
        described, "items.csv: column 'brand' is known in no row; drop the column, and its table"
    )


def test_semicolons_are_seen(folder: Path) -> None:
    (folder / "events.csv").write_text("user;item;time;rating\n1;x;1;5\n")
    refuse(folder, "events.csv: cells are parted by ';'; write commas")


def test_rows_that_observe_nothing_are_left_out(folder: Path) -> None:
    log = load_folder(folder)
    assert (len(log.events), log.unobserved) == (1, 1)
    assert log.events[["click", "like", "rating"]].notna().all().all()


TOML = """
like_from = 7
pause = 600
slate_size = 4
repeats = true
[words]
item = "game"
[signals.dwell]
kind = "nonnegative"
unit = "s"
weight = 0.01
[signals.rating]
low = 0
high = 10
step = 0.5
[context.device]
categories = ["phone", "laptop", "tv"]
[context.noise]
kind = "number"
unit = "dB"
[item_columns.brand]
[item_columns.price]
kind = "number"
low = 0
[traits.age]
brackets = [18, 60]
"""


@pytest.fixture
def described(folder: Path) -> Path:
    (folder / "events.csv").write_text(
        "user,item,time,rating,dwell,device,noise\n"
        "007,NA,881250949,9.5,,laptop,40\n8,x,881250950,,3.25,,\n8,x,881250990,0,0,phone,1.5\n"
    )
    (folder / "items.csv").write_text("item,title,brand,price\nNA,A,acme,2.5\nx,B,,\n")
    (folder / "users.csv").write_text("user,age,zip\n007,17,z\n8,60,y\n")
    (folder / "log.toml").write_text(TOML)
    return folder


def test_log_toml_says_what_the_columns_are(described: Path) -> None:
    log = load_folder(described)
    assert [(s.name, s.kind, s.weight) for s in log.signals] == [
        ("click", "binary", 1.0),
        ("like", "binary", 1.0),
        ("dwell", "nonnegative", 0.01),
        ("rating", "ordinal", 0.0),
    ]
    assert log.events["rating"].tolist() == pytest.approx([9.5, np.nan, 0], nan_ok=True)
    assert log.events["like"].tolist() == pytest.approx([1, np.nan, 0], nan_ok=True)
    assert log.events["click"].tolist() == [1, 1, 1]
    assert log.events["device"].tolist() == [1, -1, 0]
    assert log.events["noise"].tolist() == pytest.approx([40, np.nan, 1.5], nan_ok=True)
    assert log.items["brand"].tolist() == [0, -1]
    assert log.items["price"].tolist() == pytest.approx([2.5, np.nan], nan_ok=True)
    assert [str(log.events[n].dtype) for n in ("device", "noise")] == ["int32", "float32"]
    assert log.context == (
        Column("device", ("phone", "laptop", "tv")),
        Column("noise", (), "dB", 1.5, 40.0),
    )
    assert log.item_columns == (Column("brand", ("acme",)), Column("price", (), "", 0.0, 2.5))
    assert log.traits == (Column("age", ("under 18", "18 to 60", "60 and over")),)
    assert log.users["age"].tolist() == [0, 2]
    assert (log.like_from, log.pause, log.slate_size, log.repeats) == (7, 600, 4, True)
    assert log.words.item == "game"
    assert unused_columns(*read_folder(described)) == {"users.csv": ["zip"]}


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_log_written_out_reads_as_itself(
    described: Path, tmp_path: Path, form: Literal["parquet", "csv"]
) -> None:
    log = load_folder(described)
    other = load_folder(write_folder(log, tmp_path / "again", form))
    for name in ("events", "items", "users"):
        pd.testing.assert_frame_equal(getattr(log, name), getattr(other, name))
    assert other.sha256 == log.sha256
    assert other.words == log.words


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_movielens_in_miniature_is_the_same_as_a_folder(
    tmp_path: Path, form: Literal["parquet", "csv"]
) -> None:
    log = small_log(90, 160)
    folder = write_folder(log, tmp_path / "films", form)
    other = load_folder(folder)
    pd.testing.assert_frame_equal(log.events, other.events[log.events.columns])
    pd.testing.assert_frame_equal(log.items, other.items[log.items.columns], check_dtype=False)
    pd.testing.assert_frame_equal(log.users, other.users)
    np.testing.assert_array_equal(log.item_topics, other.item_topics)
    for name in ("signals", "topic_names", "profile_names", "profile_sizes", "like_from", "pause"):
        assert getattr(log, name) == getattr(other, name), name


def test_words_that_would_act_upon_a_terminal_are_refused(described: Path) -> None:
    (described / "log.toml").write_text('[words]\nitem = "\\u001b[31mgame"\n')
    with pytest.raises(ValueError, match=r"words\.item is made of printable characters; got '.x1b"):
        load_folder(described)


def test_a_table_written_again_replaces_the_other_form(tmp_path: Path) -> None:
    log = small_log(12, 20)
    write_folder(log, tmp_path, "csv")
    write_folder(log, tmp_path, "parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "events.parquet", "items.parquet", "log.sha256", "log.toml", "users.parquet",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("pause = 600", "pauses = 600", "unknown key 'pauses'; did you mean 'pause'?"),
        ("pause = 600", "pause = 0", "pause is above 0; got 0"),
        ("slate_size = 4", "slate_size = 2.5", "slate_size is a whole number from 1; got 2.5"),
        ("low = 0\nhigh", "high", "column 'rating' holds 0; a rating is a number from 1 to 10"),
        ("step = 0.5", "step = 0.3", "[signals.rating] step 0.3 does not lead from low 0"),
        ("step = 0.5", "", "column 'rating' holds 9.5; a rating is a number from 0 to 10"),
        ('kind = "nonnegative"', "", "[signals.dwell] lacks kind; write one of binary, ordinal"),
        ('kind = "nonnegative"', 'kind = "dwell"', "signals.dwell.kind is one of binary"),
        ("[signals.dwell]", "[signals.time]", "[signals.time]: 'time' is built in"),
        ("[signals.dwell]", "[signals.noise]", "'noise' is both a signal"),
        ("[signals.dwell]", "[signals.stay]", "column 'stay' is missing; [signals.stay] of log"),
        (', "tv"]', ', "phone"]', "context.device.categories is a list of different texts"),
        ('"laptop", ', "", "column 'device' holds 'laptop'; [context.device] of log.toml says one"),
        ('unit = "dB"', "high = 30", "column 'noise' holds 40; [context.noise] of log.toml says"),
        ("[18, 60]", "[60, 18]", "traits.age.brackets is an ascending list of numbers"),
        ("[words]", "[words", "log.toml: not TOML"),
        ("[context.noise]", "[context.rating]", "[context.rating]: 'rating' is built in"),
        ("[item_columns.brand]", "[item_columns.title]", "[item_columns.title]: 'title' is built"),
        ("[traits.age]", "[traits.user]", "[traits.user]: 'user' is built in"),
        ("pause = 600", "notes = [1]", "notes is a text; got 1"),
    ],
)
def test_what_log_toml_cannot_say(described: Path, old: str, new: str, message: str) -> None:
    assert old in TOML
    (described / "log.toml").write_text(TOML.replace(old, new, 1))
    refuse(described, message)


def test_a_table_is_missing(folder: Path) -> None:
    (folder / "items.csv").unlink()
    refuse(folder, "neither items.csv nor items.parquet is there; slategym data from-table")


def test_a_table_is_there_twice(folder: Path) -> None:
    (folder / "items.parquet").write_bytes(b"")
    refuse(folder, "both items.csv and items.parquet are there")


def test_no_folder(tmp_path: Path) -> None:
    refuse(tmp_path / "nowhere", "nowhere: no such folder")


@pytest.mark.parametrize("lines", ["8,x,881250949,5,1\n", "8,x,881250949,5,1\n7,x,881250949,5,1\n"])
def test_a_cell_too_many_moves_no_column(folder: Path, lines: str) -> None:
    (folder / "events.csv").write_text("user,item,time,rating\n" + lines)
    refuse(folder, "events.csv: some line has more cells than the header; quote cells with commas")


@pytest.mark.parametrize("content", [b"", b"user,item\n1,2\n1,2,3,4\n", b"user,item\n\xe9,2\n"])
def test_no_csv(folder: Path, content: bytes) -> None:
    (folder / "events.csv").write_bytes(content)
    refuse(folder, "events.csv: not a CSV file in UTF-8")


@pytest.mark.parametrize("own", ["events.csv", "items.parquet", "log.toml"])
def test_a_log_of_somebodys_own_is_never_written_over(tmp_path: Path, own: str) -> None:
    (tmp_path / own).write_text("user,item,time\n")
    with pytest.raises(UsageError, match=f"holds {own}, which slategym did not write"):
        write_folder(small_log(12, 20), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [own]
    assert (tmp_path / own).read_text() == "user,item,time\n"


def test_what_a_killed_writer_left_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pd.DataFrame, "to_parquet", ended)
        write_folder(small_log(12, 20), tmp_path)
    assert not (tmp_path / "log.toml").exists()
    with pytest.raises(Damaged, match=r"is half a log: .* write it again"):
        load_folder(tmp_path)
    write_folder(small_log(12, 20), tmp_path)
    assert load_folder(tmp_path).num_items == 20
    assert not list(tmp_path.glob(".*"))


def test_what_slategym_wrote_is_held_against_its_checksums(tmp_path: Path) -> None:
    folder = write_folder(small_log(12, 20), tmp_path / "log")
    load_folder(folder)
    stated = (folder / CHECKSUMS).read_text()
    path = folder / "events.parquet"
    content = path.read_bytes()
    table = pd.read_parquet(path)
    table["click"] = 1 - table["click"]  # as good a table as the other
    table.to_parquet(path, index=False)
    with pytest.raises(Damaged, match=r"events\.parquet was altered.*delete log\.sha256"):
        load_folder(folder)
    (folder / CHECKSUMS).unlink()  # the change was mine
    load_folder(folder)
    path.write_bytes(content)
    (folder / CHECKSUMS).write_text(stated)
    (folder / "users.parquet").unlink()
    with pytest.raises(Damaged, match=r"users\.parquet is missing"):
        load_folder(folder)
    (folder / CHECKSUMS).write_text("nonsense\n")
    with pytest.raises(Damaged, match="no checksum and name"):
        load_folder(folder)
    (folder / CHECKSUMS).write_text("0" * 64 + "  ..\n")
    with pytest.raises(Damaged, match="outside"):
        load_folder(folder)


def test_a_log_toml_is_for_its_owner_and_no_longer_written_over(tmp_path: Path) -> None:
    folder = write_folder(small_log(12, 20), tmp_path / "log")
    write_folder(small_log(12, 20), folder, "csv")
    with (folder / "log.toml").open("a") as file:
        file.write("# mine\n")
    load_folder(folder)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UsageError, match=r"log\.toml, changed since slategym wrote the log"):
        write_folder(small_log(12, 20), folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_the_program_sha256sum_reads_them(tmp_path: Path) -> None:
    folder = write_folder(small_log(12, 20), tmp_path / "log")
    found = subprocess.run(
        ["sha256sum", "-c", CHECKSUMS], cwd=folder, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0 and found.stdout.count(": OK") == 4, found


def test_a_table_of_ones_own_in_the_other_form_is_read_and_kept(tmp_path: Path) -> None:
    folder = write_folder(small_log(12, 20), tmp_path / "log")
    users = pd.read_parquet(folder / "users.parquet")
    users.to_csv(folder / "users.csv", index=False)
    with pytest.raises(UsageError, match=r"users\.csv, changed since slategym wrote the log"):
        write_folder(small_log(12, 20), folder)  # which would delete it
    (folder / "users.parquet").unlink()
    assert list(load_folder(folder).users["key"]) == list(users["user"])


def test_tables_of_datasets_have_no_checksum_of_those_before(tmp_path: Path) -> None:
    folder = write_folder(small_log(12, 20), tmp_path / "log")
    names = ("events", "items", "users")
    other = write_folder(small_log(9, 20), tmp_path / "other")
    tables: Any = {name: pd.read_parquet(other / f"{name}.parquet") for name in names}
    assert len(from_datasets(tables, folder).users) == 9  # a table of datasets writes itself alike
