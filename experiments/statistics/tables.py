"""A metric of some rows by training seed and user: what every estimate is made of.

Users of several splits of the people into parties stand side by side; in each split all was fitted
and trained anew, so that seed 0 of one has nothing to do with seed 0 of another.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    split_U: np.ndarray | None = None  # 0..Z-1; None: there is one split

    @property
    def splits(self) -> np.ndarray:
        """Which split each user is of, from 0."""
        return np.zeros(len(self.user_U), dtype=int) if self.split_U is None else self.split_U

    @property
    def num_splits(self) -> int:
        """Z."""
        return 1 if self.split_U is None else int(self.split_U.max()) + 1

    def of_split(self, split: int) -> Table:
        """The part of one split."""
        mine_U = self.splits == split
        person_U = np.unique(self.person_U[mine_U], return_inverse=True)[1]
        return replace(
            self,
            value_SU=self.value_SU[:, mine_U],
            user_U=self.user_U[mine_U],
            person_U=person_U,
            split_U=None,
        )

    @property
    def by_split(self) -> tuple[float, ...]:
        """The mean of each split; of one there is nothing to tell apart."""
        if self.num_splits < 2:
            return ()
        return tuple(
            float(self.value_SU[:, self.splits == z].mean()) for z in range(self.num_splits)
        )

    @property
    def num_people(self) -> int:
        """P, clusters of users."""
        return int(self.person_U.max()) + 1
