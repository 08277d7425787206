"""Who may arrive: people from a log, each at one or more points of their own history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from slategym.envs.types import Column, Consumed, Population
from slategym.models.data.log import Log
from slategym.models.data.sittings import clicked

Ints = NDArray[np.int64]


def population(log: Log, people: np.ndarray, *, starts: int, warm: int, seed: int) -> Population:
    """Starting points of these people.

    Only what was clicked makes history: a log of slates also holds what was shown in vain.

    Args:
        log: whose people.
        people: user ids.
        starts: arrivals per person, at most; the points are distinct.
        warm: clicked events of history with which everybody arrives, H.
        seed: decides the points.

    Returns:
        A population of up to len(people) * starts rows, first every person's first point, then
        every person's second, and so on, so that any prefix is spread over people evenly. Clock
        and context of an arrival are those of the last event before it.

    Raises:
        ValueError: if starts or warm is not positive, or nobody has `warm` clicked events.
    """
    if starts < 1 or warm < 1:
        raise ValueError(f"starts and warm must be at least 1, got {starts} and {warm}")
    rows = clicked(log)
    user = rows["user"].to_numpy()
    person_U, row_U = _points(user, people, starts, warm, seed)
    if person_U.size == 0:
        raise ValueError(f"no person has the {warm} events with which users arrive")
    row_UH = row_U[:, None] + np.arange(1 - warm, 1)
    return arrivals(log, rows, person_U, row_U, row_UH, people)


def _points(
    user: np.ndarray, people: np.ndarray, starts: int, warm: int, seed: int
) -> tuple[Ints, Ints]:
    """Person and row of the last event before each arrival."""
    first, last = np.searchsorted(user, people, "left"), np.searchsorted(user, people, "right")
    rng = np.random.default_rng(seed)
    rounds: list[list[tuple[int, int]]] = [[] for _ in range(starts)]
    for person, begin, end in zip(people, first, last, strict=True):
        points = np.arange(begin + warm - 1, end)
        if points.size == 0:
            continue
        for turn, row in enumerate(rng.permutation(points)[:starts]):
            rounds[turn].append((int(person), int(row)))
    pairs_U2 = np.array([pair for turn in rounds for pair in turn], dtype=np.int64).reshape(-1, 2)
    return pairs_U2[:, 0], pairs_U2[:, 1]


def arrivals(
    log: Log,
    rows: pd.DataFrame,
    person_U: Ints,
    row_U: Ints,
    row_UH: Ints,
    people: np.ndarray,
    moment: pd.DataFrame | None = None,
) -> Population:
    """Arrivals right after these rows.

    Args:
        log: whose people.
        rows: `sittings.clicked` of it.
        person_U: user ids.
        row_U: the last row of each arrival's past; one before the person's first: no past.
        row_UH: rows of the history; those before the person's first event are left empty.
        people: everybody who arrives, sorted user ids.
        moment: U rows with hour, weekday and context of the arrival; None: those of `row_U`.
    """
    user, time = rows["user"].to_numpy(), rows["time"].to_numpy()
    first_U = np.searchsorted(user, person_U, "left")
    there_UH = row_UH >= first_U[:, None]
    row_UH = np.where(there_UH, row_UH, 0)
    before_UH = np.maximum(row_UH - 1, first_U[:, None])
    signals = np.stack([rows[s.name].to_numpy(np.float32) for s in log.signals], axis=1)
    profile = log.users[list(log.profile_names)].to_numpy(np.int32)
    moment = rows.iloc[row_U] if moment is None else moment
    item_UH = np.where(there_UH, rows["item"].to_numpy(np.int32)[row_UH], -1).astype(np.int32)
    gap_UH = np.where(there_UH, time[row_UH] - time[before_UH], 0)
    return Population(
        size=len(row_U),
        person=torch.as_tensor(person_U, dtype=torch.int32),
        profile=torch.as_tensor(profile[person_U]),
        profile_names=log.profile_names,
        profile_sizes=log.profile_sizes,
        history=torch.as_tensor(item_UH),
        feedback=torch.as_tensor(np.where(there_UH[..., None], signals[row_UH], np.float32(0))),
        gap=torch.as_tensor(gap_UH.astype(np.float32)),
        hour=torch.tensor(moment["hour"].to_numpy(), dtype=torch.float32),
        weekday=torch.tensor(moment["weekday"].to_numpy(), dtype=torch.int32),
        consumed=_consumed(rows, people, person_U, row_U),
        extra=_columns(moment, log.context, log.events),
    )


def first(people: Population, number: int) -> Population:
    """The first rows of a population of a log; all of them if there are no more."""
    if people.size <= number:
        return people

    def head(table: torch.Tensor | None) -> torch.Tensor | None:
        return None if table is None else table[:number]

    consumed = people.consumed
    if consumed is not None:
        consumed = replace(consumed, start=consumed.start[:number], count=consumed.count[:number])
    return replace(
        people,
        size=number,
        person=head(people.person),
        profile=head(people.profile),
        history=head(people.history),
        feedback=head(people.feedback),
        gap=head(people.gap),
        hour=head(people.hour),
        weekday=head(people.weekday),
        consumed=consumed,
        extra=head(people.extra),
    )


def _consumed(rows: pd.DataFrame, people: np.ndarray, person_U: Ints, row_U: Ints) -> Consumed:
    """What each had consumed up to and including that row, each item once."""
    user, item = rows["user"].to_numpy(np.int64), rows["item"].to_numpy(np.int64)
    theirs_E = np.isin(user, people)
    pair_E = user * (int(item.max()) + 1) + item
    new_E = np.zeros(len(rows), dtype=bool)
    new_E[np.unique(pair_E, return_index=True)[1]] = True  # rows are in order of time
    new_E &= theirs_E
    before_E = np.cumsum(new_E)  # kept rows up to and including this one
    first_U = np.searchsorted(user, person_U, "left")
    start_U = np.where(first_U > 0, before_E[np.maximum(first_U - 1, 0)], 0)
    count_U = np.where(row_U >= first_U, before_E[np.maximum(row_U, 0)] - start_U, 0)
    return Consumed(
        item=torch.as_tensor(item[new_E], dtype=torch.int32),
        start=torch.as_tensor(start_U, dtype=torch.int64),
        count=torch.as_tensor(count_U, dtype=torch.int32),
        most=int(count_U.max()),
    )


def _columns(
    moment: pd.DataFrame, columns: Sequence[Column], events: pd.DataFrame
) -> torch.Tensor | None:
    """Context columns of each arrival, (U, Z); a number that is not known is the log's median."""
    if not columns:
        return None
    values = []
    for column in columns:
        x_U = moment[column.name].to_numpy(np.float32)
        if not column.categories:
            x_U = np.where(np.isnan(x_U), np.float32(usual(events, column)), x_U)
        values.append(x_U)
    return torch.as_tensor(np.stack(values, 1).astype(np.float32))


def usual(events: pd.DataFrame, column: Column) -> float:
    """What stands for a context column that is not known: -1 of a category, else the median."""
    return -1.0 if column.categories else float(np.nanmedian(events[column.name]))
