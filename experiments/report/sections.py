"""The parts of a report, in the order a sceptical reader asks for them; see also background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from slategym.experiments.places import Place
from slategym.experiments.report import background
from slategym.experiments.report.attribution import attribution_section
from slategym.experiments.report.comparisons import (
    control_section,
    differences_section,
    source_note,
)
from slategym.experiments.report.exposure import exposure_section
from slategym.experiments.report.families import families_table
from slategym.experiments.report.gallery import gallery_section
from slategym.experiments.report.goodhart import goodhart_section
from slategym.experiments.report.headroom import headroom_section
from slategym.experiments.report.ledger import Ledger
from slategym.experiments.report.markup import Html, element, folded, join, prose, table
from slategym.experiments.report.page import section
from slategym.experiments.report.results import Result
from slategym.experiments.report.segments import segments_section
from slategym.experiments.report.served import served_section
from slategym.experiments.report.short import cost_section, short_section
from slategym.experiments.report.validation import validation_section
from slategym.experiments.report.words import (
    best_first,
    capital,
    knows,
    name_cell,
    name_of,
    told_columns,
    where,
)
from slategym.experiments.runs.progress import duration
from slategym.experiments.statistics.differences import Difference
from slategym.experiments.statistics.numbers import Numbers, Standing, one_of
from slategym.experiments.statistics.verdict import Part as VerdictPart
from slategym.experiments.statistics.verdict import Verdict
from slategym.experiments.statistics.words import listed, signed_number
from slategym.experiments.study import Study

IN_SHORT = ("short", "headroom", "verdict", "attribution", "slates", "segments", "cost")


class Part(NamedTuple):
    """A section and its line in the table of contents."""

    name: str  # "": none, a line between sections
    title: str
    html: Html


def all_parts(
    result: Result,
    numbers: Numbers,
    pictures: Mapping[str, Html],
    ledger: Ledger,
    files: Sequence[background.File],
    environment: Mapping[str, str],
) -> list[Part]:
    """Every section that the study has something to say in."""
    sweep = result.study.sweep
    opponent = result.study.roles.say(result.study.roles.opponent)
    bodies: list[tuple[str, str, list[Html | None]]] = [
        ("short", "In short", short_section(result, numbers, ledger)),
        ("headroom", "Headroom", headroom_section(result, pictures, ledger)),
        ("verdict", "Verdict", _verdict(result, numbers, pictures, ledger)),
        ("attribution", "What it consists of", attribution_section(result, numbers, ledger)),
        ("slates", "What people are shown", gallery_section(result, ledger)),
        (
            "segments",
            "Who gains",
            segments_section(result, numbers, pictures.get("segments"), ledger),
        ),
        ("cost", "What it costs to serve", cost_section(result, ledger)),
        ("ladder", "The ladder", _ladder(result, numbers, pictures, ledger)),
        ("places", "By place", _places(result, numbers, ledger)),
        ("exposure", "What is shown", exposure_section(result, numbers)),
        (
            "differences",
            f"RL against {opponent}",
            differences_section(result, numbers, pictures, ledger),
        ),
        ("control", "Negative control", control_section(result, numbers, ledger)),
        ("judge", "Before the judge", _judge(result, numbers, pictures, ledger)),
        ("sweep", sweep.title if sweep else "", _sensitivity(result, numbers, pictures, ledger)),
        ("learning", "Learning", _learning(result, pictures, ledger)),
        ("assumptions", "What it rests on", background.assumptions(result, ledger)),
        ("validation", "Against its log", validation_section(result)),
        ("models", "The models", background.models(result, pictures, ledger)),
        ("protocol", "Protocol", background.protocol(result, ledger)),
        ("tuning", "What was tuned", background.tuning(result, ledger)),
        ("learners", "The learners", background.learners(result)),
        ("repeat", "Repeat it", background.repeat(result, ledger, files, environment)),
    ]
    parts = []
    for name, title, body in bodies:
        if any(part is not None for part in body):
            note = element("p", prose(result.remarks[name])) if name in result.remarks else None
            parts.append(Part(name, title, section(name, title, note, *body)))
    every = section("sources", "Every number", *background.sources(ledger))
    return [*parts, Part("sources", "Every number", every)]


def divided(parts: Sequence[Part]) -> list[Part]:
    """With a line between what is read in five minutes and all the rest; of a short report none."""
    first = [part for part in parts if part.name in IN_SHORT]
    rest = [part for part in parts if part.name not in IN_SHORT]
    if len(first) < 3:
        return list(parts)
    line = element("p", "Up to here: five minutes. Below: all that it rests on.", class_="divider")
    return [Part("", "In five minutes", Html("")), *first, Part("", "All of it", line), *rest]


def _learning(result: Result, pictures: Mapping[str, Html], ledger: Ledger) -> list[Html | None]:
    return [
        pictures.get("curves"),
        pictures.get("goodhart"),
        *goodhart_section(result, ledger),
        *served_section(result, ledger),
    ]


def _verdict(
    result: Result, numbers: Numbers, pictures: Mapping[str, Html], ledger: Ledger
) -> list[Html | None]:
    found, study = numbers.verdict, result.study
    box = folded(
        f"All that is said, in {len(found.sentences)} sentences",
        *(
            join(
                [
                    element("h3", _of_place(study, part)) if len(found.outcomes) > 1 else None,
                    *(element("p", sentence) for sentence in part.sentences),
                ]
            )
            for part in _by_place(found)
        ),
    )
    told = (*numbers.differences, *numbers.control)
    baselines = list(dict.fromkeys(d.baseline for d in told if d.agent in found.agents))
    places = list(dict.fromkeys(d.place for d in told))
    head = ["agent", "where", *(f"minus {baseline}" for baseline in baselines)]
    several = len(numbers.selection) > 1
    head += ["selection people: return"] if several else []
    body = []
    for agent in found.agents:
        chosen = numbers.selection.get(agent)
        for place in places:
            cells = [numbers.find(agent, baseline, place) for baseline in baselines]
            if not any(cells):
                continue
            line = [agent, study.place(place).heading]
            line += [ledger.estimate(d.estimate, signed=True) if d else "" for d in cells]
            line += [ledger.estimate(chosen) if chosen else ""] if several else []
            body.append(line)
    chosen_on = (
        f"Of the agents, {found.agent} speaks for RL: it has the highest return on selection "
        "people, who are not among the evaluation people. "
        if several and found.agent
        else ""
    )
    return [
        box,
        pictures.get("attribution"),
        element("p", prose(study.question)),
        table(
            f"Paired differences of return ({study.unit}) with 95 % intervals. {chosen_on}",
            head,
            body,
            wide=True,
        )
        if body
        else None,
        source_note(),
    ]


def _by_place(found: Verdict) -> list[VerdictPart]:
    """The verdict's parts, those of one place together."""
    said: dict[str, tuple[str, ...]] = {}
    for part in found.parts:
        said[part.place] = (*said.get(part.place, ()), *part.sentences)
    return [VerdictPart(place, sentences) for place, sentences in said.items() if sentences]


