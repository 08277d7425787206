"""Differences of a learned world for the world that wrote its log: how far they are from others'.

What differences are in an open place is held against the same before its judges, other people and
other models, and where its people are assumed to be otherwise; see `transfer`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from slategym.experiments.places import Place, Role
from slategym.experiments.statistics.cells import paired_table, table
from slategym.experiments.statistics.differences import Difference, cell, metric_of, there
from slategym.experiments.statistics.transfer import Transfer, root_mean_square, transfer_of
from slategym.experiments.study import Study

Pair = tuple[str, str]  # a policy, and the one that it is compared with


def with_transfer(
    study: Study,
    rows: pd.DataFrame,
    differences: Sequence[Difference],
    told: Sequence[Difference],
) -> tuple[Difference, ...]:
    """The differences; those of open places with their intervals for the world of the log.

    Args:
        study: of a log.
        rows: sessions.
        differences: in all places.
        told: all on which a verdict rests, by whose distance from others the intervals are made.
    """
    apart = {p.name: _Apart(study, rows, told, p) for p in study.of_role("open")}
    return tuple(
        replace(d, transfer=apart[d.place].transfer(d))
        if d.place in apart and d.estimate.has_interval
        else d
        for d in differences
    )


class _Apart:
    """How far differences of an open place are from the same elsewhere."""

    def __init__(
        self, study: Study, rows: pd.DataFrame, told: Sequence[Difference], place: Place
    ) -> None:
        self.level = _level(study, rows, place)
        # policies that show the same slates say nothing of it
        here = {
            (d.agent, d.baseline): d.estimate.value / self.level
            for d in told
            if d.place == place.name and d.estimate.low != d.estimate.high and self.level
        }
        self.judges, self.assumed = (
            _distance(here, shares_elsewhere(study, rows, tuple(here), place, role).values())
            for role in ("judge", "assumed")
        )

    def transfer(self, d: Difference) -> Transfer:
        """Of one of them."""
        half, level = (d.estimate.high - d.estimate.low) / 2.0, self.level
        assumed = None if self.assumed is None else self.assumed * level
        return transfer_of(d.estimate.value, half, (self.judges or 0.0) * level, level, assumed)


def shares_elsewhere(
    study: Study, rows: pd.DataFrame, pairs: Sequence[Pair], place: Place, role: Role
) -> dict[str, dict[Pair, float]]:
    """Differences that were read in the places of a role that an open place has, by their names.

    Args:
        study: that the rows are of.
        rows: sessions.
        pairs: who, minus whom.
        place: in which the learners were trained.
        role: "judge" or "assumed".

    Returns:
        of those that were read, as shares of what the opponent earns in the same place.
    """
    places = [p for p in study.of_role(role) if p.of == place.name]
    return {p.name: _shares(study, rows, pairs, p) for p in places}


def _shares(
    study: Study, rows: pd.DataFrame, pairs: Sequence[Pair], place: Place
) -> dict[Pair, float]:
    metric, level = metric_of(rows), _level(study, rows, place)
    found = {}
    for pair in pairs if level else ():
        ours, theirs = (cell(study, policy, place) for policy in pair)
        if there(rows, ours, theirs):
            difference_SU = paired_table(rows, ours, theirs, metric).value_SU
            found[pair] = float(difference_SU.mean()) / level
    return found


def _level(study: Study, rows: pd.DataFrame, place: Place) -> float:
    """What the opponent earns there; 0 where it was not read."""
    own = cell(study, study.roles.opponent, place)
    if not there(rows, own):
        return 0.0
    return abs(float(table(rows, own, metric_of(rows)).value_SU.mean()))


def _distance(here: Mapping[Pair, float], others: Iterable[Mapping[Pair, float]]) -> float | None:
    """Root mean square; None of none."""
    found = [here[pair] - x for other in others for pair, x in other.items()]
    return root_mean_square(found) if found else None
