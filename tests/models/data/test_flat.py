"""One table of events becomes a log's folder."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from slategym.envs.names import UsageError
from slategym.experiments.cli.main import answer, build
from slategym.models.data.check import check_folder
from slategym.models.data.flat import part, read_flat
from slategym.models.data.folder import read_folder

ROWS = [
    f"c{n % 4},SKU-{n % 5},2024-01-0{1 + n // 6} 10:{n:02d}:00,{n % 2},{3 + n % 5},"
    f"{('gold', 'none')[n % 4 % 2]},{('app', 'web')[n % 3 % 2]}"
    for n in range(40)
]
HEAD = "Customer_ID,sku,ts,bought,price,card,channel"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "orders.csv"
    path.write_text("\n".join([HEAD, *ROWS]) + "\n")
    return path


def test_columns_go_where_they_belong(table: Path) -> None:
    parted = part(read_flat(table), {})
    assert parted.named == {"user": "Customer_ID", "item": "sku", "time": "ts"}
    assert list(parted.events) == ["user", "item", "time", "bought", "channel"]
    assert list(parted.items) == ["item", "price"] and len(parted.items) == 5
    assert parted.users is not None and list(parted.users) == ["user", "card"]
    assert len(parted.events) == 40 and parted.events["time"][7] == "2024-01-02 10:07:00"


def test_what_happens_once_to_everybody_describes_nobody() -> None:
    table = pd.DataFrame(
        {"uid": list("abcd"), "item": list("wxyz"), "ts": [1, 2, 3, 4], "price": [1, 2, 3, 4]}
    )
    parted = part(table, {})
    assert list(parted.items) == ["item"] and parted.users is None and "price" in parted.events


def test_the_folder_is_one_that_the_check_reads(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "log"
    assert answer(build, ["data", "from-table", str(table), "--out", str(out)]) == 0
    assert answer(build, ["data", "describe", str(out), "--write"]) == 0
    assert "[signals.bought]" in (out / "log.toml").read_text()
    assert not check_folder(out).problems
    assert answer(build, ["data", "from-table", str(table), "--out", str(out)]) == 2


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--user", "who"], "there is no column 'who'; the table has Customer_ID, sku"),
        (["--user", "sku"], "user, item and time are three columns"),
    ],
)
def test_what_cannot_be_is_one_line(
    table: Path, tmp_path: Path, words: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["data", "from-table", str(table), "--out", str(tmp_path / "log"), *words]
    assert answer(build, call) == 2
    said = capsys.readouterr().err
    assert line in said and len(said.splitlines()) == 1
    assert not (tmp_path / "log").exists()


def test_a_column_that_no_name_gives_away_is_asked_for(table: Path) -> None:
    with pytest.raises(UsageError, match=r"which column is the item\? Say so with --item NAME"):
        part(read_flat(table).rename(columns={"sku": "thing"}), {})
    with pytest.raises(UsageError, match=r"ends in \.xlsx; give"):
        read_flat(table.rename(table.with_suffix(".xlsx")))


def test_a_file_in_place_of_a_folder_is_told_the_way(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(build, ["data", "describe", str(table)]) == 2
    assert "is a file; a log is a folder: slategym data from-table" in capsys.readouterr().err


def test_a_formula_is_no_formula_and_a_number_stays_one(tmp_path: Path) -> None:
    rows = [f"u{n % 2},i{n % 2},{n + 1},-{n % 2}.5,{('=1+1', '@now')[n % 2]}" for n in range(8)]
    (tmp_path / "t.csv").write_text("\n".join(["user,item,time,=price,title", *rows]) + "\n")
    call = ["data", "from-table", str(tmp_path / "t.csv"), "--out", str(tmp_path / "log")]
    assert answer(build, call) == 0
    lines = (tmp_path / "log" / "items.csv").read_text().splitlines()
    assert lines == ["item,'=price,title", "i0,-0.5,'=1+1", "i1,-1.5,'@now"]
    assert list(read_folder(tmp_path / "log")[0].items.frame["title"]) == ["=1+1", "@now"]


@pytest.mark.parametrize(
    "content", [b"", b"\0\0", b"user", b"\xff\xfe", b'a,b\n"' + b"x" * 200_000]
)
def test_what_is_no_table_is_one_line(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    call = ["data", "from-table", str(tmp_path / "t.csv"), "--out", str(tmp_path / "log")]
    assert answer(build, call) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and len(said) < 500 and not (tmp_path / "log").exists()


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_what_parts_cells_is_read_off_the_first_line(tmp_path: Path, mark: str) -> None:
    """As spreadsheets write it, with a byte order mark; a letter never parts anything."""
    path = tmp_path / "orders.csv"
    lines = [["user", "item", "ts", "bought"], ["7", "susus", "3", "1"], ["7", "a b", "4", "0"]]
    path.write_text("\ufeff" + "".join(mark.join(line) + "\n" for line in lines))
    assert read_flat(path).to_numpy().tolist() == lines[1:]
    assert list(read_flat(path)) == lines[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("user,item,time,x\n1,2,3,4,5,6\n1,2,3,4\n", "cannot be read"),  # else: shifted by two
        ("user,user,item,time\n1,2,3,4\n", "error: orders.csv: two columns are called 'user'"),
        ("user\n1\n", "which column is the item"),
        ("", "cannot be read"),
    ],
)
def test_no_cell_is_taken_for_anothers(
    tmp_path: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(text)
    assert answer(build, ["data", "from-table", str(path), "--out", str(tmp_path / "log")]) == 2
    err = capsys.readouterr().err
    assert said in " ".join(err.split()) and err.count("\n") == 1
    assert not (tmp_path / "log").exists()


def test_a_columns_name_that_acts_on_terminals_is_spelled_out(tmp_path: Path) -> None:
    """In the comments of log.toml too, which TOML would else refuse to read."""
    path, out = tmp_path / "orders.csv", tmp_path / "log"
    rows = "".join(f"{n % 3},{n % 4},{n},1\n" for n in range(12))
    path.write_text("user,item,time,\x1b]0;owned\x07\n" + rows)
    assert answer(build, ["data", "from-table", str(path), "--out", str(out)]) == 0
    assert answer(build, ["data", "describe", str(out), "--write"]) == 0
    text = (out / "log.toml").read_text()
    assert "owned" in text and "\x1b" not in text
    read_folder(out)
