"""Rows of a log as requests: what the heads are asked about the rows of a batch.

Axis letters beyond the legend of `envs/types.py`: x the real rows of a batch in row-major order, S
positions of a window, R its rows, T kinds of co-occurrence tables, A items of a table.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.models.closed_form.cooccurrence import Sums, Tables
from slategym.models.closed_form.fades import reach
from slategym.models.multitask.crossfit import Described, describe
from slategym.models.multitask.network import ItemTable, MultiTaskBert
from slategym.models.multitask.query import Query, RowValues
from slategym.models.multitask.sequences import Batch, Ints, Sequences, Windows


@dataclass(frozen=True)
class Known:
    """What statistics say of the users whose rows are asked about."""

    described: Described | None = None  # None: the model has no wide part
    tables: Tables | None = None  # None: it has no prior
    fold_U: Tensor | None = None  # which of the tables' sets is each user's; None: the first
    earlier: int = 0  # clicks before a window that count in its users' sums

    @staticmethod
    def of(model: MultiTaskBert, sequences: Sequences, row_x: Ints) -> Known:
        """By the model's own statistics, for these rows."""
        tables = None if model.prior is None else model.prior.tables
        return Known(
            None if model.wide is None else describe(model, sequences, row_x),
            tables,
            earlier=0 if tables is None else earlier_clicks(tables, model.settings.max_history),
        )


def earlier_clicks(tables: Tables, window: int) -> int:
    """Clicks before a window of at most so many that still count in fading sums."""
    return max(0, reach(tables.fade_T) - window)


def requests(
    model: MultiTaskBert,
    table: ItemTable,
    sequences: Sequences,
    windows: Windows,
    batch: Batch,
    known: Known,
    *,
    apart: bool = False,
) -> Query:
    """What is asked for every real row of the windows, in row-major order.

    Args:
        model: reads the events.
        table: of the items that are touched.
        sequences: the log.
        windows: of it.
        batch: their tensors.
        known: of their users.
        apart: whether the rows with a click are set apart, where there are others: they alone have
            values and something that came next. The whole then knows no values.
    """
    state_xD = queries(model, table, sequences, batch)[batch.real_BR]
    row_x = batch.row_BR[batch.real_BR]
    took_x = clicked_rows(sequences, row_x) if apart else None
    values = None
    if model.wide is not None:
        assert known.described is not None, "a model with a wide part needs described rows"
        of_x = row_x if took_x is None else row_x[took_x]
        feature_xX, expected_xV = known.described.at(of_x)
        values = RowValues(model.wide(feature_xX, expected_xV, model.tasks[1:]))
    sums = None
    if known.tables is not None:
        sums = sums_before(known, known.tables, sequences, windows, batch, table.id_A)
    if took_x is None:
        return Query(state_xD, sums, values)
    few = Query(state_xD[took_x], None if sums is None else sums.of_users(took_x), values)
    return Query(state_xD, sums, clicked=few)


def clicked_rows(sequences: Sequences, row_x: Tensor) -> Tensor | None:
    """Which of these rows have a click, int64; None: all."""
    clicked_x = sequences.click_E[row_x] > 0
    return None if bool(clicked_x.all()) else clicked_x.nonzero()[:, 0]


def queries(model: MultiTaskBert, table: ItemTable, sequences: Sequences, batch: Batch) -> Tensor:
    """The state at every row of the windows, (B, R, D).

    It knows the profile, the clicks before a row's request in the window, and the context of the
    row; not its gap to the event before.
    """
    context_BD = model.sequence.context_token(
        batch.profile_BF, batch.hour_B, batch.weekday_B, batch.extra_BZ
    )
    events_BHD = model.sequence.event_tokens(
        table.vectors_AD, table.local(batch.id_BH), batch.feedback_BHM, batch.gap_BH
    )
    # right padding under a causal mask is never seen by a real position: no mask is needed
    mask_BH = asked_BS = None
    if model.settings.sequence == "cloze":
        H = events_BHD.shape[1]
        mask_BH = torch.arange(H, device=model.device) < batch.at_BR.amax(1, keepdim=True)
        asked_BS = torch.zeros(len(mask_BH), H + 1, device=model.device)
        asked_BS = asked_BS.scatter_add_(1, batch.at_BR, batch.real_BR.float()) > 0
    states_BSD = model.sequence.states(context_BD, events_BHD, mask_BH, asked_BS)
    at_BRD = batch.at_BR[..., None].expand(-1, -1, states_BSD.shape[2])
    row_BR = batch.row_BR
    return model.sequence.query(
        states_BSD.gather(1, at_BRD),
        sequences.hour_E[row_BR],
        sequences.weekday_E[row_BR],
        sequences.extra_EZ[row_BR],
    )


@torch.no_grad()
def sums_before(
    known: Known,
    tables: Tables,
    sequences: Sequences,
    windows: Windows,
    batch: Batch,
    id_A: Tensor | None,
) -> Sums:
    """Co-occurrence sums before each real row, of these items; None: of all."""
    N, user_B = sequences.num_items, batch.user_B
    fold_B = torch.zeros_like(user_B) if known.fold_U is None else known.fold_U[user_B]
    earlier_BP = sequences.earlier(windows, known.earlier)
    earlier_BP = earlier_BP[:, (earlier_BP >= 0).any(0)]
    place_H = torch.arange(batch.id_BH.shape[1], device=user_B.device)
    if batch.row_BR.shape[1] == 1:  # one row each: nobody asks about the positions before it
        history_BH = torch.where(place_H < batch.at_BR, batch.id_BH, -1)
        sum_BTN = tables.read(fold_B, torch.cat([earlier_BP, history_BH], 1), N)
        sums = tables.told(sum_BTN, sequences.order_E[batch.row_BR[:, 0]])
        return sums if id_A is None else sums.at_items(id_A)
    sum_BTN = tables.read(fold_B, earlier_BP, N)
    everybody_B = torch.ones_like(user_B, dtype=torch.bool)
    clicks_B = sequences.order_E[batch.row_BR[:, 0]]  # each row's own are taken below
    positions = list[Sums]()
    for item_B in (None, *batch.id_BH.unbind(1)):
        if item_B is not None:
            sum_BTN = tables.after(sum_BTN, fold_B, item_B, everybody_B)
        sums = tables.told(sum_BTN, clicks_B)
        positions.append(sums if id_A is None else sums.at_items(id_A))
    line_x = batch.real_BR.nonzero()[:, 0]
    at_x = batch.at_BR[batch.real_BR]
    place_x = at_x * len(user_B) + line_x
    value = torch.cat([sums.value for sums in positions])
    unit = torch.cat([sums.unit for sums in positions])
    value_xTA = F.embedding(place_x, value.flatten(1)).view(len(at_x), *value.shape[1:])
    return Sums(value_xTA, unit[place_x], sequences.order_E[batch.row_BR[batch.real_BR]])
