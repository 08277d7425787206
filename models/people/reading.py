"""Rows of a log as the people of a world would meet them: from the last clicks before each.

Any taste can be read so, whatever its family. Axis letters beyond the legend of `envs/types.py`:
x rows of the log, C = the row's own item, then items drawn to compare.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slategym.envs.context import Clock, LoggedContext
from slategym.envs.engine import arrive
from slategym.envs.luck import Luck
from slategym.envs.protocols import ContextProcess
from slategym.envs.types import Arrival, Context, Population
from slategym.models.data.log import Log
from slategym.models.data.sittings import clicked
from slategym.models.data.slates import has_slates
from slategym.models.multitask.sequences import Sequences, draw_negatives
from slategym.models.simulator.population import arrivals
from slategym.models.tasks import Task, observed_only, tasks_of
from slategym.models.taste import Taste

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

BATCH = 256  # rows read together
NEGATIVES = 4  # items that a click is compared with, where the log does not show what was passed
DRAW_SEED = 0


@dataclass(frozen=True)
class Queries:
    """Rows to read, and everything that is known before each."""

    log: Log
    row_x: Ints
    user_x: Ints
    id_xC: Ints  # the row's item, then others
    used_xC: Bools  # False: not drawn, or not compared
    value_xM: Floats  # what happened, NaN where unobserved
    barred: Sequences  # says what was consumed before each
    arrivals: Population  # one for each row, with the clicks before it

    def batches(self) -> Iterator[tuple[slice, Arrival, Context]]:
        """The rows in order, some at a time."""
        process: ContextProcess = Clock(0.0)
        if self.log.context:
            process = LoggedContext(Clock(0.0), self.log.context)
        for begin in range(0, len(self.row_x), BATCH):
            at = slice(begin, min(begin + BATCH, len(self.row_x)))
            arrival = arrive(self.arrivals, torch.arange(at.start, at.stop, dtype=torch.int32))
            yield at, arrival, process.initial(arrival, Luck(arrival.user_id))


@dataclass(frozen=True)
class Said:
    """What a taste says of asked rows."""

    tasks: tuple[Task, ...]
    click_xC: Floats  # log-odds
    output_xM: Floats  # of the row's item
    rank_x: Floats  # of the row's item by click, among all that could be next, 0 = first


def rows_of(log: Log, people: Ints, *, least: int, most: int) -> Ints:
    """Rows of these people with enough clicks before them, evenly spread if there are too many.

    Args:
        log: whose rows.
        people: user ids.
        least: clicks before a row.
        most: rows.
    """
    order_E = Sequences.from_log(log).order_E.numpy()
    row_x = np.flatnonzero(np.isin(log.events["user"], people) & (order_E >= least))
    if len(row_x) > most:
        row_x = row_x[np.linspace(0, len(row_x) - 1, most).astype(np.int64)]
    return row_x


def ask(log: Log, row_x: Ints, history: int) -> Queries:
    """Everything that is known before these rows.

    Args:
        log: whose rows.
        row_x: rows.
        history: clicks before each that are told.
    """
    sequences, rows = Sequences.from_log(log), clicked(log)
    row_B = torch.as_tensor(row_x)
    user_x = sequences.user_E[row_B].numpy()
    item_x = sequences.item_E[row_B].numpy()
    first_x = sequences.first_click_U[sequences.user_E[row_B]].numpy()
    last_x = first_x + sequences.order_E[row_B].numpy() - 1  # in `rows`
    moment = log.events.iloc[row_x]
    people = np.unique(user_x)
    row_xH = last_x[:, None] + np.arange(1 - history, 1)
    population = arrivals(log, rows, user_x, last_x, row_xH, people, moment)
    id_xC, used_xC = item_x[:, None], np.ones((len(row_x), 1), bool)
    if not has_slates(log):
        generator = torch.Generator().manual_seed(DRAW_SEED)
        user_B = sequences.user_E[row_B]
        drawn_BC, free_BC = draw_negatives(
            sequences, user_B, sequences.clicks_U[user_B], NEGATIVES, generator
        )
        took_x = sequences.click_E[row_B].numpy() > 0
        free_xC = free_BC.numpy() & (drawn_BC.numpy() != item_x[:, None]) & took_x[:, None]
        id_xC = np.concatenate([id_xC, drawn_BC.numpy()], 1)
        used_xC = np.concatenate([used_xC, free_xC], 1)
    tasks = tasks_of(log.signals, log.like_from)
    value_xM = observed_only(tasks, sequences.feedback_EM[row_B]).double().numpy()
    return Queries(log, row_x, user_x, id_xC, used_xC, value_xM, sequences, population)


@torch.no_grad()
def answer(taste: Taste[Any], asked: Queries) -> Said:
    """What a taste says of the rows."""
    click, output, rank = [], [], []
    for at, arrival, context in asked.batches():
        state = taste.initial(arrival)
        id_BC = torch.as_tensor(asked.id_xC[at])
        click_BN = taste.score(state, None, context)[0].double()
        own = taste.score(state, id_BC[:, :1].int(), context)
        click_BC = click_BN.gather(1, id_BC)
        click.append(click_BC.numpy())
        output.append(torch.cat([x_B1.double() for x_B1 in own], 1).numpy())
        rank.append(ranks(click_BN, asked, at).numpy())
    return Said(taste.tasks, *(np.concatenate(x) for x in (click, output, rank)))


def ranks(score_BN: Tensor, asked: Queries, at: slice) -> Tensor:
    """Places of the rows' items among all that could be next, of equal scores the middle one."""
    sequences, row_B = asked.barred, torch.as_tensor(asked.row_x[at])
    own_B1 = score_BN.gather(1, torch.as_tensor(asked.id_xC[at, :1]))
    ahead_BN, level_BN = score_BN > own_B1, score_BN == own_B1
    if not sequences.repeats:
        met_BN = sequences.rank(sequences.user_E[row_B])
        open_BN = met_BN >= sequences.order_E[row_B][:, None]
        ahead_BN, level_BN = ahead_BN & open_BN, level_BN & open_BN
    return ahead_BN.sum(1) + (level_BN.sum(1) - 1).clamp(min=0) / 2
