"""Which rows of a log are for what, and the items with which a clicked one is compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from slategym.models.classics.types import Ints
from slategym.models.closed_form.events import Bools, Events
from slategym.models.data.log import Log
from slategym.models.multitask.sequences import Sequences, draw_negatives, windows_before

REDRAWS = 50  # of a popular item that the user meets
BATCH = 256  # rows whose negatives are drawn together


@dataclass(frozen=True)
class ClassicFigures:
    """One classic on one split."""

    model: str
    figures: Mapping[str, float]  # "like_auc", "rating_rmse", "hr10", ...
    settings: Mapping[str, Any]  # as chosen
    seconds: float  # of CPU time, choosing included
    # What the figures are taken of, by name, so that two models can be compared row by row: "rank",
    # "own" and "others" of test rows, or predictions of a signal, or, by what ones are told from
    # zeros, "SIGNAL score".
    rows: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """Which rows are for what."""

    log: Log
    train: Bools  # (E,) to fit on while settings are chosen
    validation: Bools  # (E,) to choose on
    test: Bools  # (E,) to read
    refit: bool  # whether what was chosen is fitted on train and validation rows together
    max_history: int = 45  # of the model beside which it is read: decides the order of the draws
    negatives: int = 4  # items a test click is compared with
    seed: int = 0  # of the draws
    held_out: bool = False  # at random: a user's validation or test rows are asked all at once

    @property
    def known(self) -> Bools:
        """Rows that the final fit may use."""
        return self.train | self.validation if self.refit else self.train


def uniform_negatives(reading: Reading, row_x: Ints) -> Ints:
    """The very draws of `predict`: items that the row's user never meets, (x, C); -1: none found.

    Where items may be consumed again, any other item may be drawn.

    Args:
        reading: the log, the number and the seed of the draws.
        row_x: rows to draw for.
    """
    sequences = Sequences.from_log(reading.log)
    generator = torch.Generator().manual_seed(reading.seed)
    place_E = np.full(sequences.num_rows, -1)
    place_E[row_x] = np.arange(len(row_x))
    id_xC = np.full((len(row_x), reading.negatives), -1)
    for part, _ in windows_before(sequences, row_x, reading.max_history, BATCH):
        row_B = torch.as_tensor(part)
        user_B = sequences.user_E[row_B]
        drawn_BC, free_BC = draw_negatives(
            sequences, user_B, sequences.clicks_U[user_B], reading.negatives, generator
        )
        free_BC = free_BC & (drawn_BC != sequences.item_E[row_B][:, None])
        id_xC[place_E[part]] = torch.where(free_BC, drawn_BC, -1).numpy()
    return id_xC


def popular_negatives(reading: Reading, row_x: Ints) -> Ints:
    """Items that the row's user never meets, drawn in proportion to clicks: (x, C); -1: none.

    Args:
        reading: the log; clicks of its known rows count.
        row_x: rows to draw for.
    """
    events = Events.from_log(reading.log)
    count_N = np.bincount(events.item_E[reading.known & events.took_E], minlength=events.num_items)
    share_N, rng = count_N / count_N.sum(), np.random.default_rng(reading.seed)
    met = np.unique(events.user_E * events.num_items + events.item_E)
    base_xC = np.repeat(events.user_E[row_x, None] * events.num_items, reading.negatives, 1)
    id_xC = np.full(base_xC.shape, -1)
    for _ in range(REDRAWS):
        missing_xC = id_xC < 0
        if not missing_xC.any():
            break
        drawn = rng.choice(events.num_items, int(missing_xC.sum()), p=share_N)
        id_xC[missing_xC] = np.where(np.isin(base_xC[missing_xC] + drawn, met), -1, drawn)
    return id_xC


@dataclass(frozen=True)
class Slates:
    """What was shown together, S slates of at most K items each, at their first rows."""

    row_S: Ints  # of the log
    item_SK: Ints  # -1: an empty place
    took_SK: Bools  # which of them were clicked


def slates_of(reading: Reading, row_x: Ints) -> Slates:
    """The slates to which these rows belong, with these rows alone.

    Args:
        reading: of a log with slates.
        row_x: rows in the log's order.
    """
    events = Events.from_log(reading.log)
    shown = reading.log.events["slate_id"].to_numpy(np.int64)[row_x]
    pair_x2 = np.stack([events.user_E[row_x], shown], 1)
    _, first_S, slate_x, size_S = np.unique(
        pair_x2, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    slate_x = slate_x.reshape(-1)
    order_x = np.argsort(slate_x, kind="stable")
    begin_S = np.cumsum(size_S) - size_S
    place_x = np.empty(len(row_x), np.int64)
    place_x[order_x] = np.arange(len(row_x)) - begin_S[slate_x[order_x]]
    item_SK = np.full((len(size_S), int(size_S.max(initial=0))), -1)
    took_SK = np.zeros(item_SK.shape, bool)
    item_SK[slate_x, place_x] = events.item_E[row_x]
    took_SK[slate_x, place_x] = events.took_E[row_x]
    return Slates(row_x[first_S], item_SK, took_SK)
