"""What a log says of sessions: how long people stay, and how much they repeat themselves."""

from __future__ import annotations

import numpy as np

from slategym.models.data.log import Log


def sittings(log: Log) -> np.ndarray:
    """The sitting of each event, (E,) int: a new one for each user and after each long pause."""
    user, time = log.events["user"].to_numpy(), log.events["time"].to_numpy()
    begins = np.r_[True, (np.diff(user) != 0) | (np.diff(time) >= log.pause)]
    return np.cumsum(begins) - 1


def mean_sitting(log: Log, most: int) -> float:
    """Mean number of events in a sitting, each sitting cut at `most`."""
    return float(np.minimum(np.bincount(sittings(log)), most).mean())


def repetition(log: Log, memory: int, threshold: int) -> float:
    """Share of the log's stretches whose last item's topic fills at least `threshold` places.

    Args:
        log: the data.
        memory: events in a stretch, all of one sitting.
        threshold: places of the same main topic, the last one's included.

    Returns:
        In [0, 1]; 0 where no visit is long enough for a stretch.
    """
    topic = log.items["topic"].to_numpy()[log.events["item"].to_numpy()]
    sitting = sittings(log)
    last = np.arange(memory - 1, len(topic))
    whole = last[sitting[last] == sitting[last - memory + 1]]
    places = sum((topic[whole - back] == topic[whole]).astype(int) for back in range(memory))
    return float((places >= threshold).mean()) if len(whole) else 0.0
