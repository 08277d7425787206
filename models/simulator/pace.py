"""What a log tells of time: how long a slate lasts, how long a visit, how context moves on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from slategym.envs.context import Move
from slategym.envs.types import Column
from slategym.models.data.log import Log
from slategym.models.data.sittings import requests, visits
from slategym.models.simulator.assumptions import Label

STATED_SECONDS, STATED_HORIZON = 60.0, 30  # where the log's times do not tell
SHORTEST, LONGEST = 10, 100  # slates of a horizon that is read off a log
LONG_VISIT = 0.9  # of the log's visits fit into the horizon
TELLING = 3.0  # slates; visits shorter than that on average tell nothing of patience
QUANTILES = 8  # values that a number of the context moves among


@dataclass(frozen=True)
class Pace:
    """Seconds and slates of a world's sessions."""

    seconds_per_slate: float
    horizon: int  # slates
    visit: float | None  # slates of a visit, mean, cut at the horizon; None: the log does not tell
    labels: tuple[Label, ...] = ()


def pace_of(log: Log, seconds: float | None = None, horizon: int | None = None) -> Pace:
    """Seconds per slate, horizon and length of a visit, from the log's times where they tell.

    A slate is a `slate_id`; in a log without slates every event counts as one.

    Args:
        log: whose times.
        seconds: of a slate, where that is given.
        horizon: slates, where that is given.
    """
    rows = requests(log)
    visit = visits(rows, log.pause)
    user, time = rows["user"].to_numpy(), rows["time"].to_numpy()
    words = log.words
    inside = (np.diff(user) == 0) & (np.diff(visit) == 0)
    pauses = np.diff(time)[inside & (np.diff(time) > 0)]
    if pauses.size == 0:
        why = f"the log's times do not tell a slate from the next, nor {words.sessions} apart"
        stated: tuple[Label, ...] = (
            (f"{STATED_SECONDS:g} s per slate", "assumed", why),
            (f"{words.session} of {STATED_HORIZON} slates", "assumed", why),
        )
        return Pace(seconds or STATED_SECONDS, horizon or STATED_HORIZON, None, stated)
    seconds = seconds or float(np.median(pauses))
    length_V = np.bincount(visit)
    horizon = horizon or int(np.clip(np.quantile(length_V, LONG_VISIT), SHORTEST, LONGEST))
    mean = float(np.minimum(length_V, horizon).mean())
    unit = "slates" if "slate_id" in log.events else "events"
    return Pace(
        seconds,
        horizon,
        mean if mean >= TELLING else None,
        (
            (
                f"{seconds:g} s per slate",
                "derived",
                f"median non-zero pause inside a {words.session} of the log",
            ),
            (
                f"{words.session} of at most {horizon} slates",
                "derived",
                f"nine in ten of the log's {words.sessions} are no longer, between {SHORTEST} and "
                f"{LONGEST}; their mean is {mean:.1f} {unit}",
            ),
        ),
    )


def moves_of(log: Log) -> tuple[Move | None, ...]:
    """How each context column changes from one visit of a person to the next, in the log."""
    rows = requests(log)
    visit = visits(rows, log.pause)
    first = rows[np.r_[True, np.diff(visit) != 0]]
    again = np.diff(first["user"].to_numpy()) == 0  # the same person's next visit
    return tuple(_move(first[column.name].to_numpy(), again, column) for column in log.context)


def _move(value_V: NDArray[np.generic], again: NDArray[np.bool_], column: Column) -> Move | None:
    """Shares of the next value by this one, half a visit towards staying; None: never observed."""
    known = value_V.astype(np.float64)
    if column.categories:
        values = np.unique(known)
    else:
        known = np.where(np.isnan(known), np.nanmedian(known), known)
        values = np.unique(np.quantile(known, (np.arange(QUANTILES) + 0.5) / QUANTILES))
    if not again.any() or values.size < 2:
        return None
    at = np.abs(known[:, None] - values).argmin(1)
    count_VV = 0.5 * np.eye(values.size)
    np.add.at(count_VV, (at[:-1][again], at[1:][again]), 1.0)
    share_VV = count_VV / count_VV.sum(1, keepdims=True)
    return Move(
        torch.tensor(values, dtype=torch.float32), torch.tensor(share_VV, dtype=torch.float32)
    )
