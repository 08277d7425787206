"""What moved since a model was fitted: in the log, and in what two models make of it.

A distance between old and new rows is read beside what it would be if nothing had moved: a person's
rows of one time are a block, and blocks are dealt out anew to "old" and "new".

Source: Jensen-Shannon divergence, Lin 1991, IEEE Transactions on Information Theory 37, section IV.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slategym.models.data.log import Log
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.predict import predict
from slategym.models.multitask.refit import Refitted
from slategym.models.multitask.scores import heading, platt_of
from slategym.models.multitask.sequences import Bools, Sequences
from slategym.models.quality.resampling import (
    Figures,
    Floats,
    Interval,
    Statistic,
    intervals,
    row_figures,
)
from slategym.models.tasks import head_weights

Ints = NDArray[np.int64]

DEALT = 200  # times that blocks are dealt out anew
MOST_ROWS = 200_000  # that distances are taken on
MOST_READ = 10_000  # held-out rows that both models are read on, of each time
BINS = 10  # of a number, by its deciles
LOWER_IS_BETTER = ("_rmse", "_rmsle", "_ece")


@dataclass(frozen=True)
class Shift:
    """How far one thing moved."""

    name: str
    kind: str  # "signal", "items", "context", "people"
    old: float | None  # mean or rate, in `unit`; None: it is a distribution over names
    new: float | None
    unit: str
    distance: float  # Jensen-Shannon divergence, bits, in [0, 1]
    null: float  # 95 % point of the distances if nothing had moved

    @property
    def moved(self) -> bool:
        """Whether it moved more than chance."""
        return self.distance > self.null


@dataclass(frozen=True)
class Reading:
    """One figure of two models on the same held-out rows."""

    figure: str
    rows: str  # "old" or "new"
    count: int
    old: float  # of the model before
    new: float  # of the model after
    change: Interval  # new - old, people drawn again

    @property
    def verdict(self) -> str:
        """What the change is: forgetting on old rows, gain on new ones; else not clear."""
        if not self.change.clear:
            return "not clear"
        better = (self.change.value < 0) == self.figure.endswith(LOWER_IS_BETTER)
        if self.rows == "old":
            return "better" if better else "forgotten"
        return "gained" if better else "worse"


@dataclass(frozen=True)
class DriftReport:
    """What moved by how much, and what was gained and forgotten."""

    shifts: tuple[Shift, ...]
    readings: tuple[Reading, ...]
    rows: dict[str, int]  # old, new, by people who came since, of new items
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For a file."""
        shifts = [{**asdict(shift), "moved": shift.moved} for shift in self.shifts]
        readings = [
            {
                **{name: _number(value) for name, value in vars(reading).items()},
                "change": reading.change.to_json(),
                "verdict": reading.verdict,
            }
            for reading in self.readings
        ]
        return {
            "rows": self.rows,
            "shifts": shifts,
            "readings": readings,
            "notes": list(self.notes),
            "summary": self.summary(),
        }

    def summary(self) -> list[str]:
        """Sentences, the unwelcome first."""
        lost = [r for r in self.readings if r.verdict in ("forgotten", "worse")]
        won = [r for r in self.readings if r.verdict in ("gained", "better")]
        moved = [shift for shift in self.shifts if shift.moved]
        lines = [_change(reading) for reading in lost]
        if self.readings and not lost:
            lines.append("nothing is clearly forgotten or worse")
        lines += [_change(reading) for reading in won]
        if self.readings and not won:
            lines.append("nothing is clearly gained: the model before would do as well")
        if moved:
            most = max(moved, key=lambda shift: shift.distance / max(shift.null, 1e-9))
            lines.append(
                f"{len(moved)} of {len(self.shifts)} things moved more than chance, "
                f"{most.name} most ({most.distance:.4f} bits, chance {most.null:.4f})"
            )
        elif self.shifts:
            lines.append("nothing in the log moved more than chance")
        return [*lines, *self.notes]


