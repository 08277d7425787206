"""Titles, topics and labels of strangers act upon no terminal, page or report."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from made_up import episode_rows, result, study
from rich.table import Table
from rich.text import Text
from small_worlds import small_log
from toy_units import toy

from slategym.envs.names import in_markdown
from slategym.experiments.report.markdown import markdown
from slategym.experiments.report.terminal import print_report
from slategym.experiments.runs.progress import View
from slategym.experiments.statistics.numbers import compute_numbers
from slategym.models.console import plain_console
from slategym.models.people.card import write_card

HOSTILE = "[/b]x[red]y[link=http://evil]z[/link] \x1b]0;owned\x07\x1b[31m\r\x9b2J<b>|](http://evil)"
OURS = re.compile(r"\x1b\[[\d;]*m|\x1b\[\?25[lh]|\x1b\[\d*[AK]|\r")  # of rich's own styles and bars


def shown_on_a_terminal(thing: Any) -> str:
    """What reaches the terminal, without rich's own codes."""
    console = plain_console()
    console._force_terminal = True
    console.width, console.file = 400, io.StringIO()
    console.print(thing)
    return OURS.sub("", console.file.getvalue())


def things() -> Iterator[Any]:
    yield HOSTILE
    yield Text(HOSTILE, style="bold")
    table = Table(title=HOSTILE, caption=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    yield table


@pytest.mark.parametrize("thing", list(things()), ids=lambda thing: type(thing).__name__)
def test_whatever_is_printed_is_text(thing: Any) -> None:
    shown = shown_on_a_terminal(thing)
    assert not set(shown) & {"\x1b", "\x07", "\x9b", "\r"}
    for part in ("[/b]x[red]y[link=http://evil]z[/link]", r"\x1b[31m", "](http://evil)"):
        assert part in shown


def test_what_an_encoding_lacks_is_spelled_out() -> None:
    """A terminal of ASCII alone; the word for more would have ended the command."""
    ascii_only = {"PYTHONIOENCODING": "ascii", "COLUMNS": "40"}
    told = subprocess.run(
        [sys.executable, "-c", "from slategym.experiments.cli.main import main; main()", "worlds"],
        env={**os.environ, **ascii_only}, capture_output=True, text=True,
    )  # fmt: skip
    assert told.stderr == "" and r"\u2026" in told.stdout and "InterestEvo" in told.stdout


def test_the_view_of_a_study() -> None:
    unit = replace(toy(1), label=HOSTILE)
    console = plain_console()
    console.width, console.file = 400, io.StringIO()
    with View([unit], 0, console) as view:
        view.start(unit)
        view.progress(unit, 1, 2, HOSTILE)
        assert "[/b]x[red]y" in shown_on_a_terminal(view.render())
        view.finish(unit)
    shown = console.file.getvalue()
    assert "[/b]x[red]y" in shown and r"\x1b[31m" in shown and "\x1b" not in shown


def test_a_studys_tables_and_page() -> None:
    place = replace(study().places[0], title=HOSTILE)
    words = {"unit": HOSTILE, "title": HOSTILE, "question": HOSTILE, "notes": (HOSTILE,)}
    hostile = replace(study(), places=(place, *study().places[1:]), **words)
    rows = episode_rows()
    told = result(rows, study=hostile)
    numbers = compute_numbers(hostile, rows, pd.DataFrame())
    console = plain_console()
    console.width, console.file = 1000, io.StringIO()
    print_report(told, numbers, console)
    shown = console.file.getvalue()
    assert "[/b]x[red]y" in shown and "\x1b" not in shown
    page = markdown(told, numbers, (), {})
    assert in_markdown(HOSTILE) in page
    assert "<b>" not in page and "](http" not in page and "\x1b" not in page


def test_a_models_card(tmp_path: Path) -> None:
    log = replace(small_log(), name=HOSTILE)
    write_card(tmp_path, log, "factor", "x", {"people": 1, "party": "A", "held": 1}, "y")
    text = (tmp_path / "README.md").read_text()
    assert "<b>" not in text and "](http" not in text and "\x1b" not in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain words", "plain words"),
        ("a|b", r"a\|b"),
        ("<script>", "&lt;script>"),
        ("[x](javascript:y)", r"[x]\(javascript:y)"),
        ("AT&T", "AT&amp;T"),
        ("\x1b[31m\n# big", r"\x1b[31m\n# big"),
    ],
)
def test_words_in_markdown(text: str, shown: str) -> None:
    assert in_markdown(text) == shown
