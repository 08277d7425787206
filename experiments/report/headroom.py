"""Headroom in a report: in a sentence, in a table, in a figure; before anything was learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from slategym.experiments.places import Place
from slategym.experiments.report.figures import Picture, panels_of, save_picture
from slategym.experiments.report.ledger import Ledger
from slategym.experiments.report.markup import Html, element, table
from slategym.experiments.report.results import Result
from slategym.experiments.statistics.numbers import Numbers
from slategym.experiments.statistics.sentences import under
from slategym.experiments.statistics.words import level_values, share, signed_values
from slategym.experiments.study import Study

LINES = {"random": ":", "supervised": "-.", "greedy, told": "--", "rule, told": "-"}
FLOOR = "random"  # of no decision: the axis need not reach down to it


def draw_depths(found: Mapping[str, Any], folder: Path, name: str, title: str = "") -> Picture:
    """Return by how far the planner looks ahead, beside those who look no further than the slate.

    Args:
        found: a headroom, as `measure/headroom` has it in JSON values.
        folder: where the figure goes.
        name: of the file, without its suffix.
        title: of the figure; "": the world's.
    """
    figure, (panel,) = panels_of(1, 1, 3.2)
    depths = [d["slates"] for d in found["depths"]]
    values = [d["value"] for d in found["depths"]]
    spread = [
        [d["value"] - d["low"] for d in found["depths"]],
        [d["high"] - d["value"] for d in found["depths"]],
    ]
    panel.errorbar(depths, values, yerr=spread, marker="o", color="C0", label="planner, told")
    levels = {who: found["returns"][who]["value"] for who in LINES if who in found["returns"]}
    fit = [*(d["low"] for d in found["depths"]), *(d["high"] for d in found["depths"])]
    fit += [level for who, level in levels.items() if who != FLOOR]
    room = 0.12 * (max(fit) - min(fit) or 1.0)
    low, high = min(fit) - room, max(fit) + room
    for who, level in levels.items():
        if low <= level <= high:
            panel.axhline(level, linestyle=LINES[who], color="0.35", linewidth=1.2, label=who)
        else:  # it would press together what the figure is about
            arrow, at = ("\u2193", 0.02) if level < low else ("\u2191", 0.93)
            text = f"{arrow} {who} {level:,.1f}"
            panel.text(0.01, at, text, transform=panel.transAxes, fontsize=8, color="0.35")
    panel.set_ylim(low, high)
    panel.set_xscale("log", base=2)
    panel.set_xticks(depths, [str(depth) for depth in depths])
    panel.set_xlabel("slates looked ahead")
    panel.set_ylabel("expected return")
    panel.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    heading = title or f"{found['world']}: what looking ahead is worth, told the truth"
    caption = (
        f"Mean over {found['users']} sessions of {found['people']} people, bars 95 % over people. "
        f"{found['sentence']}"
    )
    return save_picture(figure, folder, name, heading, caption, f"{heading}. {found['sentence']}")


def draw_headroom(result: Result, folder: Path) -> tuple[Picture, ...]:
    """A figure for every place whose headroom was read."""
    return tuple(
        draw_depths(
            found,
            folder,
            f"{result.study.name}-headroom-{name}",
            f"{result.study.place(name).heading}: what looking ahead is worth, told the truth",
        )
        for name, found in result.headroom.items()
    )


def with_headroom(result: Result, numbers: Numbers) -> Numbers:
    """The numbers with a verdict that begins with the headroom."""
    first = {
        name: _sentence(result.study, result.study.place(name), found)
        for name, found in result.headroom.items()
    }
    return replace(numbers, verdict=numbers.verdict.beginning_with(first))


def _sentence(study: Study, place: Place, found: Mapping[str, Any]) -> str:
    """Whether there is anything to plan for in a place."""
    what = "something" if found["something_to_plan_for"] else "nothing"
    return (
        f"There is {what} to plan for {under(study, place)}: told the truth, looking ahead is "
        f"worth {signed_values(found['headroom'])} {study.unit} over the best slate of the moment "
        f"({share(found['headroom']['share'])})"
        + ("." if found["flat"] else ", at least: looking further still gains.")
    )


def headroom_section(
    result: Result, pictures: Mapping[str, Html], ledger: Ledger
) -> list[Html | None]:
    """Who earns what, told the truth or not, in every open place."""
    if not result.headroom:
        return []
    parts: list[Html | None] = [
        element(
            "p",
            "Before any learner was trained: what could looking ahead be worth? Greedy is told the "
            "true model and shows the best slate of the moment; the rule is the best of some that "
            "are told as well and pass over topics about to bore; the planner plays candidate "
            "slates out in the true world. Expected returns.",
        )
    ]
    for name, found in result.headroom.items():
        place = result.study.place(name)
        body = [
            [who, level_values(numbers), f"{found['seconds'][who]:.0f} s"]
            for who, numbers in found["returns"].items()
        ]
        body.append(["planner - greedy", signed_values(found["headroom"]), ""])
        parts += [
            element("h3", place.heading),
            element("p", _sentence(result.study, place, found)),
            table(
                f"{place.heading}: expected return ({result.study.unit}) with 95 % intervals over "
                f"people, {found['users']} users.",
                ["who", "expected return", "CPU time"],
                body,
            ),
            pictures.get(f"headroom-{name}"),
        ]
    return parts
