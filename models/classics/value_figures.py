"""How well likes, ratings and other signals are predicted online by classics.

In a log of slates values are judged at the first click of each slate: rows are read one by one, and
what another click of the same slate was worth is no earlier knowledge.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from slategym.models import metrics
from slategym.models.classics import gaussian
from slategym.models.classics.drift import fit_drift, noise_of
from slategym.models.classics.gaussian import fit_gaussian
from slategym.models.classics.reading import ClassicFigures, Reading
from slategym.models.classics.search import Settings, climb
from slategym.models.classics.trees import (
    CrossFitted,
    TreeSettings,
    best_size,
    fit_trees,
    is_binary,
)
from slategym.models.classics.types import Ints, Predicted, ValueModel
from slategym.models.closed_form.events import Bools, Events, Floats
from slategym.models.closed_form.sides import Sides
from slategym.models.data.slates import first_clicks

VALUES = ("online biases", "online biases with drift", "Gaussian process")
TREES = "boosted trees"
VALIDATION_USERS = 200  # on whom settings are chosen, at most
ONLINE = {"bias": 1 / 15, "drift": 0.0, "tau": 1.0}  # shrinks by 15 pseudo-events
DRIFT_START = {"bias": 0.2, "drift": 0.1, "tau": 10.0}
DRIFT_LADDERS = {
    "bias": (0.03, 0.06, 0.1, 0.2, 0.4, 0.8),
    "drift": (0.0, 0.03, 0.06, 0.1, 0.2, 0.4, 0.8),
    "tau": (2.0, 4.0, 10.0, 25.0, 60.0),
}


@dataclass(frozen=True)
class Guess:
    """What one family says of one signal."""

    validation: Predicted  # at validation rows, fitted on train rows
    test: Predicted  # at test rows, of the final fit
    settings: Mapping[str, Any]  # as chosen


Make = Callable[[Bools, Settings, float], ValueModel]  # rows to fit on, settings, noise


def value_figures(
    reading: Reading,
    events: Events,
    text_ND0: Tensor | None,
    *,
    trees: bool,
    begins: Callable[[str], None] = lambda name: None,
) -> Iterator[ClassicFigures]:
    """Choose, fit and read every family on every signal beside the click that all parts hold.

    Args:
        reading: which rows are for what.
        events: the reading's log.
        text_ND0: vectors of the items' texts; None: texts are not read.
        trees: whether to grow boosted trees.
        begins: told each family's name before anything is tried for it.
    """
    signals = [s for s, value_E in events.values.items() if _readable(value_E, reading)]
    if not signals:
        return
    sides = Sides.from_log(reading.log, text_ND0)
    unread = () if sides.text_ND.shape[1] else ("text", "length")
    ladders = {k: ladder for k, ladder in gaussian.LADDERS.items() if k not in unread}

    def biases(signal: str) -> Make:
        return lambda keep_E, s, noise: fit_drift(
            events, signal, keep_E, bias=s["bias"], drift=s["drift"], tau=s["tau"], noise=noise
        )

    def process(signal: str) -> Make:
        return lambda keep_E, s, noise: fit_gaussian(events, signal, keep_E, sides, s, noise)

    families: tuple[tuple[Callable[[str], Make], Mapping[str, Any], Settings], ...] = (
        (biases, {}, ONLINE),
        (biases, DRIFT_LADDERS, DRIFT_START),
        (process, ladders, gaussian.START),
    )
    guesses: dict[str, Guess] = {}
    for name, (make, steps, start) in zip(VALUES, families, strict=True):
        begins(name)
        begun = time.process_time()
        guesses = {s: _chosen(reading, events, s, make(s), steps, start) for s in signals}
        yield _figures(name, reading, events, guesses, time.process_time() - begun)
    if trees:
        begins(TREES)
        begun = time.process_time()
        processes = {signal: guess.settings for signal, guess in guesses.items()}
        grown = _grown(reading, events, sides, processes)
        yield _figures(TREES, reading, events, grown, time.process_time() - begun)


def _readable(value_E: Floats, reading: Reading) -> bool:
    """Whether the signal was observed wherever it is needed."""
    parts = (reading.train, reading.validation, reading.test)
    return all(bool(np.isfinite(value_E[part]).any()) for part in parts)


def _chosen(
    reading: Reading,
    events: Events,
    signal: str,
    make: Make,
    ladders: Mapping[str, Any],
    start: Settings,
) -> Guess:
    """Choose settings and the variance's scale on validation rows; fit on what is known."""
    validation_x, test_x = np.flatnonzero(reading.validation), np.flatnonzero(reading.test)
    users = np.unique(events.user_E[validation_x])
    some = np.random.default_rng(reading.seed).permutation(users)[:VALIDATION_USERS]
    judged_x = validation_x[first_clicks(reading.log)[validation_x]]
    some_x = judged_x[np.isin(events.user_E[judged_x], some)]
    choosing, last = _readable_events(reading, events)

    def loss(settings: Settings) -> float:
        predicted = make(reading.train, settings, 1.0).online(choosing, some_x)
        return _error(events.value(signal), some_x, predicted)

    found = climb(ladders, start, loss)[0] if ladders else dict(start)
    validated = make(reading.train, found, 1.0).online(choosing, validation_x)
    noise = noise_of(events.value(signal)[validation_x], validated)
    return Guess(validated, make(reading.known, found, noise).online(last, test_x), found)