def drift_report(log: Log, refitted: Refitted, *, seed: int = 0) -> DriftReport:
    """Compare old and new rows, and the model before with the model after.

    Args:
        log: that the model was fitted further on.
        refitted: from `refit_multitask`.
        seed: of all that is drawn.
    """
    since, start = refitted.since, refitted.old
    user_E, item_E = (log.events[name].to_numpy(np.int64) for name in ("user", "item"))
    came_E = ~np.isin(user_E, np.unique(user_E[~since.fresh_E]))
    rows = {
        "old": int((~since.fresh_E).sum()),
        "new": int(since.fresh_E.sum()),
        "new, by people who came since": int((since.fresh_E & came_E).sum()),
        "new, of new items": int((since.fresh_E & np.isin(item_E, start.new_items)).sum()),
    }
    notes = list(since.notes)
    if start.left_out:
        notes.append(f"{start.left_out} items of the model are not in the log and were left out")
    readings: list[Reading] = []
    for name, chosen_E in (("old", ~since.fresh_E), ("new", since.fresh_E)):
        held_E = since.held_E & chosen_E
        if held_E.any():
            readings += _readings(log, refitted, name, held_E, seed)
        else:
            notes.append(f"nobody held out has {name} rows: the models are not compared on any")
    return DriftReport(
        tuple(shifts(log, since.fresh_E, seed=seed)), tuple(readings), rows, (*notes,)
    )


def shifts(log: Log, fresh_E: Bools, *, seed: int = 0) -> list[Shift]:
    """How far signals, items, context and people moved from old to new rows.

    Args:
        log: its rows.
        fresh_E: the new ones.
        seed: of dealing out anew.
    """
    rng = np.random.default_rng(seed)
    user_E = log.events["user"].to_numpy(np.int64)
    block_E = np.unique(user_E * 2 + fresh_E, return_inverse=True)[1]
    kept_E = _some_blocks(block_E, rng)
    events, fresh_x = log.events[kept_E], fresh_E[kept_E]
    _, block_x = np.unique(block_E[kept_E], return_inverse=True)
    fresh_b = np.zeros(block_x.max() + 1, bool)
    fresh_b[block_x] = fresh_x
    dealt = [rng.permutation(fresh_b)[block_x] for _ in range(DEALT)]
    found = []

    def add(name: str, kind: str, values: NDArray[Any], bins: Ints, unit: str = "") -> None:
        known_x = bins >= 0
        if not (known_x & fresh_x).any() or not (known_x & ~fresh_x).any():
            return
        sizes = int(bins.max()) + 1
        parted = [_distance(bins, known_x, label_x, sizes) for label_x in (fresh_x, *dealt)]
        old = float(values[known_x & ~fresh_x].mean()) if unit else None
        new = float(values[known_x & fresh_x].mean()) if unit else None
        null = float(np.nanquantile(parted[1:], 0.95))
        found.append(Shift(name, kind, old, new, unit, parted[0], null))

    for signal in log.signals:
        values = events[signal.name].to_numpy(np.float64)
        unit = "rate" if signal.kind == "binary" else signal.unit or "mean"
        add(signal.name, "signal", values, _bins(values), unit)
    clicked_x = events["click"].to_numpy() > 0
    item_x = events["item"].to_numpy(np.int64)
    add(f"which {log.words.items}", "items", item_x, np.where(clicked_x, item_x, -1))
    if "topic" in log.items and len(log.topic_names) > 1:
        topic_x = log.items["topic"].to_numpy(np.int64)[item_x]
        add(f"which {log.words.topics}", "items", topic_x, np.where(clicked_x, topic_x, -1))
    hour_x = events["hour"].to_numpy(np.float64)
    add("hour", "context", hour_x, np.floor(hour_x).astype(np.int64))
    weekday_x = events["weekday"].to_numpy(np.int64)
    add("weekday", "context", weekday_x, weekday_x)
    for column in log.context:
        values = events[column.name].to_numpy(np.float64)
        bins = values.astype(np.int64) if column.categories else _bins(values)
        add(
            column.name, "context", values, bins, "" if column.categories else column.unit or "mean"
        )
    for name in log.profile_names:
        code_x = log.users[name].to_numpy(np.int64)[events["user"].to_numpy()]
        add(name, "people", code_x, code_x)
    return found


