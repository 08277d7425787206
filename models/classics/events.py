"""The rows of a log as the classics read them: who took up what, and what each signal said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from slategym.models.data.log import Log

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Events:
    """A log's rows in (user, time) order."""

    user_E: Ints
    item_E: Ints
    took_E: Bools  # whether the item was clicked
    values: Mapping[str, Floats]  # every other signal, (E,), NaN if not observed or not clicked
    num_users: int  # U
    num_items: int  # N

    @staticmethod
    def from_log(log: Log) -> Events:
        """Read a log; its events are sorted by (user, time), as `Log` promises."""
        table = log.events
        names = [signal.name for signal in log.signals if signal.name != "click"]
        took_E = table["click"].to_numpy() > 0
        return Events(
            user_E=table["user"].to_numpy(np.int64),
            item_E=table["item"].to_numpy(np.int64),
            took_E=took_E,
            values={n: np.where(took_E, table[n].to_numpy(np.float64), np.nan) for n in names},
            num_users=log.num_users,
            num_items=log.num_items,
        )

    @property
    def num_rows(self) -> int:
        """E."""
        return len(self.user_E)

    @property
    def count_U(self) -> Ints:
        """Rows of each user."""
        return np.bincount(self.user_E, minlength=self.num_users)

    @property
    def first_U(self) -> Ints:
        """Row of each user's first event."""
        count_U = self.count_U
        return np.cumsum(count_U) - count_U

    @property
    def order_E(self) -> Ints:
        """Place of each row among its user's, from 0."""
        return np.arange(self.num_rows) - self.first_U[self.user_E]

    def met(self, keep_E: Bools) -> csr_array:
        """Who took up what in the kept rows: (U, N) float64, 1 where they did."""
        at_E = keep_E & self.took_E
        ones_x = np.ones(int(at_E.sum()))
        met_UN = csr_array(
            (ones_x, (self.user_E[at_E], self.item_E[at_E])), (self.num_users, self.num_items)
        )
        met_UN.sum_duplicates()
        met_UN.data[:] = 1.0
        return met_UN

    def value(self, signal: str) -> Floats:
        """A signal's values, (E,).

        Raises:
            ValueError: the log has no such signal.
        """
        if signal not in self.values:
            known = ", ".join(self.values) or "none"
            raise ValueError(f"the log has no signal {signal!r} beside the click; it has: {known}")
        return self.values[signal]
