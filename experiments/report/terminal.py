"""A study's answer on the terminal, ending in the verdict."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from slategym.envs.names import plain
from slategym.experiments.report.results import Result
from slategym.experiments.report.words import p_text
from slategym.experiments.statistics.numbers import Numbers, one_of
from slategym.experiments.statistics.stats import Estimate
from slategym.experiments.statistics.words import signed_number

LOOK: dict[str, Any] = {"title_justify": "left", "box": SIMPLE_HEAD, "padding": (0, 1, 0, 0)}
TONES = {"wins": "green", "bad": "red", "unsure": "yellow"}


def print_report(result: Result, numbers: Numbers, console: Console) -> None:
    """The ladder, the differences and the verdict."""
    console.print(_ladder(result, numbers))
    if numbers.differences or numbers.control:
        console.print(_differences(result, numbers))
    for sentence in numbers.verdict.sentences:
        console.print(Text(plain(sentence), style=f"bold {TONES[numbers.verdict.tone]}"))


def _ladder(result: Result, numbers: Numbers) -> Table:
    study = result.study
    places = [p for p in study.main if any(p.name in standing.mean for standing in numbers.ladder)]
    first = places[0].name
    scored = any(first in standing.score for standing in numbers.ladder)
    published = {(p.policy, p.place): p.value for p in study.published}
    title = _text(f"Mean return ({study.unit}) [95 % interval]", "italic")
    ladder = Table(title=title, caption_justify="left", **LOOK)
    caption = "* told hidden truths. Bold: learns by RL, in a control trained there."
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
    value, low, high = estimate.value, estimate.low, estimate.high
    digits = 2 if abs(value) < 10 else 1
    return f"{value:.{digits}f} [{low:.1f}, {high:.1f}]"


def _differences(result: Result, numbers: Numbers) -> Table:
    title = _text(f"Paired differences ({result.study.unit}) [95 % interval]", "italic")
    differences = Table(title=title, caption_justify="left", **LOOK)
    differences.caption = "By seed: lowest to highest. p: adjusted by Holm, the control's apart."
    several = any(len(d.by_seed) > 1 for d in numbers.differences + numbers.control)
    for name in ("agent", "minus", "where"):
        differences.add_column(name, overflow="fold")
    for name in ("difference", *(["by seed"] if several else []), "p"):
        differences.add_column(name, justify="right", no_wrap=True)
    for d in numbers.differences + numbers.control:
        seeds = "..".join(signed_number(end(d.by_seed.values())) for end in (min, max))
        p = "" if d.adjusted is None else p_text(d.adjusted)
        shown = [seeds] if several else []
        cells = (d.agent, d.baseline, d.place, d.estimate.signed(), *shown, p)
        differences.add_row(*(_text(cell) for cell in cells))
    return differences
