"""The classics as lines of the comparison, read once and kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn

from slategym.models.classics.figures import NAMES, classic_figures
from slategym.models.classics.reading import Reading
from slategym.models.console import plain_console
from slategym.models.data.log import Log
from slategym.models.data.slates import has_slates
from slategym.models.files import kept
from slategym.models.multitask.scores import Figures, defined
from slategym.models.text.settings import DEFAULT_ENCODER
from slategym.models.text.vectors import item_text_vectors

FORMAT = 4  # of the classics and their search; a change of either is a new one
CHOSEN = ("click", "hr", "ndcg")  # figures of what is chosen begin so, others are of values
FIRST = "values are judged at the first click of each slate, those of the network at all"
TREES = Figures("boosted trees", {}, ("need scikit-learn, pip install 'slategym[classics]'",))


def classic_rows(name: str, reading: Reading, *, progress: bool) -> list[Figures]:
    """Every classic's figures on a split.

    Args:
        name: of the split.
        reading: which rows are for what.
        progress: whether to show a bar on stderr, and what was read.
    """
    trees = find_spec("sklearn") is not None
    log, console = reading.log, plain_console(stderr=True, quiet=not progress)

    def read() -> list[dict[str, Any]]:
        text_ND0 = item_text_vectors(log.items["text"].tolist(), progress=progress)
        rows: list[dict[str, Any]] = []
        with _bar(console, shown=progress) as bar:
            shown = bar.add_task("classics", total=len(NAMES))

            def begins(one: str) -> None:
                bar.update(shown, description=f"classics: {one}", completed=NAMES.index(one))

            for row in classic_figures(reading, text_ND0, trees=trees, begins=begins):
                bar.console.print(f"{row.model}: {row.seconds:.0f} s", highlight=False)
                figures = _noted(defined(row.model, row.figures), log).to_json()
                told = {"settings": dict(row.settings), "seconds": row.seconds}
                rows.append({"figures": figures, **told})
            bar.update(shown, description="classics", completed=len(NAMES))
        return rows

    decides = [log.sha256, name, reading.refit, reading.max_history, reading.negatives]
    decides += [reading.seed, DEFAULT_ENCODER, trees, FORMAT]
    found: list[Mapping[str, Any]] = kept(_place(log, name), decides, read)
    rows = [Figures.from_json(row["figures"]) for row in found]
    return rows if trees else [*rows, TREES]


def _noted(figures: Figures, log: Log) -> Figures:
    """With a sentence on which rows its values are of, where these are not all clicked ones."""
    if not has_slates(log) or all(name.startswith(CHOSEN) for name in figures.values):
        return figures
    return replace(figures, notes=(*figures.notes, FIRST))


def _bar(console: Console, *, shown: bool) -> Progress:
    """How many classics are read, which one is being fitted, and since when."""
    columns: list[ProgressColumn] = [
        TextColumn("{task.description}"),
        BarColumn(bar_width=12),
        TextColumn("{task.completed}/{task.total} classics"),
        TimeElapsedColumn(),
    ]
    return Progress(*columns, console=console, disable=not shown)


def _place(log: Log, split: str) -> str:
    return f"figures/{log.name}-{split}-classics".lower().replace(" ", "-")