def _some_blocks(block_E: Ints, rng: np.random.Generator) -> Bools:
    """Rows of whole blocks, about MOST_ROWS of them."""
    count = int(block_E.max()) + 1
    share = MOST_ROWS / len(block_E)
    kept_b = np.ones(count, bool) if share >= 1 else rng.random(count) < share
    kept: Bools = kept_b[block_E]
    return kept


def _bins(values_x: NDArray[np.float64]) -> Ints:
    """Each value's bin: itself where there are few different ones, else its decile; -1: unknown."""
    known_x = ~np.isnan(values_x)
    bins = np.full(len(values_x), -1, np.int64)
    if not known_x.any():
        return bins
    levels = np.unique(values_x[known_x])
    if len(levels) > 2 * BINS:
        levels = np.unique(np.quantile(values_x[known_x], np.linspace(0, 1, BINS + 1)[:-1]))
    bins[known_x] = np.searchsorted(levels, values_x[known_x], side="right") - 1
    return bins


def _distance(bins: Ints, known_x: Bools, fresh_x: Bools, size: int) -> float:
    """Jensen-Shannon divergence of the bins of old and new rows, bits; NaN without either."""
    old = np.bincount(bins[known_x & ~fresh_x], minlength=size).astype(np.float64)
    new = np.bincount(bins[known_x & fresh_x], minlength=size).astype(np.float64)
    if not old.sum() or not new.sum():
        return math.nan
    return jensen_shannon(old / old.sum(), new / new.sum())


def jensen_shannon(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """Divergence of two distributions over the same bins, bits, in [0, 1].

    >>> jensen_shannon(np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    1.0
    """
    middle = (p + q) / 2

    def against_middle(r: NDArray[np.float64]) -> float:
        used = r > 0
        return float((r[used] * np.log2(r[used] / middle[used])).sum())

    return max(0.0, (against_middle(p) + against_middle(q)) / 2)


def _readings(log: Log, refitted: Refitted, name: str, held_E: Bools, seed: int) -> list[Reading]:
    """Figures of both models on some held-out rows, and their differences."""
    rows = np.flatnonzero(held_E)
    if len(rows) > MOST_READ:
        rows = rows[np.linspace(0, len(rows) - 1, MOST_READ).astype(np.int64)]
    before, user_x = _statistic(refitted.old.model, log, rows, seed)
    after, _ = _statistic(refitted.model, log, rows, seed)

    def change(weight_x: Floats) -> Figures:
        old, new = before(weight_x), after(weight_x)
        return {figure: new[figure] - old[figure] for figure in old}

    old, new = before(np.ones(len(user_x))), after(np.ones(len(user_x)))
    changes = intervals(change, user_x, seed=seed)
    return [
        Reading(figure, name, len(rows), old[figure], new[figure], difference)
        for figure, difference in changes.items()
        if not math.isnan(difference.value)
    ]


def _statistic(model: MultiTaskBert, log: Log, rows: Ints, seed: int) -> tuple[Statistic, Ints]:
    """Figures of a model at some of these rows, and whose rows they are."""
    sequences = Sequences.from_log(log, model.device)
    predictions = predict(model, sequences, rows, seed=seed)
    trained = (model.about or {}).get("training", {}).get("weights", {})
    weights: Mapping[str, float] = head_weights(model.tasks, trained)
    return row_figures(predictions, platt_of(model), weights), predictions.user_x


def _change(reading: Reading) -> str:
    """One sentence."""
    c = reading.change
    return (
        f"{heading(reading.figure)} on {reading.rows} rows: {reading.verdict}, "
        f"{reading.old:.4f} -> {reading.new:.4f} ({c.value:+z.4f} [{c.low:+z.4f}, {c.high:+z.4f}])"
    )


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
