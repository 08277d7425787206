"""Numbers with intervals, from episode rows and from nothing else.

Everything here is a function of one table: a row is one simulated user's session under one policy.
An interval is the 2.5 % to 97.5 % range of a bootstrap that resamples people (a person may have
several rows, which stay together) and, for policies that learn, training seeds.

How resamples are drawn: people with replacement, P of P, as multinomial counts. Seeds S - 1 of S:
the bootstrap of Rao and Wu 1988 (JASA 83, section 2), unbiased for the variance of a mean over so
few; plain resampling is too narrow by the factor (S - 1) / S in variance. Both at once is the
pigeonhole bootstrap of Owen 2007 (Annals of Applied Statistics 1, section 3), which counts the
noise of single sessions twice (its section 5), and knows no more of how seeds differ than three
seeds can show. So where there are several seeds, or splits of the people into parties, draws of a
mean keep their shape and take the width of an interval that adds Student's reaches for people and
seeds in squares, and is no narrower than that of the splits' means (`variance.t_interval`): it
holds the truth in 93 to 97 of 100 tables, whether seeds differ or not
(`tests/experiments/statistics/test_variance.py`); not so scaled it was up to 98, and 90 where seeds
differ much. P-values further out than the interval's level keep the bootstrap's tails, which are
thinner than Student's of few seeds.

Of fewer than `FEW_PEOPLE` people a bootstrap is too narrow: it knows no more of how people differ
than those few. There a mean has Student's interval and p-value, whatever the number of seeds, and
other statistics' draws are widened as much as a mean's would be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import pandas as pd

from slategym.experiments.statistics.tables import COVERAGE, Table
from slategym.experiments.statistics.variance import (
    FEW_PEOPLE,
    t_interval,
    t_p_value,
    widening,
)
from slategym.experiments.statistics.words import NO_INTERVAL, parts

RESAMPLES = 10_000  # bootstrap draws; fewer, and no p-value is small after Holm for a long table
APART = 2**40  # between the numbers of users of one split and the next
OF_SESSIONS = 2_000  # of these, where each draw weighs every session
LEVEL = 0.05  # of a p-value, after Holm, below which a difference is called clear


@dataclass(frozen=True, eq=False)
class _Found:
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


_FOUND: ContextVar[_Found | None] = ContextVar("_FOUND", default=None)


@contextmanager
def unchanged(rows: pd.DataFrame) -> Iterator[None]:
    """Within, each cell of these rows, and its table, is looked up once: nobody may change them."""
    token = _FOUND.set(_Found(rows))
    try:
        yield
    finally:
        _FOUND.reset(token)


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
        found = _FOUND.get()
        if found is None or found.rows is not rows:
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


@dataclass(frozen=True)
class Estimate:
    """A number, its 95 % interval, and where it comes from."""

    value: float
    low: float  # of one person both ends are the value; see `has_interval`
    high: float
    p_value: float  # two-sided, of "it is zero", 1 of one person; see `_estimate`
    num_people: int
    num_users: int  # rows per seed
    num_seeds: int
    source: str  # statistic and rows, in words a reader can repeat
    by_split: tuple[float, ...] = ()  # the same of each split of the people; (): there is one

    def __str__(self) -> str:
        return " ".join(self.parts())

    def rounded(self, digits: int) -> str:
        """A level and its interval with so many digits after the point, without its splits."""
        return " ".join(replace(self, by_split=()).parts(digits=digits))

    def signed(self, digits: int = 2) -> str:
        """The same with explicit signs, for differences."""
        return " ".join(self.parts("+", digits))

    def parts(self, sign: str = "", digits: int = 2) -> tuple[str, str]:
        """The number and its interval apart; `sign` is "+" for differences."""
        number, ends = parts(
            self.value, self.low, self.high, sign=sign, digits=digits, by_split=self.by_split
        )
        return number, ends if self.has_interval else NO_INTERVAL

    def to_json(self) -> dict[str, float | None]:
        """Value, low and high; where there is no interval its ends are None."""
        low, high = (self.low, self.high) if self.has_interval else (None, None)
        return {"value": self.value, "low": low, "high": high}

    @property
    def has_interval(self) -> bool:
        """Whether it is of two people or more: one says nothing of how people differ."""
        return self.num_people > 1

    @property
    def above_zero(self) -> bool:
        """There is an interval, and the whole of it is positive."""
        return self.has_interval and self.low > 0

    @property
    def below_zero(self) -> bool:
        """There is an interval, and the whole of it is negative."""
        return self.has_interval and self.high < 0


def side_of(estimate: Estimate, adjusted: float | None = None) -> int:
    """1: clearly above zero; -1: clearly below; 0: not clear. The one rule of "clear".

    The interval leaves out zero, and so does the p-value.

    Args:
        estimate: of a difference.
        adjusted: its p-value, adjusted for the number of comparisons in its table; None: its own.
    """
    if (estimate.p_value if adjusted is None else adjusted) >= LEVEL:
        return 0
    return int(estimate.above_zero) - int(estimate.below_zero)


def is_whole(rows: pd.DataFrame, column: str) -> bool:
    """Whether every row has a value of this column."""
    found = _FOUND.get()
    if found is None or found.rows is not rows:
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
    found = _FOUND.get()
    if found is None or found.rows is not rows:
        return _table(rows, cell, metric)
    if (cell, metric) not in found.tables:
        found.tables[cell, metric] = _table(rows, cell, metric)
    return found.tables[cell, metric]


def _table(rows: pd.DataFrame, cell: Cell, metric: str) -> Table:
    found = _FOUND.get()
    if found is None or found.rows is not rows:
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


def mean(rows: pd.DataFrame, cell: Cell, metric: str = "return") -> Estimate:
    """Mean over seeds and users."""
    return _mean_of(table(rows, cell, metric), f"mean of {metric} where {cell.query()}")


def weighted_mean(rows: pd.DataFrame, cell: Cell, metric: str, weight: str) -> Estimate:
    """Mean of a metric weighted by another, a ratio of sums; its interval by linearisation.

    Source: Cochran 1977, Sampling Techniques, section 2.11.
    """
    mine = cell.among(rows)
    sum_n = (mine[metric] * mine[weight]).fillna(0.0)  # no weight, no value
    value = sum_n.sum() / mine[weight].sum()
    left_n = (sum_n - value * mine[weight]) / mine[weight].mean()
    found = mean(mine.assign(**{metric: value + left_n}), cell, metric)
    source = f"mean of {metric} weighted by {weight} where {cell.query()}"
    return replace(found, source=source)


def paired_difference(
    rows: pd.DataFrame, cell: Cell, baseline: Cell, metric: str = "return"
) -> Estimate:
    """Mean over (seed, user) of the policy minus the baseline, same users, same luck.

    A baseline that does not learn has one seed, which serves every seed of the policy.

    Raises:
        ValueError: if the two were not read on the same users (and seeds, if both learn).
    """
    found = _FOUND.get()
    if found is None or found.rows is not rows:
        return _paired_difference(rows, cell, baseline, metric)
    asked = cell, baseline, metric
    if asked not in found.differences:
        found.differences[asked] = _paired_difference(rows, *asked)
    return found.differences[asked]


def _paired_difference(rows: pd.DataFrame, cell: Cell, baseline: Cell, metric: str) -> Estimate:
    source = f"mean of paired {metric} differences: ({cell.query()}) minus ({baseline.query()})"
    return _mean_of(paired_table(rows, cell, baseline, metric), source)


def difference_beyond(
    rows: pd.DataFrame, cell: Cell, baseline: Cell, margin: float, metric: str = "return"
) -> Estimate:
    """How far the paired difference is beyond a margin above zero: the difference less it."""
    pairs = paired_table(rows, cell, baseline, metric)
    source = (
        f"mean of paired {metric} differences less {margin:g}: ({cell.query()}) minus "
        f"({baseline.query()})"
    )
    return _mean_of(replace(pairs, value_SU=pairs.value_SU - margin), source)


def by_seed(
    rows: pd.DataFrame, cell: Cell, baseline: Cell, metric: str = "return"
) -> dict[int, float]:
    """The paired difference of each training seed."""
    pairs = paired_table(rows, cell, baseline, metric)
    return dict(zip(pairs.seed_S.tolist(), pairs.value_SU.mean(1).tolist(), strict=True))


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


def drop(
    rows: pd.DataFrame,
    cell: Cell,
    baseline: Cell,
    other_cell: Cell,
    other_baseline: Cell,
    *,
    metric: str = "return",
) -> Estimate:
    """How much of an advantage is lost elsewhere: (cell - baseline) - (other - its baseline).

    Typically world minus judge, paired by (seed, user). Positive: the world flattered it.
    """
    here = paired_table(rows, cell, baseline, metric)
    there = paired_table(rows, other_cell, other_baseline, metric)
    if not (
        np.array_equal(here.user_U, there.user_U) and np.array_equal(here.seed_S, there.seed_S)
    ):
        raise ValueError(
            f"the drop needs the same users and seeds where {cell.query()} "
            f"and where {other_cell.query()}"
        )
    source = (
        f"mean of paired {metric} differences of differences: [({cell.query()}) minus "
        f"({baseline.query()})] minus [({other_cell.query()}) minus ({other_baseline.query()})]"
    )
    return _mean_of(replace(here, value_SU=here.value_SU - there.value_SU), source)


def interquartile_mean(rows: pd.DataFrame, cell: Cell, metric: str = "return") -> Estimate:
    """Mean of the middle half of all (seed, user) values.

    Source: Agarwal et al. 2021, arXiv:2108.13264, section 4.3 (scipy's `trim_mean(x, 0.25)`; a
    quarter that is not a whole number of sessions is cut by weight).
    """
    t = table(rows, cell, metric)
    order = t.value_SU.ravel().argsort()
    value_n = t.value_SU.ravel()[order]

    def trimmed(weight_Rn: np.ndarray) -> np.ndarray:
        upto_Rn = (weight_Rn / weight_Rn.sum(1, keepdims=True)).cumsum(1)
        inside_Rn = np.diff(upto_Rn.clip(0.25, 0.75), axis=1, prepend=0.25)
        result: np.ndarray = inside_Rn @ value_n / 0.5
        return result

    parts = [trimmed(part.reshape(len(part), -1)[:, order]) for part in _session_weights(t)]
    value = float(trimmed(np.ones((1, value_n.size)))[0])
    source = f"interquartile mean of {metric} where {cell.query()}"
    return _estimate(value, np.concatenate(parts), t, source)


def probability_of_improvement(
    rows: pd.DataFrame, cell: Cell, baseline: Cell, metric: str = "return"
) -> Estimate:
    """Share of (seed, user) in which the policy's return is the higher; ties count half.

    rliable (Agarwal et al. 2021, section 4.3) compares all pairs of runs; here luck is common, so
    that only the pair of the same user under the same seed is compared. Its p-value is of 1/2.
    """
    t = paired_table(rows, cell, baseline, metric)
    won_SU = (np.sign(t.value_SU) + 1) / 2
    source = f"share of pairs with higher {metric}: ({cell.query()}) over ({baseline.query()})"
    centred = _mean_of(replace(t, value_SU=won_SU - 0.5), source)
    low, high = max(0.0, centred.low + 0.5), min(1.0, centred.high + 0.5)  # it is a share
    by_split = tuple(share + 0.5 for share in centred.by_split)
    return replace(centred, value=centred.value + 0.5, low=low, high=high, by_split=by_split)


def normalised_score(
    rows: pd.DataFrame, cell: Cell, random: Cell, reference: Cell, metric: str = "return"
) -> Estimate:
    """(x - random) / (reference - random), of means: 0 is random, 1 is the reference.

    The three means share each resample's people, so that the ratio's interval respects pairing;
    resamples in which the reference is not better than random have no score and are left out.

    Raises:
        ValueError: if the reference is not better than random.
    """
    ours, least, most = (table(rows, c, metric) for c in (cell, random, reference))
    for other, name in ((least, random), (most, reference)):
        if not np.array_equal(ours.user_U, other.user_U):
            raise ValueError(f"a normalised score needs the same users: see where {name.query()}")
    low, high = least.value_SU.mean(), most.value_SU.mean()
    if high <= low:
        raise ValueError(
            f"a normalised score needs reference > random: {high:.4g} where {reference.query()}, "
            f"{low:.4g} where {random.query()}"
        )
    low_R, high_R = _bootstrap_mean(least), _bootstrap_mean(most)
    ahead_R = high_R > low_R  # of few people there are draws in which the reference is not better
    draws_R = (_bootstrap_mean(ours) - low_R)[ahead_R] / (high_R - low_R)[ahead_R]
    source = (
        f"({metric} where {cell.query()}, minus where {random.query()}) / "
        f"(where {reference.query()}, minus where {random.query()})"
    )
    return _estimate(float((ours.value_SU.mean() - low) / (high - low)), draws_R, ours, source)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for their number; reject where below the level.

    Source: Holm 1979, Scandinavian Journal of Statistics 6, section 3.
    """
    order = np.argsort(p_values)
    factor = np.arange(len(order), 0, -1)
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(np.asarray(p_values)[order] * factor).clip(max=1.0)
    return [float(p) for p in adjusted]


