"""Statistics for the wide part, cross-fitted: a user's own rows never shape what describes them.

Users with training rows are put into folds. While the network trains, a user is described by
statistics of the other folds' rows; everybody else, and everybody once the model is trained, by
those of all training rows. What is chosen once for a log, how fast sums fade, the ridge of EASE and
the variances of the regressions, is a number each and chosen on all training rows.

Axis letters beyond the legend of `envs/types.py`: x rows, V signals given a click, X features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from slategym.envs.trees import map_tensors
from slategym.models.closed_form.cooccurrence import (
    DENSE,
    KEPT,
    KINDS,
    CooccurrenceSettings,
    Tables,
    fit_tables,
    has_ease,
)
from slategym.models.closed_form.events import Events
from slategym.models.closed_form.fades import with_fades
from slategym.models.closed_form.item_statistics import ItemSources, ItemStatistics
from slategym.models.closed_form.readings import Reader
from slategym.models.closed_form.ridges import with_ease_for
from slategym.models.closed_form.sides import Sides
from slategym.models.closed_form.variances import chosen_variances
from slategym.models.data.log import Log
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.sequence import time_features
from slategym.models.multitask.sequences import Bools, Ints, Sequences
from slategym.models.multitask.settings import MultiTaskSettings
from slategym.models.multitask.wide import WideSizes, regressed
from slategym.models.tasks import Task

FOLDS = 5
STATE_NUMBERS = 4_000_000  # of the users who are read together


@dataclass(frozen=True)
class Described:
    """Some rows of a log, each with its own item."""

    row_x: Ints  # sorted
    feature_xX: Tensor
    expected_xV: Tensor

    def at(self, row_x: Tensor) -> tuple[Tensor, Tensor]:
        """Features and expectations of these rows; zeros where a row is not described."""
        asked = row_x.cpu().numpy()
        at = np.searchsorted(self.row_x, asked).clip(max=max(len(self.row_x) - 1, 0))
        known = torch.as_tensor(self.row_x[at] == asked)[:, None]
        place_x = torch.as_tensor(at)
        found = (self.feature_xX[place_x] * known, self.expected_xV[place_x] * known)
        return found[0].to(row_x.device), found[1].to(row_x.device)


@dataclass(frozen=True)
class CrossFitted:
    """What was fitted on training rows, by fold and, last, on all of them."""

    sizes: WideSizes
    fold_U: Ints  # of users with training rows; for others the last set
    statistics: tuple[ItemStatistics, ...]  # none: values are not read
    tables: Tables | None  # None: there is no prior

    def install(
        self, model: MultiTaskBert, sequences: Sequences, train_E: Bools
    ) -> Described | None:
        """Give the model the statistics of all rows; describe the training rows by the others'.

        Returns:
            The training rows that heads ask of; None: values are not read.
        """
        if model.prior is not None and self.tables is not None:
            model.prior.take(self.tables)
        if model.wide is None or not self.statistics:
            return None
        model.wide.take(self.statistics[-1])
        read_E = sequences.click_E.cpu().numpy() > 0
        if model.settings.chain != "none":  # a chain asks of what was passed over, too
            read_E = np.ones_like(read_E)
        rows = np.flatnonzero(train_E & read_E)
        fold_x = self.fold_U[sequences.user_E.cpu().numpy()[rows]]
        parts = [
            describe(model, sequences, rows[fold_x == fold], statistics)
            for fold, statistics in enumerate(self.statistics)
        ]
        order = np.argsort(np.concatenate([part.row_x for part in parts]), kind="stable")
        place = torch.as_tensor(order)
        described = Described(
            rows,
            torch.cat([part.feature_xX for part in parts])[place],
            torch.cat([part.expected_xV for part in parts])[place],
        )
        model.wide.scale_features(described.feature_xX.to(model.device))
        return described


def cross_fit(
    log: Log,
    train_E: Bools,
    text_ND0: Tensor,
    settings: MultiTaskSettings,
    tasks: Sequence[Task],
    seed: int,
    sizes: WideSizes | None = None,
) -> CrossFitted | None:
    """Fit what the settings ask for; None: nothing.

    Args:
        log: the data.
        train_E: rows to fit on.
        text_ND0: vectors of the items' texts.
        settings: which parts there are.
        tasks: of the log's signals, click first.
        seed: of who is in which fold.
        sizes: of the tables, for a model that has some; None: as the catalogue allows.
    """
    values = settings.wide != "none" and len(tasks) > 1
    if not values and settings.prior == "none":
        return None
    events = Events.from_log(log)
    users = np.unique(events.user_E[train_E & events.took_E])
    folds = min(FOLDS, len(users)) if len(users) > 1 else 0
    fold_U = np.full(events.num_users, -1)
    if folds:
        rng = np.random.default_rng([seed, FOLDS])
        fold_U[rng.permutation(users)] = np.arange(len(users)) % folds
    statistics: tuple[ItemStatistics, ...] = ()
    blocks: tuple[int, ...] = ()
    if values:
        sides = Sides.from_log(log, text_ND0 if settings.items.text else None)
        names = [task.signal.name for task in tasks[1:]]
        chosen = [names[v] for v in regressed(tasks)]
        others = [train_E & (fold_U[events.user_E] != fold) for fold in range(folds)]
        sources = [
            ItemSources.of(events, names, chosen, rows_E, sides) for rows_E in [*others, train_E]
        ]
        variances = chosen_variances(events, chosen, sources[:-1], fold_U, train_E)
        fits = [source.statistics(variances) for source in sources]
        statistics = tuple(fit.items for fit in fits)
        blocks = fits[-1].blocks
    tables = None
    kinds = _kinds(settings.prior, len(users), events.num_items)
    kept = 0 if events.num_items <= DENSE else KEPT
    if sizes is not None:
        kinds, kept = KINDS[: sizes.kinds], sizes.kept
    if kinds:
        how = CooccurrenceSettings()
        if "ease" in kinds:
            how = with_ease_for(events, train_E, how, repeats=log.repeats)
        tables = fit_tables(events, train_E, fold_U, folds, how, kinds, kept)
        of_U = np.where(fold_U < 0, folds, fold_U)
        tables = with_fades(tables, events, train_E, of_U, repeats=log.repeats, num_kinds=1)
    sizes = WideSizes(
        about=statistics[-1].about_NI.shape[1] if statistics else 0,
        blocks=blocks,
        kinds=len(kinds),
        kept=kept,
        values=values,
    )
    return CrossFitted(sizes, np.where(fold_U < 0, folds, fold_U), statistics, tables)


def _kinds(prior: str, num_users: int, num_items: int) -> tuple[str, ...]:
    """Kinds of tables, transitions first."""
    if prior == "none":
        return ()
    if prior == "transitions" or not has_ease(num_users, num_items):
        return KINDS[:1]
    return KINDS


def evidence_of(tasks: Sequence[Task], feedback_xM: Tensor) -> Tensor:
    """Values as the closed forms read them, (x, V); NaN where not observed."""
    return torch.stack(
        [task.evidence(feedback_xM[..., m]) for m, task in enumerate(tasks) if m], -1
    )


@torch.no_grad()
def describe(
    model: MultiTaskBert,
    sequences: Sequences,
    row_E: Ints,
    statistics: ItemStatistics | None = None,
) -> Described:
    """Read users from their first click on; describe rows by the clicks before their request.

    Args:
        model: with a wide part.
        sequences: the log.
        row_E: rows to describe.
        statistics: None: the model's.
    """
    wide = model.wide
    assert wide is not None, "only a model with a wide part describes rows"
    if statistics is None:
        reader = wide.reader
    else:
        reader = wide.reader_of(map_tensors(lambda x: x.to(model.device), statistics))
    row_x = np.sort(row_E)
    width = wide.num_user + wide.num_item + wide.num_pair
    feature_xX = torch.zeros(len(row_x), width)
    expected_xV = torch.zeros(len(row_x), len(model.tasks) - 1)
    user_E, order_E = sequences.user_E.cpu().numpy(), sequences.order_E.cpu().numpy()
    user_x, order_x = user_E[row_x], order_E[row_x]
    users, first_x = np.unique(user_x, return_index=True)
    last_U = np.maximum.reduceat(order_x, first_x) if len(users) else users
    longest = np.argsort(-last_U, kind="stable")
    R = reader.statistics.feature_WNR.shape[2]
    size = max(1, STATE_NUMBERS // max(1, len(reader.regressed) * R * R))
    for begin in range(0, len(users), size):
        chosen = longest[begin : begin + size]
        place = np.full(len(users), -1)
        place[chosen] = np.arange(len(chosen))
        at_x = np.flatnonzero(place[np.searchsorted(users, user_x)] >= 0)
        b_x = place[np.searchsorted(users, user_x[at_x])]
        group = _Group(
            torch.as_tensor(users[chosen], device=model.device),
            last_U[chosen],
            torch.as_tensor(row_x[at_x], device=model.device),
            b_x,
            order_x[at_x],
        )
        feature_xX[at_x], expected_xV[at_x] = _read(model, reader, sequences, group)
    return Described(row_x, feature_xX, expected_xV)


@dataclass(frozen=True)
class _Group:
    """Users who are read together, the longest first, and their rows."""

    user_B: Tensor
    last_B: Ints  # clicks before the last of their rows
    row_x: Tensor
    at_x: Ints  # which user's
    order_x: Ints  # clicks before it


def _read(
    model: MultiTaskBert, reader: Reader, sequences: Sequences, group: _Group
) -> tuple[Tensor, Tensor]:
    """Features and expectations of a group's rows."""
    wide = model.wide
    assert wide is not None
    device = model.device
    item_x = sequences.item_E[group.row_x]
    about_xJ = time_features(sequences.hour_E[group.row_x], sequences.weekday_E[group.row_x])
    num_rows = len(group.order_x)
    own = wide.num_user - about_xJ.shape[1]
    user_xJ = torch.zeros(num_rows, own, device=device)
    pair_xP = torch.zeros(num_rows, wide.num_pair, device=device)
    expected_xV = torch.zeros(num_rows, len(model.tasks) - 1, device=device)
    order = np.lexsort((group.at_x, group.order_x))
    cuts = np.searchsorted(group.order_x[order], np.arange(int(group.last_B[0]) + 2))
    reading = reader.start(len(group.user_B))
    first_B = sequences.first_click_U[group.user_B]
    for k in range(int(group.last_B[0]) + 1):
        active = int(np.searchsorted(-group.last_B, -k, side="right"))
        reading = map_tensors(lambda x, n=active: x[:n], reading)
        rows = order[cuts[k] : cuts[k + 1]]
        if len(rows):
            b_y = group.at_x[rows]
            slot_y = np.arange(len(rows)) - np.searchsorted(b_y, b_y)
            id_BC = torch.zeros(active, int(slot_y.max()) + 1, dtype=torch.int64, device=device)
            at = (torch.as_tensor(b_y, device=device), torch.as_tensor(slot_y, device=device))
            id_BC[at] = item_x[torch.as_tensor(rows, device=device)]
            user_xJ[rows] = reader.about_users(reading)[at[0]]
            pairs = reader.about_pairs(reading, id_BC)
            pair_xP[rows], expected_xV[rows] = pairs.feature_BCP[at], pairs.expected_BCV[at]
        going = int(np.searchsorted(-group.last_B, -(k + 1), side="right"))
        if not going:
            break
        reading = map_tensors(lambda x, n=going: x[:n], reading)
        click_B = sequences.click_Q[first_B[:going] + k]
        evidence_BV = evidence_of(model.tasks, sequences.feedback_EM[click_B])
        took_B = torch.ones(going, dtype=torch.bool, device=device)
        reading = reader.after(reading, sequences.item_E[click_B], evidence_BV, took_B)
    about_NI = reader.statistics.about_NI
    return torch.cat([user_xJ, about_xJ, about_NI[item_x], pair_xP], 1), expected_xV
