"""A validation as a page: the result first, a line a check, both sides of what can be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from slategym.experiments.report.figures import INK, Picture, grid_of, save_picture
from slategym.experiments.report.markup import Html, code_block, element, table
from slategym.experiments.report.page import page, section
from slategym.experiments.report.report import figure_of
from slategym.experiments.validation.lines import STATUSES, Line
from slategym.experiments.validation.validate import Validation
from slategym.models.files import checked_path

LOG_COLOUR, WORLD_COLOUR = "#0072B2", "#D55E00"
MOST_PANELS, BARS, BINS = 9, 12, 24


def write_validation(found: Validation, world: str, log: str, folder: Path, repeat: str) -> Path:
    """The page and its figure.

    Args:
        found: the result.
        world: what it is called.
        log: the same.
        folder: made if absent.
        repeat: command that does it again.

    Returns:
        The page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    picture = draw_sides(found, world, log, folder)
    title = f"Is {world} like {log}?"
    header = Html(
        element("h1", title)
        + element("div", element("p", found.sentence), class_="verdict")
        + element(
            "p",
            f"The world was shown {found.shown}. A figure counts as far as luck does not explain "
            "it; bounds are conventions and stand beside it.",
        )
    )
    sections = [
        section("checks", "Checks, the worst first", _checks(found.lines)),
        section(
            "sides",
            picture.title,
            figure_of(picture),
        ),
        section("repeat", "Repeat it", code_block(repeat)),
    ]
    contents = [("checks", "Checks"), ("sides", "Side by side"), ("repeat", "Repeat it")]
    path = folder / "validation.html"
    with checked_path(path) as temporary:
        temporary.write_text(page(title, header, contents, sections), encoding="utf-8")
    return path


def _checks(lines: Sequence[Line]) -> Html:
    ordered = sorted(lines, key=lambda line: STATUSES.index(line.status))
    body = [
        [line.check, line.status, line.said, "" if line.bounds is None else str(line.bounds)]
        for line in ordered
    ]
    return table("A line a check", ["check", "", "what was found", "bounds"], body, wide=True)


def draw_sides(found: Validation, world: str, log: str, folder: Path) -> Picture:
    """Distributions of the log and of the world over each other."""
    columns = _drawn(found)
    figure, panels = grid_of(len(columns), 2.3, most=3)
    for panel, (name, sides) in zip(panels, columns, strict=True):
        _draw(panel, sides)
        panel.set_title(name)
    panels[0].legend(fontsize=8)
    caption = (
        f"Shares of visits, or of clicks, in the log (blue) and in {world} (orange), under "
        f"{found.shown}."
    )
    alt = f"{len(columns)} panels: {', '.join(name for name, _ in columns)}. {found.sentence}"
    return save_picture(
        figure, folder, "validation", f"{log} and {world} side by side", caption, alt
    )


def _drawn(found: Validation) -> list[tuple[str, tuple[pd.Series, pd.Series]]]:
    """What has two sides: lengths, values, context; a panel each."""
    panels: list[tuple[str, tuple[pd.Series, pd.Series]]] = []
    logged, played = found.rows

    def add(name: str, one: pd.Series, other: pd.Series) -> None:
        one, other = one.dropna(), other.dropna()
        if len(one) and len(other) and len(panels) < MOST_PANELS:
            panels.append((name, (one, other)))

    for name, column, how in (
        ("slates", "slate", "nunique"),
        ("clicks", "click", "sum"),
    ):
        sides = [rows.groupby("visit")[column].agg(how) for rows in found.rows]
        if column == "slate" and all((rows["click"] > 0).all() for rows in found.rows):
            continue  # without slates every row is a click
        add(f"{name} of a {found.unit}", *sides)
    known = {"user", "visit", "slate", "turn", "position", "item", "click", "days", "expected"}
    context = [name for name in logged.columns if name not in known]
    took = [rows[rows["click"] > 0] for rows in found.rows]
    values = [name for name in context if logged[name].dtype.kind == "f" and name != "hour"]
    for name in values:
        add(name, took[0][name], took[1][name])
    for name in context:
        if name not in values and name in played:
            firsts = [rows.groupby("visit")[name].first() for rows in found.rows]
            if name == "hour":
                firsts = [x.astype(int) for x in firsts]
            add(name, *firsts)
    return panels


def _draw(panel: Axes, sides: tuple[pd.Series, pd.Series]) -> None:
    both = pd.concat(sides)
    colours = ((LOG_COLOUR, "log"), (WORLD_COLOUR, "world"))
    if both.dtype.kind in "OU" or both.nunique() <= BARS:
        names = sorted(both.unique())
        for n, (side, (colour, label)) in enumerate(zip(sides, colours, strict=True)):
            share = side.value_counts(normalize=True).reindex(names, fill_value=0.0)
            panel.bar(np.arange(len(names)) + 0.4 * n - 0.2, share, 0.4, color=colour, label=label)
        words = [f"{x:g}" if isinstance(x, (int, float, np.number)) else str(x) for x in names]
        panel.set_xticks(range(len(names)), words, fontsize=7, rotation=0 if len(names) < 8 else 60)
    else:
        low, high = np.quantile(both.astype(float), [0.0, 0.99])
        edges = np.linspace(low, max(high, low + 1e-9), BINS)
        for side, (colour, label) in zip(sides, colours, strict=True):
            weight = np.full(len(side), 1 / len(side))
            clipped = side.astype(float).clip(upper=float(edges[-1]))
            panel.hist(clipped, list(edges), weights=weight, color=colour, alpha=0.55, label=label)
    panel.set_ylabel("share", color=INK)
