"""What follows from a signal: how it is predicted, measured, drawn and reported.

A `Task` is derived from a `Signal` alone, and the only place where kinds of signals are told apart:

    binary       log-odds, cross-entropy, Platt scaling, AUC and calibration error
    ordinal      a normal cut half way between the levels, squared error
    real         a normal cut off at the ends of its range, squared error
    nonnegative  a normal on log(1 + value / scale), cut off at 0: its mass there is the zeros'
    count        Poisson with a log rate

A head's *output* is what the network says of an item: log-odds, or the mean on the scale of
`link`. Everything is given a click: a signal that was not observed is NaN and counts nowhere.

Axis letters beyond the legend of `envs/types.py`: x any leading axes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor
from torch.nn import functional as F

from slategym.envs.names import lookup
from slategym.envs.types import Signal
from slategym.models import metrics
from slategym.models.statistics import (
    ITEM_PRIOR,
    pulled_means,
    rating_biases,
    smoothed_rate,
)

Array = NDArray[Any]
Pool = Literal["sum", "mean"]

TINY = 1e-6  # keeps a rate finite where its condition is all but impossible
SPREAD = 0.9  # of an ordinal signal around its mean, quarters of its range: .9 stars of 1 to 5
LEAST_SPREAD = 1e-3  # of a measured one, on the scale of `link`
MOST_LEVELS = 41  # an ordinal scale of more levels is drawn as a real one, rounded
BINS = 16  # of a real, nonnegative or count signal as an input
MOST_RATE = 20.0  # a Poisson above it is drawn as a rounded normal
MOST_COUNT = 48  # of a Poisson below it: above, its probability is under 1e-7
RATE_BOUND = 1e-4  # a rate as a starting point is this far from 0 and from 1

DEFAULT_WEIGHT = {"binary": 1.0, "ordinal": 0.5, "real": 0.5, "nonnegative": 0.5, "count": 0.5}
NEXT = "next"  # the head that every model has beside those of the signals
NEXT_WEIGHT = 0.2


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

    def fitted(self, value_x: Array) -> Self:
        """With its scale taken from these observed training values, where its kind has one."""
        ...

    def measured(self, error_x: Array) -> Self:
        """With its spread taken from errors of outputs on held-out rows, where that is measured."""
        ...

    def level(self, value_x: Tensor) -> Tensor:
        """A value as one of `num_levels` inputs, int64; 0: unobserved or outside the range."""
        ...

    def link(self, value_x: Tensor) -> Tensor:
        """The scale on which outputs are compared with values; NaN becomes some finite number."""
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


def column(task: Task) -> str:
    """Its column in the rows of episodes: clicks, likes, rating_mean, dwell_total."""
    name = task.signal.name
    if task.calibrated:
        return f"{name}es" if name.endswith(("s", "x", "ch", "sh")) else f"{name}s"
    return f"{name}_total" if task.pool == "sum" else f"{name}_mean"


def label(task: Task) -> str:
    """What a report calls it, with its unit."""
    name, unit = task.signal.name, task.signal.unit
    if task.calibrated:
        return column(task)
    return f"{name}, {unit}" if task.pool == "sum" else f"mean {name}, {unit}"


@dataclass(frozen=True)
class Binary:
    """It happens or not: log-odds of a Bernoulli."""

    signal: Signal
    given: str | None = None
    calibrated: bool = True
    pool: Pool = "sum"
    num_levels: int = 3  # unobserved, no, yes
    usual_ease: float = 3.0

    def fitted(self, value_x: Array) -> Binary:
        """Itself: it has no scale."""
        return self

    def measured(self, error_x: Array) -> Binary:
        """Itself: its mean says all."""
        return self

    def level(self, value_x: Tensor) -> Tensor:
        """No is 1, yes is 2."""
        return torch.where(value_x.isnan(), 0, (value_x > 0).long() + 1)

    def link(self, value_x: Tensor) -> Tensor:
        """Itself."""
        return value_x.nan_to_num()

    def loss(self, output_x: Tensor, value_x: Tensor) -> Tensor:
        """Cross-entropy, nats."""
        return F.binary_cross_entropy_with_logits(output_x, self.link(value_x), reduction="none")

    def held_out_loss(self, output_x: Array, value_x: Array) -> Array:
        """Cross-entropy, nats."""
        loss_x: Array = np.logaddexp(0, output_x) - value_x * output_x
        return loss_x

    def error(self, output_x: Array, value_x: Array) -> Array:
        """Against the probability."""
        error_x: Array = value_x - expit(output_x)
        return error_x

    def start(
        self, user: Array, item: Array, value: Array, num_users: int, num_items: int
    ) -> Start:
        """Log-odds of the items' smoothed rates."""
        rate_N = smoothed_rate(item, value, num_items)
        return Start(0.0, np.log(rate_N / (1 - rate_N)))

    def item_start(self, item: Array, value: Array, num_items: int) -> Start:
        """The same, pulled to the mean of the rows as they are."""
        count_N = np.bincount(item, minlength=num_items)
        hits_N = np.bincount(item, value > 0, minlength=num_items)
        mean = float((value > 0).mean()) if len(value) else 0.5
        share_N = (hits_N + ITEM_PRIOR * mean) / (count_N + ITEM_PRIOR)
        share_N = share_N.clip(RATE_BOUND, 1 - RATE_BOUND)
        return Start(0.0, np.log(share_N / (1 - share_N)))

    def mean(self, output_x: Tensor, given_x: Tensor | None) -> Tensor:
        """Its probability."""
        return output_x.sigmoid()

    def sample(self, output_x: Tensor, uniform_x: Tensor, given_x: Tensor | None) -> Tensor:
        """0 or 1."""
        return (uniform_x < output_x.sigmoid()).float()

    def figures(
        self, value_x: Array, output_x: Array, user_x: Array, calibrated_x: Array
    ) -> dict[str, float]:
        """AUC over all rows and inside users, calibration error as delivered and raw."""
        name = self.signal.name
        return {
            **self.anchored(value_x, output_x, user_x),
            f"{name}_ece": metrics.ece(value_x, expit(calibrated_x)),
            f"{name}_ece_raw": metrics.ece(value_x, expit(output_x)),
        }

    def anchored(self, value_x: Array, point_x: Array, user_x: Array) -> dict[str, float]:
        """AUC over all rows and inside users."""
        return {
            f"{self.signal.name}_auc": metrics.auc(value_x, point_x),
            f"{self.signal.name}_gauc": metrics.gauc(user_x, value_x, point_x),
        }


