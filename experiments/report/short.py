"""The answer in a few lines: how much, in per cent, against whom, and what it costs to serve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from slategym.experiments.places import Place
from slategym.experiments.report.ledger import SUMMARY, Ledger
from slategym.experiments.report.markup import Html, element, join, table
from slategym.experiments.report.results import Result
from slategym.experiments.report.words import capital, known_as
from slategym.experiments.statistics.differences import Difference
from slategym.experiments.statistics.numbers import Numbers
from slategym.experiments.statistics.sentences import CARRIES, under
from slategym.experiments.statistics.words import (
    AS_MUCH,
    SIDES,
    more_or_less,
    share,
    shown,
    transferred,
)
from slategym.experiments.study import Study


def short_section(result: Result, numbers: Numbers, ledger: Ledger) -> list[Html | None]:
    """A box with the verdict in one sentence, its size and its cost, then a line per open place."""
    study, found, agent = result.study, numbers.verdict, numbers.speaker
    read = [
        (place, d)
        for place in study.of_role("open")
        if agent is not None
        and (d := numbers.find(agent, study.roles.opponent, place.name)) is not None
    ]
    said = (
        _headline(result, numbers, agent, read, ledger)
        if agent is not None and read
        else join([found.sentences[0] if found.sentences else found.tag])
    )
    box = element(
        "div",
        element("span", found.tag, class_="tag"),
        element("p", said),
        class_=f"verdict {found.tone}",
    )
    if agent is None or not read:
        return [box]
    lines = [_line(result, numbers, agent, place, d, ledger) for place, d in read]
    cost = _cost(result, agent, ledger)
    every = [
        *lines,
        *_of_the_log(study, read, ledger),
        *([] if cost is None else [cost]),
        *_assumed(study, [place for place, _ in read]),
        _read_on(study, read),
    ]
    return [box, element("ul", *(element("li", line) for line in every), class_="short")]


def _headline(
    result: Result,
    numbers: Numbers,
    agent: str,
    read: Sequence[tuple[Place, Difference]],
    ledger: Ledger,
) -> Html:
    """One sentence: how much more than the opponent, than the best without RL, at what cost."""
    study = result.study
    parts: list[Html | str] = [f"{known_as(study, agent)} earns"]
    for n, (place, d) in enumerate(read):
        where = f" {under(study, place)}" if len(read) > 1 else ""
        parts += [";" if n else ("," if where else ""), where, "," if where and not n else "", " "]
        parts += _compared(study, numbers, d, ledger)
        nearest = _nearest(study, numbers, d)
        if nearest is not None:
            parts += [" and ", *_compared(study, numbers, nearest, ledger)]
    times = _times(result, agent)
    if times is not None:
        ours, theirs = times
        source = f"{SUMMARY}: serving.latency"
        opponent = study.roles.opponent
        parts += [
            "; a slate of it takes ",
            ledger.number(f"{ours['cpu']:.1f} ms", f"{source}.{agent}[0].cpu"),
            f" to serve, one of {study.roles.say(opponent)} ",
            ledger.number(f"{theirs['cpu']:.1f} ms", f"{source}.{opponent}[0].cpu"),
        ]
    return join([*parts, "."])


def _compared(study: Study, numbers: Numbers, d: Difference, ledger: Ledger) -> Iterator[str]:
    """How much more or less than another: "6.4 % less than the ranker (clearly behind)"."""
    other, base = study.roles.say(d.baseline), numbers.of(d.baseline).mean[d.place].value
    text = more_or_less(d.estimate.value, base)
    source = f"{d.estimate.source}, divided by the mean of {d.baseline} there"
    yield ledger.number(text, source)
    if d.estimate.low == d.estimate.high == 0.0:
        yield f" as {other}, whose very slates it shows: nothing that it learned is served"
    elif text == AS_MUCH and not d.side:
        yield f" as {other}"
    else:
        yield f" {'as' if text == AS_MUCH else 'than'} {other} ({SIDES[d.side]})"


def _nearest(study: Study, numbers: Numbers, d: Difference) -> Difference | None:
    """The same learner there against whatever else does best without looking ahead."""
    rivals = [
        other
        for other in numbers.differences
        if (other.agent, other.place) == (d.agent, d.place)
        and other.baseline != study.roles.opponent
    ]
    return min(rivals, key=lambda other: other.estimate.value, default=None)


def _line(
    result: Result,
    numbers: Numbers,
    agent: str,
    place: Place,
    opponent: Difference,
    ledger: Ledger,
) -> Html:
    """How much RL earns there above the opponent, and above the best that has no RL."""
    study = result.study
    nearest = _nearest(study, numbers, opponent)
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


def _of_the_log(
    study: Study, read: Sequence[tuple[Place, Difference]], ledger: Ledger
) -> Iterator[Html]:
    """What is shown for those who wrote the log, of whom the world is a model."""
    told = [(place, d, d.transfer) for place, d in read if d.transfer is not None]
    if not told:
        return
    parts: list[Html | str] = [
        element("strong", "For the people who wrote the log: "),
        f"RL minus {study.roles.say(study.roles.opponent)} is in ",
    ]
    for n, (place, d, transfer) in enumerate(told):
        where = f" {under(study, place)}" if len(told) > 1 else ""
        source = f"{d.estimate.source}, widened as the table of differences says under transfer"
        said = ledger.number(transferred(d), source)
        parts += ["; " if n else "", said, where, f", {CARRIES[transfer.side]}"]
    parts.append(" (judges, assumptions and the error of models allowed for).")
    yield join(parts)


def _assumed(study: Study, places: Sequence[Place]) -> Iterator[Html]:
    """What the names of assumptions mean, of a log's world."""
    from slategym.models.simulator.assumptions import SAYS

    if study.log is None:
        return
    named = dict.fromkeys(str(p.settings.get("assumptions", study.assumptions)) for p in places)
    told = [(name, SAYS[base]) for name in named if (base := name.partition(":")[0]) in SAYS]
    if told:
        meant = "; ".join(f"{name}: {says}" for name, says in told)
        yield join([element("strong", "Assumed of people, not found: "), f"{meant}."])


