import re
from pathlib import Path

import pandas as pd
import pytest

from slategym.models.data.folder import load_folder, read_tables
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
    assert log.events["click"].tolist() == [1, 0]
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
    assert unused_columns(read_tables(folder)) == {"items.csv": ["shelf"]}


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


def test_a_date_in_parquet_is_refused(folder: Path) -> None:
    frame = pd.read_csv(folder / "events.csv", dtype={"user": str, "item": str}, na_values=[])
    frame["time"] = pd.to_datetime(frame["time"], unit="s")
    (folder / "events.csv").unlink()
    frame.to_parquet(folder / "events.parquet")
    refuse(folder, "events.parquet, row 0: column 'time' holds '1997-12-04")


def test_a_table_is_missing(folder: Path) -> None:
    (folder / "items.csv").unlink()
    refuse(folder, "neither items.csv nor items.parquet is there")


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
