"""The two figures of a ladder study: where everybody stands, and how learners got there."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from slategym.experiments.report.figures import (
    AGENT_COLOURS,
    GRID,
    Picture,
    draw_interval,
    panels_of,
    save_picture,
    thousands,
)
from slategym.experiments.studies.ladder import Ladder
from slategym.experiments.studies.ladder_numbers import Numbers

LOOK = {"privileged": ("#333333", "D"), "learns": ("#D55E00", "o"), "baseline": ("#0072B2", "s")}
LINES = (*AGENT_COLOURS, "#0072B2", "#009E73", "#56B4E9", "#882255", "#999999", "#000000")


def draw_ladder(study: Ladder, numbers: Numbers, folder: Path) -> Picture:
    """Mean return of every policy in every place, lowest at the bottom."""
    first = study.places[0].name
    order = [rung.policy for rung in numbers.rungs[first]][::-1]
    figure, panels = panels_of(
        1, len(study.places), 1.5 + 0.34 * len(order), sharey=True, sharex=False
    )
    for panel, place in zip(panels, study.places, strict=True):
        for rung in numbers.rungs[place.name]:
            if rung.policy not in order:
                continue
            y, (colour, marker) = order.index(rung.policy), LOOK[rung.kind]
            draw_interval(panel, rung.mean, y, colour, marker)
            if len(rung.by_seed) > 1:
                panel.plot(rung.by_seed, [y - 0.3] * len(rung.by_seed), "|", color=colour, ms=5)
        panel.axvline(
            numbers.of(place.name, study.myopic).mean.value, color=GRID, linewidth=1.2, zorder=0
        )
        panel.set_title(place.name)
        panel.set_xlabel(study.unit)
        panel.set_xlim(left=0)
    panels[0].set_yticks(range(len(order)), order)
    for label in panels[0].get_yticklabels():
        learns = study.kind_of(label.get_text()) == "learns"
        label.set_fontweight("bold" if learns else "normal")
    levels = ", ".join(
        f"{rung.policy} {rung.mean.value:.1f}" for rung in numbers.rungs[first][::-1]
    )
    return save_picture(
        figure,
        folder,
        f"{study.name}-ladder",
        "The ladder",
        "Mean return with 95 % intervals on the same people with the same luck. Circles learn; "
        "squares do not; diamonds are told hidden truths. Small bars are single training seeds, "
        f"the line is {study.myopic}.",
        f"Dot plot of {len(order)} policies in {len(study.places)} places. In {first}, from lowest "
        f"to highest: {levels}.",
    )


def draw_curves(study: Ladder, numbers: Numbers, curves: pd.DataFrame, folder: Path) -> Picture:
    """Return while training against slates, a line per seed, in the places that are no control."""
    places = [place.name for place in study.places if not place.control]
    figure, panels = panels_of(len(places), 1, 0.8 + 2.9 * len(places))
    colours = {learner.name: LINES[n % len(LINES)] for n, learner in enumerate(study.learners)}
    for panel, place in zip(panels, places, strict=True):
        mine = curves[(curves["trained_in"] == place) & curves["return_mean"].notna()]
        for (policy, _), line in mine.groupby(["policy", "seed"], sort=False):
            panel.plot(
                line["steps"], line["return_mean"], color=colours[policy], linewidth=1.3, alpha=0.85
            )
        for level in (study.random, study.myopic, study.reference):
            _level(panel, level, numbers.of(place, level).mean.value)
        panel.set_xscale("log")
        panel.set_title(place)
        panel.set_xlabel("slates shown in training")
        panel.set_ylabel(study.unit)
        panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        panel.xaxis.set_major_formatter(FuncFormatter(thousands))
        panel.xaxis.set_minor_formatter(NullFormatter())
    handles = [Line2D([], [], color=colour, label=name) for name, colour in colours.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False)
    return save_picture(
        figure,
        folder,
        f"{study.name}-curves",
        "Learning curves",
        "Return of sessions during training, exploration included, one line per seed. Dashed: "
        f"{study.random}, {study.myopic} and {study.reference} on evaluation users.",
        f"Line plots of training return against slates for {', '.join(colours)}.",
    )


def _level(panel: Axes, name: str, value: float) -> None:
    panel.axhline(value, color="#666666", linestyle="--", linewidth=1)
    panel.annotate(
        f" {name}", (0, value), xycoords=("axes fraction", "data"), fontsize=7, va="bottom"
    )
