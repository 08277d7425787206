"""Learning curves: what is gained before selection people, and what training earns meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from slategym.experiments.places import Place
from slategym.experiments.report.figures import (
    AGENT_COLOURS,
    GRID,
    INK,
    LEGEND,
    TITLE_WIDTH,
    Picture,
    panels_of,
    save_picture,
    thousands,
    wrapped,
)
from slategym.experiments.report.results import Result
from slategym.experiments.report.words import known_as
from slategym.experiments.statistics.numbers import TRAINING, Numbers
from slategym.experiments.statistics.words import listed

POINTS = 40  # points of a curve that is averaged over seeds
SMOOTH = 5  # of these, a running mean
FLAT = 2.0  # standard errors above which a curve rises
TICKS = 3  # intervals along the slates, so that their numbers stay apart in narrow panels
Look = Mapping[str, Any]  # of a learner's lines: "color" and "linestyle"
PART = 0.25  # of a training, at its beginning and at its end, that are compared


def draw_curves(result: Result, numbers: Numbers, folder: Path) -> Picture:
    """Gains before selection people above, return while training below, a column per place."""
    study, curves = result.study, result.curves
    drawn = curves[curves["return_mean"].notna()]
    places = [p for p in study.main if (drawn["trained_in"] == p.name).any()]
    agents = [x.name for x in study.learners if (curves["policy"] == x.name).any()]
    gained = [p for p in places if _watched(result, p) is not None]
    looks = _looks(agents)
    rows = 2 if gained else 1
    figure, panels = panels_of(rows, len(places), 0.7 + 2.7 * rows)
    for n, place in enumerate(places):
        _training(panels[n - len(places)], result, numbers, place, looks)
        if gained:  # packed to the left: of a control nothing is read before selection people
            panels[n].set_visible(n < len(gained))
    for panel, place in zip(panels, gained, strict=False):
        _gains(panel, result, numbers, place, looks)
    handles = [
        Line2D([], [], label=wrapped(known_as(study, x), LEGEND), **look)
        for x, look in looks.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    above = (
        f"Above: expected return minus {study.roles.say(study.roles.opponent)} before selection "
        f"people, {_who(result)}, at points of training: mean over seeds, band from the lowest to "
        "the highest (of one seed: bars, standard errors over people); diamonds at the right: what "
        "is served in the end, all seeds, on evaluation people, with 95 % intervals and a small "
        f"bar for each seed.{_unrisen(result, gained)} "
        "Below: return"
        if gained
        else "Return"
    )
    flat = _by_place(result, flat_curves(curves))
    rest = f" No rise is shown by {flat}." if flat else " All of these rise."
    return save_picture(
        figure,
        folder,
        f"{study.name}-curves",
        "Learning curves",
        f"{above} of sessions during training, exploration included, mean and band over seeds. "
        "Dashed: policies that do not learn, on evaluation people; an arrow points at those "
        f"outside the axis.{rest}",
        f"Line plots of gains and of training return against slates for {', '.join(agents)}.{rest}",
    )


def _looks(agents: Sequence[str]) -> dict[str, Look]:
    """A colour for each learner; past the last colour dotted lines."""
    number, dashes = len(AGENT_COLOURS), ("-", ":")
    return {
        name: {"color": AGENT_COLOURS[n % number], "linestyle": dashes[n // number % 2]}
        for n, name in enumerate(agents)
    }


def _who(result: Result) -> str:
    """Who selection people are."""
    if result.study.log is not None:
        return "who are not trained on"
    return "who are in no other figure or table"


def flat_curves(curves: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Learner and place of every training whose return does not clearly rise.

    The last quarter of the points minus the first, mean over trainings; with one training its
    error is that of the points, else that of the trainings.
    """
    known = curves[curves["return_mean"].notna()]
    for (policy, where), mine in known.groupby(["policy", "trained_in"], sort=False):
        rises, errors = [], []
        for _, line in mine.sort_values("steps").groupby(TRAINING):
            value_T = line["return_mean"].to_numpy()
            count = max(1, round(PART * len(value_T)))
            first, last = value_T[:count], value_T[-count:]
            rises.append(last.mean() - first.mean())
            errors.append(np.hypot(_error(first), _error(last)))
        error = errors[0] if len(rises) == 1 else float(np.std(rises, ddof=1)) / len(rises) ** 0.5
        if np.mean(rises) <= FLAT * error or np.mean(rises) <= 0:
            yield str(policy), str(where)


