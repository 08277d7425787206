"""Statistics beside the sequence, in a session: what is kept of users, and what is asked with it.

Axis letters beyond the legend of `envs/types.py`: T kinds of co-occurrence tables.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from slategym.models.closed_form.readings import Reading
from slategym.models.multitask.crossfit import evidence_of
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.query import Query
from slategym.models.multitask.sequence import time_features
from slategym.models.multitask.wide import UserValues


@dataclass(frozen=True)
class Beside:
    """What is kept of B users."""

    reading: Reading | None  # of their values; None: the model has no wide part
    sums: Tensor | None  # (B, T, N) of co-occurrence; None: it has no prior
    clicks: Tensor  # (B,) int64, that were read


def read_beside(model: MultiTaskBert, history_BH: Tensor, feedback_BHM: Tensor) -> Beside | None:
    """After whole histories, oldest first, -1 where there is none; None: nothing is kept.

    Args:
        model: decides what is read.
        history_BH: item ids.
        feedback_BHM: every signal, NaN where it was not observed; further columns are not read.
    """
    if model.wide is None and model.prior is None:
        return None
    reading = None
    if model.wide is not None:
        reader = model.wide.reader
        reading = reader.start(history_BH.shape[0])
        evidence_BHV = evidence_of(model.tasks, feedback_BHM)
        for h, item_B in enumerate(history_BH.clamp(min=0).long().unbind(1)):
            reading = reader.after(reading, item_B, evidence_BHV[:, h], history_BH[:, h] >= 0)
    return Beside(reading, read_sums(model, history_BH), (history_BH >= 0).sum(1))


def read_sums(model: MultiTaskBert, history_BH: Tensor) -> Tensor | None:
    """Co-occurrence sums alone; None: the model has no prior."""
    if model.prior is None:
        return None
    fold_B = torch.zeros_like(history_BH[:, 0], dtype=torch.int64)
    return model.prior.tables.read(fold_B, history_BH.long(), model.num_items)


def beside_after(
    model: MultiTaskBert,
    beside: Beside | None,
    item_B: Tensor,
    feedback_BM: Tensor,
    took_B: Tensor,
) -> Beside | None:
    """After one more event each; rows where took_B is False are left as they are."""
    if beside is None:
        return None
    reading, sums = beside.reading, beside.sums
    if model.wide is not None and reading is not None:
        evidence_BV = evidence_of(model.tasks, feedback_BM)
        reading = model.wide.reader.after(reading, item_B, evidence_BV, took_B)
    if model.prior is not None and sums is not None:
        sums = model.prior.tables.after(sums, torch.zeros_like(item_B), item_B, took_B)
    return replace(beside, reading=reading, sums=sums, clicks=beside.clicks + took_B)


def query_beside(
    model: MultiTaskBert, state_BD: Tensor, beside: Beside | None, hour_B: Tensor, weekday_B: Tensor
) -> Query:
    """What the heads are asked about users at a request.

    Args:
        model: decides what is asked.
        state_BD: at the request.
        beside: of the users.
        hour_B: of the request, in [0, 24).
        weekday_B: integers, 0 = Monday.
    """
    if beside is None:
        return Query(state_BD)
    values = None
    if model.wide is not None and beside.reading is not None:
        about_BJ = time_features(hour_B, weekday_B)
        values = UserValues(model.wide, beside.reading, about_BJ, model.tasks[1:])
    sums = None
    if model.prior is not None and beside.sums is not None:
        sums = model.prior.tables.told(beside.sums, beside.clicks)
    return Query(state_BD, sums, values)
