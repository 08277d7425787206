"""What the SlateQ study leaves: a report, a Markdown page, rows, and the table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from matplotlib.ticker import FuncFormatter
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from slategym.experiments.report.background import sources
from slategym.experiments.report.figures import (
    AGENT_COLOURS,
    Picture,
    panels_of,
    save_picture,
    thousands,
)
from slategym.experiments.report.ledger import ROWS, SUMMARY, Ledger
from slategym.experiments.report.markup import Html, element, table
from slategym.experiments.report.page import page, section
from slategym.experiments.report.report import figure_of, made_with
from slategym.experiments.runs.progress import duration
from slategym.experiments.runs.store import Store, write_json, write_parquet
from slategym.experiments.statistics.stats import RESAMPLES
from slategym.experiments.studies.slateq import LESSONS, SlateQStudy
from slategym.experiments.studies.slateq_numbers import CEILING, Line, Numbers
from slategym.models.files import atomic_path

TITLE = "SlateQ: the published table, and the value of no click"
QUESTION = (
    "SlateQ's own paper reports at most 174.6 minutes in its simulated world, where knowing which "
    "topics are good on average is enough for 268. What holds it back?"
)
WORLD_HEADS = (
    *("policy", "return", "published", "quality", "published quality"),
    *("by seed", "CPU time per seed"),
)
TWIN_HEADS = ("policy", "return", "minus true-model myopic", "by seed")
CAPTION = "minutes watched per session and mean quality of what was clicked, 95 % intervals"
TWIN_CAPTION = (
    "the static twin, trained and read there: interests stay and every slate costs four minutes"
)
STAR = "* is told the topics' qualities, which nobody is shown."
PUBLISHED = "Ie et al. 2019, arXiv:1905.12767, section 7.2"
NOTES = (
    "Agents see a person's interests, the share of the budget left and the offered topics; the "
    "quality of topics they have to find out. As in the paper they are told the choice model: "
    "the odds of a click are exp(interest - 1).",
    "Prior knowledge, the same for all rows but MYOP: a state's value starts as the budget left "
    "(settings scale=200, prior=21). MYOP is the agent with gamma 0. One training serves the "
    "QL-OT rows of a null value; SARSA-TS and SARSA-GS explore with the slates that they serve.",
    "What the paper did about no click is not stated there; zero is what its reference code does "
    "(RecSim 55e50e4, slate_decomp_q_agent.py). The analytic value is 1.2 times the budget left.",
)


def write_slateq(
    study: SlateQStudy, rows: pd.DataFrame, curves: pd.DataFrame, numbers: Numbers, store: Store
) -> Path:
    """Write everything, each file whole or not at all; the report's path.

    OUT/report.html, OUT/summary.json, OUT/rows.parquet, OUT/curves.parquet, and under OUT/docs a
    Markdown page with its figure, to be kept elsewhere.
    """
    folder = store.folder
    write_parquet(rows, folder / ROWS)
    write_parquet(curves, folder / "curves.parquet")
    picture = draw_curves(numbers, curves, folder / "docs")
    ledger, report = Ledger(), folder / "report.html"
    html = _document(study, numbers, picture, ledger)
    page_text = markdown(study, numbers, picture)
    for path, text in ((report, html), (folder / "docs" / "slateq.md", page_text)):
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    summary = {
        "title": TITLE,
        "answer": list(numbers.answer),
        "control": numbers.control,
        "command": study.command,
        "means": {f"{x.row.name}, {x.row.place}": x.mean.value for x in numbers.lines},
        "numbers": [entry._asdict() for entry in ledger.entries],
        "environment": made_with(),
    }
    write_json(summary, folder / SUMMARY)
    return report


def print_slateq(numbers: Numbers, console: Console) -> None:
    """Both tables, and the two sentences."""
    for title, heads, body in _tables(numbers):
        lines = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for number, head in enumerate(heads):
            lines.add_column(head, justify="right" if number else "left")
        for row in body:
            lines.add_row(*(Text(cell) for cell in row))
        console.print(lines)
    console.print(f"{STAR} Published: {PUBLISHED}.", style="dim", highlight=False)
    tone = "green" if numbers.believed else "red"
    console.print(numbers.distance, style="dim", highlight=False)
    for sentence in (*numbers.answer, numbers.control):
        console.print(Text(sentence, style=f"bold {tone}"))


def draw_curves(numbers: Numbers, curves: pd.DataFrame, folder: Path) -> Picture:
    """Return while training, a line per training of all seeds."""
    figure, panels = panels_of(1, 1, 3.6)
    lessons = [lesson.name for lesson in LESSONS if lesson.place == "world"]
    colours = (*AGENT_COLOURS, "#0072B2", "#009E73", "#56B4E9", "#000000")
    for lesson, colour in zip(lessons, colours, strict=False):
        mine = curves[(curves["lesson"] == lesson) & curves["return_mean"].notna()]
        panels[0].plot(mine["steps"], mine["return_mean"], color=colour, label=lesson)
    for name, value in (
        ("published best", max(x.row.published[0] for x in numbers.lines if x.row.published)),
        (CEILING, numbers.of(CEILING).mean.value),
        ("random", numbers.of("random").mean.value),
    ):
        panels[0].axhline(value, color="#666666", linestyle="--", linewidth=1)
        panels[0].annotate(
            f" {name} {value:.1f}",
            (1, value),
            xycoords=("axes fraction", "data"),
            fontsize=7,
            ha="right",
            va="bottom",
        )
    panels[0].set_xlabel("slates shown in training, each seed")
    panels[0].set_ylabel("minutes per session")
    panels[0].xaxis.set_major_formatter(FuncFormatter(thousands))
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return save_picture(
        figure,
        folder,
        "slateq-curves",
        "Return while training",
        "Sessions that ended since the last point, mean of all seeds, exploration included (all "
        "slates random at first, a tenth from 30 % of the training on). Dashed: read on evaluation "
        "users, or published.",
        f"Line plot of the return of {', '.join(lessons)} against slates of training.",
    )


def markdown(study: SlateQStudy, numbers: Numbers, picture: Picture) -> str:
    """The page for `docs/results`."""
    lines = [f"# {TITLE}", "", QUESTION, "", " ".join(numbers.answer), "", numbers.control, ""]
    for title, heads, body in _tables(numbers):
        lines += [f"{title[0].upper()}{title[1:]}.", ""]
        lines += [f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *body)] + [""]
    lines += [f"{STAR} Published: {PUBLISHED}.", ""]
    lines += [f"![{picture.alt}]({picture.path.name})", "", f"*{picture.caption}*", ""]
    lines += [line for note in (numbers.distance, *NOTES, _how(study)) for line in (note, "")]
    made = ", ".join(f"{name} {value}" for name, value in made_with().items())
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    return "\n".join([*lines, f"Written by `{study.command}` on {day} with {made}."]) + "\n"


def _tables(numbers: Numbers) -> list[tuple[str, Sequence[str], list[list[str]]]]:
    """Title, heads and cells of both tables, as text."""
    return [
        (CAPTION, WORLD_HEADS, [_world_cells(line) for line in numbers.at("world")]),
        (TWIN_CAPTION, TWIN_HEADS, [_twin_cells(line) for line in numbers.at("static")]),
    ]


def _world_cells(line: Line) -> list[str]:
    published = line.row.published
    return [
        line.starred,
        _estimate(line.mean.value, line.mean.low, line.mean.high, "", 1),
        "" if published is None else f"{published[0]:.1f}",
        _estimate(line.quality.value, line.quality.low, line.quality.high, "+", 2),
        "" if published is None else f"{published[1]:+.2f}",
        _by_seed(line),
        "" if line.cpu_seconds is None else duration(line.cpu_seconds),
    ]


def _twin_cells(line: Line) -> list[str]:
    over = line.over_myopic
    assert over is not None
    return [
        line.starred,
        _estimate(line.mean.value, line.mean.low, line.mean.high, "", 1),
        "" if line.row.name == "true-model myopic" else over.signed(),
        _by_seed(line),
    ]


def _estimate(value: float, low: float, high: float, sign: str, digits: int) -> str:
    return f"{value:{sign}.{digits}f} [{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"


def _by_seed(line: Line) -> str:
    if line.row.lesson is None:
        return ""
    return f"{min(line.by_seed):.1f} to {max(line.by_seed):.1f}"


def _how(study: SlateQStudy) -> str:
    size = study.size
    return (
        f"{size.seeds} training seeds, {size.num_steps:,} slates each (40 % of that for MYOP and "
        f"in the twin), {size.users:,} evaluation users whom no training met, with the same luck "
        f"for every row. Intervals hold 95 % of {RESAMPLES:,} bootstrap resamples of people and "
        "training seeds; differences are paired by person and seed."
    )


def _document(study: SlateQStudy, numbers: Numbers, picture: Picture, ledger: Ledger) -> str:
    answer = element(
        "div",
        *(element("p", sentence) for sentence in (*numbers.answer, numbers.control)),
        class_=f"verdict {'wins' if numbers.believed else 'bad'}",
    )
    world = [_world_html(line, ledger) for line in numbers.at("world")]
    twin = [_twin_html(line, ledger) for line in numbers.at("static")]
    settings = [
        [lesson.name, ", ".join(f"{key}={value}" for key, value in asdict(lesson.settings).items())]
        for lesson in LESSONS
    ]
    image = figure_of(picture.path, picture.alt, picture.title, picture.caption)
    made = ", ".join(f"{name} {value}" for name, value in made_with().items())
    notes = (numbers.distance, *NOTES, _how(study))
    published = element("p", f"{STAR} Published: {PUBLISHED}.", class_="soft")
    parts: list[tuple[str, str, Sequence[Html | None]]] = [
        ("answer", "Answer", [element("p", QUESTION), answer]),
        ("table", "The table", [table(CAPTION, WORLD_HEADS, world, wide=True), published]),
        ("curves", "Learning", [image]),
        ("control", "Where planning is worth nothing", [table(TWIN_CAPTION, TWIN_HEADS, twin)]),
        ("notes", "Notes", [element("p", note) for note in notes]),
        ("learners", "Settings", [table("Of every training.", ["training", "settings"], settings)]),
        (
            "repeat",
            "Repeat it",
            [element("pre", element("code", study.command)), element("p", made, class_="soft")],
        ),
        ("sources", "Every number", [*sources(ledger)]),
    ]
    contents = [(name, title) for name, title, _ in parts]
    body = [section(name, title, *content) for name, title, content in parts]
    return page(TITLE, element("h1", TITLE), contents, body)


def _world_html(line: Line, ledger: Ledger) -> list[str]:
    cells = _world_cells(line)
    cells[1] = ledger.estimate(line.mean, digits=1)
    cells[3] = ledger.estimate(line.quality, signed=True)
    return cells


def _twin_html(line: Line, ledger: Ledger) -> list[str]:
    cells, over = _twin_cells(line), line.over_myopic
    cells[1] = ledger.estimate(line.mean, digits=1)
    if cells[2] and over is not None:
        cells[2] = ledger.estimate(over, signed=True)
    return cells
