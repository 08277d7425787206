"""How well the next-item scorers rank, each with the settings that rank validation rows best."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from slategym.models import metrics
from slategym.models.classics.events import Events
from slategym.models.classics.families import FAMILIES, TOP, Rows, choose
from slategym.models.classics.reading import (
    ClassicFigures,
    Reading,
    popular_negatives,
    uniform_negatives,
)
from slategym.models.classics.replay import rank
from slategym.models.classics.search import Settings
from slategym.models.classics.types import Ints

VALIDATION_ROWS = 4_000  # on which settings are chosen, at most


def next_item_figures(reading: Reading, events: Events) -> Iterator[ClassicFigures]:
    """Choose, fit and read every next-item scorer.

    Args:
        reading: which rows are for what.
        events: the reading's log.
    """
    log = reading.log
    validation_x = np.flatnonzero(reading.validation & events.took_E)
    if len(validation_x) > VALIDATION_ROWS:
        at = np.linspace(0, len(validation_x) - 1, VALIDATION_ROWS).astype(np.int64)
        validation_x = validation_x[at]
    test_x = np.flatnonzero(reading.test & events.took_E)
    if not (len(validation_x) and len(test_x)):
        return
    uniform_xC, popular_xC = uniform_negatives(reading, test_x), popular_negatives(reading, test_x)
    other_xC = np.concatenate([uniform_xC, popular_xC], 1)
    train, known = Rows(events, reading.train), Rows(events, reading.known)
    chosen: dict[str, Settings] = {}
    for name, family in FAMILIES.items():
        begun = time.process_time()
        chosen[name] = family.start
        if family.ladders:
            chosen[name], _ = choose(name, train, validation_x, repeats=log.repeats, parts=chosen)
        model = family.fit(known, chosen[name])
        ranking = rank(model, events, test_x, np.maximum(other_xC, 0), repeats=log.repeats)
        figures = {
            "click_auc": _auc_against(ranking.own_x, ranking.others_xC, other_xC, reading, 0),
            "click_auc_popular": _auc_against(
                ranking.own_x, ranking.others_xC, other_xC, reading, 1
            ),
            "hr10": metrics.hit_rate(ranking.rank_x, TOP),
            "ndcg10": metrics.ndcg(ranking.rank_x, TOP),
        }
        yield ClassicFigures(model.name, figures, chosen[name], time.process_time() - begun)


def _auc_against(own_x: Any, others_xC: Any, id_xC: Ints, reading: Reading, block: int) -> float:
    """AUC of the rows' items against one block of drawn ones; an id of -1 is no draw."""
    columns = slice(block * reading.negatives, (block + 1) * reading.negatives)
    others_x = others_xC[:, columns][id_xC[:, columns] >= 0]
    label_x = np.repeat([1, 0], [len(own_x), len(others_x)])
    return metrics.auc(label_x, np.concatenate([own_x, others_x]))
