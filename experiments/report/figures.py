"""Figures of a study as PNG, 1,200 pixels wide, legible to people with any colour vision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter

from slategym.experiments.report.results import StudyResult
from slategym.experiments.statistics.numbers import PLACES, Difference, Numbers, kind_of
from slategym.experiments.statistics.stats import Estimate
from slategym.experiments.statistics.verdict import Roles
from slategym.models.files import atomic_path

WIDTH, DPI = 8.0, 150  # inches, dots per inch: 1,200 pixels
INK, GRID = "#222222", "#d9d9d9"
# Okabe and Ito 2008, jfly.uni-koeln.de/color: told apart with any colour vision
AGENT_COLOURS = ("#D55E00", "#CC79A7", "#E69F00", "#8C4B00")
PLACE_COLOURS = {"world": "#0072B2", "judge": "#D55E00", "static": "#666666"}
PLACE_NAMES = {
    "world": "simulated world",
    "judge": "independent judge",
    "static": "static twin (control)",
}


@dataclass(frozen=True)
class Picture:
    """A figure that was drawn."""

    name: str  # also the file's, without suffix
    title: str
    caption: str
    alt: str  # the same for those who cannot see it
    path: Path


def draw_all(result: StudyResult, numbers: Numbers, folder: Path) -> tuple[Picture, ...]:
    """Every figure that the study has data for."""
    found = [draw_ladder(result, numbers, folder), draw_differences(result, numbers, folder)]
    if not result.curves.empty:
        found.append(draw_curves(result, numbers, folder))
    if not result.reliability.empty:
        found.append(draw_reliability(result, folder))
    found.append(draw_judge(result, numbers, folder))
    if numbers.sensitivity:
        found.append(draw_sensitivity(result, numbers, folder))
    return tuple(found)


def draw_ladder(result: StudyResult, numbers: Numbers, folder: Path) -> Picture:
    """Mean return of every policy in every place."""
    rungs, roles = numbers.ladder, result.roles
    places = [p for p in PLACES if any(p in rung.mean for rung in rungs)]
    figure, panels = panels_of(1, len(places), 1.3 + 0.36 * len(rungs), sharex=True, sharey=True)
    for panel, place in zip(panels, places, strict=True):
        for y, rung in enumerate(rungs):
            if place in rung.mean:
                draw_interval(panel, rung.mean[place], y, *_style(rung.policy, roles))
                _say(panel, rung.mean[place], y)
            if rung.policy == roles.supervised and place in rung.mean:
                panel.axvline(rung.mean[place].value, color=GRID, linewidth=1.2, zorder=0)
        panel.set_title(PLACE_NAMES[place])
        panel.set_xlabel(f"return\n({roles.unit})")
        panel.margins(x=0.16, y=0.08)  # room for the numbers
    names = [rung.policy + ("*" if rung.kind == "privileged" else "") for rung in rungs]
    panels[0].set_yticks(range(len(rungs)), names)
    for label, rung in zip(panels[0].get_yticklabels(), rungs, strict=True):
        label.set_fontweight("bold" if rung.kind == "learns" else "normal")
    levels = [f"{rung.policy} {rung.mean['world'].value:.1f}" for rung in rungs]
    return save_picture(
        figure,
        folder,
        "ladder",
        "The ladder of policies",
        "Mean return with 95 % intervals on the same users with the same luck. Circles learn by "
        "RL (in the static twin: those trained there); squares do not; * diamonds are told hidden "
        "truths and bound what can be had. The line is the supervised ranker.",
        f"Dot plot of {len(rungs)} policies in {len(places)} places. In the world, from lowest to "
        f"highest: {', '.join(levels)}.",
    )


def draw_differences(result: StudyResult, numbers: Numbers, folder: Path) -> Picture:
    """Agents minus supervised and minus the cap, with every seed."""
    roles = result.roles
    baselines = (roles.supervised, roles.capped)
    every = numbers.differences + numbers.control
    agents = list(dict.fromkeys(d.agent for d in every))
    lines = [(agent, place) for agent in agents for place in PLACES]
    figure, panels = panels_of(1, 2, 1.3 + 0.42 * len(lines), sharex=True, sharey=True)
    for panel, baseline in zip(panels, baselines, strict=True):
        panel.axvline(0, color=INK, linewidth=1)
        for d in every:
            if d.baseline == baseline:
                y = -lines.index((d.agent, d.place))
                panel.plot(
                    list(d.by_seed.values()),
                    [y - 0.28] * len(d.by_seed),
                    "|",
                    color=PLACE_COLOURS[d.place],
                    markersize=7,
                )
                draw_interval(panel, d.estimate, y, PLACE_COLOURS[d.place], "o")
        panel.set_title(f"minus {baseline}")
        panel.set_xlabel(f"difference ({roles.unit})")
    names = [f"{agent} · {PLACE_NAMES[place].split(' (')[0]}" for agent, place in lines]
    panels[0].set_yticks([-y for y in range(len(lines))], names)
    world = [d for d in numbers.differences if d.baseline == roles.supervised]
    return save_picture(
        figure,
        folder,
        "differences",
        "RL minus the supervised ranker, and minus the tuned cap",
        "Paired differences per user and seed with 95 % intervals; small bars are single training "
        "seeds. In the static twin, the negative control, the difference to the supervised ranker "
        "must contain zero; the cap plays no part there.",
        "Forest plot of paired differences to the supervised ranker: "
        + "; ".join(f"{d.agent} in the {PLACE_NAMES[d.place]} {d.estimate.signed()}" for d in world)
        + ".",
    )


def draw_curves(result: StudyResult, numbers: Numbers, folder: Path) -> Picture:
    """Return while training, one line per seed."""
    curves, roles = result.curves, result.roles
    places = [p for p in ("world", "static") if (curves["trained_in"] == p).any()]
    agents = [a for a in roles.agents if (curves["policy"] == a).any()]
    figure, panels = panels_of(len(places), len(agents), 2.9 * len(places), sharey="row")
    level = next(rung for rung in numbers.ladder if rung.policy == roles.supervised).mean
    for i, (place, agent) in enumerate((p, a) for p in places for a in agents):
        panel = panels[i]
        mine = curves[(curves["policy"] == agent) & (curves["trained_in"] == place)]
        for _, line in mine.sort_values("steps").groupby("seed"):
            colour = _style(agent, roles)[0]
            panel.plot(line["steps"], line["return_mean"], color=colour, linewidth=1.4, alpha=0.8)
        if place in level:
            colour = _style(roles.supervised, roles)[0]
            panel.axhline(level[place].value, color=colour, linestyle="--", linewidth=1.4)
        panel.set_title(f"{agent}, {PLACE_NAMES[place].split(' (')[0]}")
        panel.set_xlabel("user-steps (slates shown)")
        panel.xaxis.set_major_formatter(FuncFormatter(thousands))
        if i % len(agents) == 0:
            panel.set_ylabel(f"return\n({roles.unit})")
    seeds = curves.groupby(["policy", "trained_in"])["seed"].nunique().max()
    return save_picture(
        figure,
        folder,
        "curves",
        "Learning curves",
        "Return of sessions during training, exploration included, one line per seed; each point "
        "is over a stretch in which every user has time for a whole session. Dashed: the "
        "supervised ranker on evaluation users.",
        f"Line plots of training return against user-steps for {', '.join(agents)}, up to {seeds} "
        "seeds each, with the supervised ranker's level as a dashed line.",
    )


def draw_reliability(result: StudyResult, folder: Path) -> Picture:
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
        unit = "stars" if high > 1.5 else "probability"
        panel.set_xlabel(f"predicted ({unit})")
        panel.set_ylabel(f"observed ({unit})")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False
    )
    return save_picture(
        figure,
        folder,
        "reliability",
        "Do the models mean what they say?",
        "What each head predicts against what was observed, in bins; the larger the mark, the more "
        "events. On the dotted line prediction and observation agree.",
        f"Reliability diagrams of the heads {', '.join(heads)} for {', '.join(models)}.",
    )


def draw_judge(result: StudyResult, numbers: Numbers, folder: Path) -> Picture:
    """Return in the world against return before the judge, a mark per policy."""
    roles = result.roles
    both = [rung for rung in numbers.ladder if {"world", "judge"} <= rung.mean.keys()]
    least = min(
        rung.mean["world"].value
        for rung in both
        if rung.policy == roles.supervised or rung.kind == "learns"
    )
    upper = [  # without the one that is told the model of either place, far from all others
        rung for rung in both if rung.mean["world"].value >= least and rung.policy != roles.myopic
    ]
    figure, panels = panels_of(1, 2, 4.0)
    for panel, shown in zip(panels, (both, upper), strict=True):
        for rung in shown:
            x, y = rung.mean["world"], rung.mean["judge"]
            colour, shape = _style(rung.policy, roles)
            panel.plot([x.value] * 2, [y.low, y.high], color=colour, linewidth=2)
            draw_interval(panel, x, y.value, colour, shape, rung.policy)
        panel.set_xlabel(f"return in the simulated world\n({roles.unit})")
    panels[0].set_title("all policies")
    panels[1].set_title(f"the upper end, without {roles.myopic}")
    panels[0].set_ylabel(f"return before the judge\n({roles.unit})")
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=4, frameon=False)
    order = sorted(both, key=lambda rung: rung.mean["judge"].value)
    return save_picture(
        figure,
        folder,
        "judge",
        "The world against the judge",
        "Mean return of each policy in both, with 95 % intervals. Policies that only please the "
        "simulator lie below the trend.",
        "Scatter plot of policies. Before the judge, from lowest to highest: "
        + ", ".join(f"{rung.policy} {rung.mean['judge'].value:.1f}" for rung in order)
        + ".",
    )


def draw_sensitivity(result: StudyResult, numbers: Numbers, folder: Path) -> Picture:
    """Differences over a grid of boredom strengths."""
    roles = result.roles
    grid: dict[tuple[str, str, str], list[Difference]] = {}
    for d in numbers.sensitivity:
        grid.setdefault((d.place, d.agent, d.baseline), []).append(d)
    places = list(dict.fromkeys(place for place, _, _ in grid))
    figure, panels = panels_of(len(places), len(roles.agents), 0.7 + 2.8 * len(places), sharey=True)
    for i, (place, agent) in enumerate((p, a) for p in places for a in roles.agents):
        panel = panels[i]
        panel.axhline(0, color=INK, linewidth=1)
        panel.axvline(roles.boredom, color=GRID, linewidth=1.5, zorder=0)
        for baseline, dash in ((roles.supervised, "-"), (roles.capped, "--")):
            colour = _style(baseline, roles)[0]
            _band(panel, grid.get((place, agent, baseline), []), colour, dash, f"minus {baseline}")
        panel.set_title(f"{agent}, {PLACE_NAMES[place]}")
        panel.set_xlabel("strength of boredom (log-odds)")
        if i % len(roles.agents) == 0:
            panel.set_ylabel(f"difference\n({roles.unit})")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False
    )
    best = numbers.verdict.best.agent
    levels = [
        f"{d.estimate.value:+.2f} at {d.boredom:g}"
        for d in grid.get((places[0], best, roles.supervised), [])
    ]
    return save_picture(
        figure,
        folder,
        "sensitivity",
        "How much hangs on the assumed boredom",
        "Paired differences with 95 % intervals when boredom is weaker or stronger than assumed. "
        "The vertical line is the study's strength, set before any policy was trained.",
        f"Line plots of differences against boredom strength; {best} minus {roles.supervised} in "
        f"the {PLACE_NAMES[places[0]]}: {', '.join(levels)}.",
    )


def _style(policy: str, roles: Roles) -> tuple[str, str]:
    """Colour and marker of a policy, the same in every figure."""
    fixed = {
        roles.random: "#999999",
        roles.supervised: "#0072B2",
        roles.capped: "#009E73",
        roles.myopic: "#333333",
        roles.reference: "#882255",
    }
    marker = {"privileged": "D", "learns": "o", "baseline": "s"}[kind_of(policy, roles)]
    if policy in roles.agents:
        return AGENT_COLOURS[roles.agents.index(policy) % len(AGENT_COLOURS)], marker
    return fixed.get(policy, "#56B4E9"), marker


def draw_interval(
    panel: Axes, estimate: Estimate, y: float, colour: str, marker: str, name: str | None = None
) -> None:
    """A mark and its interval, across the panel at this height."""
    panel.plot([estimate.low, estimate.high], [y, y], color=colour, linewidth=2)
    face = "white" if marker == "D" else colour
    panel.plot(
        estimate.value, y, marker, color=colour, markersize=6, markerfacecolor=face, label=name
    )


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


def _band(
    panel: Axes, differences: Sequence[Difference], colour: str, dash: str, name: str
) -> None:
    x = np.array([d.boredom for d in differences], dtype=float)
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


def save_picture(
    figure: Figure, folder: Path, name: str, title: str, caption: str, alt: str
) -> Picture:
    """Write a figure whole or not at all."""
    path = folder / f"{name}.png"
    with atomic_path(path) as temporary:
        figure.savefig(temporary, metadata={"Software": None, "Title": title, "Description": alt})
    return Picture(name, title, caption, alt, path)


def thousands(value: float, position: int) -> str:
    """Tick labels of large counts."""
    if value >= 1e6:
        return f"{value / 1e6:g} M"
    return f"{value / 1e3:g} k" if value else "0"
