"""A metric of some rows by training seed and user: what every estimate is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

COVERAGE = 0.95  # of every interval


@dataclass(frozen=True)
class Table:
    """One metric of one cell, by seed and user."""

    value_SU: np.ndarray  # float64
    seed_S: np.ndarray
    user_U: np.ndarray
    person_U: np.ndarray  # 0..P-1
    learns: bool

    @property
    def num_people(self) -> int:
        """P, clusters of users."""
        return int(self.person_U.max()) + 1
