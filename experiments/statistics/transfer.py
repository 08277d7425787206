"""A difference for the world that a log is of: an interval that allows for a model that is wrong.

An interval over people says how far the difference would be from itself before other people *of the
learned world*. The world that wrote the log is another one. Four things lie between, added in
squares:

1. people: the interval's own reach;
2. judges: how far the world's differences are from those before its judges, models of other people
   and, where a study has them so, of other families; root mean square over the place's differences;
3. assumptions: how far they are from those of the same policies where people are assumed to be
   otherwise (places of the role `assumed`), root mean square; left out where nobody was read so;
4. what no model knows: a share of what the opponent earns, `MODEL`, or `MODEL_ALONE` without 3.
   It cannot be learned from a log. It was measured in worlds of known truth, as the least share
   with which the differences on which verdicts rest, read before a few hundred people of the world
   that wrote the log, lie in their intervals in enough scenarios (`benchmark truth`), and is tested
   on scenarios on which it was not measured.

That a reader's log is to its learned world as scenarios are to theirs is an assumption. Sessions of
two worlds differ in length, so that all is in shares of what the opponent earns in the same world.

Source: Vovk et al. 2005, Algorithmic Learning in a Random World, section 2.2 (split conformal
prediction: the quantile of n calibrating scores is the ceil((n + 1) * level)-th smallest).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95  # of calibrating scenarios, as of every interval
# of what the opponent earns: the least that holds 47 of 48 logs of twelve scenarios (each weighs
# alike: a log of a thirteenth is held with a chance of (11 + 3 / 4) / 13, 90 %; all 48 would take
# 1.69; .49 hold as many of 48 cells read since); by `slategym benchmark truth --profile wide`, see
# docs/results/truth.md
MODEL = 0.51
MODEL_ALONE = 0.51  # the same where nobody was read under other assumptions


@dataclass(frozen=True)
class Transfer:
    """The interval of a difference for the world of the log, and what it consists of, reward."""

    value: float
    people: float  # half width over people of the learned world
    judges: float  # root mean square distance from the judges' differences
    assumed: float | None  # the same from those under other assumptions; None: nobody was read so
    model: float  # what no model knows

    @property
    def half(self) -> float:
        """Half its width."""
        parts = (self.people, self.judges, self.assumed or 0.0, self.model)
        return math.sqrt(sum(part**2 for part in parts))

    @property
    def low(self) -> float:
        """Its lower end."""
        return self.value - self.half

    @property
    def high(self) -> float:
        """Its upper end."""
        return self.value + self.half

    @property
    def side(self) -> int:
        """1: above zero for the log's world too; -1: below; 0: not shown."""
        return int(self.low > 0) - int(self.high < 0)


def transfer_of(
    value: float,
    half: float,
    judges: float,
    opponent: float,
    assumed: float | None = None,
    model: float | None = None,
) -> Transfer:
    """For a difference of the learned world.

    Args:
        value: of the difference, reward.
        half: half of its interval over people, reward.
        judges: root mean square distance of the place's differences from the judges', reward.
        opponent: what the opponent earns in the same world, reward.
        assumed: as `judges`, from those under other assumptions; None: nobody was read so.
        model: share of what the opponent earns that no model knows; None: as it was measured.

    >>> found = transfer_of(3.0, 0.3, 0.4, 10.0, model=0.12)
    >>> round(found.half, 3), found.side
    (1.3, 1)
    """
    if model is None:
        model = MODEL_ALONE if assumed is None else MODEL
    return Transfer(value, half, judges, assumed, model * abs(opponent))


def unexplained(learned: float, true: float, *parts: float) -> float:
    """The least `model` with which the interval of a learned difference holds the true one, shares.

    Args:
        learned: the difference in the learned world.
        true: the same in the world that wrote the log.
        parts: everything else that its half width consists of.

    >>> round(unexplained(0.20, 0.07, 0.03, 0.04), 3), unexplained(0.20, 0.18, 0.03, 0.0)
    (0.12, 0.0)
    """
    return math.sqrt(max(0.0, (true - learned) ** 2 - sum(part**2 for part in parts)))


def calibrated(needed: Sequence[float], level: float = LEVEL) -> float:
    """The share that enough of the calibrating scenarios need; infinite of none.

    Args:
        needed: by scenario, the most that one of its differences needs: those of a scenario err
            together, so that scenarios are what is exchangeable, not differences.
        level: chance that a new scenario needs no more. Of n too few for it, the largest is taken,
            whose chance is n / (n + 1).

    >>> calibrated([0.1] * 38 + [0.3]), calibrated([0.1, 0.2]), calibrated([])
    (0.1, 0.2, inf)
    """
    if not len(needed):
        return math.inf
    place = min(math.ceil((len(needed) + 1) * level), len(needed))
    return float(np.sort(needed)[place - 1])


def root_mean_square(values: Sequence[float]) -> float:
    """0 of none.

    >>> root_mean_square([3.0, -3.0]), root_mean_square([])
    (3.0, 0.0)
    """
    return float(np.sqrt(np.mean(np.square(values)))) if len(values) else 0.0
