"""Who gains: one policy minus another among people of one kind, for every kind that is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from slategym.experiments.places import Place
from slategym.experiments.statistics import stats
from slategym.experiments.statistics.differences import cell, metric_of, there
from slategym.experiments.statistics.estimate import Estimate, holm, side_of
from slategym.experiments.study import Study

TRAIT = "trait_"  # before a trait's name, as columns of the rows
LEAST = 20  # people of one kind, of whom anything is said
MOST = 6  # kinds of a trait that are told apart, those of most people


@dataclass(frozen=True)
class Segment:
    """People of one kind in one place."""

    place: str
    trait: str  # "activity"
    level: str  # "heavy"
    estimate: Estimate  # paired difference
    level_mean: float  # what the other policy earns there
    adjusted: float = 1.0  # Holm's p-value among all segments that are read

    @property
    def side(self) -> int:
        """1: clearly above zero; -1: clearly below; 0: not clear."""
        return side_of(self.estimate, self.adjusted)


def segments(study: Study, rows: pd.DataFrame, agent: str, baseline: str) -> tuple[Segment, ...]:
    """A policy minus another among every kind of people, in every open place and before its judges.

    Kinds of fewer than LEAST people are left out, and of a trait with many those of fewest.

    Args:
        study: that the rows are of.
        rows: sessions, with columns `trait_NAME`.
        agent: who.
        baseline: minus whom.
    """
    found = [
        segment
        for place in study.of_role("open", "judge")
        for segment in _of_place(study, rows, agent, baseline, place)
    ]
    adjusted = holm([segment.estimate.p_value for segment in found])
    return tuple(replace(s, adjusted=p) for s, p in zip(found, adjusted, strict=True))


def _of_place(
    study: Study, rows: pd.DataFrame, agent: str, baseline: str, place: Place
) -> list[Segment]:
    ours, theirs = cell(study, agent, place), cell(study, baseline, place)
    if not there(rows, ours, theirs):
        return []
    both = rows[rows.index.isin(ours.among(rows).index.union(theirs.among(rows).index))]
    metric, found = metric_of(rows), []
    for column in (name for name in rows.columns if name.startswith(TRAIT)):
        told = both[both[column].notna()]
        people = told.groupby(column, observed=True)["person"].nunique().sort_values()[::-1]
        levels = [str(level) for level, count in people.items() if count >= LEAST][:MOST]
        if len(levels) < 2:
            continue  # nobody to tell apart
        for level in sorted(levels):
            only = ((column, level),)
            own, other = replace(ours, only=only), replace(theirs, only=only)
            estimate = stats.paired_difference(told, own, other, metric)
            mean = float(other.among(told)[metric].mean())
            name = column.removeprefix(TRAIT)
            found.append(Segment(place.name, name, level, estimate, mean))
    return found
