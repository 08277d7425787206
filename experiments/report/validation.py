"""Is the world like its log? What `validate` found, and an objection where it fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from slategym.experiments.report.markup import Html, element, table
from slategym.experiments.report.results import Result
from slategym.experiments.statistics.numbers import Numbers
from slategym.experiments.statistics.sentences import under
from slategym.experiments.statistics.verdict import objected
from slategym.experiments.statistics.words import listed

ORDER = ("fail", "warn", "pass", "left out")


def objections(result: Result) -> Iterator[tuple[str, str]]:
    """Of every open place whose world fails a check against its log: its name, and a sentence."""
    for name, found in result.validation.items():
        lines = [line for line in found["lines"] if line["status"] != "left out"]
        failed = [line["check"] for line in lines if line["status"] == "fail"]
        if failed:
            place = result.study.place(name)
            yield (
                name,
                f"Objection, {under(result.study, place)}: held against its log, the simulated "
                f"world fails {len(failed)} of {len(lines)} checks ({listed(failed)}), so that "
                "what is gained in it may be gained on what it has wrong.",
            )


def with_objections(result: Result, numbers: Numbers) -> Numbers:
    """The numbers with a verdict that takes a fail as an objection."""
    found = dict(objections(result))
    return replace(numbers, verdict=objected(numbers.verdict, found)) if found else numbers


def validation_section(result: Result) -> list[Html | None]:
    """Every check of every open place, the worst first; nothing where none was made."""
    if not result.validation:
        return []
    parts: list[Html | None] = [
        element(
            "p",
            "Before anything was learned in it, the world was held against its log, as `slategym "
            "validate` does. A check that fails is an objection to the verdict.",
        )
    ]
    for name, found in result.validation.items():
        lines = sorted(found["lines"], key=lambda line: ORDER.index(line["status"]))
        body = [[line["check"], line["status"], line["said"]] for line in lines]
        heading = result.study.place(name).heading
        caption = f"{heading}, shown {found['shown']}: {found['sentence']}"
        parts.append(table(caption, ["check", "", "what was found"], body, wide=True))
    return parts
