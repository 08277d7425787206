"""From signals to tasks: the one place where kinds are told apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from slategym.envs.names import lookup
from slategym.envs.settings import check_kinds, kinds_of_function
from slategym.envs.types import Signal
from slategym.models.tasks.binary import Binary
from slategym.models.tasks.count import Count
from slategym.models.tasks.nonnegative import Nonnegative
from slategym.models.tasks.ordinal import Ordinal
from slategym.models.tasks.real import Real
from slategym.models.tasks.types import Task

MOST_LEVELS = 41  # an ordinal scale of more levels is drawn as a real one

DEFAULT_WEIGHT = {"binary": 1.0, "ordinal": 0.5, "real": 0.5, "nonnegative": 0.5, "count": 0.5}
NEXT = "next"  # the head that every model has beside those of the signals
NEXT_WEIGHT = 1.0

KINDS: Mapping[str, type[Binary | Ordinal | Real | Nonnegative | Count]] = {
    "binary": Binary,
    "ordinal": Ordinal,
    "real": Real,
    "nonnegative": Nonnegative,
    "count": Count,
}


def task_of(signal: Signal) -> Task:
    """What follows from one signal, by its kind.

    Raises:
        ValueError: if its kind is unknown, or its range or step cannot be.
    """
    kind = lookup("kind of signal", signal.kind, KINDS)
    if signal.kind != "binary" and not signal.low < signal.high:
        raise ValueError(
            f"signal {signal.name!r}: low must be below high, got {signal.low:g} and "
            f"{signal.high:g}; declare the range that its values can have"
        )
    if kind is Ordinal:
        if not 0 < signal.step <= signal.high - signal.low:
            raise ValueError(
                f"signal {signal.name!r}: step must be in (0, {signal.high - signal.low:g}], the "
                f"width of its range, got {signal.step:g}"
            )
        if Ordinal(signal).steps >= MOST_LEVELS:
            kind = Real
    return kind(signal)


def tasks_of(signals: Sequence[Signal], like_from: float | None = None) -> tuple[Task, ...]:
    """The tasks of a log's or a world's signals, in the same order.

    Args:
        signals: M of them, click first.
        like_from: the rating from which a derived like is 1; None: no signal follows from another.

    Raises:
        ValueError: if a signal is not one, or two have the same name.

    >>> from slategym.envs.types import CLICK
    >>> [column(task) for task in tasks_of((CLICK, Signal("dwell", "nonnegative", "s", 0, 600)))]
    ['clicks', 'dwell_total']
    """
    names = [signal.name for signal in signals]
    if len(set(names)) < len(names):
        raise ValueError(f"signals must have different names, got {', '.join(names)}")
    tasks = [task_of(signal) for signal in signals]
    return tuple(_beside(task, signals, like_from) for task in tasks)


def _beside(task: Task, signals: Sequence[Signal], like_from: float | None) -> Task:
    """The task, tied to the like that was derived from it where there is one."""
    derived = [s for s in signals if s.name == "like" and s.provenance == "derived"]
    low, high = task.signal.low, task.signal.high
    if like_from is None or task.signal.name != "rating" or not derived:
        return task
    if isinstance(task, Ordinal | Real) and low < like_from <= high:
        return replace(task, given="like", cut=like_from)
    return task


def observed_only(tasks: Sequence[Task], feedback_xM: Tensor) -> Tensor:
    """Feedback with NaN where a signal is 0 for want of the one that it is given, itself given."""
    names, drawn_xM = [task.signal.name for task in tasks], feedback_xM
    for m, task in enumerate(tasks):
        if task.signal.given in names:
            without_x = drawn_xM[..., names.index(task.signal.given)] == 0
            value_x = feedback_xM[..., m].masked_fill(without_x, math.nan)
            feedback_xM = torch.cat(
                [feedback_xM[..., :m], value_x[..., None], feedback_xM[..., m + 1 :]], -1
            )
    return feedback_xM


def head_names(tasks: Sequence[Task]) -> tuple[str, ...]:
    """The heads of a model: one per signal, then the next item."""
    return (*(task.signal.name for task in tasks), NEXT)


def head_weights(tasks: Sequence[Task], asked: Mapping[str, float]) -> dict[str, float]:
    """Weight of each head's mean loss; heads that are not named have their kind's default.

    Raises:
        ValueError: if a head is unknown, a weight is negative, or all are 0.
    """
    weights = {task.signal.name: DEFAULT_WEIGHT[task.signal.kind] for task in tasks}
    weights[NEXT] = NEXT_WEIGHT
    for name, weight in asked.items():
        lookup("head", name, weights)
        weights[name] = weight
    if min(weights.values()) < 0 or max(weights.values()) == 0:
        raise ValueError(
            f"task weights must be at least 0, one of them above 0, got {dict(weights)}"
        )
    return weights


def to_json(tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """Signals and what was fitted of them, as JSON holds it."""
    fitted = ("given", "cut", "scale", "spread", "factor", "first", "last")
    return [
        {
            "signal": list(task.signal),
            "fitted": {
                name: vars(task)[name]
                for name in fitted
                if name in vars(task) and vars(task)[name] == vars(task)[name]  # not NaN
            },
        }
        for task in tasks
    ]


def from_json(rows: Sequence[Mapping[str, Any]]) -> tuple[Task, ...]:
    """What `to_json` wrote, checked: a model's file may be a stranger's.

    Raises:
        ValueError, TypeError, KeyError: a value is of another kind than it is declared to be.
    """
    tasks, kinds = [], kinds_of_function(Signal)
    for row in rows:
        signal, fitted = Signal(*row["signal"]), row["fitted"]
        ends = (signal.low, signal.high)  # which may be infinite
        check_kinds("a signal", signal._replace(low=0.0, high=0.0)._asdict(), kinds)
        if any(type(end) not in (int, float) for end in ends) or not signal.low <= signal.high:
            raise ValueError(f"signal {signal.name!r} has values from {ends[0]!r} to {ends[1]!r}")
        task: Any = task_of(signal)
        check_kinds("what was fitted", fitted, kinds_of_function(type(task)))
        tasks.append(replace(task, **fitted))
    tasks_of([task.signal for task in tasks])  # their names differ
    return tuple(tasks)


def column(task: Task) -> str:
    """Its column in the rows of episodes: clicks, likes, rating_mean, dwell_total."""
    name = task.signal.name
    if task.calibrated:
        return f"{name}es" if name.endswith(("s", "x", "ch", "sh")) else f"{name}s"
    return f"{name}_total" if task.pool == "sum" else f"{name}_mean"


def label(task: Task) -> str:
    """What a report calls it, with its unit."""
    name, unit = task.signal.name, task.signal.unit
    if task.calibrated:
        return column(task)
    return f"{name}, {unit}" if task.pool == "sum" else f"mean {name}, {unit}"
