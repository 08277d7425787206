"""Tables of comparisons: with whom learners are compared, and where they may not be ahead."""

from __future__ import annotations

from collections.abc import Mapping

from slategym.experiments.report.ledger import ROWS, Ledger
from slategym.experiments.report.markup import Html, element, join, table
from slategym.experiments.report.results import Result
from slategym.experiments.report.words import name_cell, p_text
from slategym.experiments.statistics.control import MARGIN, MARGIN_SHARE, SAYS, Controlled
from slategym.experiments.statistics.differences import Difference
from slategym.experiments.statistics.numbers import Numbers
from slategym.experiments.statistics.words import (
    TRANSFER,
    parts,
    per_cent,
    signed_number,
    transferred,
)
from slategym.experiments.study import Study


def differences_section(
    result: Result, numbers: Numbers, pictures: Mapping[str, Html], ledger: Ledger
) -> list[Html | None]:
    """Every learner minus whom it has to beat."""
    if not numbers.differences:
        return []
    few = any(d.few for d in numbers.differences)
    student = (
        " Student's t: the reaches of people and seeds, each with its own degrees of freedom, "
        "added in squares, and no less than that of the splits' means; a bootstrap of few seeds "
        "knows little of how they differ."
    )
    logged = any(d.transfer for d in numbers.differences)
    transfer = f" Transfer: {TRANSFER}." if logged else ""
    head = ["agent", "minus", "where", "difference", "by training seed"]
    head += ["Student's t"] if few else []
    head += ["transfer"] if logged else []
    return [
        pictures["differences"],
        table(
            f"Paired differences ({result.study.unit}). Better for: share of (user, seed) pairs "
            "in which the agent's return is higher, ties half. p: two-sided, adjusted by Holm for "
            f"all {len(numbers.differences)} lines.{student if few else ''}{transfer}",
            [*head, "better for", "p"],
            [
                [
                    *difference_cells(result, d, ledger),
                    *([_student(d, ledger)] if few else []),
                    *([_transfer(d, ledger)] if logged else []),
                    ledger.estimate(d.chance),
                    _p(d, ledger),
                ]
                for d in numbers.differences
            ],
            wide=True,
        ),
        source_note(),
    ]


def control_section(result: Result, numbers: Numbers, ledger: Ledger) -> list[Html | None]:
    """Who was trained where looking ahead is worth nothing, and whether that holds."""
    if not numbers.controls:
        return []
    study, roles = result.study, result.study.roles
    truth = f", nor {roles.say(roles.truth)}, which knows the true model" if roles.truth else ""
    intro = (
        "In the control nothing that a person does changes what comes next, so looking ahead is "
        f"worth nothing.{_whose(result)} An agent trained there may not be ahead, by clearly more "
        "than a margin, of what learned from as many slates without looking ahead (where nothing "
        f"did, of {roles.say(roles.opponent)}){truth}; if it is, it exploits something it should "
        f"not. The margin is {MARGIN:g}, or {per_cent(MARGIN_SHARE)} of what the other earns, "
        "whichever is more."
    )
    head = ["agent", "minus", "where", "difference", "by training seed"]
    lines: list[Html | None] = [
        element("p", intro),
        element("ul", *(element("li", _control_line(study, c)) for c in numbers.controls)),
        table(
            f"Agents trained and read in the control ({study.unit}). p: adjusted by Holm for all "
            f"{len(numbers.controls)} lines, of a lead beyond the margin.",
            [*head, "margin", "p", "control"],
            [
                [
                    *difference_cells(result, c.difference, ledger),
                    f"{c.margin:.2f}",
                    _p_beyond(c, ledger),
                    SAYS[c.standing] if c.decides else "for comparison",
                ]
                for c in numbers.controls
            ],
            wide=True,
        ),
    ]
    if numbers.carried:
        carried = [difference_cells(result, d, ledger) for d in numbers.carried]
        caption = "For comparison: agents trained where people change, read in the control."
        lines.append(table(caption, head, carried))
    return [*lines, source_note()]


def _whose(result: Result) -> str:
    """That its people are its own, and what of a training is read."""
    rows, places = result.rows, result.study.of_role("control")
    own = [place for place in places if place.group == "control"]
    if not own:
        return ""
    people = rows[rows["group"] == "control"][["split", "person"]].drop_duplicates()
    return (
        f" Its {len(people)} people are in no other place and its luck is no other's, so that no "
        "choice has met them. Of its trainings it reads what was trained, whether or not that "
        "would be served."
    )


def _control_line(study: Study, c: Controlled) -> str:
    how = f"{SAYS[c.standing]}: " if c.decides else "for comparison, "
    return f"{c.difference.agent}: {how}{c.said(study)}."


def _p_beyond(c: Controlled, ledger: Ledger) -> Html:
    source = f"{ROWS}: Holm-adjusted bootstrap p-value of {c.beyond.source}"
    return ledger.number(p_text(c.adjusted), source)


def difference_cells(result: Result, d: Difference, ledger: Ledger) -> list[str]:
    """Agent, baseline, place, difference, and the difference of each seed."""
    source = d.estimate.source
    seeds: list[str] = []
    for seed, value in d.by_seed.items():
        seeds += [
            ", " if seeds else "",
            ledger.number(signed_number(value), f"{ROWS}: seed {seed} of the {source}"),
        ]
    study = result.study
    who = [name_cell(study, policy) for policy in (d.agent, d.baseline)]
    place = study.place(d.place).heading.split(" (")[0]
    return [*who, place, ledger.estimate(d.estimate, signed=True), join(seeds)]


def _student(d: Difference, ledger: Ledger) -> str:
    if d.few is None:
        return ""
    source = f"{ROWS}: Student's interval of the {d.estimate.source}"
    _, ends = parts(d.estimate.value, d.few.low, d.few.high, sign="+")
    return ledger.number(ends, source)


def _transfer(d: Difference, ledger: Ledger) -> str:
    if d.transfer is None:
        return ""
    t = d.transfer
    other = "" if t.assumed is None else f"{t.assumed:.2f} between assumptions "
    source = (
        f"{ROWS}: {d.estimate.source}, give or take {t.half:.2f}: {t.people:.2f} of people, "
        f"{t.judges:.2f} between judges, {other}and {t.model:.2f} of models, in squares"
    )
    return ledger.number(transferred(d), source)


def _p(d: Difference, ledger: Ledger) -> Html:
    assert d.adjusted is not None
    source = f"{ROWS}: Holm-adjusted bootstrap p-value of {d.estimate.source}"
    return ledger.number(p_text(d.adjusted), source)


def source_note() -> Html:
    """Where a table's numbers are from."""
    text = f"From {ROWS}; point at a number to see which rows, or follow it to “Every number”."
    return element("p", text, class_="source")
