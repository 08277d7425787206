"""Where the spread of a mean comes from: people, arrivals, seeds, splits; and its interval.

A table of seeds by users, several users a person, is taken as the sum of independent effects of

    person + arrival + seed x person + seed + rest,

and of one more where there are several splits of the people into parties, in which all the others
are drawn anew; by the method of moments. Few seeds or splits say little of how they differ; a
bootstrap of three cannot know that, Student's quantile of two degrees of freedom does.

Source: Searle, Casella and McCulloch 1992, Variance Components, chapter 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri, stdtr, stdtrit  # scipy.stats takes a second to import

from slategym.experiments.statistics.tables import COVERAGE, Table

FEW_SEEDS = 5  # of fewer, but several, Student's interval is shown beside the bootstrap's
FEW_PEOPLE = 30  # in a split; a bootstrap of 30 holds a normal mean in 93.6 % of tables, 10: 90.2
_UPPER = (1 + COVERAGE) / 2  # quantile at which an interval ends


class Interval(NamedTuple):
    """Two ends."""

    low: float
    high: float


@dataclass(frozen=True)
class Components:
    """Variances of the effects of which a session's value is the sum; none is below zero."""

    person: float
    arrival: float  # of a person, the same for every seed
    seed_person: float
    seed: float
    rest: float  # of a session
    split: float = 0.0  # of the people into parties; 0 where there is one

    @property
    def said(self) -> str:
        """For people."""
        return ", ".join(
            f"{name.replace('_', ' x ')} {value:.2f}" for name, value in vars(self).items()
        )


def t_interval(table: Table) -> Interval:
    """Of the mean of a table; its people, seeds and splits are drawn at random.

    What people and seeds each add to the variance of the mean is estimated, and its reach is
    Student's with its own degrees of freedom; the reaches are added in squares. The means of splits
    hold whatever differs between them, people and seeds as well: with several, Student's interval
    of these means counts where it is the wider, which has the coverage that it is to have however
    splits differ, and somewhat more where they do not.

    Args:
        table: seeds by users, of differences say.

    Raises:
        ValueError: if there is one person in a split.

    Source: Howe 1974, Journal of the American Statistical Association 69, 789-794; Zou and Donner
    2008, Statistics in Medicine 27, 1693-1702.
    """
    S, Z = len(table.seed_S), table.num_splits
    parts = [_spread(table.of_split(z)) for z in range(Z)] if Z > 1 else [_spread(table)]
    P = min(part.people for part in parts)
    if P < 2:
        raise ValueError(f"an interval needs two people or more in each split, got {P}")
    share_Z = np.bincount(table.splits) / len(table.user_U)
    mean = float(table.value_SU.mean())
    of_people = sum(w**2 * part.of_people for w, part in zip(share_Z, parts, strict=True))
    of_seeds = max(0.0, sum(w**2 * part.of_seeds for w, part in zip(share_Z, parts, strict=True)))
    terms = ((of_people, sum(part.people for part in parts) - Z), (of_seeds, Z * (S - 1)))
    reach = sum(_reach(size, freedom) ** 2 for size, freedom in terms if size > 0) ** 0.5
    if Z > 1:
        between = float(np.var(table.by_split, ddof=1) * (share_Z @ share_Z))
        reach = max(reach, _reach(between, Z - 1))
    return Interval(mean - reach, mean + reach)


def t_p_value(table: Table) -> float:
    """Two-sided, of "the mean is zero": 1 - `COVERAGE` where `t_interval` ends at zero.

    It has the tails of Student's distribution with the people's degrees of freedom, and is at least
    2^(1 - P) of P people: what a test of their signs can show at most, as P people who happen to
    agree show no spread.

    Raises:
        ValueError: if there is one person in a split.
    """
    mean, freedom = float(table.value_SU.mean()), table.num_people - table.num_splits
    reach = t_interval(table).high - mean
    least = 2.0 ** (1 - table.num_people)
    if reach <= 0:
        return 1.0 if mean == 0 else least
    ratio = float(stdtrit(freedom, _UPPER)) * mean / reach
    return max(least, float(2 * stdtr(freedom, -abs(ratio))))


