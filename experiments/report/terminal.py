"""A study's answer on the terminal, ending in the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from slategym.envs.names import plain
from slategym.experiments.places import Place
from slategym.experiments.report.results import Result
from slategym.experiments.report.words import p_text
from slategym.experiments.statistics.attribution import Attribution, names_of
from slategym.experiments.statistics.estimate import Estimate
from slategym.experiments.statistics.numbers import Numbers, one_of
from slategym.experiments.statistics.words import TRANSFER, signed_number, transferred

LOOK: dict[str, Any] = {"title_justify": "left", "box": SIMPLE_HEAD, "padding": (0, 1, 0, 0)}
MOST_PLACES = 4  # in one table
PLACE, OTHERS = 20, 29  # characters of a place's column; of policy and score beside the places
TONES = {"wins": "green", "bad": "red", "unsure": "yellow"}


def print_report(result: Result, numbers: Numbers, console: Console) -> None:
    """The ladder, the differences, what the lead consists of, and the verdict."""
    room = max(1, (console.width - OTHERS) // PLACE)
    for places in _tables(result, numbers):
        for at in range(0, len(places), room):
            console.print(_ladder(result, numbers, places[at : at + room], scored=not at))
    if numbers.differences or numbers.control:
        console.print(_differences(result, numbers))
    parts = [a for a in numbers.attributions if a.agent == numbers.verdict.agent and a.steps]
    if parts:
        console.print(_parts(result, parts))
    for sentence in numbers.verdict.sentences:
        console.print(Text(plain(sentence), style=f"bold {TONES[numbers.verdict.tone]}"))


def _tables(result: Result, numbers: Numbers) -> list[list[Place]]:
    """The places that share a ladder: all, or each open one with its judges, where they are many.

    Controls stand beside the first.
    """
    study = result.study
    places = [p for p in study.main if any(p.name in standing.mean for standing in numbers.ladder)]
    if len(places) <= MOST_PLACES:
        return [places]
    homes = [p.name for p in places if p.role == "open"]
    found = [[p for p in places if p.role != "control" and p.trained_in == home] for home in homes]
    found[0] += [p for p in places if p.role == "control"]
    return found


def _ladder(
    result: Result, numbers: Numbers, places: Sequence[Place], scored: bool = True
) -> Table:
    study = result.study
    first = places[0].name
    scored = scored and any(first in standing.score for standing in numbers.ladder)
    names = [place.name for place in places]
    published = {(p.policy, p.place): p.value for p in study.published if p.place in names}
    metric = numbers.metric.replace("_", " ")
    title = _text(f"Mean {metric} ({study.unit}) [95 % interval]", "italic")
    ladder = Table(title=title, caption_justify="left", **LOOK)
    caption = "* told hidden truths. Bold: learns from slates, in a control trained there."
    if scored:
        caption += f" Score in {first}: 0 {study.roles.random}, 1 {one_of(study, places[0])}."
    caption += " In brackets: published." if published else ""
    ladder.caption = _text(caption, "dim italic")
    ladder.add_column("policy", min_width=min(17, max(len(r.policy) for r in numbers.ladder) + 1))
    for place in places:
        ladder.add_column(_text(place.name), justify="right")
    if scored:
        ladder.add_column("score", justify="right", no_wrap=True)
    for standing in reversed(numbers.ladder):
        if not standing.mean.keys() & set(names):
            continue
        name = standing.policy + ("*" if standing.kind == "privileged" else "")
        cells = []
        for place in places:
            theirs = published.pop((standing.policy, place.name), None)
            own = _short(standing.mean[place.name]) if place.name in standing.mean else ""
            cells.append(own if theirs is None else f"{own} ({theirs:.1f})")
        if scored:
            cells.append(f"{standing.score[first].value:.2f}" if first in standing.score else "")
        style = "bold" if standing.kind == "learns" else ""
        ladder.add_row(*(_text(cell) for cell in (name, *cells)), style=style)
    for (policy, place_name), value in published.items():
        cells = [f"({value:.1f})" if place.name == place_name else "" for place in places]
        ladder.add_row(_text(f"({policy})"), *map(_text, cells), style="dim")
    return ladder


def _text(words: str, style: str = "") -> Text:
    """As it is: names are a developer's, or a stranger's, and not for the terminal to act upon."""
    return Text(plain(words), style)


def _short(estimate: Estimate) -> str:
    return estimate.rounded(2 if abs(estimate.value) < 10 else 1)


def _differences(result: Result, numbers: Numbers) -> Table:
    title = _text(f"Paired differences ({result.study.unit}) [95 % interval]", "italic")
    logged = any(d.transfer for d in numbers.differences)
    differences = Table(title=title, caption_justify="left", **LOOK)
    differences.caption = _text(
        (f"Transfer: {TRANSFER}. " if logged else "")
        + "By seed: lowest to highest. p: adjusted by Holm, the control's apart. Others than the "
        "first agent: minus the opponent alone; all are in the report.",
        "dim italic",
    )
    several = any(len(d.by_seed) > 1 for d in numbers.differences + numbers.control)
    for name in ("agent", "minus", "where"):
        differences.add_column(name, overflow="fold")
    columns = ["difference", *(["transfer"] if logged else []), *(["by seed"] if several else [])]
    for name in (*columns, "p"):
        differences.add_column(name, justify="right", no_wrap=True)
    opponent, agent = result.study.roles.opponent, numbers.verdict.agent
    for d in numbers.differences + numbers.control:
        if agent is not None and d.agent != agent and d.baseline != opponent:
            continue
        seeds = "..".join(signed_number(end(d.by_seed.values())) for end in (min, max))
        p = "" if d.adjusted is None else p_text(d.adjusted)
        shown = [*([transferred(d)] if logged else []), *([seeds] if several else [])]
        cells = (d.agent, d.baseline, d.place, d.estimate.signed(), *shown, p)
        differences.add_row(*(_text(cell) for cell in cells))
    return differences


def _parts(result: Result, found: Sequence[Attribution]) -> Table:
    """What the return of the learner that speaks for RL consists of, place by place."""
    names = names_of(found)
    title = f"What the return of {found[0].agent} consists of ({result.study.unit})"
    parts = Table(title=_text(title, "italic"), caption_justify="left", **LOOK)
    parts.caption = _text("* clear. Missing parts were not read there.", "dim italic")
    parts.add_column("where", overflow="fold")
    for name in names:
        parts.add_column(name, justify="right")
    for a in found:
        cells = []
        for name in names:
            d = a.part(name)
            cells.append("" if d is None else d.estimate.signed() + ("*" if d.side else ""))
        parts.add_row(*(_text(cell) for cell in (a.place, *cells)))
    return parts
