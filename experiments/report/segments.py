"""Who gains and who loses: the learner for RL minus the opponent, by what sets people apart."""

from __future__ import annotations

from pathlib import Path

from slategym.experiments.report.figures import (
    INK,
    TITLE_WIDTH,
    Picture,
    draw_interval,
    grid_of,
    save_picture,
    style_of,
    wrapped,
)
from slategym.experiments.report.ledger import Ledger
from slategym.experiments.report.markup import Html, element, table
from slategym.experiments.report.results import Result
from slategym.experiments.report.words import known_as, p_text
from slategym.experiments.statistics.numbers import Numbers
from slategym.experiments.statistics.segments import LEAST, Segment
from slategym.experiments.statistics.words import SIDES, listed, share

WORDS = {"activity": "log behind them", "taste": "taste"}
MEANT = {
    "activity": "Light and heavy: the lower and the upper half by events behind an arrival.",
    "taste": "Narrow and broad: by the effective number of topics of what came before.",
}
PALE = 0.4  # opacity of what is not clear


def segments_section(
    result: Result, numbers: Numbers, picture: Html | None, ledger: Ledger
) -> list[Html | None]:
    """Every kind of people in every place."""
    found = numbers.segments
    if not found:
        return []
    study, agent = result.study, numbers.speaker
    assert agent is not None
    body = [
        [
            study.place(s.place).heading,
            WORDS.get(s.trait, s.trait),
            s.level,
            ledger.number(f"{s.estimate.num_people}", f"people where {s.estimate.source}"),
            ledger.estimate(s.estimate, signed=True),
            share(s.estimate.value / s.level_mean) if s.level_mean > 0 else "",
            ledger.number(p_text(s.adjusted), f"Holm-adjusted p-value of {s.estimate.source}"),
            SIDES[s.side],
        ]
        for s in found
    ]
    opponent = study.roles.say(study.roles.opponent)
    head = ["where", "people by", "kind", "people", "difference", "of what it earns", "p", "clear?"]
    return [
        element(
            "p",
            f"{known_as(study, agent)} minus {opponent} among people of one kind, the same people "
            f"with the same luck. {_said(result, found)} The more kinds are read, the more are "
            f"clear by chance: p-values are adjusted by Holm for all {len(found)} lines, and a "
            f"line is called clear by them. Kinds of fewer than {LEAST} people are left out. "
            f"{_meant(found)}",
        ),
        picture,
        table(f"Paired differences ({study.unit}) by kind of people.", head, body, wide=True),
    ]


def _said(result: Result, found: tuple[Segment, ...]) -> str:
    """Who is clearly better and who clearly worse off, in a sentence."""
    parts = []
    for side, words in ((1, "Clearly ahead"), (-1, "Clearly behind")):
        where = []
        for place in dict.fromkeys(s.place for s in found):
            every = [s for s in found if s.place == place]
            mine = [s for s in every if s.side == side]
            whom = listed([_named(s) for s in mine]) if len(mine) < len(every) else "every kind"
            if mine:
                where.append(f"{result.study.place(place).heading}: {whom}")
        if where:
            parts.append(f"{words} in {'; in '.join(where)}.")
    return " ".join(parts) or "No kind is clearly ahead or behind."


def _meant(found: tuple[Segment, ...]) -> str:
    """What kinds that come from no column are."""
    read = {s.trait for s in found}
    return " ".join(MEANT[trait] for trait in MEANT if trait in read)


def _named(segment: Segment) -> str:
    return f"{segment.level} ({WORDS.get(segment.trait, segment.trait)})"


def draw_segments(result: Result, numbers: Numbers, folder: Path) -> Picture | None:
    """A mark per kind of people, a panel per place; None: nothing sets people apart."""
    found, study = numbers.segments, result.study
    agent = numbers.speaker
    if not found or agent is None:
        return None
    places = list(dict.fromkeys(s.place for s in found))
    lines = list(dict.fromkeys((s.trait, s.level) for s in found))
    colour, marker = style_of(agent, study)
    figure, panels = grid_of(len(places), 1.1 + 0.26 * len(lines), most=3, sharex=True, sharey=True)
    for panel, place in zip(panels, places, strict=True):
        panel.axvline(0, color=INK, linewidth=1)
        for s in (s for s in found if s.place == place):
            y = -lines.index((s.trait, s.level))
            draw_interval(panel, s.estimate, y, colour, marker, alpha=1.0 if s.side else PALE)
        panel.set_title(wrapped(study.place(place).heading, TITLE_WIDTH + 3))
        panel.set_xlabel(f"difference\n({study.unit})", fontsize=8)
        panel.set_ylim(0.6 - len(lines), 0.6)
    names = [f"{level} · {WORDS.get(trait, trait)}" for trait, level in lines]
    for panel in panels[::3]:
        panel.set_yticks([-y for y in range(len(lines))], names, fontsize=8)
    first = [s for s in found if s.place == places[0]]
    return save_picture(
        figure,
        folder,
        f"{study.name}-segments",
        "Who gains and who loses",
        f"{known_as(study, agent)} minus {study.roles.say(study.roles.opponent)}, paired, with "
        "95 % intervals that are not adjusted; pale: not clear once they are.",
        f"Forest plot by kind of people; in {study.place(places[0]).heading}: "
        + "; ".join(f"{s.level} {s.estimate.signed()}" for s in first)
        + ".",
    )