def _of_place(study: Study, part: VerdictPart) -> str:
    return capital(study.place(part.place).heading) if part.place else "All places"


def _ladder(
    result: Result, numbers: Numbers, pictures: Mapping[str, Html], ledger: Ledger
) -> list[Html | None]:
    study, roles = result.study, result.study.roles
    places = [p for p in study.main if any(p.name in standing.mean for standing in numbers.ladder)]
    first = places[0]
    body = [
        [
            name_cell(study, standing.policy, strong=standing.kind == "learns"),
            knows(study, standing),
            *(
                ledger.estimate(standing.mean[p.name]) if p.name in standing.mean else ""
                for p in places
            ),
            ledger.estimate(standing.middle) if standing.middle else "",
            ledger.estimate(standing.score[first.name]) if first.name in standing.score else "",
        ]
        for standing in numbers.ladder[::-1]
    ]
    head = ["policy", "knows", *(p.heading for p in places), f"{first.name}, interquartile mean"]
    told = [standing.policy for standing in numbers.ladder if standing.kind == "privileged"]
    upper = f" {listed(told)} are told what no real system knows: upper references."
    return [
        pictures["ladder"],
        table(
            f"Mean return ({study.unit}) with 95 % intervals. Score, in {first.heading}: 0 is "
            f"{roles.random}, 1 is {one_of(study, first)}.{upper if told else ''}",
            [*head, "score"],
            body,
            wide=True,
        ),
        source_note(),
    ]


def _places(result: Result, numbers: Numbers, ledger: Ledger) -> list[Html | None]:
    """A table of each place: what a session had besides its return, and what training took."""
    found: list[Html | None] = []
    for place in result.study.main:
        standings = [standing for standing in numbers.ladder[::-1] if place.name in standing.mean]
        if standings:
            found.append(_place(result, place, best_first(standings, place), ledger))
    return [*found, source_note()] if found else []


