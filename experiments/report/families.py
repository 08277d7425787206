"""Does a lead depend on who plays the people? A row for each family, its world beside its judge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from slategym.experiments.places import Place, family_of
from slategym.experiments.report.ledger import Ledger
from slategym.experiments.report.markup import Html, element, join, table
from slategym.experiments.report.results import Result
from slategym.experiments.report.words import name_cell
from slategym.experiments.statistics.differences import Difference
from slategym.experiments.statistics.numbers import Numbers
from slategym.experiments.study import Study
from slategym.models.simulator.parties import USUAL

WORDS = {1: "ahead", -1: "behind", 0: "open"}


def family_sentences(result: Result, numbers: Numbers) -> Iterator[str]:
    """Of every agent that a verdict speaks of: in how many worlds and judges it is ahead."""
    opponent = result.study.roles.opponent
    for agent in numbers.verdict.agents:
        found = [d for d in numbers.families if d.agent == agent]
        if not found:
            continue
        families = {_who(result.study, d.place)[1] for d in found}
        above = sum(d.estimate.value > 0 for d in found)
        clear, below = (sum(d.side == side for d in found) for side in (1, -1))
        yield (
            f"By who plays the people, in {len(found)} worlds and judges of {len(families)} "
            f"families: {agent} - {opponent} is above zero in {above} (clearly in {clear}), "
            f"clearly below in {below}."
        )
    judging = result.study.judging
    if judging is not None and judging.unread:
        yield (
            "Not read, since they do worse than no model: "
            + "; ".join(f"{what} ({why})" for what, why in judging.unread.items())
            + "."
        )


def families_table(result: Result, numbers: Numbers, ledger: Ledger) -> Html | None:
    """Who looks ahead minus the opponent, a row for each agent and family."""
    if not numbers.families:
        return None
    study, lines = result.study, dict[tuple[str, str], dict[str, Difference]]()
    for d in numbers.families:
        party, family = _who(study, d.place)
        lines.setdefault((d.agent, family), {})[party] = d
    body = [
        [
            name_cell(study, agent),
            family,
            *(_cell(there[party], ledger) if party in there else "" for party in "AJ"),
        ]
        for (agent, family), there in lines.items()
    ]
    caption = (
        f"Minus {study.roles.opponent} ({study.unit}) by the family that plays the people; what is "
        "tuned and learned is so in the study's own world alone. Clearly ahead, clearly behind, or "
        "open, adjusted for all of this table."
    )
    head = ["agent", "family", "in its world", "before its judge"]
    return join([table(caption, head, body, wide=True), *_unread(result)])


def _unread(result: Result) -> list[Html]:
    judging = result.study.judging
    if judging is None or not judging.unread:
        return []
    lines = [element("li", f"{what}: {why}") for what, why in judging.unread.items()]
    why = "Left out of this table, since they do worse than no model on people unknown to them:"
    return [element("p", why), element("ul", *lines)]


def families_json(result: Result, numbers: Numbers) -> list[dict[str, Any]]:
    """The same for programs: a cell each."""
    found = []
    for d in numbers.families:
        party, family = _who(result.study, d.place)
        role = "judge" if party == "J" else "world"
        whose = {"role": role, "family": family, "place": d.place}
        about = {"agent": d.agent, "minus": d.baseline, **d.estimate.to_json()}
        found.append({**whose, **about, "adjusted_p": d.adjusted, "side": d.side})
    return found


def _who(study: Study, name: str) -> tuple[str, str]:
    """Party and family that play the people of a place."""
    places: list[Place] = [*study.main, *study.of_role("family")]
    place = next(place for place in places if place.name == name)
    if place.people is not None:
        return place.people
    party = "J" if place.role == "judge" else "A"
    return party, family_of(place, USUAL[party])


def _cell(d: Difference, ledger: Ledger) -> Html:
    return join([ledger.estimate(d.estimate, signed=True), f" {WORDS[d.side]}"])
