"""How much of each part of a head is served: shares chosen on rows that were not trained on.

A head is a sum: what closed forms say, what the network adds to it, and, for clicks and next items,
the items' biases. Where rows are few the network adds noise; then a share of it serves better than
all of it, and none is the closed form alone. Shares are found by the held-out loss, which is convex
in them; of what the network adds at most all is served. They are kept only if those fitted on the
other people lower a fold's loss by more than a standard error of the folds (of two folds: both).
They are multiplied into the weights: serving costs nothing.

Of a click the level, and how much tables and items' biases count, may move with the length of a
history: who took up much has less left of what is popular. Rows that were trained on tell this
wrongly, since the network knows by heart the people who have many of them.

Axis letters beyond the legend of `envs/types.py`: x held-out rows, V signals given a click, T kinds
of co-occurrence tables, A items of a table, W shares of a head.

Source: Breiman 1996, "Stacked regressions": weights of predictors fitted on held-out predictions,
not negative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from slategym.models.multitask.losses import Sampled, Targets, batch_targets, items_of
from slategym.models.multitask.network import ItemTable, MultiTaskBert
from slategym.models.multitask.prior_start import Sample, click_loss, next_loss
from slategym.models.multitask.query import Query, RowValues
from slategym.models.multitask.requests import Known, requests
from slategym.models.multitask.sequences import Ints, Sequences, windows_before
from slategym.models.tasks import NEXT, Task

BATCH = 128  # rows read together
MOST_LOGITS = 2**24  # of items by rows on which shares of click and next item are found: 64 MiB
FOLDS = 4  # of the people held out
STEPS = 30  # of the search, at most: few parameters, convex
RIDGE = 1e-3  # on squared distances from where the search starts, beside a mean loss

Bound = tuple[float | None, float | None]
ADDED: Bound = (0.0, 1.0)  # of what the network adds
KNOWN: Bound = (0.0, None)  # of what is counted: items' biases, tables
LEVEL: Bound = (None, None)

Floats = NDArray[np.float64]
Shares = Mapping[str, tuple[float, ...]]  # by head; a head that is not there is served as it is


@dataclass(frozen=True)
class HeldOut:
    """Rows that were not trained on, and how they are read."""

    sequences: Sequences
    row_x: Ints
    known: Known  # by statistics of all training rows
    negatives: int  # drawn against each click
    draw: Callable[[torch.Generator], Sampled | None]  # items of a sampled softmax; None: all
    most_items: int  # of a batch, about: all, or those drawn and as many that its rows ask of
    left_N: Tensor | None  # items that are neither drawn against nor counted as a next
    seed: int


@dataclass(frozen=True)
class _Values:
    """What the parts say of the V signals given a click at x rows."""

    closed_xV: Tensor  # closed forms
    added_xV2: Tensor  # the small network, the deep part
    value_xV: Tensor  # NaN where not observed, or not clicked

    @staticmethod
    def of(
        model: MultiTaskBert,
        sequences: Sequences,
        table: ItemTable,
        query: Query,
        row_x: Tensor,
        expected_xV: Tensor,
    ) -> _Values:
        """Of a batch's rows, each with its own item."""
        assert model.wide is not None and isinstance(query.values, RowValues)
        item_x1 = table.local(sequences.item_E[row_x])[:, None]
        deep = [
            model.queries.match(m, query.state, table.vectors_AD, item_x1, table.bias_YA[m])
            + model.queries.level(m, query.state)
            for m in range(1, len(model.tasks))
        ]
        deep_xV = torch.cat(deep, 1) * model.wide.gate_V
        took_x1 = sequences.click_E[row_x][:, None] > 0
        value_xV = torch.where(took_x1, sequences.feedback_EM[row_x, 1:], torch.nan)
        closed_xV = model.wide.closed_form(expected_xV, model.tasks[1:])
        network_xV = query.values.output_xV - closed_xV
        return _Values(closed_xV, torch.stack([network_xV, deep_xV], 2), value_xV)


@dataclass(frozen=True)
class _Choices:
    """What the parts say of what is clicked and of what comes next, at x rows."""

    sample: Sample
    next_xA: Tensor  # the network's match with each item
    click_xC: Tensor  # the same and the user's level, of the row's item and those against it
    slot_x1: Tensor  # what the slot adds to a click
    length_x1: Tensor  # of histories

    @staticmethod
    def of(
        model: MultiTaskBert, sequences: Sequences, table: ItemTable, query: Query, targets: Targets
    ) -> _Choices:
        """Of a batch's rows."""
        assert query.sums is not None
        sample = Sample.of(table, query.sums, sequences, targets)
        nothing_A = torch.zeros_like(table.bias_YA[0])

        def match(head: int, id_xC: Tensor | None) -> Tensor:
            return model.queries.match(head, query.state, table.vectors_AD, id_xC, nothing_A)

        slot_x1 = torch.zeros(len(targets.row_x), 1, device=model.device)
        if sequences.slot_E is not None:
            slot_x1 = model.slot_effect(sequences.slot_E[targets.row_x])[:, None]
        click_xC = match(0, sample.asked_xC) + model.queries.level(0, query.state)
        next_xA = match(len(model.heads) - 1, None)
        return _Choices(sample, next_xA, click_xC, slot_x1, query.sums.length)


