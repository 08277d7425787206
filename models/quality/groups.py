"""How far groups of people, and popular and rare items, are served alike.

A gap is the difference of the best and the worst served group. The best and the worst of several
groups always differ, so a gap is read beside what it is when people are dealt to the groups anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slategym.models.data.log import Log
from slategym.models.multitask.calibrate import Platt
from slategym.models.multitask.predict import Predictions
from slategym.models.multitask.scores import heading
from slategym.models.quality.resampling import Interval, Statistic, intervals, row_figures

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FORMAT = 1  # of what is kept; raise it when the same predictions would give other gaps
LEAST_PEOPLE = 10  # of a group that is compared; smaller ones are shown only
DRAWS = 200  # of people, for intervals
DEALT = 100  # times that people are dealt to the groups anew
SPREAD = ("_auc", "_ece", "hr10", "_rmse", "_rmsle")  # figures that are compared, by their ends
ITEMS = "items"  # the column of popular and rare


@dataclass(frozen=True)
class Group:
    """The figures of one group."""

    column: str  # a profile column, or "items"
    name: str
    rows: int
    people: int
    figures: dict[str, Interval]


@dataclass(frozen=True)
class Gap:
    """The difference between the best and the worst served group of a column."""

    column: str
    figure: str
    best: str
    worst: str
    size: float  # above 0
    low: float  # 95 % interval, people of each group drawn again
    high: float
    null: float  # 95 % point where people are dealt to the groups anew; NaN of items

    @property
    def beyond_chance(self) -> bool:
        """Whether people dealt anew seldom differ as much; of items: whether zero is outside."""
        return self.low > 0 if math.isnan(self.null) else self.size > self.null

    def sentence(self) -> str:
        """For people."""
        chance = "" if math.isnan(self.null) else f", chance alone up to {self.null:.4f}"
        said = "beyond chance" if self.beyond_chance else "no more than chance"
        return (
            f"{heading(self.figure)} by {self.column}: {self.best} better than {self.worst} by "
            f"{self.size:.4f} [{self.low:.4f}, {self.high:.4f}]{chance}: {said}"
        )


@dataclass(frozen=True)
class GroupReport:
    """Who is served how well."""

    groups: tuple[Group, ...]
    gaps: tuple[Gap, ...]
    notes: tuple[str, ...]

    def largest(self) -> Gap | None:
        """The gap that is largest beside what chance makes of it."""
        known = [gap for gap in self.gaps if not math.isnan(gap.size)]
        return max(known, key=_beside_chance, default=None)

    def summary(self) -> list[str]:
        """Sentences: the largest gap, how many are beyond chance, what is not compared."""
        largest = self.largest()
        if largest is None:
            return [*self.notes, "no two groups are large enough to be compared"]
        beyond = sum(gap.beyond_chance for gap in self.gaps)
        return [
            f"largest gap: {largest.sentence()}",
            f"{beyond} of {len(self.gaps)} gaps are beyond chance (1 in 20 would be by chance)",
            *self.notes,
        ]

    def to_json(self) -> dict[str, Any]:
        """For a file; NaN as null."""
        groups = [
            {**vars(g), "figures": {n: i.to_json() for n, i in g.figures.items()}}
            for g in self.groups
        ]
        gaps = [
            {n: None if isinstance(v, float) and math.isnan(v) else v for n, v in asdict(g).items()}
            | {"beyond_chance": g.beyond_chance}
            for g in self.gaps
        ]
        return {
            "groups": groups,
            "gaps": gaps,
            "notes": list(self.notes),
            "summary": self.summary(),
        }

    @staticmethod
    def from_json(found: Mapping[str, Any]) -> GroupReport:
        """What `to_json` gave."""

        def known(values: Mapping[str, Any]) -> dict[str, Any]:
            return {n: math.nan if v is None else v for n, v in values.items()}

        groups = tuple(
            Group(
                g["column"],
                g["name"],
                g["rows"],
                g["people"],
                {n: Interval(**known(i)) for n, i in g["figures"].items()},
            )
            for g in found["groups"]
        )
        gaps = tuple(
            Gap(**{n: v for n, v in known(g).items() if n != "beyond_chance"})
            for g in found["gaps"]
        )
        return GroupReport(groups, gaps, tuple(found["notes"]))


def group_report(
    log: Log,
    predictions: Predictions,
    platt: Mapping[str, Platt],
    weights: Mapping[str, float],
    count_N: NDArray[np.float64],
    *,
    seed: int = 0,
) -> GroupReport:
    """Figures of every group, and the gaps between them.

    Args:
        log: names the groups.
        predictions: at test rows.
        platt: scaling by head, as the model delivers it.
        weights: 0 marks a head that was not trained.
        count_N: clicks of each item in training rows.
        seed: of all that is drawn.
    """
    statistic = row_figures(predictions, platt, weights)
    user_x = predictions.user_x.astype(np.int64)
    groups: list[Group] = []
    gaps: list[Gap] = []
    notes: list[str] = []
    for column, names, code_x in _columns(log, predictions, count_N):
        found, small = [], 0
        for code in np.unique(code_x):
            mine_x = code_x == code
            people = len(np.unique(user_x[mine_x]))
            figures = intervals(statistic, user_x, among_x=mine_x, draws=DRAWS, seed=seed)
            group = Group(column, names[code], int(mine_x.sum()), people, figures)
            groups.append(group)
            if people >= LEAST_PEOPLE:
                found.append((group, mine_x))
            else:
                small += 1
        if small:
            notes.append(
                f"{column}: {small} groups of fewer than {LEAST_PEOPLE} people are shown and not "
                "compared"
            )
        if len(found) > 1:
            gaps += _gaps(column, found, statistic, user_x, seed)
    return GroupReport(tuple(groups), tuple(gaps), tuple(notes))


def _columns(
    log: Log, p: Predictions, count_N: NDArray[np.float64]
) -> Iterator[tuple[str, tuple[str, ...], Ints]]:
    """Each way of grouping: its name, its groups' names and the group of each row."""
    traits = {trait.name: trait.categories for trait in log.traits}
    for name, size in zip(log.profile_names, log.profile_sizes, strict=True):
        names = traits.get(name) or tuple(map(str, range(size)))
        yield name, names, log.users[name].to_numpy(np.int64)[p.user_x]
    order_N = np.argsort(-count_N, kind="stable")
    upper_N = np.empty(len(count_N), bool)
    upper_N[order_N] = np.cumsum(count_N[order_N]) <= count_N.sum() / 2
    upper_N[order_N[0]] = True
    kind_N = np.where(count_N == 0, 2, np.where(upper_N, 0, 1))
    names = ("popular (half of all clicks)", "rare (the other half)", "new (no click in training)")
    yield ITEMS, names, kind_N[p.id_xC[:, 0]]


