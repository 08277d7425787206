"""Gradient-boosted trees on the features of `features.py`, cross-fitted by user.

A user's own rows never shape the statistics that describe them: users with rows to fit on are put
into folds, and each is described by what the others' rows say, in fitting and in prediction alike.
Needs scikit-learn: `pip install slategym[classics]`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from slategym.envs.names import UsageError
from slategym.models.classics.features import Statistics, Table, describe
from slategym.models.classics.types import Ints, Predicted
from slategym.models.closed_form.events import Bools, Events, Floats
from slategym.models.closed_form.residuals import users_of
from slategym.models.closed_form.sides import Sides


@dataclass(frozen=True)
class TreeSettings:
    """How the trees are grown."""

    folds: int = 5  # of users
    rate: float = 0.05  # of learning
    leaves: int = 15
    least_rows: int = 100  # of a leaf
    ridge: float = 5.0
    columns: float = 0.5  # share of the features that a split may look at
    most: int = 800  # trees
    patience: int = 40  # trees without gain on validation rows after which growing stops
    members: int = 2  # of the average, seeds apart


@dataclass(frozen=True)
class CrossFitted:
    """Statistics of every signal: one set for each fold's users, and one for everybody else."""

    sides: Sides
    fold_U: Ints  # -1: none of the user's rows were fitted on
    folds: tuple[tuple[Statistics, ...], ...]  # fitted on the other folds' rows
    everybody: tuple[Statistics, ...]

    @staticmethod
    def fit(
        events: Events,
        keep_E: Bools,
        sides: Sides,
        settings: Mapping[str, Mapping[str, float]],
        folds: int,
        seed: int = 0,
    ) -> CrossFitted:
        """Put the users into folds and fit the statistics.

        Args:
            events: the log.
            keep_E: rows to fit on.
            sides: of items, users and rows.
            settings: of each signal's process.
            folds: number of them, at least 2.
            seed: of who goes where.

        Raises:
            ValueError: there are fewer users than folds.
        """
        known = users_of(events, np.flatnonzero(keep_E & events.took_E))
        if not 2 <= folds <= len(known):
            raise ValueError(
                f"folds must be at least 2 and no more than the {len(known)} users who have rows "
                f"to fit on, got {folds}"
            )
        fold_U = np.full(events.num_users, -1)
        fold_U[np.random.default_rng(seed).permutation(known)] = np.arange(len(known)) % folds

        def fitted(rows_E: Bools) -> tuple[Statistics, ...]:
            return tuple(Statistics.fit(events, s, rows_E, sides, h) for s, h in settings.items())

        others = [keep_E & (fold_U[events.user_E] != fold) for fold in range(folds)]
        return CrossFitted(sides, fold_U, tuple(map(fitted, others)), fitted(keep_E))

    def describe(self, events: Events, row_x: Ints) -> Table:
        """Features of the users' rows that are among or before these."""
        users = users_of(events, row_x)
        tables = [
            describe(events, self.sides, part, users[self.fold_U[users] == fold])
            for fold, part in [*enumerate(self.folds), (-1, self.everybody)]
        ]
        value_EX = tables[0].value_EX
        for table in tables[1:]:
            value_EX = np.where(np.isnan(value_EX), table.value_EX, value_EX)
        return Table(tables[0].names, value_EX)


@dataclass(frozen=True)
class Trees:
    """An average of boosted trees for one signal."""

    signal: str
    statistics: CrossFitted
    members: tuple[Any, ...]  # scikit-learn's HistGradientBoosting
    binary: bool
    low: float
    high: float
    error: float = 1.0  # mean squared error over the process' variance, on validation rows
    name: str = "boosted trees"

    def online(self, events: Events, row_x: Ints) -> Predicted:
        """At clicked rows, from the user's earlier ones."""
        return self.of(self.statistics.describe(events, row_x), row_x)

    def scaled(self, error: float) -> Trees:
        """The same with variances that allow for that error."""
        return replace(self, error=error)

    def of(self, table: Table, row_x: Ints) -> Predicted:
        """At rows that are described already."""
        feature_xX = table.value_EX[row_x]
        if self.binary:
            mean_x = np.mean([m.predict_proba(feature_xX)[:, 1] for m in self.members], axis=0)
            return Predicted(mean_x, mean_x * (1 - mean_x))
        mean_x = np.mean([m.predict(feature_xX) for m in self.members], axis=0)
        variance_x = feature_xX[:, table.names.index(f"{self.signal}: process variance")]
        return Predicted(mean_x.clip(self.low, self.high), self.error * variance_x.astype(float))


def fit_trees(
    events: Events,
    signal: str,
    keep_E: Bools,
    statistics: CrossFitted,
    table: Table,
    num_trees: int,
    settings: TreeSettings = TreeSettings(),
) -> Trees:
    """Grow that many trees on the kept rows.

    Args:
        events: the log.
        signal: to predict.
        keep_E: rows to fit on.
        statistics: fitted on the same rows, cross-fitted.
        table: what they say of the kept rows.
        num_trees: see `best_size`.
        settings: of the growing.
    """
    value_E = events.value(signal)
    rows = np.flatnonzero(keep_E & np.isfinite(value_E))
    binary = is_binary(value_E[rows])
    members = []
    for seed in range(settings.members):
        member = _booster(binary, settings, num_trees, seed)
        members.append(member.fit(table.value_EX[rows], value_E[rows]))
    low, high = float(value_E[rows].min()), float(value_E[rows].max())
    return Trees(signal, statistics, tuple(members), binary, low, high)


def best_size(
    events: Events,
    signal: str,
    train_E: Bools,
    validation_E: Bools,
    table: Table,
    settings: TreeSettings = TreeSettings(),
) -> int:
    """The number of trees that predicts the validation rows best."""
    value_E = events.value(signal)
    rows, held = (np.flatnonzero(m & np.isfinite(value_E)) for m in (train_E, validation_E))
    booster = _booster(is_binary(value_E[rows]), settings, settings.most, 0, settings.patience)
    X, y = table.value_EX, value_E
    booster.fit(X[rows], y[rows], X_val=X[held], y_val=y[held])
    return max(1, int(np.argmax(booster.validation_score_)))


def is_binary(value_x: Floats) -> bool:
    """Whether there is nothing but zeros and ones."""
    return bool(np.isin(value_x, (0.0, 1.0)).all())


def _booster(
    binary: bool, settings: TreeSettings, num_trees: int, seed: int, patience: int | None = None
) -> Any:
    """An unfitted booster.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    try:
        from sklearn import ensemble
    except ImportError as error:
        raise UsageError(
            "boosted trees need scikit-learn: pip install 'slategym[classics]'"
        ) from error
    kinds: Sequence[Any] = (
        ensemble.HistGradientBoostingRegressor,
        ensemble.HistGradientBoostingClassifier,
    )
    return kinds[binary](
        learning_rate=settings.rate,
        max_iter=num_trees,
        max_leaf_nodes=settings.leaves,
        min_samples_leaf=settings.least_rows,
        l2_regularization=settings.ridge,
        max_features=settings.columns,
        early_stopping=patience is not None,
        n_iter_no_change=patience or 10,
        random_state=seed,
    )