Loss = Callable[[Sequence[Any], Tensor], Tensor]  # mean over rows, with these shares


def _value_loss(task: Task, v: int, reads: Sequence[_Values], share_W: Tensor) -> Tensor:
    """Of a signal given a click."""
    value_x = torch.cat([read.value_xV[:, v] for read in reads])
    closed_x = torch.cat([read.closed_xV[:, v] for read in reads])
    added_x2 = torch.cat([read.added_xV2[:, v] for read in reads])
    told_x = ~value_x.isnan()
    output_x = closed_x + added_x2 @ share_W
    return task.loss(output_x[told_x], value_x[told_x]).sum() / told_x.sum().clamp(min=1)


def _next_loss(weight_1T: Tensor, reads: Sequence[_Choices], share_W: Tensor) -> Tensor:
    """Surprise at what came next, with these shares of match, items' biases and tables."""
    losses = []
    for read in reads:
        table_T1 = (share_W[2:] * weight_1T[0])[:, None]
        said_xA = (read.sample.told_xTA * table_T1).sum(1)
        said_xA = said_xA + share_W[0] * read.next_xA + share_W[1] * read.sample.next_A
        losses.append(next_loss(read.sample, said_xA))
    return torch.stack(losses).mean()


def _click_loss(weight_1T: Tensor, reads: Sequence[_Choices], share_W: Tensor) -> Tensor:
    """Cross-entropy of clicks; behind the shares what is added to all, and what length adds."""
    number = weight_1T.shape[1]
    part_W, level, length_W = share_W[: number + 2], share_W[number + 2], share_W[number + 3 :]
    losses = []
    for read in reads:
        weight_xT1 = (part_W[2:] * weight_1T + length_W[:-2] * read.length_x1)[..., None]
        said_xC = (read.sample.told_xTC * weight_xT1).sum(1) + part_W[0] * read.click_xC
        bias_x1 = part_W[1] * (1.0 + length_W[-2] * read.length_x1)
        said_xC = said_xC + bias_x1 * read.sample.bias_xC + level + length_W[-1] * read.length_x1
        losses.append(click_loss(read.sample, said_xC + read.slot_x1))
    return torch.stack(losses).mean()


def _better(
    loss: Loss, folds: Sequence[Sequence[Any]], start_W: Tensor, bounds: Sequence[Bound]
) -> Tensor | None:
    """The likeliest shares; None: those found on other people are not clearly better."""
    told = [fold for fold in folds if fold]
    if len(told) < 2:  # all that was kept is of one fold
        return None
    gains = []
    for k, judged in enumerate(told):
        others = [read for fold in (*told[:k], *told[k + 1 :]) for read in fold]
        found_W = _least(loss, others, start_W, bounds)
        gains.append(float(loss(judged, start_W)) - float(loss(judged, found_W)))
    if not np.mean(gains) > np.std(gains, ddof=1) / np.sqrt(len(gains)):
        return None
    return _least(loss, [read for fold in told for read in fold], start_W, bounds)


def _least(loss: Loss, reads: Sequence[Any], start_W: Tensor, bounds: Sequence[Bound]) -> Tensor:
    """Shares with the least mean loss."""

    def total(tried_W: Floats) -> tuple[float, Floats]:
        share_W = torch.as_tensor(tried_W, dtype=start_W.dtype, device=start_W.device)
        with torch.enable_grad():
            share_W.requires_grad_()
            value = loss(reads, share_W) + RIDGE * (share_W - start_W).square().sum()
            (slope_W,) = torch.autograd.grad(value, share_W)
        return float(value), slope_W.double().cpu().numpy()

    search = {"method": "L-BFGS-B", "jac": True, "options": {"maxiter": STEPS}}
    found = minimize(total, start_W.double().cpu().numpy(), bounds=bounds, **search)
    return torch.as_tensor(found.x, dtype=start_W.dtype, device=start_W.device)


