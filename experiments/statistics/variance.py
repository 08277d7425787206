"""Where the spread of a mean comes from: people, arrivals, seeds; and Student's interval of it.

A table of seeds by users, several users a person, is taken as the sum of independent effects of

    person + arrival + seed x person + seed + rest,

by the method of moments. Few seeds say little of how seeds differ; a bootstrap of three cannot know
that, an interval with Satterthwaite's degrees of freedom does.

Source: Satterthwaite 1946, Biometrics Bulletin 2, 110-114; Searle, Casella and McCulloch 1992,
Variance Components, chapter 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

from slategym.experiments.statistics.tables import COVERAGE, Table

FEW_SEEDS = 5  # of fewer, but several, Student's interval is shown beside the bootstrap's


class Interval(NamedTuple):
    """Two ends, and what they rest on."""

    low: float
    high: float
    freedom: float  # degrees, Satterthwaite's


@dataclass(frozen=True)
class Components:
    """Variances of the effects of which a session's value is the sum; none is below zero."""

    person: float
    arrival: float  # of a person, the same for every seed
    seed_person: float
    seed: float
    rest: float  # of a session

    @property
    def said(self) -> str:
        """For people."""
        return ", ".join(
            f"{name.replace('_', ' x ')} {value:.2f}" for name, value in vars(self).items()
        )


def t_interval(table: Table) -> Interval:
    """Of the mean of a table with two seeds or more: people and seeds both drawn at random.

    Args:
        table: seeds by users, of differences say.

    Raises:
        ValueError: if there is one seed, or one person.
    """
    S, P = len(table.seed_S), table.num_people
    if S < 2 or P < 2:
        raise ValueError(f"an interval over seeds and people needs two of each, got {S} and {P}")
    mean, y_SP = _by_person(table)
    person_P, seed_S = y_SP.mean(0), y_SP.mean(1)
    left_SP = y_SP - person_P - seed_S[:, None] + y_SP.mean()
    of_person = S * float((person_P - person_P.mean()) @ (person_P - person_P.mean())) / (P - 1)
    of_seed = P * float((seed_S - seed_S.mean()) @ (seed_S - seed_S.mean())) / (S - 1)
    of_both = float((left_SP**2).sum()) / ((S - 1) * (P - 1))
    # what both share is counted once; a component that would be negative is none
    squares = max(of_person + of_seed - of_both, of_person, of_seed)
    terms = of_person**2 / (P - 1) + of_seed**2 / (S - 1)
    if squares not in (of_person, of_seed):
        terms += of_both**2 / ((S - 1) * (P - 1))
    elif squares == of_person:
        terms = of_person**2 / (P - 1)
    else:
        terms = of_seed**2 / (S - 1)
    freedom = squares**2 / terms if terms > 0 else float(P - 1)
    reach = student.ppf((1 + COVERAGE) / 2, freedom) * np.sqrt(squares / (S * P))
    return Interval(float(mean - reach), float(mean + reach), float(freedom))


def _by_person(table: Table) -> tuple[float, np.ndarray]:
    """The mean, and what each person adds to it, scaled so that their mean is the mean, (S, P)."""
    mean = float(table.value_SU.mean())
    left_SP = np.stack([np.bincount(table.person_U, row - mean) for row in table.value_SU])
    scale = table.num_people / len(table.user_U)
    return mean, mean + left_SP * scale


def components(table: Table) -> Components:
    """The variances of a table of two seeds or more, by the method of moments.

    Raises:
        ValueError: if there is one seed.
    """
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
