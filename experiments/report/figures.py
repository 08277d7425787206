"""Figures of a study, as PNG of 1,200 pixels and SVG; legible with any colour vision."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from slategym.experiments.places import Place
from slategym.experiments.report.results import Result
from slategym.experiments.report.svg import drawn
from slategym.experiments.report.words import known_as, tick
from slategym.experiments.statistics.estimate import Estimate
from slategym.experiments.statistics.numbers import Numbers, Standing
from slategym.experiments.study import Study
from slategym.models.files import atomic_path

WIDTH, DPI = 8.0, 150  # inches, dots per inch: 1,200 pixels
INK, GRID = "#222222", "#d9d9d9"
# Okabe and Ito 2008, jfly.uni-koeln.de/color: told apart with any colour vision
AGENT_COLOURS = (
    "#D55E00",
    "#CC79A7",
    "#E69F00",
    "#8C4B00",
    "#882255",
    "#56B4E9",
    "#117733",
    "#000000",
)
ROLE_COLOURS = {"open": "#0072B2", "judge": "#D55E00", "control": "#666666"}
MOST_LADDERS, TITLE_WIDTH = 4, 15  # panels in a row; characters of a title's line, in each
MOST_DIFFERENCES = 3
TICK = 7  # points, of the names of policies
LEGEND = 40  # characters of a line, of which two stand side by side
MARKERS = {"privileged": "D", "learns": "o", "baseline": "s"}


@dataclass(frozen=True)
class Picture:
    """A figure that was drawn."""

    name: str  # also the file's, without suffix
    title: str
    caption: str
    alt: str  # the same for those who cannot see it
    path: Path  # of the PNG
    svg: str  # the same for a page, see `svg`
    cuts: tuple[float, ...] = ()  # between rows of panels, shares of the height from above


def draw_all(result: Result, numbers: Numbers, folder: Path) -> tuple[Picture, ...]:
    """Every figure that the study has data for."""
    found = [draw_ladder(result, numbers, folder)]
    if numbers.differences:
        found.append(draw_differences(result, numbers, folder))
    if not result.reliability.empty:
        found.append(draw_reliability(result, folder))
    if _judged(result.study, numbers):
        found.append(draw_judge(result, numbers, folder))
    return tuple(found)


def draw_ladder(result: Result, numbers: Numbers, folder: Path) -> Picture:
    """Mean return of every policy in every place."""
    standings, study = numbers.ladder, result.study
    places = [p for p in study.main if any(p.name in standing.mean for standing in standings)]
    names = [
        tick(study, s.policy, s.policy + ("*" if s.kind == "privileged" else "")) for s in standings
    ]
    height = 1.0 + row_height(names) * len(standings)
    figure, panels = grid_of(len(places), height, most=MOST_LADDERS, sharex=True, sharey=True)
    low, high = _span(study, standings, places)
    for panel, place in zip(panels, places, strict=True):
        for y, standing in enumerate(standings):
            if place.name not in standing.mean:
                continue
            mean = standing.mean[place.name]
            if not low <= mean.value <= high:
                _outside(panel, mean.value, y, low, high, style_of(standing.policy, study)[0])
                continue
            draw_interval(panel, mean, y, *style_of(standing.policy, study))
            _say(panel, mean, y)
            if len(standing.by_seed[place.name]) > 1:
                colour, seeds = style_of(standing.policy, study)[0], standing.by_seed[place.name]
                panel.plot(seeds, [y - 0.28] * len(seeds), "|", color=colour, markersize=5)
            if standing.policy == study.roles.opponent:
                panel.axvline(mean.value, color=GRID, linewidth=1.2, zorder=0)
        panel.set_title(wrapped(place.heading, TITLE_WIDTH))
        panel.set_xlabel(f"return\n({study.unit})")
        panel.set_xlim(low, high)
        panel.set_ylim(-0.7, len(standings) - 0.2)  # room for the numbers
    for panel in panels[::MOST_LADDERS]:  # of each row the first
        panel.set_yticks(range(len(standings)), names, fontsize=TICK)
        for label, standing in zip(panel.get_yticklabels(), standings, strict=True):
            label.set_fontweight("bold" if standing.kind == "learns" else "normal")
    first = places[0].name
    levels = [f"{r.policy} {r.mean[first].value:.1f}" for r in standings if first in r.mean]
    return save_picture(
        figure,
        folder,
        f"{study.name}-ladder",
        "The ladder of policies",
        "Mean return with 95 % intervals on the same people with the same luck. Circles learn from "
        "slates (in a control: those trained there), small bars are their training seeds; squares "
        "do not; * diamonds are told hidden truths and bound what can be had. The line is "
        f"{study.roles.say(study.roles.opponent)}. The axis fits learners and whom they are "
        "compared with; triangles at its ends point at policies beyond it.",
        f"Dot plot of {len(standings)} policies in {len(places)} places. In {places[0].heading}, "
        f"from lowest to highest: {', '.join(levels)}.",
    )


def _span(
    study: Study, standings: Sequence[Standing], places: Sequence[Place]
) -> tuple[float, float]:
    """Ends of an axis for learners and for whom they are compared with."""
    roles = study.roles
    core = {*study.learned, roles.opponent, *roles.others}
    every = [
        (standing.policy in core, mean)
        for standing in standings
        for place in places
        if (mean := standing.mean.get(place.name)) is not None
    ]
    mine = [mean for matters, mean in every if matters] or [mean for _, mean in every]
    low, high = min(mean.low for mean in mine), max(mean.high for mean in mine)
    room = 0.5 * max(high - low, 1e-9)
    near = [m for _, m in every if low - room <= m.low and m.high <= high + room]
    low, high = min(mean.low for mean in near), max(mean.high for mean in near)
    margin = 0.14 * max(high - low, 1e-9)  # room for the numbers
    return low - margin, high + margin


def _outside(panel: Axes, value: float, y: float, low: float, high: float, colour: str) -> None:
    """A mark at the end of the axis, with the value that lies beyond it."""
    left = value < low
    at, marker = (low, "<") if left else (high, ">")
    panel.plot(at, y, marker, color=colour, markersize=6, clip_on=False)
    panel.annotate(
        f"{value:.1f}",
        (at, y),
        (8 if left else -8, 0),
        textcoords="offset points",
        ha="left" if left else "right",
        va="center",
        fontsize=7,
        color=INK,
    )


def draw_differences(result: Result, numbers: Numbers, folder: Path) -> Picture:
    """Learners minus the opponent and others, with every seed."""
    study = result.study
    every = numbers.differences + numbers.control
    wanted = dict.fromkeys(b for agent in study.ahead for b in study.opponents(agent))
    baselines = [b for b in wanted if any(d.baseline == b for d in numbers.differences)]
    every = tuple(d for d in every if d.baseline in baselines and d.agent in study.ahead)
    lines = list(dict.fromkeys((d.agent, d.place) for d in every))
    names = [
        tick(study, agent, f"{agent} · {study.place(place).heading.split(' (')[0]}")
        for agent, place in lines
    ]
    height = 1.3 + row_height(names) * len(lines)
    figure, panels = grid_of(
        len(baselines), height, most=MOST_DIFFERENCES, sharex=True, sharey=True
    )
    for panel, baseline in zip(panels, baselines, strict=True):
        panel.axvline(0, color=INK, linewidth=1)
        for d in every:
            if d.baseline == baseline:
                y, colour = -lines.index((d.agent, d.place)), _colour_of(study.place(d.place))
                seeds = list(d.by_seed.values())
                panel.plot(seeds, [y - 0.28] * len(seeds), "|", color=colour, markersize=7)
                draw_interval(panel, d.estimate, y, colour, "o")
        panel.set_title(f"minus\n{tick(study, baseline, width=24)}", fontsize=8)
        panel.set_xlabel(f"difference\n({wrapped(study.unit, 2 * TITLE_WIDTH)})", fontsize=8)
    for panel in panels[::MOST_DIFFERENCES]:  # of each row the first
        panel.set_yticks([-y for y in range(len(lines))], names, fontsize=TICK)
    first = [d for d in numbers.differences if d.baseline == baselines[0]]
    opponent = study.roles.say(study.roles.opponent)
    return save_picture(
        figure,
        folder,
        f"{study.name}-differences",
        f"RL minus {opponent}",
        "Paired differences per user and seed with 95 % intervals; small bars are single training "
        "seeds. Where looking ahead is worth nothing, the control, no learner may be ahead.",
        f"Forest plot of paired differences to {opponent}: "
        + "; ".join(f"{d.agent} in {d.place} {d.estimate.signed()}" for d in first)
        + ".",
    )


def draw_reliability(result: Result, folder: Path) -> Picture:
    """Predicted against observed, by model and head."""
    table = result.reliability
    heads, models = (list(dict.fromkeys(table[name])) for name in ("head", "model"))
    figure, panels = panels_of(1, len(heads), 3.4)
    colours = ("#0072B2", *AGENT_COLOURS, "#009E73")
    for panel, head in zip(panels, heads, strict=True):
        mine = table[table["head"] == head]
        values = np.concatenate([mine["predicted"], mine["observed"]])
        low, high = float(values.min()), float(values.max())
        panel.plot([low, high], [low, high], color=INK, linewidth=0.8, linestyle=":")
        for number, model in enumerate(models):
            line = mine[mine["model"] == model].sort_values("predicted")
            size = 12 + 60 * line["count"] / max(1, mine["count"].max())
            colour, shape = colours[number % len(colours)], "osD^v"[number % 5]
            panel.plot(line["predicted"], line["observed"], color=colour, linewidth=1.2)
            panel.scatter(
                line["predicted"], line["observed"], s=size, color=colour, marker=shape, label=model
            )
        panel.set_title(head)
        unit = str(mine["unit"].iloc[0]) if "unit" in mine else "probability"
        panel.set_xlabel(f"predicted ({unit})")
        panel.set_ylabel(f"observed ({unit})")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False
    )
    return save_picture(
        figure,
        folder,
        f"{result.study.name}-reliability",
        "Do the models mean what they say?",
        "What each head predicts against what was observed, in bins; the larger the mark, the more "
        "events. On the dotted line prediction and observation agree.",
        f"Reliability diagrams of the heads {', '.join(heads)} for {', '.join(models)}.",
    )


def _judged(study: Study, numbers: Numbers) -> list[tuple[Place, Place]]:
    """Each judge with the place whose learners it is shown, where policies were read in both."""
    return [
        (study.place(judge.of), judge)
        for judge in study.of_role("judge")
        if any({judge.of, judge.name} <= standing.mean.keys() for standing in numbers.ladder)
    ]


def draw_judge(result: Result, numbers: Numbers, folder: Path) -> Picture:
    """Return in the world against return before the judge, a mark per policy."""
    study = result.study
    place, judge = _judged(study, numbers)[0]
    both = [
        standing for standing in numbers.ladder if {place.name, judge.name} <= standing.mean.keys()
    ]
    level = [
        standing.mean[place.name].value
        for standing in both
        if standing.policy == study.roles.opponent or standing.kind == "learns"
    ]
    upper = [  # without the one that is told the model of either place, far from all others
        standing
        for standing in both
        if standing.mean[place.name].value >= min(level) and standing.policy != study.roles.truth
    ]
    figure, panels = panels_of(1, 2, 3.0 + 0.1 * len(both))  # two columns of names below
    for panel, shown in zip(panels, (both, upper), strict=True):
        for standing in shown:
            x, y = standing.mean[place.name], standing.mean[judge.name]
            colour, shape = style_of(standing.policy, study)
            panel.plot([x.value] * 2, [y.low, y.high], color=colour, linewidth=2)
            draw_interval(panel, x, y.value, colour, shape, known_as(study, standing.policy))
        panel.set_xlabel(f"return, {place.heading}\n({study.unit})")
    panels[0].set_title("all policies")
    panels[1].set_title(
        "the upper end" + (f", without {study.roles.truth}" if study.roles.truth else "")
    )
    panels[0].set_ylabel(f"return, {judge.heading}\n({study.unit})")
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    order = sorted(both, key=lambda standing: standing.mean[judge.name].value)
    return save_picture(
        figure,
        folder,
        f"{study.name}-judge",
        "The world against the judge",
        "Mean return of each policy in both, with 95 % intervals. Policies that only please the "
        "simulator lie below the trend.",
        "Scatter plot of policies. Before the judge, from lowest to highest: "
        + ", ".join(
            f"{standing.policy} {standing.mean[judge.name].value:.1f}" for standing in order
        )
        + ".",
    )


def row_height(names: Sequence[str]) -> float:
    """Of a row that such a name of several lines stands beside, inches."""
    return 0.05 + 0.135 * max(2, *(1 + name.count("\n") for name in names), 0)


def style_of(policy: str, study: Study) -> tuple[str, str]:
    """Colour and marker of a policy, the same in every figure."""
    roles = study.roles
    fixed = {roles.reference: "#882255", roles.random: "#999999"}
    fixed |= {} if roles.truth is None else {roles.truth: "#333333"}
    fixed |= {other: "#009E73" for other in roles.others}
    fixed |= {roles.opponent: "#0072B2"}
    marker = MARKERS[study.kind_of(policy)]
    if policy in study.learned:
        return AGENT_COLOURS[study.learned.index(policy) % len(AGENT_COLOURS)], marker
    return fixed.get(policy, "#56B4E9"), marker


def _colour_of(place: Place) -> str:
    return ROLE_COLOURS.get(place.role, INK)


def draw_interval(
    panel: Axes,
    estimate: Estimate,
    y: float,
    colour: str,
    marker: str,
    name: str | None = None,
    alpha: float = 1.0,
) -> None:
    """A mark and its interval, across the panel at this height."""
    look: dict[str, Any] = {"color": colour, "alpha": alpha}
    panel.plot([estimate.low, estimate.high], [y, y], linewidth=2, **look)
    face = "white" if marker == "D" else colour
    panel.plot(estimate.value, y, marker, markersize=6, markerfacecolor=face, label=name, **look)


def _say(panel: Axes, estimate: Estimate, y: float) -> None:
    """The value in figures, above its mark."""
    panel.annotate(
        f"{estimate.value:.1f}",
        (estimate.value, y),
        (0, 5),
        textcoords="offset points",
        ha="center",
        fontsize=7,
        color=INK,
    )


def panels_of(rows: int, columns: int, height: float, **share: Any) -> tuple[Figure, list[Axes]]:
    """A figure of one size and look, without pyplot's global state."""
    apart = ConstrainedLayoutEngine(hspace=0.06)  # rows: an axis is not the next one's title
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, layout=apart, facecolor="white")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(rows, columns, squeeze=False, **share).flat)
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(color=GRID, linewidth=0.5, alpha=0.6)
        panel.set_axisbelow(True)
        panel.title.set_fontsize(10)
    return figure, panels


