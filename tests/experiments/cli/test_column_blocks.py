"""Tables wider than a console lose no number."""

from __future__ import annotations

import io

import pytest
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from slategym.experiments.cli.column_blocks import print_whole


def printed(width: int, keys: int = 1) -> str:
    table = Table(title="figures", caption="of people\nheld out", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("model", no_wrap=True)
    for number in range(9):
        table.add_column(f"figure {number}", justify="right", no_wrap=True)
    table.add_row("ours", *(f"0.1234{number}" for number in range(9)))
    table.add_row("popularity", *(f"0.2234{number}" for number in range(9)))
    file = io.StringIO()
    print_whole(Console(file=file, width=width), table, keys)
    return file.getvalue()


@pytest.mark.parametrize("width", [40, 80, 81, 200])
@pytest.mark.parametrize("keys", [1, 2])
def test_every_number_is_there_once(width, keys):
    text = printed(width, keys)
    assert all(text.count(f"0.1234{n}") == 1 and f"0.2234{n}" in text for n in range(keys, 9)), text
    assert "…" not in text
    assert text.splitlines()[0] == "figures"
    assert max(map(len, text.splitlines())) <= width
    assert text.splitlines()[-2:] == ["of people", "held out"]


def test_what_fits_is_one_table_and_keys_stand_in_every_block():
    assert printed(200).count("popularity") == 1
    narrow = printed(40, keys=2)
    assert narrow.count("popularity") == narrow.count("0.22340") > 2
