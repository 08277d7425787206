"""What a log says of visits: which rows belong to one, and how much people repeat themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slategym.models.data.log import Log


def visits(rows: pd.DataFrame, pause: float) -> NDArray[np.int64]:
    """The visit of each row, from 0: a new one for each user and after each long pause.

    Args:
        rows: user and time, in (user, time) order.
        pause: seconds without a row that end a visit.
    """
    user, time = rows["user"].to_numpy(), rows["time"].to_numpy()
    begins = np.r_[True, (np.diff(user) != 0) | (np.diff(time) >= pause)]
    visit: NDArray[np.int64] = np.cumsum(begins) - 1
    return visit


def requests(log: Log) -> pd.DataFrame:
    """One row per slate, or per event of a log without slates; in (user, time) order."""
    if "slate_id" not in log.events:
        return log.events
    return log.events.drop_duplicates(["user", "slate_id"])


def clicked(log: Log) -> pd.DataFrame:
    """The events that make history, in (user, time) order: those with a click."""
    clicked_E = log.events["click"].to_numpy() > 0
    return log.events if clicked_E.all() else log.events[clicked_E].reset_index(drop=True)


def repetition(log: Log, memory: int, threshold: int) -> float:
    """Share of the log's stretches whose last item's topic fills at least `threshold` places.

    Args:
        log: the data.
        memory: clicks in a stretch, all of one visit.
        threshold: places of the same main topic, the last one's included.

    Returns:
        The share; 0 where no visit is so long.
    """
    rows = clicked(log)
    topic = log.items["topic"].to_numpy()[rows["item"].to_numpy()]
    visit = visits(rows, log.pause)
    last = np.arange(memory - 1, len(topic))
    whole = last[visit[last] == visit[last - memory + 1]]
    places = sum((topic[whole - back] == topic[whole]).astype(int) for back in range(memory))
    return float((places >= threshold).mean()) if whole.size else 0.0
