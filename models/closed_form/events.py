"""The rows of a log as the classics read them: who took up what, and what each signal said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

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
    # Every other signal, (E,), NaN if not observed or not clicked; log(1 + value) of those that are
    # `logged`: of amounts and counts, proportions matter.
    values: Mapping[str, Floats]
    num_users: int  # U
    num_items: int  # N
    logged: tuple[str, ...] = ()  # names of signals

    @staticmethod
    def from_log(log: Log) -> Events:
        """Read a log; its events are sorted by (user, time), as `Log` promises."""
        table = log.events
        others = [signal for signal in log.signals if signal.name != "click"]
        logged = tuple(s.name for s in others if s.kind in ("nonnegative", "count"))
        took_E = table["click"].to_numpy() > 0
        values = {}
        for name in (signal.name for signal in others):
            value_E = np.where(took_E, table[name].to_numpy(np.float64), np.nan)
            values[name] = np.log1p(value_E) if name in logged else value_E
        return Events(
            user_E=table["user"].to_numpy(np.int64),
            item_E=table["item"].to_numpy(np.int64),
            took_E=took_E,
            values=values,
            num_users=log.num_users,
            num_items=log.num_items,
            logged=logged,
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

    def untold(self, row_E: Bools) -> Events:
        """The same with the values of these rows unobserved."""
        values = {name: np.where(row_E, np.nan, x_E) for name, x_E in self.values.items()}
        return replace(self, values=values)

    def value(self, signal: str) -> Floats:
        """A signal's values, (E,), as `values` has them.

        Raises:
            ValueError: the log has no such signal.
        """
        if signal not in self.values:
            known = ", ".join(self.values) or "none"
            raise ValueError(f"the log has no signal {signal!r} beside the click; it has: {known}")
        return self.values[signal]
