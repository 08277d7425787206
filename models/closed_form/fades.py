"""How fast co-occurrence sums fade, chosen for a log: what serves the next clicks of its own rows.

Where tastes move, old clicks say little; where they stay, all clicks say alike. Each kind of table
ranks the items of some of the rows that it was fitted on, by tables that leave those people out
(`fit_tables`), at each rate of a ladder. The usual rate is left only where another is better by
more than a standard error of people.

Axis letters beyond the legend of `envs/types.py`: T kinds of tables, x rows, L rates of the ladder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from slategym.models.closed_form.cooccurrence import Tables
from slategym.models.closed_form.events import Bools, Events, Floats, Ints

LADDER = (0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)  # what a click leaves of the sums
ROWS = 1_000  # that are ranked
FEWEST = 5  # clicks before a row that is ranked
LONGEST = 300  # clicks that are read, at most
LEFT = 0.01  # of a click's weight: what is left after it counts as nothing
BATCH = 100  # rows ranked together


def reach(fade_T: Tensor) -> int:
    """Clicks back from which these sums hold something, at most LONGEST."""
    slowest = min(float(fade_T.max()), 1.0 - 1e-6)
    return min(LONGEST, int(np.ceil(np.log(LEFT) / np.log(slowest))))


def with_fades(
    tables: Tables,
    events: Events,
    keep_E: Bools,
    fold_U: Ints,
    *,
    repeats: bool,
    num_kinds: int | None = None,
) -> Tables:
    """The same tables, their sums fading as serves these rows.

    Args:
        tables: sets that leave out each fold's people in turn, and one of everybody.
        events: the log.
        keep_E: the rows that they were fitted on.
        fold_U: of each user, the last set for those in none.
        repeats: whether an item may be taken up again.
        num_kinds: how many of the kinds, from the first; the others keep their rate. None: all.
    """
    row_x, history_xH = asked_rows(events, keep_E)
    if len(np.unique(events.user_E[row_x])) < 2:
        return tables
    num_kinds = tables.weight.shape[2] if num_kinds is None else num_kinds
    usual = [float(fade) for fade in tables.fade_T]
    item_x, user_x = events.item_E[row_x], events.user_E[row_x]
    first = _first(tables, num_kinds)
    gain: dict[float, Floats] = {}
    for fade in {*LADDER, *usual[:num_kinds]}:
        read = replace(first, fade_T=torch.full_like(first.fade_T, fade))
        gain[fade] = _gains(read, fold_U[user_x], history_xH, item_x, repeats)
    for t, fade in enumerate(usual[:num_kinds]):
        usual[t] = best_of({rate: gain_Tx[t] for rate, gain_Tx in gain.items()}, fade, user_x)
    return replace(tables, fade_T=torch.tensor(usual))


def _first(tables: Tables, num_kinds: int) -> Tables:
    """Tables of the first kinds alone."""
    id_FNTP = None if tables.id is None else tables.id[:, :, :num_kinds].contiguous()
    weight_FNTP = tables.weight[:, :, :num_kinds].contiguous()
    return Tables(weight_FNTP, id_FNTP, tables.fade_T[:num_kinds], tables.fitted)


def best_of(gain: Mapping[float, Floats], usual: float, user_x: Ints) -> float:
    """The value that gains most over rows, where it clearly gains more than the usual one.

    Args:
        gain: of each value, a number for every row.
        usual: one of the values, left only for one ahead by more than a standard error of people.
        user_x: whose rows these are.
    """
    best = max(gain, key=lambda value: float(gain[value].mean()))
    more_x = gain[best] - gain[usual]
    return best if more_x.mean() > error_of(more_x, user_x) else usual


def asked_rows(events: Events, keep_E: Bools, most: int = ROWS) -> tuple[Ints, Ints]:
    """Rows that are ranked, and the items of the clicks before them, -1 where there is none.

    Args:
        events: the log.
        keep_E: rows that may be read.
        most: rows that are ranked.
    """
    rows = np.flatnonzero(keep_E & events.took_E)
    user_x = events.user_E[rows]
    first_x = np.searchsorted(user_x, user_x)
    before_x = np.arange(len(rows)) - first_x
    at_x = np.flatnonzero(before_x >= FEWEST)
    at_x = at_x[np.linspace(0, len(at_x) - 1, min(most, len(at_x))).astype(np.int64)]
    at_x = at_x[np.argsort(before_x[at_x], kind="stable")]  # histories of like length together
    longest = min(LONGEST, int(before_x[at_x].max(initial=0)))
    place_xH = at_x[:, None] - longest + np.arange(longest)
    history_xH = np.where(
        place_xH >= first_x[at_x, None], events.item_E[rows[place_xH.clip(min=0)]], -1
    )
    return rows[at_x], history_xH


def _gains(tables: Tables, fold_x: Ints, history_xH: Ints, item_x: Ints, repeats: bool) -> Floats:
    """1 / log2(2 + rank) of each row's item by each kind of table, (T, x)."""
    N, found = tables.weight.shape[1], []
    for begin in range(0, len(item_x), BATCH):
        part = slice(begin, begin + BATCH)
        history_BH = torch.as_tensor(history_xH[part])
        history_BH = history_BH[:, (history_BH >= 0).any(0)]
        item_B = torch.as_tensor(item_x[part])
        sum_BTN = tables.read(torch.as_tensor(fold_x[part]), history_BH, N)
        found.append(gains_of(sum_BTN, history_BH, item_B, repeats))
    return np.concatenate(found, 1)


def gains_of(sum_BTN: Tensor, history_BH: Tensor, item_B: Tensor, repeats: bool) -> Floats:
    """1 / log2(2 + rank) of each row's item by each kind of sums, (T, B); the sums are altered.

    Args:
        sum_BTN: of all items.
        history_BH: items of the clicks before, -1 where there is none.
        item_B: whose rank is asked.
        repeats: whether items of the history are ranked, too.
    """
    own_BT1 = sum_BTN.gather(2, item_B[:, None, None].expand(-1, sum_BTN.shape[1], 1))
    if not repeats:
        line_BH = torch.arange(len(item_B))[:, None].expand_as(history_BH)
        met = history_BH >= 0
        sum_BTN[line_BH[met], :, history_BH[met]] = -torch.inf
    ahead_BT = (sum_BTN > own_BT1).sum(2)
    level_BT = (sum_BTN == own_BT1).sum(2)
    rank_BT = ahead_BT + (level_BT - 1).clamp(min=0) / 2
    gain_TB: Floats = (1.0 / torch.log2(2.0 + rank_BT)).T.double().numpy()
    return gain_TB


def error_of(more_x: Floats, user_x: Ints) -> float:
    """Standard error of a mean over rows, by people."""
    place_x = np.unique(user_x, return_inverse=True)[1]
    left_x = more_x - more_x.mean()
    return float(np.sqrt(np.square(np.bincount(place_x, left_x)).sum()) / len(more_x))
