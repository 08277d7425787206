"""Fitting the judge, and measuring it on people that it has not met.

Axis letters beyond the legend of `envs/types.py`: E rows of the log, S stretches of history, x real
positions of a batch in row-major order; T tasks, of the log's M signals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.envs.types import map_tensors
from slategym.models.data.log import Log
from slategym.models.data.slates import has_slates
from slategym.models.judge.factor import CLICK_START, FactorModel, JudgeSettings
from slategym.models.metrics import auc
from slategym.models.tasks import Task, head_weights, tasks_of

MOST_STEPS = 2_000  # an epoch: a larger log is read in larger batches, as every step moves N rows
HELD_OUT = 0.1  # share of the people on whom a judge is measured


def train_judge(
    log: Log, people: np.ndarray, settings: JudgeSettings
) -> tuple[FactorModel, dict[str, float]]:
    """Fit on every event of these people but a held-out tenth of them, on whom it is measured.

    Every stretch of a person's history is read from its start; each of its events is predicted
    from the sums over those before it: click against sampled items or what was shown and passed
    over, all else given a click.

    Args:
        log: with any signals.
        people: user ids; nobody else's events are read.
        settings: how.

    Returns:
        The model, and its metrics on the held-out people from a person's running history: the
        click's AUC (see `factor.against`), and every other task's first figure. A figure that
        these rows do not define is left out.
    """
    rng = np.random.default_rng(settings.seed)
    held = rng.permutation(people)[: max(1, round(len(people) * HELD_OUT))]
    events = log.events[np.isin(log.events["user"], np.setdiff1d(people, held))]
    tasks, bias_NT, offset_T = _starts(events, tasks_of(log.signals, log.like_from), log.num_items)
    topics_NG = torch.as_tensor(log.item_topics)
    model = FactorModel(tasks, topics_NG, torch.as_tensor(bias_NT), offset_T, settings.factors)
    model.init_factors(torch.Generator().manual_seed(settings.seed))
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.rate)
    for _ in range(settings.epochs):
        for batch in _batches(events, log, settings, rng):
            loss, _ = _read(model, batch)
            loss = loss + settings.decay * (model.item.square().mean() + model.past.square().mean())
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
    return model.eval(), _measure(model, log, held, settings)


@dataclass(frozen=True)
class _Batch:
    """Stretches of history side by side."""

    item: Tensor  # (B, H) int64
    feedback: Tensor  # (B, H, M) every signal, NaN where unobserved
    used: Tensor  # (B, H) bool
    request: Tensor  # (B, H) int64, place at which the row's slate begins; without slates, its own
    others: Tensor  # (B, H, C) int64, sampled items
    fair: Tensor  # (B, H, C) bool, an item that this person passed over: never consumed


def _batches(
    events: pd.DataFrame, log: Log, settings: JudgeSettings, rng: np.random.Generator
) -> Iterator[_Batch]:
    """Every event once, in random stretches.

    Where the log shows what was passed over, the clicks are held against that and nothing is drawn.
    """
    item_E, user_E = events["item"].to_numpy(np.int64), events["user"].to_numpy()
    columns = [events[signal.name].to_numpy(np.float32) for signal in log.signals]
    feedback_EM = np.stack(columns, axis=1)
    taken_E = events["click"].to_numpy() > 0
    consumed = np.unique((user_E.astype(np.int64) * log.num_items + item_E)[taken_E])  # sorted
    if not len(consumed):
        raise ValueError(f"nobody of these people of {log.name} has clicked anything")
    request_E = _requests(events)
    negatives = 0 if has_slates(log) else settings.negatives
    begin_S, end_S = stretches(user_E, settings.stretch, rng)
    order_S = rng.permutation(len(begin_S))
    size = max(settings.batch, -(-len(order_S) // MOST_STEPS))
    for at in range(0, len(order_S), size):
        chosen_B = order_S[at : at + size]
        begin_B1, end_B1 = begin_S[chosen_B][:, None], end_S[chosen_B][:, None]
        row_BH = begin_B1 + np.arange((end_B1 - begin_B1).max())
        used_BH = row_BH < end_B1
        row_BH = np.where(used_BH, row_BH, begin_B1)
        others_BHC = rng.integers(0, log.num_items, (*row_BH.shape, negatives))
        pair_BHC = user_E[row_BH][..., None].astype(np.int64) * log.num_items + others_BHC
        place_BHC = np.searchsorted(consumed, pair_BHC).clip(max=len(consumed) - 1)
        fair_BHC = consumed[place_BHC] != pair_BHC
        if log.repeats:
            fair_BHC = others_BHC != item_E[row_BH][..., None]
        request_BH = np.maximum(request_E[row_BH] - begin_B1, 0)
        parts = (item_E[row_BH], feedback_EM[row_BH], used_BH, request_BH, others_BHC, fair_BHC)
        yield _Batch(*(torch.as_tensor(x) for x in parts))


def _read(model: FactorModel, batch: _Batch) -> tuple[Tensor, Tensor]:
    """Loss, and outputs (B, H, 1 + C, T) for each event's item and for the sampled ones.

    Click cross-entropy per candidate, plus the other tasks' losses per click, with the weights that
    the multi-task model has; a signal that was not observed adds nothing.
    """
    used_BH = batch.used.float()
    clicked_BH = (batch.feedback[..., 0] > 0).float()
    gain = map_tensors(
        lambda x: x * clicked_BH.view(*clicked_BH.shape, *[1] * (x.dim() - 2)),
        model.gain(batch.item, batch.feedback),
    )
    before = map_tensors(lambda x_BH: _at(x_BH.cumsum(1) - x_BH, batch.request), gain)
    outputs = model(before, torch.cat([batch.item[..., None], batch.others], -1))
    own_BHT, others_BHC = outputs[..., 0, :], outputs[..., 1:, 0]
    fair_BHC = batch.fair * (used_BH * clicked_BH)[..., None]
    sign_BH = 1.0 - 2.0 * clicked_BH  # log-odds against what happened
    taken, passed = (
        F.softplus(sign_BH * own_BHT[..., 0]) * used_BH,
        F.softplus(others_BHC) * fair_BHC,
    )
    loss = (taken.sum() + passed.sum()) / (used_BH.sum() + fair_BHC.sum())
    weights = head_weights(model.tasks, {})
    given_BH = [
        weights[task.signal.name] * _seen(task, own_BHT[..., t], batch.feedback[..., t])
        for t, task in enumerate(model.tasks)
        if t
    ]
    if given_BH:
        counted_BH = used_BH * clicked_BH
        total_BH = sum(given_BH[1:], start=given_BH[0])
        loss = loss + (total_BH * counted_BH).sum() / counted_BH.sum().clamp(min=1.0)
    return loss, outputs


def _at(sum_BH: Tensor, place_BH: Tensor) -> Tensor:
    """Running sums as they stood at these places of their stretches, any trailing shape."""
    index = place_BH.view(*place_BH.shape, *[1] * (sum_BH.dim() - 2)).expand_as(sum_BH)
    return sum_BH.gather(1, index)


def _requests(events: pd.DataFrame) -> np.ndarray:
    """The row at which each row's slate begins, (E,); without slates, the row itself."""
    row_E = np.arange(len(events))
    if "slate_id" not in events:
        return row_E
    user_E = events["user"].to_numpy()
    first_E = pd.Series(row_E).groupby([user_E, events["slate_id"].to_numpy()]).transform("first")
    requests_E: np.ndarray = first_E.groupby(user_E).cummax().to_numpy()
    return requests_E


