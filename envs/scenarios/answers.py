"""Signals after a click: each a small final class that draws a value and says its mean.

All follow a score: log-odds from the worth of the item to the person and its columns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from slategym.envs.luck import Luck, purpose
from slategym.envs.scenarios.look import Look, Score
from slategym.envs.types import Signal

DRAW = purpose("scenario.answer")
WIDE = 64  # purposes per signal
STEEPEST = 3.0  # of the logarithm of a share's exponent


class Answer(Protocol):
    """One signal beside the click."""

    @property
    def signal(self) -> Signal:
        """What it is."""
        ...

    @property
    def given(self) -> int | None:
        """Number of the binary signal without which this one is 0; None: the click is enough."""
        return None

    def mean(self, score_BK: Tensor, look: Look) -> Tensor:
        """Its mean, (B, K)."""
        ...

    def sample(self, score_BK: Tensor, look: Look, luck: Luck, purpose: int) -> Tensor:
        """A draw, (B, K)."""
        ...

    @property
    def score(self) -> Score:
        """What it follows."""
        ...


@dataclass(frozen=True)
class Chance(Answer):
    """It happens or not: with probability sigmoid(score)."""

    name: str
    score: Score = field(default=Score())
    given: int | None = None

    @property
    def signal(self) -> Signal:
        """Binary."""
        return Signal(self.name, "binary", "count", 0.0, 1.0)

    def mean(self, score_BK: Tensor, look: Look) -> Tensor:
        """The probability."""
        return score_BK.sigmoid()

    def sample(self, score_BK: Tensor, look: Look, luck: Luck, purpose: int) -> Tensor:
        """0 or 1."""
        return (luck.uniform(purpose, score_BK.shape[1]) < score_BK.sigmoid()).float()


@dataclass(frozen=True)
class Stars(Answer):
    """One to five: 1 + Binomial(4, sigmoid(score))."""

    name: str
    score: Score = field(default=Score())

    @property
    def signal(self) -> Signal:
        """Ordinal."""
        return Signal(self.name, "ordinal", "stars", 1.0, 5.0)

    def mean(self, score_BK: Tensor, look: Look) -> Tensor:
        """1 + 4 sigmoid(score)."""
        return 1.0 + 4.0 * score_BK.sigmoid()

    def sample(self, score_BK: Tensor, look: Look, luck: Luck, purpose: int) -> Tensor:
        """1 to 5."""
        return 1.0 + _successes(4, score_BK, luck, purpose)


@dataclass(frozen=True)
class Times(Answer):
    """How often: Binomial(most, sigmoid(score))."""

    name: str
    most: int
    score: Score = field(default=Score())
    given: int | None = None

    @property
    def signal(self) -> Signal:
        """A count."""
        return Signal(self.name, "count", "count", 0.0, float(self.most))

    def mean(self, score_BK: Tensor, look: Look) -> Tensor:
        """Most * sigmoid(score)."""
        return self.most * score_BK.sigmoid()

    def sample(self, score_BK: Tensor, look: Look, luck: Luck, purpose: int) -> Tensor:
        """0 to most."""
        return _successes(self.most, score_BK, luck, purpose)


@dataclass(frozen=True)
class Part(Answer):
    """A part of what the item has of a column, such as of its minutes.

    column * u^(1/e) with u uniform and e = exp(score), of which the mean is column * e / (1 + e).
    """

    name: str
    column: str
    unit: str
    high: float  # of the column
    score: Score = field(default=Score())
    given: int | None = None

    @property
    def signal(self) -> Signal:
        """Not negative."""
        return Signal(self.name, "nonnegative", self.unit, 0.0, self.high)

    def mean(self, score_BK: Tensor, look: Look) -> Tensor:
        """As above."""
        return look.column(self.column) * score_BK.clamp(-STEEPEST, STEEPEST).sigmoid()

    def sample(self, score_BK: Tensor, look: Look, luck: Luck, purpose: int) -> Tensor:
        """From 0 to the whole."""
        eager_BK = score_BK.clamp(-STEEPEST, STEEPEST).exp()
        share_BK = luck.uniform(purpose, score_BK.shape[1]) ** (1.0 / eager_BK)
        return look.column(self.column) * share_BK


@dataclass(frozen=True)
class Whole(Answer):
    """All that the item has of a column, such as its price, where another signal came."""

    name: str
    column: str
    unit: str
    high: float  # of the column
    given: int | None = None
    score: Score = field(default=Score())  # of no use: the column says it all

    @property
    def signal(self) -> Signal:
        """Not negative."""
        return Signal(self.name, "nonnegative", self.unit, 0.0, self.high)

    def mean(self, score_BK: Tensor, look: Look) -> Tensor:
        """The column's value."""
        return look.column(self.column)

    def sample(self, score_BK: Tensor, look: Look, luck: Luck, purpose: int) -> Tensor:
        """The column's value."""
        return look.column(self.column)


def answer(answers: tuple[Answer, ...], worth_BK: Tensor, look: Look, luck: Luck | None) -> Tensor:
    """Every signal's value if the item is clicked, the click first, (B, K, M).

    Args:
        answers: in the order of the signals after the click.
        worth_BK: of the items, log-odds.
        look: at them.
        luck: to draw with; None: means are returned. What depends on another signal is multiplied
            by that one's value: their draws are independent given the score.
    """
    values = [torch.ones_like(worth_BK)]
    for m, one in enumerate(answers, 1):
        score_BK = one.score(worth_BK, look)
        if luck is None:
            value_BK = one.mean(score_BK, look)
        else:
            value_BK = one.sample(score_BK, look, luck, DRAW + WIDE * m)
        values.append(value_BK if one.given is None else value_BK * values[one.given])
    return torch.stack(values, 2)


def _successes(number: int, score_BK: Tensor, luck: Luck, purpose: int) -> Tensor:
    """Of so many tries with the probability sigmoid(score), (B, K) float32."""
    prob_BK, total_BK = score_BK.sigmoid(), torch.zeros_like(score_BK)
    for n in range(number):
        total_BK = total_BK + (luck.uniform(purpose + n, score_BK.shape[1]) < prob_BK)
    return total_BK
