"""A study's answer on the terminal, ending in the verdict."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from slategym.experiments.report.results import StudyResult
from slategym.experiments.statistics.numbers import PLACES, Numbers
from slategym.experiments.statistics.stats import Estimate

NAMES = {"world": "world", "judge": "judge", "static": "static"}
LOOK: dict[str, Any] = {"title_justify": "left", "box": SIMPLE_HEAD, "padding": (0, 1, 0, 0)}
TONES = {"wins": "green", "not believed": "red", "loses": "red"}


def print_report(result: StudyResult, numbers: Numbers, console: Console) -> None:
    """The ladder, the differences and the verdict sentence."""
    console.print(_ladder(result, numbers))
    console.print(_differences(result, numbers))
    tone = TONES.get(numbers.verdict.best.outcome, "yellow")
    console.print(Text(numbers.verdict.sentence, style=f"bold {tone}"))


def _ladder(result: StudyResult, numbers: Numbers) -> Table:
    title = f"Mean return ({result.roles.unit}) [95 % interval]"
    ladder = Table(title=title, caption_justify="left", **LOOK)
    ladder.caption = "* told hidden truths. Bold: learns by RL, in the static twin trained there."
    ladder.add_column("policy")
    for place in PLACES:
        ladder.add_column(NAMES[place], justify="right", no_wrap=True)
    for rung in reversed(numbers.ladder):
        name = rung.policy + ("*" if rung.kind == "privileged" else "")
        cells = [_short(rung.mean[place]) if place in rung.mean else "" for place in PLACES]
        ladder.add_row(
            *(Text(cell) for cell in (name, *cells)), style="bold" if rung.kind == "learns" else ""
        )
    return ladder


def _short(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} [{estimate.low:.1f}, {estimate.high:.1f}]"


def _differences(result: StudyResult, numbers: Numbers) -> Table:
    title = f"Paired differences ({result.roles.unit}) [95 % interval]"
    differences = Table(title=title, caption_justify="left", **LOOK)
    differences.caption = "By seed: lowest and highest. Static: the negative control."
    for name in ("agent", "minus", "where"):
        differences.add_column(name)
    differences.add_column("difference", justify="right", no_wrap=True)
    differences.add_column("by seed", justify="right", no_wrap=True)
    for d in numbers.differences + numbers.control:
        seeds = f"{min(d.by_seed.values()):+.2f}..{max(d.by_seed.values()):+.2f}"
        where = NAMES[d.place]
        differences.add_row(
            *(Text(cell) for cell in (d.agent, d.baseline, where, d.estimate.signed(), seeds))
        )
    return differences