def _unrisen(result: Result, places: Sequence[Place]) -> str:
    """Which learners are no better before selection people at their last point than at the first.

    The last point minus the first, mean over seeds; its error is that of the seeds, or of the
    people where one seed was read.
    """
    named = list[tuple[str, str]]()
    for place in places:
        mine = _watched(result, place)
        assert mine is not None
        for policy, lines in mine.groupby("policy", sort=False):
            every = [line.sort_values("steps") for _, line in lines.groupby("seed")]
            rise_S = np.array([line["gain"].iloc[-1] - line["gain"].iloc[0] for line in every])
            ends = every[0]["error"].iloc[[0, -1]]
            error = float(np.hypot(*ends))
            if len(every) > 1:
                error = float(np.std(rise_S, ddof=1)) / len(every) ** 0.5
            rise = float(rise_S.mean())
            if not (rise > 0 and rise > FLAT * error):  # nothing is clear beside an unknown error
                named.append((str(policy), place.name))
    if not named:
        return " All of these end clearly above their first point."
    return f" Not clearly above their first point at the end: {_by_place(result, named)}."


def _by_place(result: Result, named: Iterable[tuple[str, str]]) -> str:
    """Learners, place by place."""
    found: dict[str, list[str]] = {}
    for agent, place in named:
        found.setdefault(place, []).append(agent)
    parts = [f"{listed(names)} in {result.study.place(p).heading}" for p, names in found.items()]
    return "; ".join(parts)


def _error(value_T: np.ndarray) -> float:
    return float(np.std(value_T, ddof=1)) / len(value_T) ** 0.5 if len(value_T) > 1 else 0.0


def _watched(result: Result, place: Place) -> pd.DataFrame | None:
    """Snapshots of the place's learners before its selection people."""
    watched = result.watched
    if watched.empty:
        return None
    mine = watched[(watched["trained_in"] == place.name) & (watched["where"] == place.name)]
    return None if mine.empty else mine


def _gains(
    panel: Axes, result: Result, numbers: Numbers, place: Place, looks: Mapping[str, Look]
) -> None:
    """What is gained over the opponent before selection people, and what is served in the end."""
    study = result.study
    mine = _watched(result, place)
    assert mine is not None
    panel.axhline(0, color=INK, linewidth=1)
    for policy, lines in mine.groupby("policy", sort=False):
        look, by_seed = looks.get(str(policy), {"color": INK}), lines.groupby("steps")["gain"]
        point = lines.sort_values("steps") if by_seed.size().max() == 1 else None
        mean = by_seed.mean()
        panel.errorbar(
            mean.index,
            mean,
            yerr=None if point is None else point["error"],
            **look,
            marker="o",
            markersize=3.5,
            linewidth=1.3,
            elinewidth=0.7,
        )
        if point is None:
            low, high, colour = by_seed.min(), by_seed.max(), look["color"]
            panel.fill_between(mean.index, low, high, color=colour, alpha=0.15, linewidth=0)
    served = [
        (looks[learner.name]["color"], found)
        for learner in study.learners
        if learner.name in looks and learner.takes_part_in(place)
        for policy in learner.served
        if (found := numbers.find(policy, study.roles.opponent, place.name)) is not None
    ]
    end = float(mine["steps"].max())
    wide = end * min(0.05, 0.4 / max(1, len(served)))
    for n, (colour, found) in enumerate(served):
        x, seeds = end + wide * (1.5 + n), list(found.by_seed.values())
        panel.plot([x] * 2, [found.estimate.low, found.estimate.high], color=colour)
        panel.plot([x] * len(seeds), seeds, "_", color=colour, markersize=6)
        panel.plot(x, found.estimate.value, "D", color=colour, markersize=4.5)
    panel.axvline(end + 0.75 * wide, color=GRID, linewidth=1)
    _labelled(panel, place, end)
    opponent = wrapped(f"minus {known_as(study, study.roles.opponent)}", LEGEND)
    panel.set_ylabel(f"{opponent}\n({study.unit})", fontsize=8)