def _read_on(study: Study, read: Sequence[tuple[Place, Difference]]) -> Html:
    """How many people and trainings the difference was read on, where it was trained."""
    found = [
        f"{d.estimate.num_people} people and {len(d.by_seed)} training "
        f"seed{'s' if len(d.by_seed) != 1 else ''}"
        + (f" {under(study, place)}" if len(read) > 1 else "")
        for place, d in read
    ]
    few = any(len(d.by_seed) == 1 for _, d in read)
    alone = " With one seed, an interval says nothing of how trainings differ." if few else ""
    return join([element("strong", "Read on: "), f"{', '.join(found)}.{alone}"])


def _sized(numbers: Numbers, d: Difference, ledger: Ledger) -> Iterator[Html]:
    """A difference as a share of what the other earns, and as it is."""
    base = numbers.of(d.baseline).mean[d.place].value
    if base > 0:
        text = share(d.estimate.value / base)
        yield ledger.number(text, f"{d.estimate.source}, divided by the mean of {d.baseline} there")
        yield join([" (", shown(d), ")"])
    else:
        yield join([shown(d)])


def _times(result: Result, agent: str) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """What a slate of the learner takes and one of the opponent; None: it was not read."""
    found: Mapping[str, Any] = result.serving.get("latency", {})
    ours, theirs = found.get(agent), found.get(result.study.roles.opponent)
    return (ours[0], theirs[0]) if ours and theirs else None


def _cost(result: Result, agent: str, ledger: Ledger) -> Html | None:
    """What a slate of RL and one of the opponent takes."""
    study, times = result.study, _times(result, agent)
    if times is None:
        return None
    source = f"{SUMMARY}: serving"
    first, theirs = times
    return join(
        [
            element("strong", "To serve: "),
            f"one slate of {known_as(study, agent)} takes ",
            ledger.number(f"{first['cpu']:.1f} ms", f"{source}.latency.{agent}[0].cpu"),
            " of processor time, one of " + study.roles.say(study.roles.opponent) + " ",
            ledger.number(
                f"{theirs['cpu']:.1f} ms",
                f"{source}.latency.{study.roles.opponent}[0].cpu",
            ),
            f" (median, one user a call, {first['items']:,} {study.words.items}, "
            f"{_where(result.serving)}).",
        ]
    )


def _where(serving: Mapping[str, Any]) -> str:
    threads = serving["threads"]
    return f"{serving['device'].upper()}, {threads} thread{'s' if threads > 1 else ''}"


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
