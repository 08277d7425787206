"""What tasks on a scale share: outputs are values in units of it, errors are squared."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from slategym.models.statistics import rating_biases
from slategym.models.tasks.types import Array, Start, mean_start


class Scaled(ABC):
    """Output = value / scale; squared loss; starts are biases."""

    @property
    @abstractmethod
    def scale(self) -> float:
        """What outputs count in, in the signal's unit."""

    def link(self, value_x: Tensor) -> Tensor:
        """In units of `scale`."""
        return value_x.nan_to_num() / self.scale

    def evidence(self, value_x: Tensor) -> Tensor:
        """Itself."""
        return value_x

    def output_of(self, evidence_x: Tensor) -> Tensor:
        """In units of `scale`."""
        return evidence_x / self.scale

    def loss(self, output_x: Tensor, value_x: Tensor) -> Tensor:
        """Squared error in units of `scale`."""
        return (output_x - self.link(value_x)).square()

    def error(self, output_x: Array, value_x: Array) -> Array:
        """In units of `scale`."""
        error_x: Array = value_x / self.scale - output_x
        return error_x

    def start(
        self, user: Array, item: Array, value: Array, num_users: int, num_items: int
    ) -> Start:
        """Mean and item biases beside the users' own."""
        mean, _, item_N = rating_biases(user, item, value / self.scale, num_users, num_items)
        return Start(mean, item_N)

    def item_start(self, item: Array, value: Array, num_items: int) -> Start:
        """Mean and item biases."""
        return mean_start(item, value / self.scale, num_items)
