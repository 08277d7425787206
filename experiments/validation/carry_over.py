"""What a click changes of later clicks, by instrumental variables.

Who clicks more now clicks more later whatever clicks do, by taste and mood. But what was shown was
drawn, with a chance that the log holds: weighed by one over it, a slate depends neither on the
person nor on any mood. So clicks on a topic are counted as far as the topic's slots in the slate
explain them, all clicks as far as the usual click rates of what was shown do, and what clicks were
worth as far as what clicks on it are usually worth; and these parts are held against the clicks of
one, two and three slates later. What clicks are in this sense and nothing else carries over is
assumed; so is that an effect fades geometrically, of whose speeds the likeliest of four is taken.
Only visits that go on are read.

Source: Wright 1928; Angrist, Imbens and Rubin 1996 (instrumental variables, two-stage least
squares); Robins, Hernan and Brumback 2000 (weights).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from slategym.experiments.statistics.estimate import holm
from slategym.experiments.validation.resampling import DRAWS, Floats
from slategym.experiments.validation.traces import FEWEST, Trace, means_by
from slategym.models.data.log import Log
from slategym.models.data.worth import rewards, worth_of

LAGS = (1, 2, 3)  # slates later
FADES = (0.5, 0.7, 0.8, 0.9)  # of an effect, what may be left with every slate
STRONG = 10.0  # F of an instrument, from which it is one (Staiger and Stock 1997)
SAME = 1e-6  # share of an instrument that no other one holds, below which it is theirs
CREDIT = 5.0  # slots with no click that every item is credited with
TOPIC, CLICKS, WORTH = (
    "a click on a topic changes later clicks on it",
    "a click changes all later ones",
    "a click that is worth more changes all later ones",
)
NAMES = (TOPIC, CLICKS, WORTH)


@dataclass(frozen=True)
class Carried:
    """What one click does to the log-odds of clicks one slate later, and what is left of it."""

    name: str
    figure: float  # log-odds, one slate later
    error: float
    left: float  # of it, with every further slate
    p: float  # adjusted over the three

    @property
    def trace(self) -> Trace:
        """For people."""
        low, high = self.figure - 1.96 * self.error, self.figure + 1.96 * self.error
        said = (
            f"{self.figure:+.2f} log-odds one slate later [{low:+.2f}, {high:+.2f}], of which "
            f"{self.left:.0%} are left with every further one; by what was drawn to be shown"
        )
        return Trace(self.name, said, self.figure, low, high, self.p, counts=False)


def carried(
    rows: pd.DataFrame, log: Log, weight_S: Floats, rng: np.random.Generator
) -> tuple[Carried, ...]:
    """What of the three can be read, in the order of `NAMES`; p-values adjusted over them.

    What was shown must move what was clicked, beside the others (`STRONG`), or the effect is not
    read; nothing is where people who stay for some slates are few.

    Args:
        rows: `logged_rows` of the log, with `topic`.
        log: whose signals are worth something.
        weight_S: one over the propensity of every slate.
        rng: of the bootstrap over people.
    """
    slates = _Slates(rows, log)
    lags = [_Lag(slates, lag, weight_S) for lag in LAGS]
    if any(lag.people < FEWEST for lag in lags):
        return ()
    if not (strong := lags[0].strong()):
        return ()
    figure_LJ = np.stack([lag.solved(strong) for lag in lags]) / slates.variance
    draws_DLJ = np.stack([[lag.solved(strong, rng) for _ in range(DRAWS)] for lag in lags], axis=1)
    draws_DLJ /= slates.variance
    faded = [_faded(figure_LJ[:, j], draws_DLJ[:, :, j]) for j in range(len(strong))]
    adjusted = holm([p for *_, p in faded])
    return tuple(
        Carried(NAMES[j], figure, error, left, float(p))
        for j, (figure, error, left, _), p in zip(strong, faded, adjusted, strict=True)
    )


def _faded(figure_L: Floats, draws_DL: Floats) -> tuple[float, float, float, float]:
    """Figure one slate later, its error, what is left with every slate, p; by least squares."""
    precision = np.linalg.pinv(np.cov(draws_DL.T))
    tries = []
    for left in FADES:
        shape_L = left ** np.arange(len(figure_L))
        if (scale := float(shape_L @ precision @ shape_L)) <= 0:
            continue  # nothing varies
        figure = float(shape_L @ precision @ figure_L) / scale
        rest_L = figure_L - figure * shape_L
        tries.append((float(rest_L @ precision @ rest_L), figure, scale**-0.5, left))
    if not tries:
        return 0.0, math.inf, FADES[0], 1.0
    _, figure, error, left = min(tries)
    return figure, error, left, float(2 * ndtr(-abs(figure) / error))


class _Slates:
    """What was clicked of every slate, and what was to be expected of what was shown."""

    def __init__(self, rows: pd.DataFrame, log: Log) -> None:
        self.user, self.topic = rows["user"].to_numpy(), rows["topic"].to_numpy()
        self.turn = rows["turn"].to_numpy()
        click = rows["click"].to_numpy(np.float64)
        item, position = rows["item"].to_numpy(), rows["position"].to_numpy()
        slate = rows["slate"].to_numpy()
        begins = np.r_[True, slate[1:] != slate[:-1]]
        self.at = np.cumsum(begins) - 1  # of each row, its slate
        S, G = int(begins.sum()), len(log.topic_names)
        level = means_by(self.topic * (int(position.max()) + 1) + position, click)
        self.above = click - level
        self.variance = float(np.mean(level * (1.0 - level)))  # clicks per log-odds
        measure = worth_of(log)
        names = [signal.name for signal in log.signals]
        worth = np.where(click > 0, measure(rewards(rows, names, measure.weights)), 0.0)
        self.clicked_SG, self.shown_SG = np.zeros((S, G)), np.zeros((S, G))
        np.add.at(self.clicked_SG, (self.at, self.topic), click)
        np.add.at(self.shown_SG, (self.at, self.topic), 1.0)
        # what is usual of an item, by the other half of the people
        half = (self.user % 2).astype(np.int64)
        told = [_usual(item, half, x) for x in (click, worth)]
        self.sums_SX = np.stack([np.bincount(self.at, x, S) for x in (click, worth)], 1)
        self.usual_SX = np.stack([np.bincount(self.at, x, S) for x in told], 1)
        if not measure.spread:
            self.sums_SX, self.usual_SX = self.sums_SX[:, :1], self.usual_SX[:, :1]


class _Lag:
    """Clicks so many slates later, and what was clicked and shown before them; sums by person."""

    def __init__(self, slates: _Slates, lag: int, weight_S: Floats) -> None:
        some = slates.turn >= lag
        before, topic = slates.at[some] - lag, slates.topic[some]
        w = weight_S[before]
        people, place = np.unique(slates.user[some], return_inverse=True)
        self.people = len(people)
        x_XJ = np.c_[slates.clicked_SG[before, topic], slates.sums_SX[before]]
        z_XJ = np.c_[slates.shown_SG[before, topic], slates.usual_SX[before]]
        self.number = x_XJ.shape[1]  # J
        y, *columns = (
            column - means_by(topic, column, w) for column in (slates.above[some], *x_XJ.T, *z_XJ.T)
        )
        x, z = columns[: self.number], columns[self.number :]
        self.by_person = np.array(  # (J, J + 1, people), what was shown by what was clicked
            [[np.bincount(place, w * a * b) for b in (*x, y)] for a in z]
        )
        self.shown = np.array([[np.bincount(place, w * a * b) for b in z] for a in z])

    def strong(self) -> list[int]:
        """Which effects can be read together; the one with the weakest instrument goes first."""
        chosen = list(range(self.number))
        while chosen:
            strength = [self.strength(j, [i for i in chosen if i != j]) for j in chosen]
            weakest = min(range(len(chosen)), key=lambda n: (strength[n], -n))
            if strength[weakest] > STRONG:
                break
            chosen.pop(weakest)
        return chosen

    def strength(self, j: int, others: list[int]) -> float:
        """F of what was clicked on what was shown, beside the others; errors by person.

        Source: Sanderson and Windmeijer 2016, where effects are as many as instruments.
        """
        both, every = self.by_person.sum(2)[:, : self.number], self.shown.sum(2)
        click_J, show_J = np.zeros(self.number), np.zeros(self.number)
        click_J[j] = show_J[j] = 1.0
        if others:
            place = np.ix_(others, others)
            click_J[others] = -np.linalg.lstsq(both[place], both[others, j], rcond=None)[0]
            show_J[others] = -np.linalg.lstsq(every[place], every[others, j], rcond=None)[0]
        moved_p = np.einsum("i,ijp,j->p", show_J, self.by_person[:, : self.number], click_J)
        spread_p = np.einsum("i,ijp,j->p", show_J, self.shown, show_J)
        total = float(spread_p.sum())
        if total <= SAME * float(every[j, j]):
            return 0.0
        slope = float(moved_p.sum()) / total
        error = float(np.square(moved_p - slope * spread_p).sum()) ** 0.5 / total
        return (slope / error) ** 2 if error else 0.0

    def solved(self, chosen: list[int], rng: np.random.Generator | None = None) -> Floats:
        """Clicks that each effect chosen adds, (J,); of people drawn anew where there is luck."""
        sums = self.by_person[chosen]
        if rng is not None:
            sums = sums[:, :, rng.integers(self.people, size=self.people)]
        total = sums.sum(2)
        found: Floats = np.linalg.lstsq(total[:, chosen], total[:, -1], rcond=None)[0]
        return found


def _usual(item: NDArray[np.int64], half: NDArray[np.int64], values: Floats) -> Floats:
    """Of each row's item, the mean of the other half's rows, towards 0 where they are few."""
    number = 2 * (int(item.max()) + 1)
    total = np.bincount(2 * item + half, values, number)
    count = np.bincount(2 * item + half, minlength=number)
    mean = total / (count + CREDIT)
    found: Floats = mean[2 * item + 1 - half]
    return found
