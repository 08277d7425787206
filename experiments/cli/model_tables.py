"""What `evaluate-model` prints beside its comparison: groups, and a saved model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from slategym.experiments.cli.column_blocks import print_whole
from slategym.models.console import plain_console
from slategym.models.multitask.scores import heading

if TYPE_CHECKING:
    from slategym.models.quality.groups import GroupReport

SHOWN = ("_auc", "_ece", "hr10", "_rmse", "_rmsle")  # figures of groups, by their ends


def print_groups(console: Console, report: GroupReport) -> None:
    """A table of every group, then the gaps in sentences, the largest first."""
    names = dict.fromkeys(n for group in report.groups for n in group.figures if n.endswith(SHOWN))
    table = Table(
        title="groups: value [95 %, people drawn again]",
        box=SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("group", no_wrap=True)
    for count in ("rows", "people"):
        table.add_column(count, justify="right", no_wrap=True)
    for name in names:
        table.add_column(heading(name), justify="right", no_wrap=True)
    for group in report.groups:
        found = (group.figures.get(name) for name in names)
        cells = [
            ""
            if f is None or f.value != f.value
            else f"{f.value:.3f}"
            if f.low != f.low
            else f"{f.value:.3f} [{f.low:.2f}, {f.high:.2f}]"
            for f in found
        ]
        counts = (f"{group.rows:,}", f"{group.people:,}")
        table.add_row(f"{group.column}: {group.name}", *counts, *cells)
    print_whole(console, table)
    for line in report.summary():
        console.print(line, highlight=False, soft_wrap=True)


def print_label_curve(log: str, seeds: int, device: str, as_json: bool, quiet: bool) -> None:
    """Train with budgets of labels; a table, the nulls, a figure in runs/."""
    from pathlib import Path

    from slategym.experiments.report.model_figures import draw_label_curve
    from slategym.models.data.datasets import load_log
    from slategym.models.quality.labels import WAYS, label_curve

    found = load_log(log, progress=not quiet)
    curve = label_curve(found, seeds=seeds, device=device, progress=not quiet)
    picture = draw_label_curve(curve, Path("runs") / f"labels-{found.name}")
    if as_json:
        told = {**curve.to_json(), "figure": str(picture.path)}
        typer.echo(json.dumps(told, indent=1, allow_nan=False))
        return
    table = Table(
        title=f"{curve.log}: figures by budget of labels, mean and standard error over seeds",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("labels", no_wrap=True)
    table.add_column("way", no_wrap=True)
    for name in curve.figure_names:
        table.add_column(heading(name), justify="right", no_wrap=True)
    for share in curve.shares:
        count = next(p.labels for p in curve.points if p.share == share)
        for way in WAYS:
            cells = (curve.mean(way, share, name) for name in curve.figure_names)
            table.add_row(
                f"{count:,} ({share:.0%})", way, *(f"{m:.4f} ± {e:.4f}" for m, e in cells)
            )
    console = plain_console(soft_wrap=True)
    print_whole(console, table, keys=2)
    for line in (*curve.summary(), curve.protocol, f"figure: {picture.path}"):
        console.print(line)


def print_saved(
    source: str, log: str, groups: bool, seed: int, device: str, as_json: bool, quiet: bool
) -> None:
    """Figures of a saved model on the rows of a log that it was not fitted on."""
    from slategym.models.data.datasets import load_log
    from slategym.models.multitask.network import MultiTaskBert
    from slategym.models.quality.saved import read_saved

    model = MultiTaskBert.from_pretrained(source).to(device)
    found = load_log(log, progress=not quiet)
    reading = read_saved(model, found, seed=seed, progress=not quiet)
    figures = reading.figures(source)
    report = reading.groups(seed) if groups else None
    if as_json:
        told = {"dataset": found.name, **figures.to_json(), "protocol": reading.protocol}
        told |= {} if report is None else {"groups": report.to_json()}
        typer.echo(json.dumps(told, indent=2, allow_nan=False))
        return
    console = plain_console(soft_wrap=True)
    for name, value in figures.values.items():
        console.print(f"{heading(name)}: {value:.4f}")
    for note in (*figures.notes, reading.protocol):
        console.print(note)
    if report is not None:
        print_groups(plain_console(), report)
