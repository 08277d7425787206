"""An off-policy evaluation for people: one table, what was assumed, and what may be done next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from slategym.envs.names import plain
from slategym.experiments.ope.estimators import ESTIMATORS
from slategym.experiments.report.terminal import LOOK
from slategym.experiments.statistics.words import level

if TYPE_CHECKING:
    from slategym.experiments.ope.evaluation import Estimate, OffPolicyEvaluation

WIDTH = 100


def text(found: OffPolicyEvaluation) -> str:
    """The same as `print_evaluation` prints."""
    console = Console(width=WIDTH, color_system=None)
    with console.capture() as caught:
        print_evaluation(found, console)
    return caught.get().rstrip()


def print_evaluation(found: OffPolicyEvaluation, console: Console) -> None:
    """The table, the weights, and what was assumed."""
    digits = _digits(found)
    title = f"{found.policy} on the log {found.log}: reward per {found.unit} [95 % interval]"
    console.print(Text(plain(title), "italic"), soft_wrap=True)
    table = Table(**LOOK)
    table.add_column("estimator", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    if found.known is not None:
        table.add_column("error", justify="right", no_wrap=True)
    table.add_column("ESS", justify="right", no_wrap=True)
    table.add_column("weight", justify="right", no_wrap=True)
    table.add_column("rewards", justify="right", no_wrap=True)
    for name, one in (("(the log itself)", found.logged), ("(policy itself)", found.known)):
        if one is not None:
            error = [""] if found.known is not None else []
            table.add_row(name, _level(one, digits), *error, "", "", "", style="dim")
    for one in found.estimates:
        value = "withheld" if one.withheld else _level(one, digits)
        cells = [one.name, value]
        if found.known is not None:
            cells.append("" if one.withheld else f"{relative_error(one, found.known):.0%}")
        cells.append("" if one.effective is None else f"{one.effective:,.0f}")
        cells.append("" if one.weight is None else f"{one.weight:.2f}")
        cells.append("" if one.rewards is None else f"{one.rewards:,.0f}")
        table.add_row(*cells, style="yellow" if one.withheld else "")
    table.caption = Text(_caption(found), "dim italic")
    table.caption_justify = "left"
    console.print(table)
    for line in _lines(found):
        console.print(Text(plain(line)))


def _caption(found: OffPolicyEvaluation) -> str:
    error = " error: |value - policy itself| / policy itself." if found.known is not None else ""
    return (
        f"{found.num_slates:,} slates in {found.num_episodes:,} episodes of {found.num_people:,} "
        "people, whom intervals resample. ESS: effective sample size, in episodes. "
        "weight: its mean, 1 if the log shows all that the policy would. rewards: ESS of episodes "
        f"with a reward.{error}"
    )


def _lines(found: OffPolicyEvaluation) -> Iterator[str]:
    yield (
        f"Overlap: {found.unseen:.1%} of the policy's slots hold what the log never shows there; "
        f"the heaviest episode bears {found.largest:.1%} of all weight."
    )
    for one in found.estimates:
        if one.withheld:
            yield f"Withheld: {one.name}, {one.withheld}."
    if found.outside:
        digits = _digits(found) + 1
        said = ", ".join(f"{name} {value:.{digits}f}" for name, value in found.outside.items())
        yield f"The package obp, on the same slates: {said}."
    for note in found.notes:
        yield f"- {note}"
    yield "Assumed, besides that propensities are right and the log shows what the policy would:"
    for assumes, names in _by_assumption(found).items():
        yield f"- {', '.join(names)}: {assumes}"


def next_step(found: OffPolicyEvaluation, log: str, policy: str) -> str:
    """What to do now, in a line."""
    if not found.answered:
        return (
            "No estimate stands: this log cannot say what the policy is worth. One closer to the "
            "log's own can be read (--smooth 0.5), or single slates (--per slate), or a log in "
            "which some slates are random."
        )
    if found.per == "slate" and found.num_slates > found.num_people:
        asked = f"slategym ope {log} --policy {policy} --per visit"
        return f"Next: do slates change what comes later? {asked}"
    return "Next: what the assumptions mean, and which to believe: docs/ope.md"


def _by_assumption(found: OffPolicyEvaluation) -> dict[str, list[str]]:
    """Assumptions, and the estimators that make them."""
    by = dict[str, list[str]]()
    for one in found.estimates:
        by.setdefault(ESTIMATORS[one.name].assumes, []).append(one.name)
    return by


def relative_error(one: Estimate, known: Estimate) -> float:
    """Distance from what is known, as a share of it."""
    return abs(one.value - known.value) / abs(known.value) if known.value else float("nan")


def document(found: OffPolicyEvaluation) -> dict[str, Any]:
    """The same for programs."""
    return {
        "policy": found.policy,
        "log": found.log,
        "per": found.unit,
        "people": found.num_people,
        "episodes": found.num_episodes,
        "slates": found.num_slates,
        "logged": _numbers(found.logged),
        "policy_itself": None if found.known is None else _numbers(found.known),
        "estimates": [
            {
                "estimator": one.name,
                **_numbers(one),
                "effective_episodes": one.effective,
                "mean_weight": one.weight,
                "effective_rewards": one.rewards,
                "withheld": one.withheld or None,
                "assumes": ESTIMATORS[one.name].assumes,
            }
            for one in found.estimates
        ],
        "obp": dict(found.outside),
        "unseen": found.unseen,
        "largest_weight": found.largest,
        "notes": list(found.notes),
    }


def _numbers(one: Estimate) -> dict[str, float]:
    return {"value": one.value, "low": one.low, "high": one.high}


def _digits(found: OffPolicyEvaluation) -> int:
    """After the point: three that count in what the log earned."""
    size = max(abs(found.logged.value), abs(found.logged.high - found.logged.low), 1e-9)
    digits = 2
    while size < 1 and digits < 6:
        size, digits = size * 10, digits + 1
    return digits


def _level(one: Estimate, digits: int) -> str:
    return level(one.value, one.low, one.high, digits)
