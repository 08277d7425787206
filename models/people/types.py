"""What a family is fitted on, and what it must offer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from slategym.models.closed_form.events import Bools, Events, Floats, Ints
from slategym.models.closed_form.sides import Sides, unit
from slategym.models.data.log import Log
from slategym.models.tasks import Count, Task, observed_only, tasks_of
from slategym.models.taste import Taste


@dataclass(frozen=True)
class Party:
    """People of a log on whom a model may be fitted; nobody else's rows are read."""

    log: Log
    people: Ints  # sorted user ids
    held: Ints  # of them, those on whom settings are chosen and outputs calibrated
    text_ND0: Tensor | None = None  # vectors of the items' texts; None: texts are not read
    seed: int = 0
    history: int = 45  # clicks that are read before a row on which outputs are calibrated

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """Of the log's signals, their scales taken from these people's rows."""
        taken = self.log.events[self.rows(self.people) & (self.log.events["click"] > 0)]
        click, *others = tasks_of(self.log.signals, self.log.like_from)
        columns = [taken[task.signal.name].to_numpy(np.float64) for task in (click, *others)]
        told_xM = observed_only((click, *others), torch.as_tensor(np.stack(columns, 1))).numpy()
        fitted = [
            task.fitted(told_xM[~np.isnan(told_xM[:, m]), m])
            for m, task in enumerate(others, start=1)
        ]
        return (click, *fitted)

    @cached_property
    def events(self) -> Events:
        """The log as classics read it, values on the scale on which each is regressed."""
        events = Events.from_log(self.log)
        columns = [self.log.events[task.signal.name].to_numpy(np.float64) for task in self.tasks]
        told_EM = observed_only(self.tasks, torch.as_tensor(np.stack(columns, 1))).numpy()
        values = {
            task.signal.name: regressed(task, np.where(events.took_E, told_EM[:, m], np.nan))
            for m, task in enumerate(self.tasks)
            if m
        }
        return replace(events, values=values, logged=())

    @cached_property
    def sides(self) -> Sides:
        """Texts, topics and columns of the items."""
        return Sides.from_log(self.log, self.text_ND0)

    @cached_property
    def item_columns(self) -> Floats:
        """The items' further columns as unit vectors: categories one by one, numbers to scale."""
        parts: list[Floats] = [np.zeros((self.log.num_items, 0))]
        for column in self.log.item_columns:
            value_N = self.log.items[column.name].to_numpy(np.float64)
            if column.categories:
                parts.append((value_N[:, None] == np.arange(len(column.categories))).astype(float))
                continue
            spread = np.nanstd(value_N) or 1.0
            parts.append(np.nan_to_num((value_N - np.nanmean(value_N)) / spread)[:, None])
        return unit(np.concatenate(parts, 1))

    @property
    def known(self) -> Ints:
        """People who are not held."""
        return np.setdiff1d(self.people, self.held)

    def rows(self, people: Ints) -> Bools:
        """Whose rows are whose, (E,)."""
        mine_E: Bools = np.isin(self.log.events["user"].to_numpy(), people)
        return mine_E


class Family(Protocol):
    """One kind of model that can play people. Fitting is pure: equal parties, equal people."""

    @property
    def one_line(self) -> str:
        """What it is."""
        ...

    @property
    def version(self) -> int:
        """Raised when the same party would give other people: part of what is kept under a hash."""
        ...

    @property
    def reads_text(self) -> bool:
        """Whether it needs vectors of the items' texts."""
        ...

    def fit(self, party: Party) -> Taste[Any]:
        """People who behave as these do.

        Raises:
            UsageError: it cannot be fitted on such a log.
        """
        ...

    def save(self, taste: Taste[Any], folder: Path) -> None:
        """Write what `fit` gave into that folder, which is there."""
        ...

    def load(self, folder: Path, tasks: Sequence[Task], device: str) -> Taste[Any]:
        """Read it back.

        Args:
            folder: as `save` left it.
            tasks: as the party had them.
            device: of its tensors.
        """
        ...


def regressed(task: Task, value_x: Floats) -> Floats:
    """Values on the scale on which they are predicted linearly; NaN stays NaN."""
    if isinstance(task, Count):
        return np.log1p(value_x)
    linked_x = task.link(torch.as_tensor(value_x)).double().numpy()
    return np.where(np.isnan(value_x), np.nan, linked_x)


def roots(tasks: Sequence[Task]) -> tuple[int, ...]:
    """Signals predicted on their own: all but the click and what is derived from others."""
    derived = {task.given for task in tasks}
    return tuple(m for m, task in enumerate(tasks) if m and task.signal.name not in derived)