def _gaps(
    column: str,
    found: list[tuple[Group, Bools]],
    statistic: Statistic,
    user_x: Ints,
    seed: int,
) -> list[Gap]:
    """Of each figure the gap between best and worst."""
    nulls: dict[str, list[float]] = {}
    if column != ITEMS:  # a person is in one group
        rng = np.random.default_rng(seed)
        who, at_x = np.unique(user_x, return_inverse=True)
        code_u = np.full(len(who), -1)
        for code, (_, mine_x) in enumerate(found):
            code_u[at_x[mine_x]] = code
        compared_u = code_u >= 0
        for _ in range(DEALT):
            code_u[compared_u] = rng.permutation(code_u[compared_u])
            dealt_x = code_u[at_x]
            parts = [statistic((dealt_x == code).astype(np.float64)) for code in range(len(found))]
            for figure in parts[0]:
                values = [part[figure] for part in parts if not math.isnan(part[figure])]
                if len(values) > 1:
                    nulls.setdefault(figure, []).append(max(values) - min(values))
    gaps = []
    for figure in found[0][0].figures:
        groups = [g for g, _ in found if not math.isnan(g.figures[figure].low)]
        if len(groups) < 2 or not figure.endswith(SPREAD):
            continue
        lower = figure.endswith(("_ece", "_rmse", "_rmsle"))
        ordered = sorted(groups, key=lambda g: g.figures[figure].value, reverse=not lower)
        best, worst = ordered[0], ordered[-1]
        one, other = best.figures[figure], worst.figures[figure]
        size = abs(one.value - other.value)
        spread = math.hypot(one.high - one.low, other.high - other.low) / 2
        null = float(np.quantile(nulls[figure], 0.95)) if figure in nulls else math.nan
        low, high = size - spread, size + spread
        gaps.append(Gap(column, figure, best.name, worst.name, size, low, high, null))
    return gaps


def _beside_chance(gap: Gap) -> float:
    """How large a gap is in units of chance: of its null, or of its interval's half-width."""
    unit = (gap.high - gap.low) / 2 if math.isnan(gap.null) else gap.null
    return gap.size / max(unit, 1e-9)
