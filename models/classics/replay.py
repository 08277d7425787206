"""A next-item scorer read along a log: each row scored from what its user took up before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slategym.envs.trees import map_tensors
from slategym.models.classics.types import Ints, NextItem
from slategym.models.closed_form.events import Events

S = TypeVar("S")

USERS = 256  # followed together


@dataclass(frozen=True)
class Moment:
    """Some rows of a log, of different users, and what was known just before them."""

    row: Ints  # (B,)
    score: Tensor  # (B, N)
    seen: Tensor  # (B, N) bool, consumed before the row


@torch.no_grad()
def moments(model: NextItem[S], events: Events, row_x: Ints) -> Iterator[Moment]:
    """Follow the users of these rows from their first event on, all at once.

    Args:
        model: the scorer.
        events: the log; a user's rows before one of `row_x` are read whoever fitted on them.
        row_x: rows to score, each once.
    """
    order_E, first_U = events.order_E, events.first_U
    last_U = np.full(events.num_users, -1)  # place of the last row asked for
    np.maximum.at(last_U, events.user_E[row_x], order_E[row_x])
    asked_E = np.zeros(events.num_rows, bool)
    asked_E[row_x] = True
    users = np.argsort(-last_U, kind="stable")[: int((last_U >= 0).sum())]  # longest first
    for begin in range(0, len(users), USERS):
        user_B = users[begin : begin + USERS]
        state = model.initial(torch.full((len(user_B), 1), -1))
        seen_BN = torch.zeros(len(user_B), events.num_items, dtype=torch.bool)
        for step in range(int(last_U[user_B[0]]) + 1):
            left = int((last_U[user_B] >= step).sum())
            if left < len(user_B):
                user_B, seen_BN = user_B[:left], seen_BN[:left]
                state = map_tensors(lambda x, n=left: x[:n], state)
            row_B = first_U[user_B] + step
            here = np.flatnonzero(asked_E[row_B])
            if len(here):
                now = torch.as_tensor(here)
                asked = map_tensors(lambda x, i=now: x[i], state)
                yield Moment(row_B[here], model.score(asked), seen_BN[now])
            item_B = torch.as_tensor(events.item_E[row_B])
            state = model.after(state, item_B, torch.as_tensor(events.took_E[row_B]))
            seen_BN = seen_BN.scatter(1, item_B[:, None], True)


@dataclass(frozen=True)
class Ranking:
    """How rows' own items fared."""

    rank_x: NDArray[np.float64]  # place among the items not consumed before, 0 = first
    own_x: NDArray[np.float32]  # score of the row's item
    others_xC: NDArray[np.float32]  # scores of the items drawn to compare


def rank(
    model: NextItem[S],
    events: Events,
    row_x: Ints,
    other_xC: Ints | None = None,
    *,
    repeats: bool = False,
) -> Ranking:
    """Rank the items of these rows among all items.

    Args:
        model: the scorer.
        events: the log.
        row_x: rows to rank, each once.
        other_xC: items to score beside each row's own.
        repeats: whether items consumed before may be taken up again: if not, they are masked.

    Returns:
        Ranks; of equal scores the middle, so that a model that knows nothing gains nothing.
    """
    num = len(row_x)
    other_xC = np.zeros((num, 0), np.int64) if other_xC is None else other_xC
    place = np.full(events.num_rows, -1)
    place[row_x] = np.arange(num)
    rank_x, own_x = np.zeros(num), np.zeros(num, np.float32)
    others = np.zeros(other_xC.shape, np.float32)
    for moment in moments(model, events, row_x):
        at = place[moment.row]
        item_B1 = torch.as_tensor(events.item_E[moment.row])[:, None]
        own_B1 = moment.score.gather(1, item_B1)
        if repeats:
            ahead_B = (moment.score > own_B1).sum(1)
            level_B = (moment.score == own_B1).sum(1)
        else:
            ahead_B = ((moment.score > own_B1) & ~moment.seen).sum(1)
            level_B = ((moment.score == own_B1) & ~moment.seen).sum(1)
        rank_x[at] = (ahead_B + (level_B - 1).clamp(min=0) / 2).numpy()
        own_x[at] = own_B1[:, 0].numpy()
        others[at] = moment.score.gather(1, torch.as_tensor(other_xC[at])).numpy()
    return Ranking(rank_x, own_x, others)
