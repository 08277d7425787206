"""What a learner's return consists of, in a table and as a waterfall under the verdict."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from slategym.experiments.report.figures import (
    INK,
    TITLE_WIDTH,
    Picture,
    grid_of,
    save_picture,
    wrapped,
)
from slategym.experiments.report.ledger import ROWS, Ledger
from slategym.experiments.report.markup import Html, element, table
from slategym.experiments.report.results import Result
from slategym.experiments.report.words import known_as, p_text
from slategym.experiments.statistics.attribution import (
    INTERACTION,
    PLANNING,
    START,
    TRIAL,
    TUNING,
    Attribution,
    names_of,
)
from slategym.experiments.statistics.numbers import Numbers
from slategym.experiments.statistics.words import SIDES, listed, signed_number

COLOURS = {
    TUNING: "#0072B2",
    START: "#E69F00",
    INTERACTION: "#009E73",
    TRIAL: "#56B4E9",
    PLANNING: "#D55E00",
}
REST = "#CC79A7"  # of what no policy of the present tells apart
UNCLEAR = 0.35  # opacity of a part that is not clear


def draw_attribution(result: Result, numbers: Numbers, folder: Path) -> Picture | None:
    """A waterfall of the learner that speaks for RL, a panel per place; None: nothing was read."""
    study, agent = result.study, numbers.verdict.agent
    found = [a for a in numbers.attributions if a.agent == agent and a.steps]
    if agent is None or not found:
        return None
    names = names_of(found)
    figure, panels = grid_of(len(found), 2.0 + 0.36 * (len(names) + 1), sharey=True)
    for panel, one in zip(panels, found, strict=True):
        _waterfall(panel, one, names)
        panel.set_title(wrapped(study.place(one.place).heading, TITLE_WIDTH), pad=14)
        panel.set_xlabel(f"return\n({study.unit})", fontsize=8)
        panel.tick_params(axis="x", labelsize=8)
    parts = [Patch(color=COLOURS.get(name, REST), label=name) for name in names]
    parts.append(Patch(color="#999999", alpha=UNCLEAR, label="pale: not clear"))
    figure.legend(handles=parts, loc="outside lower center", ncols=len(parts), frameon=False)
    first = found[0]
    said = "; ".join(f"{s.name} {s.difference.estimate.signed()}" for s in first.steps)
    return save_picture(
        figure,
        folder,
        f"{study.name}-attribution",
        f"What the return of {known_as(study, agent)} consists of",
        f"From {known_as(study, first.start)} to {agent}, step by step, with 95 % intervals of "
        f"each step. {_meant(names)} Pale steps are not clear.",
        f"Waterfall charts in {len(found)} places; in {study.place(first.place).heading}: {said}.",
    )


MEANT = {
    TUNING: "tuning: choosing the ranker's own settings",
    START: "its start: the rule at which the learner began, which learned nothing",
    INTERACTION: "interaction: what a supervised model learns from the same slates",
    TRIAL: "by trial: what those add who try things and do not look ahead",
    PLANNING: "planning: what looking ahead adds",
}


def _meant(names: list[str]) -> str:
    """What the steps are."""
    text = "; ".join(MEANT[name] for name in names if name in MEANT)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _waterfall(panel: Axes, one: Attribution, names: list[str]) -> None:
    """The level at which it starts, and a bar from level to level."""
    level, height = one.level, 0.62
    panel.plot(level, 0, "s", color=INK, markersize=5)
    panel.annotate(
        f"{one.start} {level:.1f}",
        (level, 0),
        (-3, 5),
        textcoords="offset points",
        fontsize=7,
    )
    panel.set_yticks([-y for y in range(len(names) + 1)], ["from", *names], fontsize=8)
    panel.use_sticky_edges = False
    for name in {*names} - {step.name for step in one.steps}:
        panel.annotate("no such step", (level, -1 - names.index(name)), fontsize=6, va="center")
    for step in one.steps:
        y, estimate = -1 - names.index(step.name), step.difference.estimate
        colour = COLOURS.get(step.name, REST)
        alpha = 1.0 if step.difference.side else UNCLEAR
        panel.barh(y, estimate.value, height, left=level, color=colour, alpha=alpha)
        ends = [level + estimate.low, level + estimate.high]
        panel.plot(ends, [y, y], color=INK, linewidth=1)
        panel.plot([level, level], [y, y + 1], color=INK, linewidth=0.6, linestyle=":")
        level += estimate.value
        panel.annotate(
            signed_number(estimate.value),
            (max(ends[1], level, level - estimate.value), y),  # to the right of bar and interval
            (3, 0),
            textcoords="offset points",
            fontsize=7,
            va="center",
        )
    panel.margins(x=0.2)


def attribution_section(result: Result, numbers: Numbers, ledger: Ledger) -> list[Html | None]:
    """Every part of every learner's return in every place."""
    study = result.study
    found = [
        a
        for a in numbers.attributions
        # of one step, in a study without a ranker, nothing tells the parts of a lead apart
        if len(a.steps) > 1 or (a.steps and study.log is not None)
    ]
    if not found:
        return []
    body = [
        [
            a.agent,
            study.place(a.place).heading,
            step.name,
            f"{step.difference.agent} - {step.difference.baseline}",
            ledger.estimate(step.difference.estimate, signed=True),
            ledger.number(
                p_text(step.difference.adjusted or 0.0),
                f"{ROWS}: Holm-adjusted bootstrap p-value of {step.difference.estimate.source}",
            ),
            SIDES[step.difference.side],
        ]
        for a in found
        for step in a.steps
    ]
    known = {standing.policy for standing in numbers.ladder}
    missing = dict.fromkeys(
        name for a in found for name in a.missing if study.log is not None or name in known
    )
    chosen = dict.fromkeys(a.chosen_on for a in found if a.chosen_on)
    notes = [
        "Steps follow each other, so that they add up to what the learner earns above the first "
        "policy. Planning is the learner minus the better of those that learned from as many "
        "slates and look no further than the slate",
        f", as {listed(list(chosen))} decided." if chosen else ".",
        " Its start is where the learner began, if not at the tuned ranker: what that is ahead by "
        "is owed to nothing learned."
        if any(a.begun for a in found)
        else "",
        f" Not read in some place, so that its part is left out: {listed(list(missing))}."
        if missing
        else "",
    ]
    head = ["learner", "where", "part", "difference of", f"{study.unit}", "p", "clear?"]
    return [
        element("p", "".join(notes)),
        table(
            "Parts of the return. p: adjusted by Holm, of what stands in another table too as it "
            "is there, of the rest for each other.",
            head,
            body,
            wide=True,
        ),
    ]
