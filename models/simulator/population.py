"""Who may arrive: people from a log, each at one or more points of their own history."""

from __future__ import annotations

import numpy as np
import torch

from slategym.envs.types import Population
from slategym.models.data.log import Log


def population(log: Log, people: np.ndarray, *, starts: int, warm: int, seed: int) -> Population:
    """Starting points of these people.

    Args:
        log: whose people.
        people: user ids.
        starts: arrivals per person, at most; the points are distinct.
        warm: events of history with which everybody arrives, H.
        seed: decides the points.

    Returns:
        A population of up to len(people) * starts rows, first every person's first point, then
        every person's second, and so on, so that any prefix is spread over people evenly. The
        clock of an arrival is that of the last event before it.

    Raises:
        ValueError: if starts or warm is not positive, or nobody has `warm` events.
    """
    if starts < 1 or warm < 1:
        raise ValueError(f"starts and warm must be at least 1, got {starts} and {warm}")
    events = log.events
    user = events["user"].to_numpy()
    first, last = np.searchsorted(user, people, "left"), np.searchsorted(user, people, "right")
    rng = np.random.default_rng(seed)
    rounds: list[list[tuple[int, int]]] = [[] for _ in range(starts)]
    for person, begin, end in zip(people, first, last, strict=True):
        points = np.arange(begin + warm - 1, end)  # row of the last event before the arrival
        if points.size == 0:
            continue
        chosen = rng.permutation(points)[:starts]
        for turn, row in enumerate(chosen):
            rounds[turn].append((int(person), int(row)))
    chosen_rows = np.array([pair for turn in rounds for pair in turn], dtype=np.int64)
    if chosen_rows.size == 0:
        raise ValueError(f"no person has the {warm} events with which users arrive")
    person_U, row_U = chosen_rows[:, 0], chosen_rows[:, 1]
    row_UH = row_U[:, None] + np.arange(1 - warm, 1)
    time = events["time"].to_numpy()
    before_UH = np.maximum(row_UH - 1, np.searchsorted(user, person_U, "left")[:, None])
    signals = np.stack(
        [np.nan_to_num(events[s.name].to_numpy(np.float32)) for s in log.signals], axis=1
    )
    profile = log.users[list(log.profile_names)].to_numpy(np.int32)
    return Population(
        size=len(row_U),
        person=torch.as_tensor(person_U, dtype=torch.int32),
        profile=torch.as_tensor(profile[person_U]),
        profile_names=log.profile_names,
        profile_sizes=log.profile_sizes,
        history=torch.as_tensor(events["item"].to_numpy(np.int32)[row_UH]),
        feedback=torch.as_tensor(signals[row_UH]),
        gap=torch.as_tensor((time[row_UH] - time[before_UH]).astype(np.float32)),
        hour=torch.as_tensor(events["hour"].to_numpy(np.float32)[row_U]),
        weekday=torch.as_tensor(events["weekday"].to_numpy(np.int32)[row_U]),
        seen=torch.as_tensor(_consumed(events["item"].to_numpy(), user, row_U, len(log.items))),
    )


def _consumed(item: np.ndarray, user: np.ndarray, row_U: np.ndarray, num_items: int) -> np.ndarray:
    """Everything each had consumed up to and including that row, (U, N) bool."""
    seen_UN = np.zeros((len(row_U), num_items), dtype=bool)
    begin_U = np.searchsorted(user, user[row_U], "left")
    size_U = row_U - begin_U + 1
    arrival = np.repeat(np.arange(len(row_U)), size_U)
    place = np.arange(size_U.sum()) - np.repeat(size_U.cumsum() - size_U, size_U)
    seen_UN[arrival, item[begin_U[arrival] + place]] = True
    return seen_UN