def _training(
    panel: Axes, result: Result, numbers: Numbers, place: Place, looks: Mapping[str, Look]
) -> None:
    """Return while training: mean over seeds and a band from the lowest to the highest."""
    study, curves = result.study, result.curves
    mine = curves[(curves["trained_in"] == place.name) & curves["return_mean"].notna()]
    seen: list[float] = []
    for policy, lines in mine.groupby("policy", sort=False):
        every = [line.sort_values("steps") for _, line in lines.groupby(TRAINING)]
        step_T = np.linspace(
            max(line["steps"].min() for line in every),
            min(line["steps"].max() for line in every),
        )
        value_ST = np.stack(
            [_smooth(np.interp(step_T, line["steps"], line["return_mean"])) for line in every]
        )
        look = looks.get(str(policy), {"color": INK})
        mark = "" if step_T[0] < step_T[-1] else "o"  # of one point
        panel.plot(step_T, value_ST.mean(0), **look, marker=mark, markersize=4, linewidth=1.4)
        if len(every) > 1:
            low_T, high_T = value_ST.min(0), value_ST.max(0)
            colour = look["color"]
            panel.fill_between(step_T, low_T, high_T, color=colour, alpha=0.15, linewidth=0)
        seen += [float(value_ST.min()), float(value_ST.max())]
    levels = [
        (study.roles.say(standing.policy), standing.mean[place.name].value)
        for policy in dict.fromkeys((study.roles.random, study.roles.opponent))
        for standing in numbers.ladder
        if standing.policy == policy and place.name in standing.mean
    ]
    if seen:
        fit_axis(panel, seen, levels)
    _labelled(panel, place)
    panel.set_ylabel(f"training return\n({study.unit})", fontsize=8)


def _smooth(value_T: np.ndarray) -> np.ndarray:
    """A running mean; at its ends, of what is there."""
    one = np.ones(SMOOTH)
    found: np.ndarray = np.convolve(value_T, one, "same") / np.convolve(
        np.ones_like(value_T), one, "same"
    )
    return found


def fit_axis(panel: Axes, seen: Sequence[float], levels: Sequence[tuple[str, float]]) -> None:
    """An upright axis for what is drawn: levels inside are lines, those outside are arrows."""
    low, high = min(seen), max(seen)
    least = max(0.02 * abs(high), 1e-3)  # of one point, or of a line that is level
    room = 0.25 * max(high - low, least)
    inside = [value for _, value in levels if low - room <= value <= high + room]
    low, high = min([low, *inside]), max([high, *inside])
    margin = 0.12 * max(high - low, least)
    panel.set_ylim(low - margin, high + margin)
    beyond = {True: 0, False: 0}  # arrows up and down so far
    for name, value in levels:
        if low <= value <= high:
            panel.axhline(value, color="#666666", linestyle="--", linewidth=1)
            at, words, side = (0.0, value), f" {name}", "bottom"
            panel.annotate(
                words, at, xycoords=("axes fraction", "data"), fontsize=7, va=side, color=INK
            )
            continue
        up = value > high
        apart, beyond[up] = 0.07 * beyond[up], beyond[up] + 1
        panel.annotate(
            f" {'↑' if up else '↓'} {name} {value:.1f}",
            (0.0, 0.99 - apart if up else 0.01 + apart),
            xycoords="axes fraction",
            fontsize=7,
            va="top" if up else "bottom",
            color=INK,
        )


def _until(end: float, value: float, position: int) -> str:
    """A tick's label; "" past the end of training."""
    return thousands(value, position) if value <= end else ""


def _labelled(panel: Axes, place: Place, end: float = np.inf) -> None:
    """Title and axis of slates, which has numbers up to the end of training."""
    panel.set_title(wrapped(place.heading, TITLE_WIDTH + 3))
    panel.set_xlabel("slates shown in training", fontsize=8)
    panel.xaxis.set_major_locator(MaxNLocator(TICKS))
    panel.xaxis.set_major_formatter(FuncFormatter(partial(_until, end)))
    panel.tick_params(labelsize=8)
