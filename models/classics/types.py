"""What every classic can be asked: a score of all items, or the value of a signal.

Axis letters beyond the legend of `envs/types.py`: E rows of the log, x some of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from slategym.models.closed_form.events import Events

S = TypeVar("S")  # a state: a frozen dataclass or tuple of tensors whose first axis is B, or one

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class NextItem(Protocol[S]):
    """Scores every item by how likely a user takes it up next. Pure: states come in and go out."""

    @property
    def name(self) -> str:
        """As in tables."""
        ...

    def initial(self, history_BH: Tensor) -> S:
        """State after these items, oldest first, -1 where there is none."""
        ...

    def after(self, state: S, item_B: Tensor, took_B: Tensor) -> S:
        """State after one more item each; rows where took_B is False are left as they are."""
        ...

    def score(self, state: S) -> Tensor:
        """Scores of all items, (B, N), higher: sooner. Only their order means anything."""
        ...


@dataclass(frozen=True)
class Predicted:
    """A value not yet seen, at x rows or for B users by items."""

    mean: Floats  # in the unit of `Events.values`
    variance: Floats  # of the value itself, its noise included; the unit squared


class ValueModel(Protocol):
    """Predicts a signal of clicked items."""

    @property
    def name(self) -> str:
        """As in tables."""
        ...

    def online(self, events: Events, row_x: Ints) -> Predicted:
        """At rows of a log: a user's earlier rows are read, the row's own value is not."""
        ...


@dataclass(frozen=True)
class Outlook:
    """A value not yet seen, of B users by all items."""

    mean: Tensor  # (B, N) in the unit of `Events.values`
    variance: Tensor  # (B, N) of the value itself, its noise included


class LiveValueModel(ValueModel, Protocol[S]):
    """One that also follows users event by event, as a simulator needs it."""

    def initial(self, history_BH: Tensor, value_BH: Tensor) -> S:
        """State after these items and values, oldest first; item -1: none, value NaN: unknown."""
        ...

    def after(self, state: S, item_B: Tensor, value_B: Tensor, took_B: Tensor) -> S:
        """State after one more item each; rows where took_B is False are left as they are."""
        ...

    def outlook(self, state: S) -> Outlook:
        """What every item would be given now."""
        ...
