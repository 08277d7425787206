"""Where the heads start: biases of items, from counts and means of training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slategym.models.statistics import Floats, smoothed_rate
from slategym.models.tasks import Task

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class ItemBiases:
    """Per-item starting points of the heads, from training rows only; Y heads, N items."""

    item_YN: Floats  # by head: log-odds, or on the scale of the task's `link`; next: log popularity
    offset_M: tuple[float, ...]  # of all items, by task
    slot_S: tuple[float, ...] = ()  # log-odds of a click in each slot beside the first slot

    @property
    def num_items(self) -> int:
        """N."""
        return len(self.item_YN[0])

    @staticmethod
    def neutral(num_items: int, num_tasks: int) -> ItemBiases:
        """All zero, for a model whose weights are about to be loaded."""
        return ItemBiases(np.zeros((num_tasks + 1, num_items)), (0.0,) * num_tasks)


def fitted_tasks(events: pd.DataFrame, tasks: Sequence[Task]) -> tuple[Task, ...]:
    """The tasks with their scales taken from the clicked rows of training events."""
    clicked = events[events["click"] == 1]
    return tuple(task.fitted(observed(clicked, task)["value"].to_numpy()) for task in tasks)


def item_biases(
    events: pd.DataFrame,
    tasks: Sequence[Task],
    num_users: int,
    num_items: int,
    slot: Ints | None = None,
) -> ItemBiases:
    """Starting points of the heads: popularity for the click and the next item, else the task's.

    Args:
        events: training rows only: user, item, one column per signal; NaN where unobserved.
        tasks: click first.
        num_users: U.
        num_items: N.
        slot: of each row, where the rows hold what was passed over: the click starts at its rate
            among them, as if everything had been shown in the first slot.
    """
    clicked = events[events["click"] == 1]
    count_N = np.bincount(clicked["item"], minlength=num_items)
    share_N = (count_N + 0.5) / (count_N.sum() + 0.5 * num_items)
    rows = [np.log(share_N * num_items)]  # against a uniformly drawn item
    slots: tuple[float, ...] = ()
    if slot is not None:
        item, hit = events["item"].to_numpy(), events["click"].to_numpy()
        logit_S = _log_odds(smoothed_rate(slot, hit, int(slot.max()) + 1))
        rate_N = smoothed_rate(item, hit, num_items)
        rows = [_log_odds(rate_N) + logit_S[0] - _log_odds(np.mean(rate_N[item]))]
        slots = tuple((logit_S - logit_S[0]).tolist())
    offsets = [0.0]
    for task in tasks[1:]:
        seen = observed(clicked, task)
        user, item, value = (seen[name].to_numpy() for name in ("user", "item", "value"))
        start = task.start(user, item, value, num_users, num_items)
        rows.append(start.item_N)
        offsets.append(start.offset)
    return ItemBiases(np.stack([*rows, np.log(share_N)]), tuple(offsets), slots)


def _log_odds(rate: Floats) -> Floats:
    odds: Floats = np.log(rate / (1 - rate))
    return odds


def observed(events: pd.DataFrame, task: Task) -> pd.DataFrame:
    """The rows in which a signal was observed: user, item, value. A log need not have it."""
    name = task.signal.name
    if name not in events:
        return pd.DataFrame({"user": [], "item": [], "value": []}).astype(
            {"user": np.int32, "item": np.int32, "value": np.float32}
        )
    rows = events[events[name].notna()]
    return pd.DataFrame({"user": rows["user"], "item": rows["item"], "value": rows[name]})