def _seen(task: Task, output_BH: Tensor, value_BH: Tensor) -> Tensor:
    """A task's loss, 0 where its signal was not observed."""
    return torch.where(value_BH.isnan(), 0.0, task.loss(output_BH, value_BH))


@torch.no_grad()
def _measure(
    model: FactorModel, log: Log, people: np.ndarray, settings: JudgeSettings
) -> dict[str, float]:
    """Metrics on these people."""
    events = log.events[np.isin(log.events["user"], people)]
    parts: list[tuple[np.ndarray, ...]] = []
    for batch in _batches(events, log, settings, np.random.default_rng(settings.seed + 1)):
        _, outputs = _read(model, batch)
        used_BH = batch.used
        clicked_BH = used_BH & (batch.feedback[..., 0] > 0)
        passed_BHC = clicked_BH[..., None] & batch.fair
        own = (outputs[..., 0, :][used_BH], batch.feedback[used_BH])
        parts.append(tuple(x.numpy() for x in (*own, outputs[..., 1:, 0][passed_BHC])))
    own_xT, value_xM, passed_x = (np.concatenate(x) for x in zip(*parts, strict=True))
    clicked_x = value_xM[:, 0] > 0
    click = model.tasks[0].signal.name
    label_x = np.r_[clicked_x.astype(float), np.zeros(len(passed_x))]
    figures = {f"{click}_auc": auc(label_x, np.r_[own_xT[:, 0], passed_x])}
    for t, task in enumerate(model.tasks):
        if t:
            seen_x = clicked_x & ~np.isnan(value_xM[:, t])
            output_x = own_xT[seen_x, t]
            everyone_x = np.zeros(len(output_x))
            said = task.figures(value_xM[seen_x, t], output_x, everyone_x, output_x)
            first = next(iter(said))
            figures[first] = said[first]
    return {name: value for name, value in figures.items() if not np.isnan(value)}


def _starts(
    events: pd.DataFrame, tasks: Sequence[Task], num_items: int
) -> tuple[tuple[Task, ...], np.ndarray, list[float]]:
    """The tasks fitted to these rows, where the item biases start (N, T), and the offsets."""
    taken = events[events["click"] > 0]
    count_N = np.bincount(taken["item"], minlength=num_items)
    popular_N = np.log((count_N + 0.5) / (count_N.sum() + 0.5 * num_items) * num_items)
    fitted, columns, offsets = [tasks[0]], [popular_N], [CLICK_START]
    for task in tasks[1:]:
        name = task.signal.name
        seen = taken[taken[name].notna()]
        value = seen[name].to_numpy(np.float64)
        own = task.fitted(value)
        start = own.item_start(seen["item"].to_numpy(), value, num_items)
        fitted.append(own)
        columns.append(start.item_N)
        offsets.append(start.offset)
    return tuple(fitted), np.stack(columns, 1).astype(np.float32), offsets


def stretches(
    user_E: np.ndarray, longest: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Cut everybody's rows into stretches, the first cut at random.

    Args:
        user_E: sorted.
        longest: rows in a stretch, at most.
        rng: decides everybody's first cut.

    Returns:
        begin_S, end_S: rows [begin, end) of each stretch, in order, together all rows.
    """
    first_U = np.flatnonzero(np.r_[True, user_E[1:] != user_E[:-1]])
    size_U = np.diff(np.r_[first_U, len(user_E)])
    shift_U = rng.integers(1, longest + 1, len(first_U))  # length of everybody's first stretch
    row_E = np.arange(len(user_E))
    place_E = row_E - np.repeat(first_U + shift_U, size_U)
    begin_S = np.flatnonzero((place_E % longest == 0) | np.isin(row_E, first_U))
    return begin_S, np.r_[begin_S[1:], len(user_E)]