def grid_of(count: int, height: float, *, most: int = 4, **share: Any) -> tuple[Figure, list[Axes]]:
    """That many panels side by side, in rows of so many at most; each row is so high, inches."""
    columns = min(count, most)
    rows = -(-count // columns)
    figure, panels = panels_of(rows, columns, rows * height, **share)
    for panel in panels[count:]:
        panel.set_visible(False)
    for panel in panels[:count]:
        panel.tick_params(axis="x", labelbottom=True)  # of every row, though they share an axis
    return figure, panels[:count]


def wrapped(title: str, width: int) -> str:
    """A title in lines short enough not to touch its neighbour's."""
    return "\n".join(textwrap.wrap(title, width, break_long_words=False)) or title


def save_picture(
    figure: Figure, folder: Path, name: str, title: str, caption: str, alt: str
) -> Picture:
    """Write a figure whole or not at all."""
    path = folder / f"{name}.png"
    with atomic_path(path) as temporary:
        figure.savefig(temporary, metadata={"Software": None, "Title": title, "Description": alt})
    figure.set_layout_engine("none")  # it is laid out; once is enough
    return Picture(name, title, caption, alt, path, drawn(figure, name), row_cuts(figure))


def row_cuts(figure: Figure) -> tuple[float, ...]:
    """Where a figure may be cut between its rows of panels, shares of its height from above.

    Rows whose panels reach into each other are not parted.
    """
    height = figure.bbox.height
    panels = [(panel, panel.get_subplotspec()) for panel in figure.axes if panel.get_visible()]
    if len({place.rowspan.start for _, place in panels if place is not None}) < 2:
        return ()  # measuring panels takes as long as drawing them
    rows: dict[int, list[tuple[float, float]]] = {}
    for panel, place in panels:
        box = panel.get_tightbbox()
        if place is not None and box is not None:
            rows.setdefault(place.rowspan.start, []).append((box.y0 / height, box.y1 / height))
    ends = [
        (min(low for low, _ in row), max(high for _, high in row))
        for _, row in sorted(rows.items())
    ]
    return tuple(
        1.0 - (above + below) / 2
        for (above, _), (_, below) in itertools.pairwise(ends)
        if below <= above
    )


def thousands(value: float, position: int) -> str:
    """Tick labels of large counts."""
    if value >= 1e6:
        return f"{value / 1e6:g} M"
    return f"{value / 1e3:g} k" if value else "0"
