"""What a click of a log was worth, by the declared weights of its signals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slategym.models.data.log import Log

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Worth:
    """A click's reward, and how rewards of clicks spread."""

    weights: tuple[float, ...]  # (M,), of the signals in their declared order
    centre: float  # mean reward of a click
    spread: float  # its standard deviation

    def __call__(self, reward_x: Floats) -> Floats:
        """In units of the spread, bounded, (x,) in [-1, 1]; 0 where all clicks are worth alike."""
        if not self.spread:
            return np.zeros_like(reward_x)
        return np.tanh((reward_x - self.centre) / self.spread)


def worth_of(log: Log) -> Worth:
    """The worth of the log's clicks."""
    weights = tuple(signal.weight for signal in log.signals)
    if not any(weights[1:]):
        weights = (1.0,) * len(weights)
    clicked = log.events[log.events["click"] > 0]
    reward_x = rewards(clicked, [signal.name for signal in log.signals], weights)
    if not len(reward_x):
        return Worth(weights, 0.0, 0.0)
    return Worth(weights, float(reward_x.mean()), float(reward_x.std()))


def rewards(rows: pd.DataFrame, names: list[str], weights: tuple[float, ...]) -> Floats:
    """Of every row, (x,); what was not observed counts nothing.

    Args:
        rows: with a column for every signal.
        names: of the signals.
        weights: of each.
    """
    columns = [rows[name].fillna(0.0).to_numpy(np.float64) for name in names]
    found: Floats = np.sum([w * c for w, c in zip(weights, columns, strict=True)], axis=0)
    return found
