"""Which episode rows a number is of, and their values as seeds by users.

Everything here reads one table: a row is one simulated user's session under one policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from slategym.experiments.statistics.estimate import Estimate
from slategym.experiments.statistics.tables import Table

APART = 2**40  # between the numbers of users of one split and the next


@dataclass(frozen=True, eq=False)
class Found:
    """What was looked up of rows that do not change meanwhile."""

    rows: pd.DataFrame
    cells: dict[Cell, pd.DataFrame] = field(default_factory=dict)
    shapes: dict[Cell, tuple[Table, np.ndarray]] = field(default_factory=dict)
    tables: dict[tuple[Cell, str], Table] = field(default_factory=dict)
    masks: dict[tuple[str, str | float], np.ndarray] = field(default_factory=dict)
    whole: dict[str, bool] = field(default_factory=dict)
    differences: dict[tuple[Cell, Cell, str], Estimate] = field(default_factory=dict)

    def mask(self, name: str, value: str | float) -> np.ndarray:
        """The rows whose column has this value."""
        if (name, value) not in self.masks:
            self.masks[name, value] = (self.rows[name] == value).to_numpy()
        return self.masks[name, value]


_FOUND: ContextVar[Found | None] = ContextVar("_FOUND", default=None)


@contextmanager
def unchanged(rows: pd.DataFrame) -> Iterator[None]:
    """Within, each cell of these rows, and its table, is looked up once: nobody may change them."""
    token = _FOUND.set(Found(rows))
    try:
        yield
    finally:
        _FOUND.reset(token)


def found_of(rows: pd.DataFrame) -> Found | None:
    """What was looked up of these rows; None: they may change."""
    found = _FOUND.get()
    return found if found is not None and found.rows is rows else None


@dataclass(frozen=True)
class Cell:
    """Which rows: one policy, read in one variant of one world. None: there is only one."""

    policy: str
    variant: str  # name of the place
    strength: float | None = None  # of the assumption that a study sweeps over
    trained_in: str | None = None  # "" for policies that do not learn
    group: str = "evaluation"
    world: str | None = None
    only: tuple[tuple[str, str], ...] = ()  # further columns, such as traits, and their values

    def query(self) -> str:
        """The rows as an expression for `DataFrame.query`; reports show it beside the number."""
        return " and ".join(f"{name} == {value!r}" for name, value in self._named())

    def _named(self) -> list[tuple[str, str | float]]:
        names = ("policy", "variant", "strength", "trained_in", "group", "world")
        values = [(name, getattr(self, name)) for name in names]
        named = [(name, value) for name, value in values if value is not None]
        return [*named, *self.only]

    def among(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The cell's rows; perhaps none."""
        found = found_of(rows)
        if found is None:
            return self._among(rows)
        if self not in found.cells:
            masks = (found.mask(name, value) for name, value in self._named())
            found.cells[self] = rows[np.logical_and.reduce([*masks])]
        return found.cells[self]

    def _among(self, rows: pd.DataFrame) -> pd.DataFrame:
        mask = np.ones(len(rows), dtype=bool)
        for name, value in self._named():
            mask &= (rows[name] == value).to_numpy()
        return rows[mask]


def is_whole(rows: pd.DataFrame, column: str) -> bool:
    """Whether every row has a value of this column."""
    found = found_of(rows)
    if found is None:
        return column in rows and bool(rows[column].notna().all())
    if column not in found.whole:
        found.whole[column] = column in rows and bool(rows[column].notna().all())
    return found.whole[column]


def table(rows: pd.DataFrame, cell: Cell, metric: str = "return") -> Table:
    """The cell's metric as seeds x users.

    Raises:
        ValueError: if there are no such rows, if they mix several worlds, strengths or trainings,
            if a session occurs twice or misses for some seed, or if a value is not a number.
    """
    found = found_of(rows)
    if found is None:
        return _table(rows, cell, metric)
    if (cell, metric) not in found.tables:
        found.tables[cell, metric] = _table(rows, cell, metric)
    return found.tables[cell, metric]


def _table(rows: pd.DataFrame, cell: Cell, metric: str) -> Table:
    found = found_of(rows)
    if found is None:
        shape, at_n = _shape(rows, cell)
    elif cell in found.shapes:
        shape, at_n = found.shapes[cell]
    else:
        shape, at_n = found.shapes[cell] = _shape(rows, cell)
    value_SU = np.full((len(shape.seed_S), len(shape.user_U)), np.nan)
    value_SU.ravel()[at_n] = cell.among(rows)[metric].to_numpy(dtype=np.float64)
    if not np.isfinite(value_SU).all():
        bad, where = int((~np.isfinite(value_SU)).sum()), cell.query()
        raise ValueError(f"{metric} is missing in {bad} of {value_SU.size} sessions where {where}")
    return replace(shape, value_SU=value_SU)


def _shape(rows: pd.DataFrame, cell: Cell) -> tuple[Table, np.ndarray]:
    """The cell's seeds and users, a table without values, and where in it each of its rows goes."""
    chosen = cell.among(rows)
    where = cell.query()
    if chosen.empty:
        raise ValueError(f"no episode rows where {where}")
    for name in ("world", "strength", "trained_in"):
        if name not in chosen or (chosen[name].to_numpy() == chosen[name].iloc[0]).all():
            continue
        several = sorted(chosen[name].unique())
        if len(several) > 1:
            raise ValueError(f"rows where {where} mix {name} = {several}; name one of them")
    split_n = chosen["split"].to_numpy(np.int64) if "split" in chosen else np.zeros(1, np.int64)
    seed_S, seed = np.unique(chosen["seed"].to_numpy(), return_inverse=True)
    user_U, first_U, user = np.unique(
        chosen["user"].to_numpy() + split_n * APART, return_index=True, return_inverse=True
    )
    at_n = seed * len(user_U) + user
    if np.bincount(at_n).max() > 1:
        raise ValueError(f"rows where {where} hold some (seed, user) twice")
    person_n = chosen["person"].to_numpy() + split_n * APART
    codes_U = np.unique(person_n[first_U], return_inverse=True)[1]
    learns = chosen["trained_in"].iloc[0] != ""
    split_U = np.unique(split_n[first_U], return_inverse=True)[1] if split_n.any() else None
    return Table(np.empty((0, 0)), seed_S, user_U, codes_U, learns, split_U), at_n


def paired_table(rows: pd.DataFrame, cell: Cell, baseline: Cell, metric: str = "return") -> Table:
    """Seeds x users of the policy minus the baseline."""
    ours, theirs = table(rows, cell, metric), table(rows, baseline, metric)
    if not np.array_equal(ours.user_U, theirs.user_U):
        raise ValueError(
            f"a paired difference needs the same users: {len(ours.user_U)} where {cell.query()}, "
            f"{len(theirs.user_U)} where {baseline.query()}, "
            f"{len(np.intersect1d(ours.user_U, theirs.user_U))} in both"
        )
    if theirs.learns and not np.array_equal(ours.seed_S, theirs.seed_S):
        raise ValueError(
            f"a paired difference of two policies that learn needs the same seeds: "
            f"{ours.seed_S.tolist()} where {cell.query()}, "
            f"{theirs.seed_S.tolist()} where {baseline.query()}"
        )
    return replace(ours, value_SU=ours.value_SU - theirs.value_SU)
