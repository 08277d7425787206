"""A number with its interval, and the one rule by which a difference is called clear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from slategym.experiments.statistics.words import NO_INTERVAL, parts

LEVEL = 0.05  # of a p-value, after Holm, below which a difference is called clear


@dataclass(frozen=True)
class Estimate:
    """A number, its 95 % interval, and where it comes from."""

    value: float
    low: float  # of one person both ends are the value; see `has_interval`
    high: float
    p_value: float  # two-sided, of "it is zero", 1 of one person
    num_people: int
    num_users: int  # rows per seed
    num_seeds: int
    source: str  # statistic and rows, in words a reader can repeat
    by_split: tuple[float, ...] = ()  # the same of each split of the people; (): there is one

    def __str__(self) -> str:
        return " ".join(self.parts())

    def rounded(self, digits: int) -> str:
        """A level and its interval with so many digits after the point, without its splits."""
        return " ".join(replace(self, by_split=()).parts(digits=digits))

    def signed(self, digits: int = 2) -> str:
        """The same with explicit signs, for differences."""
        return " ".join(self.parts("+", digits))

    def parts(self, sign: str = "", digits: int = 2) -> tuple[str, str]:
        """The number and its interval apart; `sign` is "+" for differences."""
        number, ends = parts(
            self.value, self.low, self.high, sign=sign, digits=digits, by_split=self.by_split
        )
        return number, ends if self.has_interval else NO_INTERVAL

    def to_json(self) -> dict[str, float | None]:
        """Value, low and high; where there is no interval its ends are None."""
        low, high = (self.low, self.high) if self.has_interval else (None, None)
        return {"value": self.value, "low": low, "high": high}

    @property
    def has_interval(self) -> bool:
        """Whether it is of two people or more: one says nothing of how people differ."""
        return self.num_people > 1

    @property
    def above_zero(self) -> bool:
        """There is an interval, and the whole of it is positive."""
        return self.has_interval and self.low > 0

    @property
    def below_zero(self) -> bool:
        """There is an interval, and the whole of it is negative."""
        return self.has_interval and self.high < 0


def side_of(estimate: Estimate, adjusted: float | None = None) -> int:
    """1: clearly above zero; -1: clearly below; 0: not clear. The one rule of "clear".

    The interval leaves out zero, and so does the p-value.

    Args:
        estimate: of a difference.
        adjusted: its p-value, adjusted for the number of comparisons in its table; None: its own.
    """
    if (estimate.p_value if adjusted is None else adjusted) >= LEVEL:
        return 0
    return int(estimate.above_zero) - int(estimate.below_zero)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number; reject where below the level.

    Source: Holm 1979, Scandinavian Journal of Statistics 6, section 3.
    """
    order = np.argsort(p_values)
    factor = np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(np.asarray(p_values)[order] * factor).clip(max=1.0)
    return [float(p) for p in adjusted]
