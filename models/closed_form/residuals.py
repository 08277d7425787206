"""What is left of a signal after its mean and its items' means, user by user, padded to batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slategym.models.closed_form.events import Bools, Events, Floats, Ints
from slategym.models.statistics import rating_biases

CELLS = 4_000_000  # of a padded (B, T, T) batch


@dataclass(frozen=True)
class Base:
    """A signal's mean and its items' deviations, and the scale of what they leave."""

    signal: str
    mean: float  # in the signal's unit
    item_N: Floats  # above it; 0 for an item without a row
    scale: float  # standard deviation of the residuals it was fitted on
    low: float  # least value it was fitted on
    high: float

    @staticmethod
    def fit(events: Events, signal: str, keep_E: Bools) -> Base:
        """Alternating regularised averages; see `rating_biases`.

        Raises:
            ValueError: the log lacks the signal, or the kept rows hold no value of it.
        """
        value_E = events.value(signal)
        known_E = keep_E & np.isfinite(value_E)
        if not known_E.any():
            raise ValueError(
                f"no row to fit on holds a value of {signal!r}: leave it out, or keep other rows"
            )
        value_x, item_x = value_E[known_E], events.item_E[known_E]
        mean, _, item_N = rating_biases(
            events.user_E[known_E], item_x, value_x, events.num_users, events.num_items
        )
        scale = float((value_x - mean - item_N[item_x]).std()) or 1.0
        return Base(signal, mean, item_N, scale, float(value_x.min()), float(value_x.max()))

    def residual(self, events: Events) -> Floats:
        """In units of `scale`, (E,); NaN where the signal was not observed."""
        expected_E = self.mean + self.item_N[events.item_E]
        return (events.value(self.signal) - expected_E) / self.scale


@dataclass(frozen=True)
class Taken:
    """Users' clicked rows in order, padded on the right. T is the longest's."""

    row_BT: Ints  # rows of the log; 0 where padded
    real_BT: Bools


def taken_rows(events: Events, users: Ints, cells: int = CELLS) -> Iterator[Taken]:
    """The clicked rows of these users, users of like length together.

    Args:
        events: the log.
        users: whose.
        cells: B * T * T of a batch, at most, unless a single user has more.
    """
    rows = np.flatnonzero(events.took_E)
    count_U = np.bincount(events.user_E[rows], minlength=events.num_users)
    first_U = np.cumsum(count_U) - count_U
    users = users[count_U[users] > 0]
    users = users[np.argsort(-count_U[users], kind="stable")]
    while len(users):
        longest = int(count_U[users[0]])
        size = max(1, cells // longest**2)
        part, users = users[:size], users[size:]
        place_T = np.arange(longest)
        real_BT = place_T < count_U[part][:, None]
        at_BT = np.where(real_BT, first_U[part][:, None] + place_T, 0)
        yield Taken(np.where(real_BT, rows[at_BT], 0), real_BT)


def users_of(events: Events, row_x: Ints) -> Ints:
    """Users who have one of these rows."""
    found: NDArray[np.int64] = np.unique(events.user_E[row_x])
    return found
