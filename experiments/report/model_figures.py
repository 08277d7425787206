"""Figures of a supervised model's life, in the look of a study's figures."""

from __future__ import annotations

from pathlib import Path

from slategym.experiments.report.figures import (
    INK,
    ROLE_COLOURS,
    Picture,
    panels_of,
    save_picture,
)
from slategym.experiments.statistics.words import per_cent
from slategym.models.multitask.scores import heading
from slategym.models.quality.drift import DriftReport
from slategym.models.quality.labels import ASKED, ONLY, RANDOM, LabelCurve

WAYS = {ONLY: ("#666666", "s"), RANDOM: ("#0072B2", "o"), ASKED: ("#D55E00", "^")}
OLD, NEW = ROLE_COLOURS["control"], ROLE_COLOURS["open"]


def draw_drift(report: DriftReport, folder: Path) -> Picture:
    """How far things moved beside chance, and what the newer model gains and forgets."""
    lines = max(len(report.shifts), len(report.readings), 4)
    figure, (left, right) = panels_of(1, 2, 1.4 + 0.26 * lines)
    names = [shift.name for shift in report.shifts]
    for y, shift in enumerate(report.shifts):
        left.barh(y, shift.distance, color=NEW if shift.moved else OLD, height=0.6)
        left.plot([shift.null] * 2, [y - 0.4, y + 0.4], color=INK, linewidth=1.5)
    left.set_yticks(range(len(names)), names, fontsize=8)
    left.invert_yaxis()
    left.set_xlabel("Jensen-Shannon divergence, bits (line: 95 % of chance)")
    left.set_title("What moved in the log")
    for y, reading in enumerate(report.readings):
        c, colour = reading.change, NEW if reading.rows == "new" else OLD
        right.plot([c.low, c.high], [y, y], color=colour, linewidth=2)
        right.plot(c.value, y, "o", color=colour, markersize=5)
    labels = [f"{heading(r.figure)}, {r.rows}" for r in report.readings]
    right.set_yticks(range(len(labels)), labels, fontsize=8)
    right.invert_yaxis()
    right.axvline(0.0, color=INK, linewidth=1)
    right.set_xlabel("model after minus model before, 95 % interval")
    right.set_title("Held-out rows, old and new")
    return save_picture(
        figure,
        folder,
        "drift",
        "What moved since the model was fitted",
        "Left: distance between old and new rows; the line is where 95 % of distances lie if "
        "nothing moved. Right: change of each figure on rows of people held out, people drawn "
        "again; of errors (RMSE, ECE) less is better.",
        f"Bars of drift and changes of figures with intervals. {' '.join(report.summary())}",
    )


def draw_label_curve(curve: LabelCurve, folder: Path) -> Picture:
    """Each figure of the labelled signals by budget, a line for each way to spend it."""
    names = curve.figure_names
    figure, panels = panels_of(1, len(names), 3.4)
    for panel, name in zip(panels, names, strict=True):
        for way, (colour, mark) in WAYS.items():
            found = [curve.mean(way, share, name) for share in curve.shares]
            mean, error = (list(values) for values in zip(*found, strict=True))
            panel.errorbar(
                curve.shares, mean, error, color=colour, marker=mark, ms=4, lw=1.5, label=way
            )
        panel.set_xscale("log")
        panel.set_xticks(curve.shares, [per_cent(share) for share in curve.shares])
        panel.minorticks_off()
        panel.set_xlabel("share of the pool's labels")
        panel.set_title(heading(name))
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False
    )
    return save_picture(
        figure,
        folder,
        "label-curve",
        f"{curve.log}: what labels buy",
        "Mean over seeds, bars one standard error. Equal budgets: random rows alone, the same with "
        "the clicks of all rows, and rows asked for where the model was least certain.",
        f"Line plots of {', '.join(map(heading, names))} by budget. {' '.join(curve.summary())}",
    )
