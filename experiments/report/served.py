"""What is served after training: what was trained, or the start, as selection people decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from slategym.experiments.report.ledger import SUMMARY, Ledger
from slategym.experiments.report.markup import Html, element, table
from slategym.experiments.report.results import Result
from slategym.experiments.statistics.numbers import Numbers
from slategym.experiments.statistics.sentences import under
from slategym.experiments.statistics.verdict import Part
from slategym.experiments.statistics.words import listed, signed_number, signed_values


def served_section(result: Result, ledger: Ledger) -> list[Html | None]:
    """Every training whose result was held against its start; nothing where none begins at one."""
    if not result.served:
        return []
    splits = len({one["split"] for one in result.served}) > 1
    body = [_line(result, number, ledger, splits) for number in range(len(result.served))]
    back = sum(one["policy"] == "start" for one in result.served)
    intro = (
        f"Whoever begins at a tuned or refitted policy serves what was trained only where "
        f"selection people are clearly better off with it: {len(body) - back} of {len(body)} "
        f"trainings; the other {back} serve their start, slate by slate. In the control what was "
        "trained is read in any case, so that there is something to control."
    )
    head = ["learner", "trained in", *(["split"] if splits else []), "seed", "serves"]
    return [
        element("p", intro),
        table(
            f"Gain of what was trained over its start, on selection people ({result.study.unit}).",
            [*head, "gain"],
            body,
        ),
    ]


def served_sentences(result: Result) -> Iterator[str]:
    """Which learners serve their start, by place: tables do not show what these learned."""
    study = result.study
    for place in study.of_role("open"):
        back = []
        for learner in dict.fromkeys(one["learner"] for one in result.served):
            mine = [
                one["policy"]
                for one in result.served
                if (one["learner"], one["place"]) == (learner, place.name)
            ]
            if "start" in mine:
                name = study.roles.say(learner)
                back.append(f"{name} ({mine.count('start')} of {len(mine)} trainings)")
        if back:
            yield (
                f"{under(study, place).capitalize()}, training did not clearly pay before "
                f"selection people, so that the start is served and read instead of what was "
                f"trained, for {listed(back)}."
            )


def with_served(result: Result, numbers: Numbers) -> Numbers:
    """The numbers with a verdict that says whose training is not served."""
    found = tuple(served_sentences(result))
    verdict = numbers.verdict
    if not found:
        return numbers
    return replace(numbers, verdict=replace(verdict, parts=(*verdict.parts, Part("", found))))


def _line(result: Result, number: int, ledger: Ledger, splits: bool) -> list[str]:
    one: Mapping[str, Any] = result.served[number]
    place = result.study.place(one["place"])
    gain = signed_number(one["gain"])
    if one["low"] is not None:  # there are two people or more
        gain = signed_values({"value": one["gain"], "low": one["low"], "high": one["high"]})
    serves = "what was trained" if one["policy"] == "trained" else "its start"
    if place.role == "control":
        serves = f"would serve {serves}; what was trained is read"
    return [
        one["learner"],
        place.heading,
        *([str(one["split"])] if splits else []),
        str(one["seed"]),
        serves,
        ledger.number(gain, f"{SUMMARY}: served[{number}]"),
    ]
