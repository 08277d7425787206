"""Differences over strengths of an assumption: one figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from slategym.experiments.report.figures import (
    GRID,
    INK,
    Picture,
    panels_of,
    save_picture,
    style_of,
    wrapped,
)
from slategym.experiments.report.results import Result
from slategym.experiments.report.words import known_as
from slategym.experiments.statistics.differences import Difference
from slategym.experiments.statistics.numbers import Numbers
from slategym.experiments.statistics.words import signed_number


def draw_sensitivity(result: Result, numbers: Numbers, folder: Path) -> Picture:
    """Differences over strengths of the assumption that the study sweeps over."""
    study, sweep = result.study, result.study.sweep
    assert sweep is not None
    grid: dict[tuple[str, str, str], list[Difference]] = {}
    for d in numbers.sensitivity:
        grid.setdefault((d.place, d.agent, d.baseline), []).append(d)
    places = list(dict.fromkeys(place for place, _, _ in grid))
    agents = list(dict.fromkeys(agent for _, agent, _ in grid))
    figure, panels = panels_of(len(places), len(agents), 0.7 + 2.8 * len(places), sharey=True)
    for i, (place, agent) in enumerate((p, a) for p in places for a in agents):
        panel = panels[i]
        panel.axhline(0, color=INK, linewidth=1)
        panel.axvline(sweep.value, color=GRID, linewidth=1.5, zorder=0)
        for n, baseline in enumerate((study.roles.opponent, *study.roles.others)):
            colour, dash = style_of(baseline, study)[0], ("-", "--", ":", "-.")[n % 4]
            label = f"minus {known_as(study, baseline)}"
            _band(panel, grid.get((place, agent, baseline), []), colour, dash, label)
        title = f"{known_as(study, agent)}, {study.place(place).heading}"
        panel.set_title(wrapped(title, 64 // len(agents)))
        panel.set_xlabel(f"strength of {sweep.name} ({sweep.unit})")
        if i % len(agents) == 0:
            panel.set_ylabel(f"difference\n({study.unit})")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False
    )
    best = numbers.verdict.agent or agents[0]
    levels = [
        f"{signed_number(d.estimate.value)} at {d.strength:g}"
        for d in grid.get((places[0], best, study.roles.opponent), [])
    ]
    return save_picture(
        figure,
        folder,
        f"{study.name}-sensitivity",
        f"How much hangs on the assumed {sweep.name}",
        f"Paired differences with 95 % intervals when {sweep.name} is weaker or stronger than "
        "assumed. The vertical line is the study's strength, set before any policy was trained.",
        f"Line plots of differences against the strength of {sweep.name}; {best} minus "
        f"{study.roles.opponent} in {study.place(places[0]).heading}: {', '.join(levels)}.",
    )


def _band(
    panel: Axes, differences: Sequence[Difference], colour: str, dash: str, name: str
) -> None:
    x = np.array([d.strength for d in differences], dtype=float)
    panel.plot(
        x, [d.estimate.value for d in differences], "o" + dash, color=colour, label=name, ms=4
    )
    panel.fill_between(
        x,
        [d.estimate.low for d in differences],
        [d.estimate.high for d in differences],
        color=colour,
        alpha=0.14,
        linewidth=0,
    )
