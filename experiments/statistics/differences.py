"""Differences between policies before the same people, and the one rule by which they are clear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from slategym.experiments.places import Place
from slategym.experiments.statistics import stats
from slategym.experiments.statistics.cells import Cell, is_whole, paired_table
from slategym.experiments.statistics.estimate import Estimate, holm, side_of
from slategym.experiments.statistics.transfer import Transfer
from slategym.experiments.statistics.variance import FEW_SEEDS, Interval, t_interval
from slategym.experiments.study import Study


@dataclass(frozen=True)
class Difference:
    """One policy minus another in one place."""

    agent: str
    baseline: str
    place: str
    strength: float | None
    estimate: Estimate
    by_seed: dict[int, float]
    chance: Estimate  # probability of improvement
    few: Interval | None = None  # Student's, where there are few seeds or splits, but several
    adjusted: float | None = None  # Holm's p-value among all of its table; None: of no table
    transfer: Transfer | None = None  # for the world of the log from which this one was learned

    @property
    def side(self) -> int:
        """1: clearly above zero; -1: clearly below; 0: not clear."""
        return side_of(self.estimate, self.adjusted)


def metric_of(rows: pd.DataFrame) -> str:
    """The column that is compared: the expected return where every session has it.

    It is the mean over what people might have clicked, given the slates that they were shown: the
    mean of the return, with less noise.
    """
    name = "expected_return"
    return name if is_whole(rows, name) else "return"


def cell(study: Study, policy: str, place: Place) -> Cell:
    """The rows of a policy in a place; of a learner, those of its training for that place."""
    learns = policy in study.learned
    trained_in = place.trained_in if learns else ""
    return Cell(policy, place.name, place.strength, trained_in, place.group)


def there(rows: pd.DataFrame, *cells: Cell) -> bool:
    """Whether there are rows of all of these."""
    return all(not cell.among(rows).empty for cell in cells)


def difference(
    study: Study, rows: pd.DataFrame, agent: str, baseline: str, place: Place, trained_in: str = ""
) -> Difference | None:
    """A policy minus another; None where one of them was not read there."""
    ours, theirs = cell(study, agent, place), cell(study, baseline, place)
    if trained_in:
        ours = replace(ours, trained_in=trained_in)
    if agent == baseline or not there(rows, ours, theirs):
        return None
    metric = metric_of(rows)
    pairs = paired_table(rows, ours, theirs, metric)
    several = 1 < len(pairs.seed_S) < FEW_SEEDS or 1 < pairs.num_splits < FEW_SEEDS
    return Difference(
        agent,
        baseline,
        place.name,
        place.strength,
        stats.paired_difference(rows, ours, theirs, metric),
        stats.by_seed(rows, ours, theirs, metric),
        stats.probability_of_improvement(rows, ours, theirs, metric),
        t_interval(pairs) if several else None,
    )


def table_of(
    study: Study, rows: pd.DataFrame, lines: Sequence[tuple[str, str, Place]]
) -> tuple[Difference, ...]:
    """Every line that was read, with p-values adjusted for them all.

    Args:
        study: that the rows are of.
        rows: sessions.
        lines: who, minus whom, where.
    """
    found = [d for line in lines if (d := difference(study, rows, *line))]
    adjusted = holm([d.estimate.p_value for d in found])
    return tuple(replace(d, adjusted=p) for d, p in zip(found, adjusted, strict=True))