def _mean_of(t: Table, source: str) -> Estimate:
    value = float(t.value_SU.mean())
    found = _estimate(value, _as_wide_as_student(_bootstrap_mean(t), value, t), t, source)
    if _few_people(t):
        low, high = t_interval(t)
        found = replace(found, low=low, high=high, p_value=t_p_value(t))
    return replace(found, by_split=t.by_split)


def _few_people(t: Table) -> bool:
    """Whether a bootstrap of these is too narrow, and Student can be asked."""
    if t.num_splits == 1:
        return 1 < t.num_people < FEW_PEOPLE
    return 1 < min(t.of_split(z).num_people for z in range(t.num_splits)) < FEW_PEOPLE


def _as_wide_as_student(draws_R: np.ndarray, value: float, t: Table) -> np.ndarray:
    """Draws around the value whose middle 95 % are as wide as Student's interval."""
    if (len(t.seed_S) < 2 and t.num_splits < 2) or t.num_people < 2 * t.num_splits:
        return draws_R
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(draws_R, [tail, 1 - tail])
    student = t_interval(t)
    if high <= low or student.high <= student.low:
        return draws_R
    scaled_R: np.ndarray = value + (draws_R - value) * (student.high - student.low) / (high - low)
    return scaled_R


def _estimate(value: float, draws_R: np.ndarray, t: Table, source: str) -> Estimate:
    """Percentile interval; p = 2 (1 + draws on the far side of zero) / (1 + draws), at most 1.

    Of one person: no interval, p = 1.
    """
    tail = (1 - COVERAGE) / 2
    if _few_people(t):
        draws_R = value + (draws_R - value) * widening(t.num_people, t.num_splits)
    low, high = np.quantile(draws_R, [tail, 1 - tail])
    beyond = min((draws_R <= 0).sum(), (draws_R >= 0).sum())
    p_value = min(1.0, 2 * (1 + int(beyond)) / (1 + len(draws_R)))
    if t.num_people < 2:
        low, high, p_value = value, value, 1.0
    num_seeds, num_users = t.value_SU.shape
    return Estimate(
        value, float(low), float(high), p_value, t.num_people, num_users, num_seeds, source
    )


