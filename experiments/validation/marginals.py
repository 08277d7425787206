"""Distributions of a log and of a world, side by side.

A distance counts as far as it exceeds what random halves of the log's own people differ by. Bounds
are conventions, stated in each line: a Kolmogorov-Smirnov distance of .1, a Jensen-Shannon
divergence of .02 bits and a relative difference of a tenth pass.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from slategym.experiments.validation.lines import Bounds, Line, left_out
from slategym.experiments.validation.resampling import Floats, noise, ratio_draws, sums_by_user

KS, JS, RATES, SHARE = Bounds(0.1, 0.25), Bounds(0.02, 0.1), Bounds(0.1, 0.3), Bounds(0.1, 0.3)
FEWEST = 30  # values on either side, below which nothing is said
PART = "marginals"
Ints = NDArray[np.int64]
Sides = tuple[pd.DataFrame, pd.DataFrame]  # of the log, and of the world


def numbers(check: str, sides: Sides, rng: np.random.Generator, unit: str = "") -> Line:
    """How far two distributions of numbers are apart.

    Args:
        check: what they are of.
        sides: rows with user and value.
        rng: of the halves.
        unit: of the values.
    """
    log, world = (side.dropna(subset="value") for side in sides)
    if min(len(log), len(world)) < FEWEST:
        return left_out(PART, check, _few(log, world))
    value = log["value"].to_numpy()
    figure = _ks(value, world["value"].to_numpy())
    floor = noise(log["user"].to_numpy(), lambda a, b: _ks(value[a], value[b]), rng)
    spread = float(log["value"].std()) or 1.0
    moved = wasserstein_distance(log["value"], world["value"]) / spread
    means = (float(log["value"].mean()), float(world["value"].mean()))
    said = (
        f"mean {means[0]:.3g} in the log, {means[1]:.3g} in the world{unit and ' '}{unit}; "
        f"Kolmogorov-Smirnov {figure:.3f} (halves of the log {floor:.3f}), Wasserstein "
        f"{moved:.2f} standard deviations"
    )
    return Line(PART, check, KS.status(figure - floor), said, figure, bounds=KS)


def categories(check: str, sides: Sides, rng: np.random.Generator) -> Line:
    """How far two distributions of categories (any values) are apart; arguments as in `numbers`."""
    log, world = sides
    if min(len(log), len(world)) < FEWEST:
        return left_out(PART, check, _few(log, world))
    code, other, known = _codes(log["value"], world["value"])
    figure = _js(code, other, len(known))
    floor = noise(log["user"].to_numpy(), lambda a, b: _js(code[a], code[b], len(known)), rng)
    shares = [rows["value"].value_counts(normalize=True) for rows in (log, world)]
    most = (shares[0] - shares[1]).abs().fillna(pd.concat(shares).groupby(level=0).max())
    far = most.idxmax()
    said = (
        f"Jensen-Shannon {figure:.3f} bits (halves of the log {floor:.3f}); farthest {far}: "
        f"{shares[0].get(far, 0.0):.1%} in the log, {shares[1].get(far, 0.0):.1%} in the world"
    )
    return Line(PART, check, JS.status(figure - floor), said, figure, bounds=JS)


def ratio(
    check: str, part: str, sides: Sides, rng: np.random.Generator, bounds: Bounds = SHARE
) -> Line:
    """The relative difference of a sum over a sum: rows with user, above and below."""
    log, world = sides
    pair = []
    for rows in sides:
        columns = rows[["above", "below"]].to_numpy(np.float64)
        pair.append(sums_by_user(rows["user"].to_numpy(), columns))
    least = min(len(sums) for sums in pair)
    values = [sums[:, 0].sum() / sums[:, 1].sum() if sums[:, 1].sum() else np.nan for sums in pair]
    if least < 2 or not np.isfinite(values).all() or values[0] == 0:
        return left_out(part, check, f"{len(log)} rows in the log, {len(world)} in the world")
    draws = ratio_draws(pair[1], rng) / ratio_draws(pair[0], rng) - 1.0
    low, high = np.nanquantile(draws, [0.025, 0.975])
    figure = values[1] / values[0] - 1.0
    sure = 0.0 if low <= 0.0 <= high else float(min(abs(low), abs(high)))
    said = (
        f"{values[0]:.4g} in the log, {values[1]:.4g} in the world: {figure:+.1%} "
        f"[{low:+.1%}, {high:+.1%}]"
    )
    return Line(part, check, bounds.status(sure), said, figure, float(low), float(high), bounds)


def rates_by(
    group: str, sides: Sides, rng: np.random.Generator, named: Sequence[str] | None = None
) -> Line:
    """Clicks a slot in every group: the mean relative difference, weighted as the log is.

    Args:
        group: column of both.
        sides: rows with user, click and the group; the world's with `expected`.
        rng: of the halves.
        named: what the groups are called; None: as they are.
    """
    check = f"click rate by {group}"
    log, world = sides
    if log[group].nunique() < 2:
        return left_out("calibration", check, f"the log knows one {group}")
    if world[group].nunique() < 2 and log[group].nunique() > 1:
        said = f"one value in the world, {log[group].nunique()} in the log"
        return Line("calibration", check, "fail", said, 1.0, bounds=RATES)
    mine = world.assign(click=world["expected"])
    code, other, known = _codes(log[group], mine[group])
    click, expected = log["click"].to_numpy(), mine["click"].to_numpy()

    def distance(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
        """Of one half of the log from the other."""
        return _rates_apart((code[a], click[a]), (code[b], click[b]), len(known))

    figure = _rates_apart((code, click), (other, expected), len(known))
    floor = noise(log["user"].to_numpy(), distance, rng)
    rates = [x.groupby(group)["click"].mean() for x in (log, mine)]
    both = rates[0].index.intersection(rates[1].index)
    if not len(both) or not np.isfinite(figure):
        return left_out("calibration", check, f"no {group} of the log is met in the world")
    far = (rates[1][both] - rates[0][both]).abs().idxmax()
    word = named[int(far)] if named is not None and float(far).is_integer() else far
    said = (
        f"mean relative difference {figure:.1%} (halves of the log {floor:.1%}); farthest {word}: "
        f"{rates[0][far]:.3f} in the log, {rates[1][far]:.3f} in the world"
    )
    return Line("calibration", check, RATES.status(figure - floor), said, figure, bounds=RATES)


def _codes(log: pd.Series, world: pd.Series) -> tuple[Ints, Ints, pd.Index]:
    """Values as numbers in their order, -1 where there is none, and the values."""
    code, known = pd.factorize(pd.concat([log, world], ignore_index=True), sort=True)
    return code[: len(log)], code[len(log) :], pd.Index(known)


def _ks(a: Floats, b: Floats) -> float:
    """Kolmogorov-Smirnov distance of two samples; NaN if one is empty."""
    if not len(a) or not len(b):
        return float("nan")
    both = np.concatenate([a, b])
    share_a, share_b = (np.searchsorted(np.sort(x), both, side="right") / len(x) for x in (a, b))
    return float(np.abs(share_a - share_b).max())


def _js(a: Ints, b: Ints, num: int) -> float:
    """Jensen-Shannon divergence of two samples of so many codes, bits."""
    counts = [np.bincount(x[x >= 0], minlength=num) for x in (a, b)]
    met = (counts[0] + counts[1]) > 0
    p, q = (count[met] / count.sum() for count in counts)
    return float(jensenshannon(p, q, base=2) ** 2)


def _rates_apart(a: tuple[Ints, Floats], b: tuple[Ints, Floats], num: int) -> float:
    """Mean relative difference of the rates of groups that are in both, weighted as in the first.

    Args:
        a: group of each row as a code, -1: none, and its clicks.
        b: the others.
        num: of groups.
    """
    counts = [np.bincount(code[code >= 0], minlength=num) for code, _ in (a, b)]
    both = (counts[0] > 0) & (counts[1] > 0)
    if not both.any():
        return float("nan")
    sums = [np.bincount(code[code >= 0], click[code >= 0], num) for code, click in (a, b)]
    rate_a, rate_b = (total[both] / count[both] for total, count in zip(sums, counts, strict=True))
    apart = np.abs(rate_b - rate_a) / max(float(a[1].mean()), 1e-9)
    weight = counts[0][both] / counts[0].sum()
    return float((apart * weight).sum() / weight.sum())


def _few(log: pd.DataFrame, world: pd.DataFrame) -> str:
    return f"{len(log)} values in the log, {len(world)} in the world; {FEWEST} are needed"
