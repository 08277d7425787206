"""The answer in a few lines: how much, in per cent, against whom, and what it costs to serve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from slategym.experiments.report.ledger import SUMMARY, Ledger
from slategym.experiments.report.markup import Html, element, join, table
from slategym.experiments.report.results import Result
from slategym.experiments.report.words import capital, known_as
from slategym.experiments.statistics.differences import Difference
from slategym.experiments.statistics.numbers import Numbers
from slategym.experiments.statistics.words import SIDES, share, shown
from slategym.experiments.study import Place


def short_section(result: Result, numbers: Numbers, ledger: Ledger) -> list[Html | None]:
    """The verdict in a line, a sentence per open place, and one on what a slate costs."""
    study, agent = result.study, numbers.speaker
    if agent is None:
        return []
    lines = [
        line
        for place in study.of_role("open")
        if (line := _line(result, numbers, agent, place, ledger)) is not None
    ]
    cost = _cost(result, agent, ledger)
    if not lines and cost is None:
        return []
    tag = element("li", element("strong", f"{capital(numbers.verdict.tag)}."))
    return [element("ul", tag, *(element("li", line) for line in lines),
                    *(() if cost is None else (element("li", cost),)), class_="short")]  # fmt: skip


def _line(
    result: Result, numbers: Numbers, agent: str, place: Place, ledger: Ledger
) -> Html | None:
    """How much RL earns there above the opponent, and above the best that has no RL."""
    study = result.study
    opponent = numbers.find(agent, study.roles.opponent, place.name)
    if opponent is None:
        return None
    rivals = [
        d
        for d in numbers.differences
        if (d.agent, d.place) == (agent, place.name) and d.baseline != study.roles.opponent
    ]
    nearest = min(rivals, key=lambda d: d.estimate.value, default=None)
    parts: list[str | None] = [
        element("strong", f"{capital(place.heading)}: "),
        f"{known_as(study, agent)} earns ",
        *_sized(numbers, opponent, ledger),
        f" against {study.roles.say(study.roles.opponent)}, {SIDES[opponent.side]}",
    ]
    if nearest is not None:
        parts += [
            f"; against the strongest without looking ahead, {known_as(study, nearest.baseline)}, ",
            *_sized(numbers, nearest, ledger),
            f", {SIDES[nearest.side]}",
        ]
    return join([*parts, "."])


def _sized(numbers: Numbers, d: Difference, ledger: Ledger) -> Iterator[Html]:
    """A difference as a share of what the other earns, and as it is."""
    base = numbers.of(d.baseline).mean[d.place].value
    if base > 0:
        text = share(d.estimate.value / base)
        yield ledger.number(text, f"{d.estimate.source}, divided by the mean of {d.baseline} there")
        yield join([" (", shown(d), ")"])
    else:
        yield join([shown(d)])


def _cost(result: Result, agent: str, ledger: Ledger) -> Html | None:
    """What a slate of RL and one of the opponent takes."""
    study = result.study
    found: Mapping[str, Any] = result.serving.get("latency", {})
    ours, theirs = found.get(agent), found.get(study.roles.opponent)
    if not ours or not theirs:
        return None
    source = f"{SUMMARY}: serving"
    first = ours[0]
    return join(
        [
            element("strong", "To serve: "),
            f"one slate of {known_as(study, agent)} takes ",
            ledger.number(f"{first['cpu']:.1f} ms", f"{source}.latency.{agent}[0].cpu"),
            " of processor time, one of " + study.roles.say(study.roles.opponent) + " ",
            ledger.number(
                f"{theirs[0]['cpu']:.1f} ms",
                f"{source}.latency.{study.roles.opponent}[0].cpu",
            ),
            f" (median, one user a call, {first['items']:,} {study.words.items}, "
            f"{_where(result.serving)}).",
        ]
    )


def _where(serving: Mapping[str, Any]) -> str:
    threads = serving["threads"]
    return f"{serving['device']}, {threads} thread{'s' if threads > 1 else ''}"


def cost_section(result: Result, ledger: Ledger) -> list[Html | None]:
    """What a slate takes, by policy and users a call."""
    found: Mapping[str, Any] = result.serving.get("latency", {})
    if not found:
        return []
    source = f"{SUMMARY}: serving.latency"
    body = [
        [
            known_as(result.study, name),
            f"{one['batch']}",
            ledger.number(f"{one['p50']:.2f}", f"{source}.{name}[{n}].p50"),
            ledger.number(f"{one['p95']:.2f}", f"{source}.{name}[{n}].p95"),
            ledger.number(f"{one['cpu']:.2f}", f"{source}.{name}[{n}].cpu"),
            ledger.number(f"{one['cpu'] / one['batch']:.3f}", f"{source}.{name}[{n}].cpu / batch"),
        ]
        for name, timed in found.items()
        for n, one in enumerate(timed)
    ]
    head = ["policy", "users a call", "p50, ms", "p95, ms", "processor, ms", "ms a slate"]
    caption = (
        f"From an observation to a slate, {_where(result.serving)}, as PyTorch runs it: wall clock "
        "(p50, p95), which other work on the machine makes longer, and processor time a call and a "
        "slate (medians). Of learners the first training seed, as it serves."
    )
    return [table(caption, head, body, wide=True)]
