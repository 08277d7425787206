"""Prior variances of a regression, chosen for a log: how much each source of likeness counts.

On one log texts tell who likes what, on another they tell nothing, and a regression that trusts
them all the same is worse than a running mean. Each user's values are foretold one by one by
statistics of other people's rows; variances and drift are those under which the values are
likeliest. A variance leaves its usual value only where another makes rows likelier by more than a
standard error of people; of few people none does.

Axis letters beyond the legend of `envs/types.py`: F folds of people, R features of a regression, E
rows of the log, x some of them.

Source: Rasmussen and Williams 2006, section 5.4.1 (marginal likelihood; here its innovations form,
Harvey 1989, section 3.4), with statistics of other people's rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.envs.trees import map_tensors
from slategym.models.closed_form.events import Bools, Events, Floats, Ints
from slategym.models.closed_form.fades import error_of
from slategym.models.closed_form.item_statistics import ItemSources, RegressionSettings
from slategym.models.closed_form.regression import Regression

PEOPLE = 100  # fewest that are asked: of fewer, noise chooses
ROWS = 30_000  # that are foretold, about
LONGEST = 300  # values of a person that are, at most: the first
STEPS = (4.0, 2.0)  # by which variances are multiplied or divided: one sweep over all with each
LEAST, MOST = 1e-3, 1e2  # of a variance
SOONEST, LATEST = 2.0, 200.0  # events after which 1 / e of a drift is left
VARIANCES = ("bias", "factors", "company", "text", "topics", "numbers")  # among the amplitudes


def with_variances_for(
    events: Events, signal: str, parts: Sequence[ItemSources], fold_U: Ints, keep_E: Bools
) -> RegressionSettings:
    """The settings under which these rows are likeliest, the usual ones where none clearly are.

    Args:
        events: the log.
        signal: to regress.
        parts: sources that leave out each fold's people in turn, F of them.
        fold_U: of each user, in 0 .. F - 1; others are not asked.
        keep_E: rows to ask.
    """
    settings = RegressionSettings()
    asked = _Asked.of(events, signal, parts, fold_U, keep_E)
    if asked is None:
        return settings
    now_x = asked.likelihood(settings)
    for step in STEPS:
        for name in (*VARIANCES, "drift", "events"):
            if asked.lacks(name):
                continue
            for factor in (1.0 / step, step):
                found, found_x = _along(asked, settings, now_x, name, factor)
                moved = found != settings
                settings, now_x = found, found_x
                if moved:
                    break
    return settings


def _along(
    asked: _Asked, settings: RegressionSettings, now_x: Floats, name: str, factor: float
) -> tuple[RegressionSettings, Floats]:
    """Multiply one number for as long as rows become likelier; as it was, if not clearly."""
    best, best_x = settings, now_x
    for tried in _multiples(settings, name, factor):
        tried_x = asked.likelihood(tried)
        if tried_x.mean() <= best_x.mean():
            break
        best, best_x = tried, tried_x
    gain_x = best_x - now_x
    if gain_x.mean() > error_of(gain_x, asked.user_x):
        return best, best_x
    return settings, now_x


def _multiples(
    settings: RegressionSettings, name: str, factor: float
) -> Iterator[RegressionSettings]:
    """The settings with one number multiplied once, twice and so on, within its bounds."""
    low, high = (SOONEST, LATEST) if name == "events" else (LEAST, MOST)
    of = settings.amplitudes if name in VARIANCES else settings
    value = getattr(of, name) * factor
    while low <= value <= high:
        if name in VARIANCES:
            yield replace(settings, amplitudes=replace(settings.amplitudes, **{name: value}))
        else:
            yield replace(settings, **{name: value})
        value *= factor


@dataclass(frozen=True)
class _Asked:
    """Values of B people, T each at most, the longest history first."""

    parts: Sequence[ItemSources]
    signal: str
    user_x: Ints  # of the values that are foretold
    fold_B: Tensor
    item_BT: Tensor
    residual_BT: Tensor  # by the fold's own base; NaN: clicked, the value not observed, or padded
    length_B: Ints

    @staticmethod
    def of(
        events: Events, signal: str, parts: Sequence[ItemSources], fold_U: Ints, keep_E: Bools
    ) -> _Asked | None:
        """Draw people evenly until there are about as many rows as are asked; None: too few."""
        rows = np.flatnonzero(keep_E & events.took_E & (fold_U[events.user_E] >= 0))
        if not len(rows):
            return None
        user_x = events.user_E[rows]
        users, first_U, count_U = np.unique(user_x, return_index=True, return_counts=True)
        count_U = np.minimum(count_U, LONGEST)
        order = np.random.default_rng(0).permutation(len(users))
        enough = int(np.searchsorted(np.cumsum(count_U[order]), ROWS)) + 1
        chosen = order[: max(enough, PEOPLE)]
        chosen = chosen[np.argsort(-count_U[chosen], kind="stable")]
        length_B, T = count_U[chosen], int(count_U[chosen].max())
        place_T = np.arange(T)
        real_BT = place_T < length_B[:, None]
        row_BT = rows[np.where(real_BT, first_U[chosen][:, None] + place_T, 0)]
        fold_B = fold_U[users[chosen]]
        residual_FE = np.stack([part.signals[signal].base.residual(events) for part in parts])
        residual_BT = np.where(real_BT, residual_FE[fold_B[:, None], row_BT], np.nan)
        told_BT = np.isfinite(residual_BT)
        if told_BT.any(1).sum() < PEOPLE:
            return None
        return _Asked(
            parts,
            signal,
            np.repeat(users[chosen][:, None], T, 1)[told_BT],
            torch.as_tensor(fold_B),
            torch.as_tensor(events.item_E[row_BT]),
            torch.as_tensor(residual_BT, dtype=torch.float32),
            length_B,
        )

    def lacks(self, name: str) -> bool:
        """Whether that is the variance of a source that the log does not have."""
        return name in VARIANCES[1:] and name not in self.parts[0].source[self.signal]

    @cached_property
    def _told_BT(self) -> Tensor:
        return self.residual_BT.isfinite()

    def likelihood(self, settings: RegressionSettings) -> Floats:
        """Log-density of each value given the person's earlier ones, the noise's variance fitted.

        Args:
            settings: of the regression.
        """
        features = [part.blocks(self.signal, settings.amplitudes).feature_NR for part in self.parts]
        feature_XR = torch.cat(features)  # of all folds, one after another
        row_BT = self.item_BT + self.fold_B[:, None] * len(features[0])
        regression = Regression.of(settings.drift, settings.events)
        belief = regression.start(feature_XR, len(self.length_B))
        error_BT, variance_BT = map(torch.zeros_like, (self.residual_BT, self.residual_BT))
        for t in range(self.item_BT.shape[1]):
            going = int(np.searchsorted(-self.length_B, -t, side="left"))
            belief = map_tensors(lambda x, n=going: x[:n], belief)
            feature_BR = F.embedding(row_BT[:going, t], feature_XR)
            took_B = torch.ones(going, dtype=torch.bool)
            belief, error_BT[:going, t], variance_BT[:going, t] = regression.innovate(
                belief, feature_BR, self.residual_BT[:going, t], took_B
            )
        square_x = error_BT[self._told_BT].double().square()
        variance_x = variance_BT[self._told_BT].double()
        variance_x *= (square_x / variance_x).mean()
        density_x: Floats = (-0.5 * (variance_x.log() + square_x / variance_x)).numpy()
        return density_x


def chosen_variances(
    events: Events,
    signals: Sequence[str],
    parts: Sequence[ItemSources],
    fold_U: Ints,
    keep_E: Bools,
) -> Mapping[str, RegressionSettings]:
    """Of each of these signals; see `with_variances_for`."""
    return {s: with_variances_for(events, s, parts, fold_U, keep_E) for s in signals}