@dataclass(frozen=True)
class Ordinal:
    """Levels at equal distances: a normal cut half way between them.

    Where a binary signal is derived from it (a like: `cut` and more), the binary one is drawn first
    by its own head, and the level from the normal on that side of the cut.
    """

    signal: Signal
    given: str | None = None
    cut: float = math.nan  # lowest value at which the signal called `given` is 1
    calibrated: bool = False
    pool: Pool = "mean"
    usual_ease: float = 1.0

    @property
    def scale(self) -> float:
        """A quarter of the range: what outputs count in. 1 for stars from 1 to 5."""
        return (self.signal.high - self.signal.low) / 4.0

    @property
    def spread(self) -> float:
        """Standard deviation around the mean, in the signal's unit; stated, not measured."""
        return SPREAD * self.scale

    @property
    def steps(self) -> int:
        """Levels above the lowest."""
        return round((self.signal.high - self.signal.low) / self.signal.step)

    @property
    def num_levels(self) -> int:
        """The levels and the unobserved."""
        return self.steps + 2

    def fitted(self, value_x: Array) -> Ordinal:
        """Itself: its scale is declared."""
        return self

    def measured(self, error_x: Array) -> Ordinal:
        """Itself: its spread is stated."""
        return self

    def level(self, value_x: Tensor) -> Tensor:
        """The lowest level is 1."""
        low, step, high = self.signal.low, self.signal.step, self.signal.high
        within_x = (value_x >= low - 0.5 * step) & (value_x <= high + 0.5 * step)
        place_x = ((value_x.nan_to_num() - low) / step).round().clamp(0, self.steps)
        return torch.where(within_x, place_x.long() + 1, 0)

    def link(self, value_x: Tensor) -> Tensor:
        """In quarters of the range."""
        return value_x.nan_to_num() / self.scale

    def loss(self, output_x: Tensor, value_x: Tensor) -> Tensor:
        """Squared error, in quarters of the range."""
        return (output_x - self.link(value_x)).square()

    def held_out_loss(self, output_x: Array, value_x: Array) -> Array:
        """Squared error of the clipped output, in quarters of the range."""
        loss_x: Array = np.square(self._clipped(output_x) - value_x / self.scale)
        return loss_x

    def error(self, output_x: Array, value_x: Array) -> Array:
        """In quarters of the range."""
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
        return _mean_start(item, value / self.scale, num_items)

    def mean(self, output_x: Tensor, given_x: Tensor | None) -> Tensor:
        """Of the cut normal, on either side of the cut where there is one."""
        below = self._below(output_x)
        low, step = self.signal.low, self.signal.step
        if given_x is None:
            mean_x = torch.full_like(output_x, low)
            for below_x in below:
                mean_x = mean_x + step * (1.0 - below_x)
            return mean_x
        at = self._first_given
        over, under = self._sides(below)
        liked_x = torch.full_like(output_x, low + step * at)
        other_x = torch.full_like(output_x, low + step * (at - 1))
        for over_x in over:
            liked_x = liked_x + step * over_x
        for place, under_x in enumerate(under):
            other_x = other_x - step * (at - 1 - place) * under_x
        return given_x * liked_x + (1.0 - given_x) * other_x

    def sample(self, output_x: Tensor, uniform_x: Tensor, given_x: Tensor | None) -> Tensor:
        """A level."""
        below = self._below(output_x)
        low, step = self.signal.low, self.signal.step
        if given_x is None:
            value_x = torch.full_like(output_x, low)
            for below_x in below:
                value_x = value_x + step * (uniform_x >= below_x).float()
            return value_x
        at = self._first_given
        over, under = self._sides(below)
        liked_x = torch.full_like(output_x, low + step * at)
        other_x = torch.full_like(output_x, low + step * (at - 1))
        for over_x in over:
            liked_x = liked_x + step * (uniform_x < over_x).float()
        at_most_x = torch.zeros_like(output_x)
        for under_x in under:
            at_most_x = at_most_x + under_x
            other_x = other_x - step * (uniform_x < at_most_x).float()
        return torch.where(given_x > 0, liked_x, other_x)

    def figures(
        self, value_x: Array, output_x: Array, user_x: Array, calibrated_x: Array
    ) -> dict[str, float]:
        """Root mean squared error in the signal's unit, of the output cut off at its range."""
        return self.anchored(value_x, output_x * self.scale, user_x)

    def anchored(self, value_x: Array, point_x: Array, user_x: Array) -> dict[str, float]:
        """Root mean squared error in the signal's unit."""
        return _rmse(self.signal, value_x, point_x)

    def _clipped(self, output_x: Array) -> Array:
        return output_x.clip(self.signal.low / self.scale, self.signal.high / self.scale)

    @property
    def _first_given(self) -> int:
        """Place of the lowest level at which `given` is 1, at least 1."""
        return math.ceil((self.cut - self.signal.low) / self.signal.step - TINY)

    def _below(self, output_x: Tensor) -> list[Tensor]:
        """P(the level is the j-th at most), for each but the highest."""
        low, step = self.signal.low, self.signal.step
        cuts = [low + step * (place + 0.5) for place in range(self.steps)]
        mean_x = output_x * self.scale
        cut = torch.tensor(cuts, device=output_x.device)
        below = torch.special.ndtr((cut - mean_x[..., None]) / self.spread)
        return list(below.unbind(-1))

    def _sides(self, below: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """P(level > j | given) for j from the cut on; P(level = j | not given) below it."""
        at = self._first_given
        under_all, over_all = below[at - 1] + TINY, 1.0 - below[at - 1] + TINY
        over = [(1.0 - below_x) / over_all for below_x in below[at:]]
        steps = zip([None, *below], below[: at - 1], strict=False)
        under = [(b if a is None else b - a) / under_all for a, b in steps]
        return over, under


@dataclass(frozen=True)
class Real:
    """Any number of a range: a normal, cut off at the ends of the range."""

    signal: Signal
    given: str | None = None
    cut: float = math.nan  # lowest value at which the signal called `given` is 1
    scale: float = 1.0  # what outputs count in: the standard deviation of training values
    spread: float = 1.0  # standard deviation around the mean, in that scale; measured
    first: float = -1.0  # ends of the equal parts that inputs tell apart: those of the range, or
    last: float = 1.0  # two standard deviations of training values where it has none
    calibrated: bool = False
    pool: Pool = "mean"
    num_levels: int = BINS + 1
    usual_ease: float = 1.0

    def fitted(self, value_x: Array) -> Real:
        """With the standard deviation of these values as its scale."""
        scale, middle = _spread_of(value_x), float(value_x.mean()) if len(value_x) else 0.0
        low, high = self.signal.low, self.signal.high
        return replace(
            self,
            scale=scale,
            first=low if math.isfinite(low) else middle - 2.0 * scale,
            last=high if math.isfinite(high) else middle + 2.0 * scale,
        )

    def measured(self, error_x: Array) -> Real:
        """With the spread of these errors."""
        return replace(self, spread=_root_mean_square(error_x))

    def level(self, value_x: Tensor) -> Tensor:
        """Equal parts of the range."""
        within_x = (value_x >= self.signal.low) & (value_x <= self.signal.high)
        part_x = (value_x.nan_to_num() - self.first) * (BINS / max(self.last - self.first, TINY))
        return torch.where(within_x, part_x.clamp(0, BINS - 1).long() + 1, 0)

    def link(self, value_x: Tensor) -> Tensor:
        """In units of `scale`."""
        return value_x.nan_to_num() / self.scale

    def loss(self, output_x: Tensor, value_x: Tensor) -> Tensor:
        """Squared error in units of `scale`."""
        return (output_x - self.link(value_x)).square()

    def held_out_loss(self, output_x: Array, value_x: Array) -> Array:
        """Squared error of the clipped output in units of `scale`."""
        low, high = self.signal.low / self.scale, self.signal.high / self.scale
        loss_x: Array = np.square(output_x.clip(low, high) - value_x / self.scale)
        return loss_x

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
        return _mean_start(item, value / self.scale, num_items)

    def mean(self, output_x: Tensor, given_x: Tensor | None) -> Tensor:
        """Of the cut-off normal, on either side of the cut where there is one."""
        mean_x, spread = output_x * self.scale, self.spread * self.scale
        low, high = self.signal.low, self.signal.high
        if given_x is None:
            return _clipped_part(mean_x, spread, low, high, None, None)
        over_x = 1.0 - _below(mean_x, spread, self.cut)
        liked_x = _clipped_part(mean_x, spread, low, high, self.cut, None) / (over_x + TINY)
        other_x = _clipped_part(mean_x, spread, low, high, None, self.cut) / (1.0 - over_x + TINY)
        return given_x * liked_x.clamp(self.cut, high) + (1.0 - given_x) * other_x.clamp(
            low, self.cut
        )

    def sample(self, output_x: Tensor, uniform_x: Tensor, given_x: Tensor | None) -> Tensor:
        """By the inverse of its distribution function."""
        mean_x, spread = output_x * self.scale, self.spread * self.scale
        place_x = uniform_x
        if given_x is not None:
            under_x = _below(mean_x, spread, self.cut)
            over_x = under_x + (1.0 - under_x) * uniform_x
            place_x = torch.where(given_x > 0, over_x, under_x * uniform_x)
        value_x: Tensor = mean_x + spread * torch.special.ndtri(place_x.clamp(TINY, 1.0 - TINY))
        if given_x is not None:
            liked_x = value_x.clamp(min=self.cut)
            value_x = torch.where(given_x > 0, liked_x, value_x.clamp(max=self.cut))
        return value_x.clamp(self.signal.low, self.signal.high)

    def figures(
        self, value_x: Array, output_x: Array, user_x: Array, calibrated_x: Array
    ) -> dict[str, float]:
        """Root mean squared error in the signal's unit."""
        return self.anchored(value_x, output_x * self.scale, user_x)

    def anchored(self, value_x: Array, point_x: Array, user_x: Array) -> dict[str, float]:
        """Root mean squared error in the signal's unit."""
        return _rmse(self.signal, value_x, point_x)


@dataclass(frozen=True)
class Nonnegative:
    """Zero or more: a normal on log(1 + value / scale), cut off at 0 and at the highest value."""

    signal: Signal
    given: str | None = None
    scale: float = 1.0  # in the signal's unit: the median of positive training values
    spread: float = 1.0  # standard deviation around the mean on the log scale; measured
    calibrated: bool = False
    pool: Pool = "sum"
    num_levels: int = BINS + 1
    usual_ease: float = 0.0

    def fitted(self, value_x: Array) -> Nonnegative:
        """With the median of the positive values as its scale."""
        positive_x = value_x[value_x > 0]
        scale = float(np.median(positive_x)) if len(positive_x) else 1.0
        fitted = replace(self, scale=scale)
        return replace(fitted, spread=_spread_of(np.log1p(value_x / scale)))

    def measured(self, error_x: Array) -> Nonnegative:
        """With the spread of these errors."""
        return replace(self, spread=_root_mean_square(error_x))

    def level(self, value_x: Tensor) -> Tensor:
        """Zero is 1; then a quarter of a unit of the log scale each."""
        place_x = torch.ceil(4.0 * self.link(value_x.clamp(min=0))).clamp(max=BINS - 1)
        return torch.where(value_x >= 0, place_x.long() + 1, 0)

    def link(self, value_x: Tensor) -> Tensor:
        """log(1 + value / scale)."""
        return (value_x.nan_to_num() / self.scale).log1p()

    def loss(self, output_x: Tensor, value_x: Tensor) -> Tensor:
        """Squared error on the log scale."""
        return (output_x - self.link(value_x)).square()

    def held_out_loss(self, output_x: Array, value_x: Array) -> Array:
        """Squared error of the clipped output on the log scale."""
        most = math.log1p(self.signal.high / self.scale)
        loss_x: Array = np.square(output_x.clip(0.0, most) - np.log1p(value_x / self.scale))
        return loss_x

    def error(self, output_x: Array, value_x: Array) -> Array:
        """On the log scale."""
        error_x: Array = np.log1p(value_x / self.scale) - output_x
        return error_x

    def start(
        self, user: Array, item: Array, value: Array, num_users: int, num_items: int
    ) -> Start:
        """Mean and item biases beside the users' own, on the log scale."""
        linked = np.log1p(value / self.scale)
        mean, _, item_N = rating_biases(user, item, linked, num_users, num_items)
        return Start(mean, item_N)

    def item_start(self, item: Array, value: Array, num_items: int) -> Start:
        """Mean and item biases on the log scale."""
        return _mean_start(item, np.log1p(value / self.scale), num_items)

    def mean(self, output_x: Tensor, given_x: Tensor | None) -> Tensor:
        """Of the log-normal between its two ends: what is above 0 less what is above the highest.

        Source: E max(e^X - k, 0) of a normal X, Black and Scholes 1973, equation 13.
        """
        above_x = self._above(output_x, 0.0) - self._above(output_x, self.signal.high / self.scale)
        return self.scale * above_x.clamp(min=0.0)

    def _above(self, output_x: Tensor, most: float) -> Tensor:
        """E max(e^X - 1 - most, 0), X normal around the output."""
        spread, bound = self.spread, math.log1p(most)
        if not math.isfinite(bound):
            return torch.zeros_like(output_x)
        upper_x: Tensor = torch.special.ndtr((output_x + spread**2 - bound) / spread)
        lower_x: Tensor = torch.special.ndtr((output_x - bound) / spread)
        whole_x = (output_x + 0.5 * spread**2).clamp(max=60.0).exp()
        return whole_x * upper_x - (1.0 + most) * lower_x

    def sample(self, output_x: Tensor, uniform_x: Tensor, given_x: Tensor | None) -> Tensor:
        """By the inverse of its distribution function."""
        normal_x = torch.special.ndtri(uniform_x.clamp(TINY, 1.0 - TINY))
        value_x: Tensor = self.scale * (output_x + self.spread * normal_x).clamp(max=60.0).expm1()
        return value_x.clamp(0.0, self.signal.high)

    def figures(
        self, value_x: Array, output_x: Array, user_x: Array, calibrated_x: Array
    ) -> dict[str, float]:
        """Root mean squared error of log(1 + value), as delivered by the output itself."""
        point_x = self.scale * np.expm1(output_x.clip(0.0, 60.0))
        return self.anchored(value_x, point_x, user_x)

    def anchored(self, value_x: Array, point_x: Array, user_x: Array) -> dict[str, float]:
        """Root mean squared error of log(1 + value)."""
        high = self.signal.high
        name = f"{self.signal.name}_rmsle"
        return {name: _rmse_of(np.log1p(value_x), np.log1p(point_x.clip(0.0, high)))}


@dataclass(frozen=True)
class Count:
    """Whole numbers from 0: Poisson with a log rate."""

    signal: Signal
    given: str | None = None
    calibrated: bool = False
    pool: Pool = "sum"
    num_levels: int = BINS + 1
    usual_ease: float = 0.0

    def fitted(self, value_x: Array) -> Count:
        """Itself: it has no scale."""
        return self

    def measured(self, error_x: Array) -> Count:
        """Itself: its mean says all."""
        return self

    def level(self, value_x: Tensor) -> Tensor:
        """Zero is 1."""
        place_x = value_x.nan_to_num().clamp(0, BINS - 1)
        return torch.where(value_x >= 0, place_x.long() + 1, 0)

    def link(self, value_x: Tensor) -> Tensor:
        """Itself."""
        return value_x.nan_to_num()

    def loss(self, output_x: Tensor, value_x: Tensor) -> Tensor:
        """Poisson, nats, up to what the output cannot change."""
        return self._rate(output_x) - self.link(value_x) * output_x

    def held_out_loss(self, output_x: Array, value_x: Array) -> Array:
        """The same."""
        loss_x: Array = np.exp(output_x.clip(max=self._most)) - value_x * output_x
        return loss_x

    def error(self, output_x: Array, value_x: Array) -> Array:
        """Against the rate."""
        error_x: Array = value_x - np.exp(output_x.clip(max=self._most))
        return error_x

    def start(
        self, user: Array, item: Array, value: Array, num_users: int, num_items: int
    ) -> Start:
        """Log of the items' smoothed means."""
        return self.item_start(item, value, num_items)

    def item_start(self, item: Array, value: Array, num_items: int) -> Start:
        """Log of the items' smoothed means."""
        mean = (float(value.sum()) + 0.5) / (len(value) + 1)
        total_N = np.bincount(item, value, num_items) + ITEM_PRIOR * mean
        mean_N = total_N / (np.bincount(item, minlength=num_items) + ITEM_PRIOR)
        return Start(math.log(mean), np.log(mean_N / mean))

    def mean(self, output_x: Tensor, given_x: Tensor | None) -> Tensor:
        """The rate."""
        return self._rate(output_x)

    def sample(self, output_x: Tensor, uniform_x: Tensor, given_x: Tensor | None) -> Tensor:
        """By the inverse of its distribution function; a rounded normal where the rate is high."""
        rate_x = self._rate(output_x)
        small_x = rate_x.clamp(max=MOST_RATE)
        prob_x = (-small_x).exp()
        below_x, value_x = prob_x, torch.zeros_like(rate_x)
        for count in range(1, MOST_COUNT):
            value_x = value_x + (uniform_x >= below_x).float()
            prob_x = prob_x * small_x / count
            below_x = below_x + prob_x
        normal_x = torch.special.ndtri(uniform_x.clamp(TINY, 1.0 - TINY))
        large_x = (rate_x + rate_x.sqrt() * normal_x).round().clamp(min=0.0)
        return torch.where(rate_x > MOST_RATE, large_x, value_x).clamp(max=self.signal.high)

    def figures(
        self, value_x: Array, output_x: Array, user_x: Array, calibrated_x: Array
    ) -> dict[str, float]:
        """Root mean squared error of the rate."""
        return self.anchored(value_x, np.exp(output_x.clip(max=self._most)), user_x)

    def anchored(self, value_x: Array, point_x: Array, user_x: Array) -> dict[str, float]:
        """Root mean squared error in the signal's unit."""
        return _rmse(self.signal, value_x, point_x)

    @property
    def _most(self) -> float:
        """Highest log rate that an output can mean: one item cannot blow a loss up."""
        return min(math.log1p(max(self.signal.high, 1.0)), 60.0)

    def _rate(self, output_x: Tensor) -> Tensor:
        return output_x.clamp(max=self._most).exp()


KINDS: Mapping[str, type[Binary | Ordinal | Real | Nonnegative | Count]] = {
    "binary": Binary,
    "ordinal": Ordinal,
    "real": Real,
    "nonnegative": Nonnegative,
    "count": Count,
}


def task_of(signal: Signal) -> Task:
    """What follows from one signal, by its kind.

    Raises:
        ValueError: if its kind is unknown, or its range or step cannot be.
    """
    kind = lookup("kind of signal", signal.kind, KINDS)
    if signal.kind != "binary" and not signal.low < signal.high:
        raise ValueError(
            f"signal {signal.name!r}: low must be below high, got {signal.low:g} and "
            f"{signal.high:g}; declare the range that its values can have"
        )
    if kind is Ordinal:
        if not 0 < signal.step <= signal.high - signal.low:
            raise ValueError(
                f"signal {signal.name!r}: step must be in (0, {signal.high - signal.low:g}], the "
                f"width of its range, got {signal.step:g}"
            )
        if Ordinal(signal).steps >= MOST_LEVELS:
            kind = Real
    return kind(signal)


def tasks_of(signals: Sequence[Signal], like_from: float | None = None) -> tuple[Task, ...]:
    """The tasks of a log's or a world's signals, in the same order.

    Args:
        signals: M of them, click first.
        like_from: the rating from which a derived like is 1; None: no signal follows from another.

    Raises:
        ValueError: if a signal is not one, or two have the same name.

    >>> from slategym.envs.types import CLICK
    >>> [column(task) for task in tasks_of((CLICK, Signal("dwell", "nonnegative", "s", 0, 600)))]
    ['clicks', 'dwell_total']
    """
    names = [signal.name for signal in signals]
    if len(set(names)) < len(names):
        raise ValueError(f"signals must have different names, got {', '.join(names)}")
    tasks = [task_of(signal) for signal in signals]
    return tuple(_beside(task, signals, like_from) for task in tasks)


def _beside(task: Task, signals: Sequence[Signal], like_from: float | None) -> Task:
    """The task, tied to the like that was derived from it where there is one."""
    derived = [s for s in signals if s.name == "like" and s.provenance == "derived"]
    low, high = task.signal.low, task.signal.high
    if like_from is None or task.signal.name != "rating" or not derived:
        return task
    if isinstance(task, Ordinal | Real) and low < like_from <= high:
        return replace(task, given="like", cut=like_from)
    return task


def head_names(tasks: Sequence[Task]) -> tuple[str, ...]:
    """The heads of a model: one per signal, then the next item."""
    return (*(task.signal.name for task in tasks), NEXT)


def head_weights(tasks: Sequence[Task], asked: Mapping[str, float]) -> dict[str, float]:
    """Weight of each head's mean loss; heads that are not named have their kind's default.

    Raises:
        ValueError: if a head is unknown, a weight is negative, or all are 0.
    """
    weights = {task.signal.name: DEFAULT_WEIGHT[task.signal.kind] for task in tasks}
    weights[NEXT] = NEXT_WEIGHT
    for name, weight in asked.items():
        lookup("head", name, weights)
        weights[name] = weight
    if min(weights.values()) < 0 or max(weights.values()) == 0:
        raise ValueError(
            f"task weights must be at least 0, one of them above 0, got {dict(weights)}"
        )
    return weights


def to_json(tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """Signals and what was fitted of them, as JSON holds it."""
    fitted = ("given", "cut", "scale", "spread", "first", "last")
    return [
        {
            "signal": list(task.signal),
            "fitted": {
                name: vars(task)[name]
                for name in fitted
                if name in vars(task) and vars(task)[name] == vars(task)[name]  # not NaN
            },
        }
        for task in tasks
    ]


def from_json(rows: Sequence[Mapping[str, Any]]) -> tuple[Task, ...]:
    """What `to_json` wrote."""
    tasks = []
    for row in rows:
        task: Any = task_of(Signal(*row["signal"]))
        tasks.append(replace(task, **row["fitted"]))
    return tuple(tasks)


def _mean_start(item: Array, value: Array, num_items: int) -> Start:
    mean = float(value.mean()) if len(value) else 0.0
    return Start(mean, pulled_means(item, value, mean, num_items))


def _rmse(signal: Signal, value_x: Array, point_x: Array) -> dict[str, float]:
    return {f"{signal.name}_rmse": _rmse_of(value_x, point_x.clip(signal.low, signal.high))}


def _rmse_of(value_x: Array, point_x: Array) -> float:
    return metrics.rmse(value_x, point_x) if len(value_x) else math.nan


def _spread_of(value_x: Array) -> float:
    """Standard deviation, 1 where there is none."""
    spread = float(value_x.std()) if len(value_x) else 0.0
    return spread if spread > LEAST_SPREAD else 1.0


def _root_mean_square(error_x: Array) -> float:
    return max(float(np.sqrt(np.mean(np.square(error_x)))), LEAST_SPREAD)


def _below(mean_x: Tensor, spread: float, cut: float) -> Tensor:
    below_x: Tensor = torch.special.ndtr((cut - mean_x) / spread)
    return below_x


def _clipped_part(
    mean_x: Tensor, spread: float, low: float, high: float, above: float | None, under: float | None
) -> Tensor:
    """E of clip(X, low, high) where above <= X < under and 0 elsewhere, X normal."""
    first = low if above is None else max(above, low)
    last = high if under is None else min(under, high)
    from_x, to_x = (first - mean_x) / spread, (last - mean_x) / spread
    begin_x, end_x = torch.special.ndtr(from_x), torch.special.ndtr(to_x)
    inside_x: Tensor = mean_x * (end_x - begin_x) + spread * (_density(from_x) - _density(to_x))
    if above is None:
        inside_x = inside_x + low * begin_x
    if under is None:
        inside_x = inside_x + high * (1.0 - end_x)
    return inside_x


def _density(z_x: Tensor) -> Tensor:
    return (-0.5 * z_x.square()).exp() / math.sqrt(2.0 * math.pi)