@torch.no_grad()
def find_shares(model: MultiTaskBert, held: HeldOut, heads: Sequence[str]) -> Shares:
    """The likeliest shares, of those heads that others than all of each part serve better.

    Args:
        model: in evaluation mode, as trained.
        held: rows.
        heads: that were trained.

    Returns:
        By signal given a click: of the small network and of the deep part. Of "next": of the match,
        the items' biases and each table. Of the click: the same, what is added to all, and what a
        history's length adds (`Prior.length`).
    """
    rows = held.row_x
    user_x = held.sequences.user_E.cpu().numpy()[rows]
    people, place_x = np.unique(user_x, return_inverse=True)
    if len(people) < 2:
        return {}
    fold_x = place_x % FOLDS
    found: dict[str, tuple[float, ...]] = {}
    click = model.heads[0]

    def take(
        head: str,
        loss: Loss,
        folds: Sequence[Sequence[Any]],
        start: list[float],
        bounds: list[Bound],
    ) -> None:
        share_W = _better(loss, folds, torch.tensor(start, device=model.device), bounds)
        if share_W is not None:
            found[head] = tuple(round(x, 4) for x in share_W.tolist())

    if model.wide is not None:
        folds = [list(_read(model, held, rows[fold_x == k], values=True)) for k in range(FOLDS)]
        for v, task in enumerate(model.tasks[1:]):
            if task.signal.name in heads:
                own = partial(_value_loss, task, v)
                take(task.signal.name, own, folds, [1.0, 1.0], [ADDED, ADDED])
    if model.prior is not None:
        keep_x = np.zeros(len(rows), bool)
        keep_x[:: 1 + len(rows) * held.most_items // MOST_LOGITS] = True
        folds = [
            list(_read(model, held, rows[(fold_x == k) & keep_x], values=False))
            for k in range(FOLDS)
        ]
        weights = model.prior.weights
        ones = [1.0] * (2 + weights[NEXT].shape[1])
        bounds = [ADDED] + [KNOWN] * (len(ones) - 1)
        if NEXT in heads:
            take(NEXT, partial(_next_loss, weights[NEXT].detach()), folds, ones, bounds)
        if click in heads:
            loss = partial(_click_loss, weights["click"].detach())
            start = [*ones, 0.0, *model.prior.length.tolist()]
            free = [LEVEL] * (len(start) - len(ones))
            take(click, loss, folds, start, [*bounds, *free])
    return found


@torch.no_grad()
def serve_shares(model: MultiTaskBert, shares: Shares) -> None:
    """Multiply the shares into the weights."""
    for head, share in shares.items():
        at = model.heads.index(head)
        if 0 < at < len(model.tasks):
            assert model.wide is not None
            model.wide.last.weight[at - 1] *= share[0]
            model.wide.last.bias[at - 1] *= share[0]
            model.wide.gate_V[at - 1] *= share[1]
            continue
        assert model.prior is not None
        kind = NEXT if head == NEXT else "click"
        number = model.prior.weights[kind].shape[1]
        for parameter in _match(model, at):
            parameter.mul_(share[0])
        model.item_bias_YN[at] *= share[1]
        weight_1T: Tensor = model.prior.weights[kind]
        weight_1T.mul_(torch.tensor(share[2 : 2 + number], device=model.device))
        if at == 0:
            level = model.queries.user_levels[0]
            for parameter in level.parameters():
                parameter.mul_(share[0])
            level.get_parameter("bias").add_(share[2 + number])
            model.prior.length.copy_(torch.tensor(share[3 + number :]))


def _match(model: MultiTaskBert, head: int) -> Iterator[Tensor]:
    """The weights to which a head's match with items is proportional."""
    network = model.queries.networks[head]
    assert isinstance(network, torch.nn.Sequential)
    yield from network[-1].parameters()


def _read(
    model: MultiTaskBert, held: HeldOut, row_x: Ints, *, values: bool
) -> Iterator[_Values | _Choices]:
    """The parts of these rows: of values, or of clicks and next items, which are of many items."""
    if not len(row_x):
        return
    sequences = held.sequences
    generator = torch.Generator().manual_seed(held.seed)
    known = replace(held.known, tables=None) if values else held.known
    for _, windows in windows_before(sequences, row_x, model.settings.max_history, BATCH):
        batch = sequences.batch(windows)
        targets = batch_targets(
            sequences,
            batch,
            sequences.clicks_U[batch.user_B],
            0 if values else held.negatives,
            generator,
            None if values else held.draw(generator),
            held.left_N,
        )
        table = model.item_table(None if values else items_of(sequences, batch, targets))
        query = requests(model, table, sequences, windows, batch, known)
        if values:
            assert known.described is not None
            expected_xV = known.described.at(targets.row_x)[1]
            yield _Values.of(model, sequences, table, query, targets.row_x, expected_xV)
        else:
            yield _Choices.of(model, sequences, table, query, targets)