def _readable_events(reading: Reading, events: Events) -> tuple[Events, Events]:
    """What may be read while settings are chosen, and at the last: rows asked at once are hidden.

    A row's own value enters no prediction of it; where rows are held out at random, neither do the
    others of its part.
    """
    if not reading.held_out:
        return events, events
    return events.untold(reading.validation | reading.test), events.untold(reading.test)


def _grown(
    reading: Reading, events: Events, sides: Sides, processes: Mapping[str, Settings]
) -> dict[str, Guess]:
    """Boosted trees of every signal: their number chosen on validation rows."""
    growing = TreeSettings()
    validation_x, test_x = np.flatnonzero(reading.validation), np.flatnonzero(reading.test)
    everything = np.flatnonzero(reading.train | reading.validation | reading.test)
    first_E = first_clicks(reading.log)
    train, known = reading.train & first_E, reading.known & first_E
    choosing, read = _readable_events(reading, events)
    first = CrossFitted.fit(events, reading.train, sides, processes, growing.folds)
    last = first
    table = first.describe(choosing, everything)
    last_table = table if choosing is read else first.describe(read, everything)
    if reading.refit:
        last = CrossFitted.fit(events, reading.known, sides, processes, growing.folds)
        last_table = last.describe(read, everything)
    guesses = {}
    for signal in processes:
        held = reading.validation & first_E
        num = best_size(events, signal, train, held, table, growing)
        trees = fit_trees(events, signal, train, first, table, num, growing)
        validated = trees.of(table, validation_x)
        error = noise_of(events.value(signal)[validation_x], validated)
        if reading.refit:
            trees = fit_trees(events, signal, known, last, last_table, num, growing)
        tested = trees.scaled(error).of(last_table, test_x)
        guesses[signal] = Guess(validated, tested, {"trees": num})
    return guesses


def _figures(
    name: str, reading: Reading, events: Events, guesses: Mapping[str, Guess], seconds: float
) -> ClassicFigures:
    """Errors of every signal; see `_ranking` for those of two classes."""
    validation_x, test_x = np.flatnonzero(reading.validation), np.flatnonzero(reading.test)
    first_E = first_clicks(reading.log)
    figures: dict[str, float] = {}
    settings: dict[str, Any] = {signal: dict(g.settings) for signal, g in guesses.items()}
    rows = {signal: guess.test.mean for signal, guess in guesses.items()}
    for signal, guess in guesses.items():
        value_E = events.value(signal)
        told_x = np.isfinite(value_E[test_x]) & first_E[test_x]
        value_x, mean_x = value_E[test_x][told_x], guess.test.mean[told_x]
        if not is_binary(value_x):
            known_E = reading.known & np.isfinite(value_E)
            low, high = value_E[known_E].min(), value_E[known_E].max()
            error = "rmsle" if signal in events.logged else "rmse"
            rows[signal] = guess.test.mean.clip(low, high)
            figures[f"{signal}_{error}"] = metrics.rmse(value_x, mean_x.clip(low, high))
            continue
        settings[f"{signal}_ranked_by"], score_x = _ranking(
            guesses, np.where(first_E, value_E, np.nan)[validation_x]
        )
        rows[f"{signal} score"] = score_x
        score_x = score_x[told_x]
        figures[f"{signal}_auc"] = metrics.auc(value_x, score_x)
        figures[f"{signal}_gauc"] = metrics.gauc(events.user_E[test_x][told_x], value_x, score_x)
    figures = {figure: value for figure, value in figures.items() if not np.isnan(value)}
    return ClassicFigures(name, figures, settings, seconds, rows)


def _ranking(guesses: Mapping[str, Guess], label_x: Floats) -> tuple[str, Floats]:
    """By what the ones of a binary signal are told from its zeros best on validation rows.

    Args:
        guesses: by signal.
        label_x: at validation rows, NaN where not observed.

    Returns:
        Name of the signal, or "all" for the sum of standardised predictions; scores at test rows.
    """
    scores = {s: (g.validation.mean, g.test.mean) for s, g in guesses.items()}
    spread = {s: np.nanstd(validation_x) or 1.0 for s, (validation_x, _) in scores.items()}
    if len(scores) > 1:
        held, read = (
            np.sum([pair[part] / spread[s] for s, pair in scores.items()], axis=0)
            for part in (0, 1)
        )
        scores["all"] = (held, read)
    held_x = np.isfinite(label_x)
    value = {s: metrics.auc(label_x[held_x], x[0][held_x]) for s, x in scores.items()}
    best = max(value, key=lambda s: value[s])
    return best, scores[best][1]


def _error(value_E: Floats, row_x: Ints, predicted: Predicted) -> float:
    value_x = value_E[row_x]
    told_x = np.isfinite(value_x)
    return metrics.rmse(value_x[told_x], predicted.mean[told_x])