def _place(result: Result, place: Place, standings: Sequence[Standing], ledger: Ledger) -> Html:
    study = result.study
    columns = told_columns(standings, place)
    published = {p.policy: p for p in study.published if p.place == place.name}
    also = [c for c in columns if any(c in p.also for p in published.values())]
    trained = any(place.name in standing.slates for standing in standings)
    head = ["policy", f"return ({study.unit})"]
    head += ["published", *(f"published {name_of(study, c)}" for c in also)] if published else []
    head += [name_of(study, column) for column in columns]
    head += ["slates of training", "CPU time of training"] if trained else []
    body: list[list[str]] = []
    for standing in standings:
        theirs, side = published.pop(standing.policy, None), standing.side[place.name]
        line: list[str] = [_name(standing.policy, standing.kind)]
        line.append(ledger.estimate(standing.mean[place.name]))
        if "published" in head:
            line.append(f"{theirs.value:.1f}" if theirs else "")
            line += [
                f"{signed_number(theirs.also[c])}" if theirs and c in theirs.also else ""
                for c in also
            ]
        line += [ledger.plain(side[c]) if c in side else "" for c in columns]
        if trained:
            slates = standing.slates.get(place.name)
            line.append("" if slates is None else f"{slates:,.0f}")
            line.append(duration(standing.cpu_seconds[place.name]) if slates is not None else "")
        body.append(line)
    for theirs in published.values():
        line = [f"{theirs.policy}, published", "", f"{theirs.value:.1f}"]
        body.append([*line, *[""] * (len(head) - len(line))])
    sources = "; ".join(dict.fromkeys(p.source for p in study.published if p.place == place.name))
    caption = f"{place.heading}, {where(place)}: per session, means, highest return first."
    return table(caption + (f" Published: {sources}." if sources else ""), head, body, wide=True)


def _judge(
    result: Result, numbers: Numbers, pictures: Mapping[str, Html], ledger: Ledger
) -> list[Html | None]:
    study, opponent = result.study, result.study.roles.opponent
    body = []
    for agent in numbers.verdict.agents:
        for name, drop in numbers.drops.get(agent, ()):
            judge = study.place(name)
            here, there = (numbers.find(agent, opponent, p) for p in (judge.of, judge.name))
            if here is None or there is None:
                continue
            same = (here.estimate.value > 0) == (there.estimate.value > 0)
            body.append(
                [
                    name_cell(study, agent),
                    judge.heading,
                    ledger.estimate(here.estimate, signed=True),
                    ledger.estimate(there.estimate, signed=True),
                    "yes" if same else "no",
                    ledger.estimate(drop, signed=True),
                ]
            )
    by_family = families_table(result, numbers, ledger)
    if not body:
        return [by_family, source_note()] if by_family is not None else []
    caption = (
        f"Advantage over {opponent} ({study.unit}) in the world and before the judge, a model of "
        "another family fitted on other people. Drop: world minus judge, paired; positive where "
        "the world flattered the agent."
    )
    head = ["agent", "judge", "in the world", "before the judge", "same sign", "drop"]
    grid = _families(result, numbers, ledger)
    return [pictures.get("judge"), table(caption, head, body), grid, by_family, source_note()]


def _families(result: Result, numbers: Numbers, ledger: Ledger) -> Html | None:
    """Every comparison by who plays the people; nothing where there is one judge."""
    study = result.study
    places = study.of_role("open", "judge")
    if len(study.of_role("judge")) < 2:
        return None
    lines = dict.fromkeys((d.agent, d.baseline) for d in numbers.differences)
    body = []
    for agent, baseline in lines:
        found = [numbers.find(agent, baseline, place.name) for place in places]
        sides = [d.side for d in found if d is not None]
        agree = "all ahead" if min(sides) > 0 else "all behind" if max(sides) < 0 else "no"
        cells = [_signed(d, ledger) if d else "" for d in found]
        body.append([name_cell(study, agent), name_cell(study, baseline), *cells, agree])
    caption = (
        f"Who is ahead ({study.unit}) by who plays the people: clearly ahead, clearly behind, or "
        "open. A claim holds where all agree."
    )
    head = ["agent", "minus", *(place.heading for place in places), "all families agree"]
    return table(caption, head, body, wide=True)


def _signed(d: Difference, ledger: Ledger) -> Html:
    word = {1: "ahead", -1: "behind", 0: "open"}[d.side]
    return join([ledger.number(signed_number(d.estimate.value), d.estimate.source), f" {word}"])


def _sensitivity(
    result: Result, numbers: Numbers, pictures: Mapping[str, Html], ledger: Ledger
) -> list[Html | None]:
    study, sweep = result.study, result.study.sweep
    if sweep is None or "sensitivity" not in pictures:
        return []
    lines = dict.fromkeys((d.agent, d.place, d.strength) for d in numbers.sensitivity)
    found = {(d.agent, d.place, d.strength, d.baseline): d for d in numbers.sensitivity}
    baselines = (study.roles.opponent, *study.roles.others)
    body = []
    for agent, place, strength in lines:
        cells = [found.get((agent, place, strength, baseline)) for baseline in baselines]
        mark = " (the study's)" if strength == sweep.value else ""
        body.append(
            [
                name_cell(study, agent),
                study.place(place).heading,
                f"{strength:g}{mark}",
                *(ledger.estimate(d.estimate, signed=True) if d else "" for d in cells),
            ]
        )
    head = ["agent", "where", "strength", *(f"minus {baseline}" for baseline in baselines)]
    caption = f"Paired differences ({study.unit}) by strength of {sweep.name} ({sweep.unit})."
    return [pictures["sensitivity"], table(caption, head, body), source_note()]


def _name(policy: str, kind: str) -> Html:
    return element("span", policy, class_="strong" if kind == "learns" else None)
