"""The parts of a report, in the order a sceptical reader asks for them; see also background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from slategym.experiments.report import background
from slategym.experiments.report.figures import PLACE_NAMES
from slategym.experiments.report.ledger import ROWS, Ledger
from slategym.experiments.report.markup import Html, element, join, table
from slategym.experiments.report.page import section
from slategym.experiments.report.results import StudyResult
from slategym.experiments.statistics.numbers import PLACES, SIDE_METRICS, Difference, Numbers
from slategym.experiments.statistics.verdict import Outcome

KINDS = {
    "privileged": "the true model",
    "learns": "learns by RL",
    "baseline": "the log",
}
TONES: dict[Outcome, tuple[str, str]] = {
    "wins": ("wins", "RL beats the ranker"),
    "loses": ("bad", "RL loses"),
    "not believed": ("bad", "not to be believed"),
    "no difference": ("unsure", "no clear difference"),
    "world only": ("unsure", "not shown"),
    "judge only": ("unsure", "not shown"),
}
SIDE_NAMES = {
    "clicks": "clicks",
    "likes": "likes",
    "length": "slates",
    "bored_share": "slates while bored, share",
    "topics": "topics clicked",
}


class Part(NamedTuple):
    """A section and its line in the table of contents."""

    name: str
    title: str
    html: Html


def all_parts(
    result: StudyResult,
    numbers: Numbers,
    pictures: Mapping[str, Html],
    ledger: Ledger,
    files: Sequence[background.File],
    environment: Mapping[str, str],
) -> list[Part]:
    """Every section that the study has something to say in."""
    bodies: list[tuple[str, str, list[Html | None]]] = [
        ("verdict", "Verdict", _verdict(result, numbers, ledger)),
        ("ladder", "The ladder", _ladder(result, numbers, pictures, ledger)),
        ("differences", "RL against the ranker", _differences(result, numbers, pictures, ledger)),
        ("control", "Negative control", _control(result, numbers, ledger)),
        ("judge", "Before the judge", _judge(result, numbers, pictures, ledger)),
        ("grid", "Boredom strength", _sensitivity(result, numbers, pictures, ledger)),
        ("learning", "Learning", [pictures["curves"]] if "curves" in pictures else []),
        ("assumptions", "What it rests on", background.assumptions(result, ledger)),
        ("models", "The models", background.models(result, pictures, ledger)),
        ("protocol", "Protocol", background.protocol(result, ledger)),
        ("repeat", "Repeat it", background.repeat(result, ledger, files, environment)),
    ]
    parts = []
    for name, title, body in bodies:
        if body:
            note = element("p", result.notes[name]) if name in result.notes else None
            parts.append(Part(name, title, section(name, title, note, *body)))
    parts.append(
        Part(
            "sources",
            "Every number",
            section("sources", "Every number", *background.sources(ledger)),
        )
    )
    return parts


def _verdict(result: StudyResult, numbers: Numbers, ledger: Ledger) -> list[Html | None]:
    found, roles = numbers.verdict, result.roles
    tone, tag = TONES[found.best.outcome]
    head = [
        "agent",
        f"world: minus {roles.supervised}",
        f"judge: minus {roles.supervised}",
        f"world: minus {roles.capped}",
        f"judge: minus {roles.capped}",
        f"static twin: minus {roles.supervised}",
    ]
    several = len(found.facts) > 1
    if several:
        head.append("world, selection users: return")
    body = [
        [
            f.agent,
            *(
                ledger.estimate(estimate, signed=True)
                for estimate in (
                    f.world_supervised,
                    f.judge_supervised,
                    f.world_capped,
                    f.judge_capped,
                    f.static_supervised,
                )
            ),
            *([ledger.estimate(f.selection)] if f.selection else []),
        ]
        for f in found.facts
    ]
    box = element(
        "div",
        element("span", tag, class_="tag"),
        element("p", found.sentence),
        class_=f"verdict {tone}",
    )
    chosen = (
        f"Of the agents, {found.best.agent} speaks for RL: it has the highest return on selection "
        "users, who are not among the evaluation users. "
        if several
        else ""
    )
    return [
        box,
        element("p", result.question),
        table(
            f"Paired differences of return ({roles.unit}) with 95 % intervals. {chosen}",
            head,
            body,
            wide=True,
        ),
        _source_note(),
    ]


def _ladder(
    result: StudyResult, numbers: Numbers, pictures: Mapping[str, Html], ledger: Ledger
) -> list[Html | None]:
    roles = result.roles
    places = [p for p in PLACES if any(p in rung.mean for rung in numbers.ladder)]
    rungs = numbers.ladder[::-1]
    returns = [
        [
            _name(rung.policy, rung.kind),
            "the boredom rule" if rung.policy == roles.reference else KINDS[rung.kind],
            *(ledger.estimate(rung.mean[p]) if p in rung.mean else "" for p in places),
            ledger.estimate(rung.middle),
            ledger.estimate(rung.score) if rung.score else "",
        ]
        for rung in rungs
    ]
    measured = [m for m in SIDE_METRICS if all(m in rung.side for rung in rungs)]
    side = [
        [_name(rung.policy, rung.kind), *(ledger.plain(rung.side[m]) for m in measured)]
        for rung in rungs
    ]
    head = ["policy", "knows", *(PLACE_NAMES[p] for p in places), "world, interquartile mean"]
    return [
        pictures["ladder"],
        table(
            f"Mean return ({roles.unit}) with 95 % intervals. Score, in the world: 0 is "
            f"{roles.random}, 1 is {roles.reference}. "
            f"{roles.myopic} and {roles.reference} are told what no real system knows: upper "
            "references.",
            [*head, "score"],
            returns,
            wide=True,
        ),
        table(
            "Per session in the simulated world, means.",
            ["policy", *(SIDE_NAMES[m] for m in measured)],
            side,
        ),
        _source_note(),
    ]


def _differences(
    result: StudyResult, numbers: Numbers, pictures: Mapping[str, Html], ledger: Ledger
) -> list[Html | None]:
    body = [
        [
            *_difference_cells(d, ledger),
            ledger.estimate(d.chance),
            ledger.number(
                _p_text(p), f"{ROWS}: Holm-adjusted bootstrap p-value of {d.estimate.source}"
            ),
        ]
        for d, p in zip(numbers.differences, numbers.adjusted, strict=True)
    ]
    return [
        pictures["differences"],
        table(
            f"Paired differences ({result.roles.unit}). Better for: share of (user, seed) pairs in "
            f"which the agent's return is higher, ties half. p: two-sided, adjusted by Holm for "
            f"all {len(body)} lines.",
            ["agent", "minus", "where", "difference", "by training seed", "better for", "p"],
            body,
            wide=True,
        ),
        element("p", result.notes["capped"]) if "capped" in result.notes else None,
        _source_note(),
    ]


def _control(result: StudyResult, numbers: Numbers, ledger: Ledger) -> list[Html | None]:
    intro = (
        "In the static twin nobody gets bored, nothing drifts and nobody leaves, so looking ahead "
        "is worth nothing. Agents trained there must tie with the supervised ranker and may not "
        f"beat {result.roles.myopic}, which knows the true model; if one does, it exploits "
        "something it should not."
    )
    body = [_difference_cells(d, ledger) for d in numbers.control]
    head = ["agent", "minus", "where", "difference", "by training seed"]
    lines: list[Html | None] = [
        element("p", intro),
        element(
            "ul",
            *(element("li", _control_line(f.agent, f.objections)) for f in numbers.verdict.facts),
        ),
        table(f"Agents trained and read in the static twin ({result.roles.unit}).", head, body),
    ]
    if numbers.carried:
        carried = [_difference_cells(d, ledger) for d in numbers.carried]
        caption = "For comparison: agents trained in the world, read in the static twin."
        lines.append(table(caption, head, carried))
    return [*lines, _source_note()]


def _control_line(agent: str, objections: Sequence[str]) -> str:
    return (
        f"{agent}: fails, because {' and '.join(objections)}."
        if objections
        else f"{agent}: passes."
    )


def _judge(
    result: StudyResult, numbers: Numbers, pictures: Mapping[str, Html], ledger: Ledger
) -> list[Html | None]:
    body = [
        [
            f.agent,
            ledger.estimate(f.world_supervised, signed=True),
            ledger.estimate(f.judge_supervised, signed=True),
            "yes" if f.same_sign else "no",
            ledger.estimate(f.drop, signed=True),
        ]
        for f in numbers.verdict.facts
    ]
    caption = (
        f"Advantage over {result.roles.supervised} ({result.roles.unit}) in the world and before "
        "the judge, a model of another family fitted on other people. Drop: world minus judge, "
        "paired; positive where the world flattered the agent."
    )
    return [
        pictures["judge"],
        table(caption, ["agent", "in the world", "before the judge", "same sign", "drop"], body),
        _source_note(),
    ]


def _sensitivity(
    result: StudyResult, numbers: Numbers, pictures: Mapping[str, Html], ledger: Ledger
) -> list[Html | None]:
    if "sensitivity" not in pictures:
        return []
    lines = dict.fromkeys((d.agent, d.place, d.boredom) for d in numbers.sensitivity)
    found = {(d.agent, d.place, d.boredom, d.baseline): d for d in numbers.sensitivity}
    baselines = (result.roles.supervised, result.roles.capped)
    body = []
    for agent, place, boredom in lines:
        cells = [found.get((agent, place, boredom, baseline)) for baseline in baselines]
        mark = " (the study's)" if boredom == result.roles.boredom else ""
        body.append(
            [
                agent,
                PLACE_NAMES[place],
                f"{boredom:g}{mark}",
                *(ledger.estimate(d.estimate, signed=True) if d else "" for d in cells),
            ]
        )
    head = ["agent", "where", "strength", *(f"minus {baseline}" for baseline in baselines)]
    caption = f"Paired differences ({result.roles.unit}) by strength of boredom (log-odds)."
    return [pictures["sensitivity"], table(caption, head, body), _source_note()]


def _difference_cells(d: Difference, ledger: Ledger) -> list[str]:
    """Agent, baseline, place, difference, and the difference of each seed."""
    source = d.estimate.source
    seeds: list[str] = []
    for seed, value in d.by_seed.items():
        seeds += [
            ", " if seeds else "",
            ledger.number(f"{value:+.2f}", f"{ROWS}: seed {seed} of the {source}"),
        ]
    name = PLACE_NAMES[d.place].split(" (")[0]
    return [d.agent, d.baseline, name, ledger.estimate(d.estimate, signed=True), join(seeds)]


def _name(policy: str, kind: str) -> Html:
    return element("span", policy, class_="strong" if kind == "learns" else None)


def _p_text(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _source_note() -> Html:
    text = f"From {ROWS}; point at a number to see which rows, or follow it to “Every number”."
    return element("p", text, class_="source")
