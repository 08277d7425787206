"""Every number of the SlateQ study, from its rows, and the sentences that they make."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from slategym.experiments.statistics import stats
from slategym.experiments.statistics.stats import Cell, Estimate
from slategym.experiments.studies.slateq import LESSONS, PRIVILEGED, ROWS, Place, Row

BEST, LEARNED, CEILING, CAPPED = (
    *("QL-OT-OS", "QL-OT-OS, learned null"),
    *("analytic value", "analytic value, null zero"),
)
MYOPIC = "true-model myopic"


@dataclass(frozen=True)
class Line:
    """One row of the table."""

    row: Row
    mean: Estimate  # return, minutes
    quality: Estimate  # mean of what was clicked
    by_seed: tuple[float, ...]  # mean return
    no_click: float  # share of slates without a click
    cpu_seconds: float | None  # of training, each seed; None where nothing is trained
    over_myopic: Estimate | None  # paired difference in the static twin

    @property
    def starred(self) -> str:
        """Its name, marked where it is told what nobody is shown."""
        return self.row.name + ("*" if self.row.name in PRIVILEGED else "")


@dataclass(frozen=True)
class Numbers:
    """All of them."""

    lines: tuple[Line, ...]  # as ROWS
    answer: tuple[str, str]  # why null value zero caps the table
    distance: str  # how far the rows are from those that were published
    control: str  # what the static twin says
    believed: bool  # nothing that learned beats the true-model myopic policy there

    def at(self, place: Place) -> list[Line]:
        """The lines of one place."""
        return [line for line in self.lines if line.row.place == place]

    def of(self, name: str, place: Place = "world") -> Line:
        """One of them."""
        return next(line for line in self.at(place) if line.row.name == name)


def compute_numbers(rows: pd.DataFrame, curves: pd.DataFrame) -> Numbers:
    """Everything that is said of the rows.

    Raises:
        ValueError: if rows are missing or do not pair.
    """
    lines = tuple(_line(row, rows, curves) for row in ROWS)
    world = {line.row.name: line for line in lines if line.row.place == "world"}
    twin = [line for line in lines if line.row.place == "static" and line.row.lesson]
    gain = stats.paired_difference(rows, _cell(world[LEARNED].row), _cell(world[BEST].row))
    over = [line for line in twin if line.over_myopic and line.over_myopic.above_zero]
    return Numbers(lines, _answer(world, gain), _distance(lines), _control(twin, over), not over)


def _cell(row: Row) -> Cell:
    return Cell(row.name, row.place, trained_in=row.place if row.lesson else "")


def _line(row: Row, rows: pd.DataFrame, curves: pd.DataFrame) -> Line:
    cell = _cell(row)
    mine = cell.among(rows)
    seeds = mine.groupby("seed")["return"].mean()
    cpu = None
    if row.lesson is not None:
        assert row.lesson in {lesson.name for lesson in LESSONS}
        cpu = float(curves.loc[curves["lesson"] == row.lesson, "cpu_seconds"].max()) / len(seeds)
    myopic = Cell(MYOPIC, row.place, trained_in="")
    return Line(
        row,
        stats.mean(rows, cell),
        _mean_quality(mine, cell),
        tuple(seeds),
        1.0 - float(mine["clicks"].sum() / mine["length"].sum()),
        cpu,
        stats.paired_difference(rows, cell, myopic) if row.place == "static" else None,
    )


def _mean_quality(mine: pd.DataFrame, cell: Cell) -> Estimate:
    """Mean quality of a clicked document: a ratio of sums, its interval by linearisation."""
    ratio = mine["quality"].sum() / mine["clicks"].sum()
    left = (mine["quality"] - ratio * mine["clicks"]) / mine["clicks"].mean()
    return stats.mean(mine.assign(quality=ratio + left), cell, "quality")


def _answer(world: dict[str, Line], gain: Estimate) -> tuple[str, str]:
    best, learned = world[BEST], world[LEARNED]
    ceiling, capped = world[CEILING], world[CAPPED]
    going_on = 1.0 - best.no_click
    first = (
        "With null value zero, no click keeps its place in the choice probabilities but not its "
        f"future: under {BEST} {best.no_click:.0%} of slates end without a click, after which the "
        "session goes on at the cost of half a minute of budget, and as each of these counts as "
        f"worth nothing, the future is multiplied by the chance of a click, about {going_on:.2f}, "
        "at every slate, under which discount good quality, whose reward is minutes watched tens "
        "of slates later, is worth little more than a click now."
    )
    if not gain.above_zero:
        return first, (
            "In these rows, however, learning that value does not help beyond the interval "
            f"({gain.signed()} minutes), so the explanation is not shown."
        )
    second = (
        "Learning that one value as that of any other event, with the same network, slates of "
        f"training, choice model and search, takes exact slates from {best.mean.value:.1f} to "
        f"{learned.mean.value:.1f} minutes (paired difference {gain.signed()}) and from a mean "
        f"quality of {best.quality.value:+.2f} to {learned.quality.value:+.2f}; and an analytic "
        f"value, which learns nothing, falls from {ceiling.mean.value:.1f} to "
        f"{capped.mean.value:.1f} when its no click is set to zero: so the published rows are "
        "what that convention allows, and the item-wise decomposition itself allows "
        f"{learned.mean.value - best.mean.value:.0f} minutes more."
    )
    return first, second


def _distance(lines: tuple[Line, ...]) -> str:
    off = {
        line.row.name: line.mean.value - line.row.published[0]
        for line in lines
        if line.row.published and line.row.lesson
    }
    top_k = [x for name, x in off.items() if name.endswith("TS")]
    others = [x for name, x in off.items() if not name.endswith(("TS", "MYOP-GS"))]
    return (
        f"Against the published rows, those of top-k slates are off by {min(top_k):+.1f} to "
        f"{max(top_k):+.1f} minutes, those of greedy and exact slates by {min(others):+.1f} to "
        f"{max(others):+.1f}."
    )


def _control(twin: list[Line], over: list[Line]) -> str:
    if over:
        who = ", ".join(f"{line.row.name} ({_signed(line)})" for line in over)
        return (
            "Not to be believed: in the static twin, where nothing that is shown moves the future, "
            f"{who} beats the true-model myopic policy."
        )
    nearest = max(twin, key=lambda line: line.mean.value)
    return (
        "In the static twin, where nothing that is shown moves the future, nothing that learned "
        "beats the true-model myopic policy beyond the interval; nearest comes "
        f"{nearest.row.name} ({_signed(nearest)})."
    )


def _signed(line: Line) -> str:
    assert line.over_myopic is not None
    return f"{line.over_myopic.signed()} minutes"