def widening(num_people: int, num_splits: int = 1) -> float:
    """By how much Student's interval of a mean is wider than a bootstrap's of the same people."""
    freedom = num_people - num_splits
    student, normal = float(stdtrit(freedom, _UPPER)), float(ndtri(_UPPER))
    return student / normal * math.sqrt(num_people / freedom)


def _reach(square: float, freedom: int) -> float:
    """Student's, of an estimate with that variance."""
    return float(stdtrit(freedom, _UPPER) * square**0.5)


class _Spread(NamedTuple):
    """Of the mean of one split: what people, with all that is drawn per session, and seeds add."""

    of_people: float
    of_seeds: float  # estimated without bias, so perhaps below zero
    people: int


def _spread(table: Table) -> _Spread:
    S, P = len(table.seed_S), table.num_people
    if P < 2:
        return _Spread(0.0, 0.0, P)
    y_SP = _by_person(table)
    person_P, seed_S = y_SP.mean(0), y_SP.mean(1)
    of_people = float(np.var(person_P, ddof=1)) / P
    if S < 2:
        return _Spread(of_people, 0.0, P)
    left_SP = y_SP - person_P - seed_S[:, None] + y_SP.mean()
    of_both = float((left_SP**2).sum()) / ((S - 1) * (P - 1) * S * P)
    return _Spread(max(of_people, of_both), float(np.var(seed_S, ddof=1)) / S - of_both, P)


def _by_person(table: Table) -> np.ndarray:
    """What each person adds to the mean, scaled so that their mean is the mean, (S, P)."""
    mean = float(table.value_SU.mean())
    left_SP = np.stack([np.bincount(table.person_U, row - mean) for row in table.value_SU])
    added_SP: np.ndarray = mean + left_SP * (table.num_people / len(table.user_U))
    return added_SP


def components(table: Table) -> Components:
    """The variances of a table of two seeds or more, by the method of moments.

    Raises:
        ValueError: if there is one seed.
    """
    if table.num_splits > 1:
        return _within_splits(table)
    value_SU, person_U = table.value_SU, table.person_U
    S, U = value_SU.shape
    if S < 2:
        raise ValueError("the spread between seeds needs two of them, got one")
    size_P = np.bincount(person_U).astype(float)
    P, squares = len(size_P), float((size_P**2).sum()) / U
    seed_S, user_U = value_SU.mean(1), value_SU.mean(0)
    left_SU = value_SU - seed_S[:, None]
    both_SP = np.stack([np.bincount(person_U, row) for row in left_SU]) / size_P
    person_P = both_SP.mean(0)
    # within a person: arrivals, and the rest that a seed adds to each
    inner_SU = left_SU - both_SP[:, person_U]
    shared_U = inner_SU.mean(0)
    free = max(U - P, 1)
    rest = float(((inner_SU - shared_U) ** 2).sum()) / max((S - 1) * free, 1)
    arrival = max(0.0, float((shared_U**2).sum()) / free - rest / S)
    apart_SP = both_SP - person_P
    between = float((size_P * apart_SP**2).sum()) / max((S - 1) * (P - 1), 1)
    typical = (U - squares) / max(P - 1, 1)  # users a person
    seed_person = max(0.0, (between - rest) / typical)
    centre = float(user_U.mean()) - float(seed_S.mean())
    of_person = float((size_P * (person_P - centre) ** 2).sum()) / max(P - 1, 1)
    person = max(0.0, (of_person - arrival - rest / S - typical * seed_person / S) / typical)
    of_seed = float(((seed_S - seed_S.mean()) ** 2).sum()) / (S - 1)
    seed = max(0.0, of_seed - rest / U - seed_person * squares / U)
    return Components(person, arrival, seed_person, seed, rest)


def _within_splits(table: Table) -> Components:
    """Means of the splits' own components, and how the splits' means differ beyond them."""
    parts = [table.of_split(z) for z in range(table.num_splits)]
    found = [components(part) for part in parts]
    mean = Components(
        *(float(np.mean([getattr(c, f.name) for c in found])) for f in fields(Components))
    )
    inside = float(np.mean([s.of_people + s.of_seeds for s in map(_spread, parts)]))
    return replace(mean, split=max(0.0, float(np.var(table.by_split, ddof=1)) - inside))
