"""What is asked of the heads: a user's state at a request, and what statistics say beside it.

Axis letters beyond the legend of `envs/types.py`: x any leading axes, V signals given a click, T
kinds of co-occurrence tables, A some items.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from torch import Tensor

from slategym.models.closed_form.cooccurrence import Sums


class Values(Protocol):
    """What a wide part says of the values that items would be given."""

    def outputs(self, id_xC: Tensor | None) -> Tensor:
        """The outputs of all V signals for these items, or for all N, (x, C, V)."""
        ...


@dataclass(frozen=True)
class RowValues:
    """Known beforehand, each row for its own item alone."""

    output_xV: Tensor

    def outputs(self, id_xC: Tensor | None) -> Tensor:
        """(x, 1, V); one item per row is asked about, its own."""
        assert id_xC is not None and id_xC.shape[-1] == 1, "a row knows of its own item alone"
        return self.output_xV[..., None, :]


@dataclass(frozen=True)
class Query:
    """Users at a request."""

    state: Tensor  # (x, D) from `EventSequence.query`
    sums: Sums | None = None  # of co-occurrence tables; None: none are read
    values: Values | None = None  # None: no wide part
    clicked: Query | None = None  # of the rows with a click alone; None: not set apart

    def at_items(self, at_A: Tensor) -> Query:
        """The same where items of a table are but these rows of it."""
        return self if self.sums is None else replace(self, sums=self.sums.at_items(at_A))
