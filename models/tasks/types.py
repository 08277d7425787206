"""What every kind of task offers, and what kinds share."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from slategym.envs.types import Signal
from slategym.models import metrics
from slategym.models.statistics import pulled_means

Array = NDArray[Any]
Pool = Literal["sum", "mean"]

TINY = 1e-6  # keeps a rate finite where its condition is all but impossible
LEAST_SPREAD = 1e-3  # of a measured one, on the scale of `link`
LEVEL_PRIOR = 10  # rows by which means that are off are trusted all the same
BINS = 16  # of a real, nonnegative or count signal as an input


class Start(NamedTuple):
    """Where a head's outputs start, from training rows."""

    offset: float  # of all items
    item_N: Array  # (N,) beside the offset


class Task(Protocol):
    """What one signal asks of a model, and what can be said of its answer."""

    @property
    def signal(self) -> Signal:
        """What it is derived from."""
        ...

    @property
    def given(self) -> str | None:
        """Name of the binary signal that a draw must agree with; None: it is drawn alone."""
        ...

    @property
    def calibrated(self) -> bool:
        """Whether outputs are log-odds, which Platt scaling may correct."""
        ...

    @property
    def pool(self) -> Pool:
        """How the rows of an episode add it up: a sum, or a mean over clicks."""
        ...

    @property
    def num_levels(self) -> int:
        """Different inputs that `level` tells apart, the unobserved one included."""
        ...

    @property
    def usual_ease(self) -> float:
        """Where the judge starts: what a person who likes everything adds to the output."""
        ...

    @property
    def declared_start(self) -> float:
        """An output to start from where no row may be asked: by what is declared alone."""
        ...

    def fitted(self, value_x: Array) -> Self:
        """With its scale taken from these observed training values, where its kind has one."""
        ...

    def measured(self, output_x: Array, value_x: Array) -> Self:
        """With its spread, or how far its means are off, measured on held-out rows.

        Args:
            output_x: of a model that was not trained on these rows.
            value_x: observed there.
        """
        ...

    def level(self, value_x: Tensor) -> Tensor:
        """A value as one of `num_levels` inputs, int64; 0: unobserved or outside the range."""
        ...

    def link(self, value_x: Tensor) -> Tensor:
        """The scale on which outputs are compared with values; NaN becomes some finite number."""
        ...

    def evidence(self, value_x: Tensor) -> Tensor:
        """A value as closed forms read it: where differences count alike; NaN stays NaN."""
        ...

    def output_of(self, evidence_x: Tensor) -> Tensor:
        """The output that says as much as this evidence does, on the scale of outputs."""
        ...

    def loss(self, output_x: Tensor, value_x: Tensor) -> Tensor:
        """Of each row, for training; meaningless where the value is NaN."""
        ...

    def held_out_loss(self, output_x: Array, value_x: Array) -> Array:
        """The same of delivered outputs, those cut off at the ends of the range."""
        ...

    def error(self, output_x: Array, value_x: Array) -> Array:
        """Value minus output on the scale of `link`."""
        ...

    def start(
        self, user: Array, item: Array, value: Array, num_users: int, num_items: int
    ) -> Start:
        """Offset and items' biases of a model that knows its users, from observed rows."""
        ...

    def item_start(self, item: Array, value: Array, num_items: int) -> Start:
        """Offset and items' biases of a model that does not."""
        ...

    def mean(self, output_x: Tensor, given_x: Tensor | None) -> Tensor:
        """Expected value given a click.

        Args:
            output_x: log-odds, or on the scale of `link`.
            given_x: probability of the signal called `given`; None where there is none.
        """
        ...

    def sample(self, output_x: Tensor, uniform_x: Tensor, given_x: Tensor | None) -> Tensor:
        """A value given a click, with mean `mean`.

        Args:
            output_x: log-odds, or on the scale of `link`.
            uniform_x: in [0, 1).
            given_x: the drawn value of the signal called `given`; None where there is none.
        """
        ...

    def figures(
        self, value_x: Array, output_x: Array, user_x: Array, calibrated_x: Array
    ) -> dict[str, float]:
        """Name -> figure, NaN where these rows do not define it.

        Args:
            value_x: observed values.
            output_x: of the head.
            user_x: whose row it is.
            calibrated_x: outputs as delivered.
        """
        ...

    def anchored(self, value_x: Array, point_x: Array, user_x: Array) -> dict[str, float]:
        """The figures that a prediction on the value's own scale has.

        Args:
            value_x: observed values.
            point_x: predicted, any scale that orders rows if the signal is binary.
            user_x: whose row it is.
        """
        ...


def mean_start(item: Array, value: Array, num_items: int) -> Start:
    """Mean and item biases of linked values."""
    mean = float(value.mean()) if len(value) else 0.0
    return Start(mean, pulled_means(item, value, mean, num_items))


def range_rmse(signal: Signal, value_x: Array, point_x: Array) -> dict[str, float]:
    """Root mean squared error of points cut off at the signal's range, by the figure's name."""
    return {f"{signal.name}_rmse": rmse_of(value_x, point_x.clip(signal.low, signal.high))}


def rmse_of(value_x: Array, point_x: Array) -> float:
    """Root mean squared error, NaN without rows."""
    return metrics.rmse(value_x, point_x) if len(value_x) else math.nan


def spread_of(value_x: Array) -> float:
    """Standard deviation, 1 where there is none."""
    spread = float(value_x.std()) if len(value_x) else 0.0
    return spread if spread > LEAST_SPREAD else 1.0


def level_factor(mean_x: Array, value_x: Array) -> float:
    """By what means are multiplied so that their sum is that of the values, but for a prior.

    Args:
        mean_x: expected values, >= 0.
        value_x: observed ones; a few say little, and leave the means as they are.
    """
    if not len(value_x) or not mean_x.sum() > 0:
        return 1.0
    ratio = float(value_x.sum() / mean_x.sum())
    return (len(value_x) * ratio + LEVEL_PRIOR) / (len(value_x) + LEVEL_PRIOR)


def root_mean_square(error_x: Array) -> float:
    """Of errors: a measured spread, at least LEAST_SPREAD."""
    return max(float(np.sqrt(np.mean(np.square(error_x)))), LEAST_SPREAD)