def _bootstrap_mean(t: Table) -> np.ndarray:
    """Means of the resamples, (R,)."""
    size_P = np.bincount(t.person_U).astype(np.float64)
    sum_SP = np.stack([np.bincount(t.person_U, row) for row in t.value_SU])
    seed_RS, person_RP = _seed_weights(len(sum_SP)), _people_weights(len(size_P))
    result: np.ndarray = ((person_RP @ sum_SP.T) * seed_RS).sum(1) / _rows_drawn(size_P.tobytes())
    return result


@lru_cache(maxsize=8)
def _rows_drawn(size_P: bytes) -> np.ndarray:
    """Rows of the people in each resample, (R,), of people with so many rows each, float64."""
    each_P = np.frombuffer(size_P)
    drawn_R: np.ndarray = _people_weights(len(each_P)) @ each_P
    return drawn_R


def _session_weights(t: Table, chunk: int = 250) -> list[np.ndarray]:
    """Weight of each session in each resample, (chunk, S, U) at a time to bound memory."""
    seed_RS, person_RP = _seed_weights(len(t.value_SU)), _people_weights(t.num_people)
    return [
        seed_RS[i : i + chunk, :, None] * person_RP[i : i + chunk, t.person_U][:, None, :]
        for i in range(0, OF_SESSIONS, chunk)
    ]


@lru_cache(maxsize=8)
def _people_weights(num_people: int) -> np.ndarray:
    """How often each person is drawn, (R, P): the same draws for every estimate."""
    rng = np.random.default_rng([num_people, 1])
    counts = rng.multinomial(num_people, np.full(num_people, 1 / num_people), RESAMPLES)
    return counts.astype(np.float64)


@lru_cache(maxsize=8)
def _seed_weights(num_seeds: int) -> np.ndarray:
    """Share of each seed, (R, S): S - 1 draws of S. One seed says nothing about other seeds."""
    if num_seeds == 1:
        return np.ones((RESAMPLES, 1))
    rng = np.random.default_rng([num_seeds, 2])
    counts = rng.multinomial(num_seeds - 1, np.full(num_seeds, 1 / num_seeds), RESAMPLES)
    return counts / (num_seeds - 1)
