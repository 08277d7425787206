"""How well the next-item scorers rank, each with the settings that rank validation rows best."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np

from slategym.models import metrics
from slategym.models.classics.families import FAMILIES, TOP, Rows, choose
from slategym.models.classics.reading import (
    ClassicFigures,
    Reading,
    Slates,
    popular_negatives,
    slates_of,
    uniform_negatives,
)
from slategym.models.classics.replay import Ranking, rank
from slategym.models.classics.search import Settings
from slategym.models.classics.types import Ints, NextItem
from slategym.models.closed_form.events import Bools, Events
from slategym.models.data.slates import has_slates

VALIDATION_ROWS = 4_000  # on which settings are chosen, at most


def next_item_figures(
    reading: Reading,
    events: Events,
    families: Collection[str] = tuple(FAMILIES),
    begins: Callable[[str], None] = lambda name: None,
) -> Iterator[ClassicFigures]:
    """Choose, fit and read next-item scorers.

    Args:
        reading: which rows are for what.
        events: the reading's log.
        families: by name; one made of others begins at what was chosen for those.
        begins: told each one's name before anything is tried for it.
    """
    log = reading.log
    validation_x = np.flatnonzero(reading.validation & events.took_E)
    if len(validation_x) > VALIDATION_ROWS:
        at = np.linspace(0, len(validation_x) - 1, VALIDATION_ROWS).astype(np.int64)
        validation_x = validation_x[at]
    test_x = np.flatnonzero(reading.test)
    took_x = events.took_E[test_x]
    if not (len(validation_x) and took_x.any() and (reading.train & events.took_E).any()):
        return
    slates = slates_of(reading, test_x) if has_slates(log) else None
    other_xC = np.full((len(test_x), 0), -1) if slates else _drawn(reading, test_x, took_x)
    train, known = Rows(events, reading.train), Rows(events, reading.known)
    chosen: dict[str, Settings] = {}
    for name, family in FAMILIES.items():
        if name not in families:
            continue
        begins(name)
        begun = time.process_time()
        chosen[name] = family.start
        if family.ladders or family.search:
            chosen[name], _ = choose(name, train, validation_x, repeats=log.repeats, parts=chosen)
        model = family.fit(known, chosen[name])
        ranking = rank(model, events, test_x, np.maximum(other_xC, 0), repeats=log.repeats)
        if slates:
            figures = {"click_auc": _auc_among_shown(model, events, slates, log.repeats)}
        else:
            figures = _auc_among_drawn(ranking, took_x, other_xC)
        figures["hr10"] = metrics.hit_rate(ranking.rank_x[took_x], TOP)
        figures["ndcg10"] = metrics.ndcg(ranking.rank_x[took_x], TOP)
        rows = {"rank": ranking.rank_x, "own": ranking.own_x, "others": ranking.others_xC}
        yield ClassicFigures(model.name, figures, chosen[name], time.process_time() - begun, rows)


def _drawn(reading: Reading, row_x: Ints, took_x: Bools) -> Ints:
    """Uniform items, then popular ones, with which clicked rows are compared; -1: none."""
    uniform_xC = uniform_negatives(reading, row_x)
    popular_xC = np.full(uniform_xC.shape, -1)
    popular_xC[took_x] = popular_negatives(reading, row_x[took_x])
    other_xC = np.concatenate([uniform_xC, popular_xC], 1)
    other_xC[~took_x] = -1
    return other_xC


def _auc_among_drawn(ranking: Ranking, took_x: Bools, other_xC: Ints) -> dict[str, float]:
    """AUC of clicked rows' items against drawn ones, and against rows that were not clicked."""
    blocks = np.split(ranking.others_xC, 2, 1), np.split(other_xC >= 0, 2, 1)
    found = {}
    for name, score_xC, there_xC in zip(("click_auc", "click_auc_popular"), *blocks, strict=True):
        others_x = score_xC[there_xC]
        label_x = np.concatenate([took_x, np.zeros(len(others_x), bool)])
        found[name] = metrics.auc(label_x, np.concatenate([ranking.own_x, others_x]))
    return found


def _auc_among_shown(model: NextItem[Any], events: Events, slates: Slates, repeats: bool) -> float:
    """AUC of what was clicked over all that was shown, scored as each slate began."""
    there_SK = slates.item_SK >= 0
    item_SK = np.maximum(slates.item_SK, 0)
    score_SK = rank(model, events, slates.row_S, item_SK, repeats=repeats).others_xC
    return metrics.auc(slates.took_SK[there_SK], score_SK[there_SK])
