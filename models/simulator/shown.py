"""Logged slates with what was passed over, and who was shown them with what behind them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from slategym.envs.types import Shown
from slategym.models.data.log import Log
from slategym.models.data.sittings import clicked
from slategym.models.simulator.population import arrivals

MIN_SLATES = 64  # fewer tell nothing of how people choose
MOST_SLATES = 4_000  # spread evenly


def has_refusals(log: Log) -> bool:
    """Whether the log has slates, and some in which nothing was clicked."""
    if "slate_id" not in log.events:
        return False
    clicks_S = log.events.groupby("slate_id")["click"].max()
    return bool((clicks_S == 0).any() and (clicks_S > 0).any())


def logged_slates(log: Log, people: np.ndarray, warm: int) -> Shown | None:
    """What these people were shown, where they had clicked on something before.

    Args:
        log: with slates.
        people: sorted user ids.
        warm: clicks of their history that are told, at most.

    Returns:
        Up to `MOST_SLATES` slates, spread evenly; None if there are fewer than `MIN_SLATES`.
    """
    events = log.events[np.isin(log.events["user"].to_numpy(), people)]
    by = ["slate_id", "position"] if "position" in events else ["slate_id"]
    events = events.sort_values(by, kind="stable")
    slate_E = events["slate_id"].to_numpy()
    begin_S = np.flatnonzero(np.r_[True, np.diff(slate_E) != 0])
    rows = clicked(log)
    head = events.iloc[begin_S]
    row_S = _before(rows, head) if len(head) else np.zeros(0, np.int64)
    known_S = np.zeros(len(head), bool)
    known_S[row_S >= 0] = (
        rows["user"].to_numpy()[row_S[row_S >= 0]] == head["user"].to_numpy()[row_S >= 0]
    )
    chosen = np.flatnonzero(known_S)
    if chosen.size < MIN_SLATES:
        return None
    if chosen.size > MOST_SLATES:
        chosen = chosen[np.linspace(0, chosen.size - 1, MOST_SLATES).astype(np.int64)]
    size_S = np.diff(np.r_[begin_S, len(events)])[chosen]
    K = int(log.slate_size or size_S.max())
    place_K = np.arange(K)
    there_SK = place_K < size_S[:, None]
    event_SK = np.where(there_SK, begin_S[chosen][:, None] + place_K, 0)
    item_SK = np.where(there_SK, events["item"].to_numpy(np.int64)[event_SK], -1)
    clicked_SK = there_SK & (events["click"].to_numpy()[event_SK] > 0)
    moment, row = head.iloc[chosen], row_S[chosen]
    return Shown(
        population=arrivals(
            log,
            rows,
            moment["user"].to_numpy(np.int64),
            row,
            row[:, None] + np.arange(1 - warm, 1),
            people,
            moment,
        ),
        item_SK=torch.as_tensor(item_SK),
        clicked_SK=torch.as_tensor(clicked_SK),
    )


def _before(rows: pd.DataFrame, head: pd.DataFrame) -> np.ndarray:
    """The last of `rows`, in (user, time) order, before each of `head`; -1: none at all."""
    origin = min(int(rows["time"].min()), int(head["time"].min()))
    span = max(int(rows["time"].max()), int(head["time"].max())) - origin + 1
    key_E, key_S = (
        frame["user"].to_numpy(np.int64) * span + (frame["time"].to_numpy(np.int64) - origin)
        for frame in (rows, head)
    )
    found: np.ndarray = np.searchsorted(key_E, key_S, "left") - 1
    return found
