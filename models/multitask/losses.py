"""Losses of the heads, each masked to where its signal was observed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.models.multitask.chains import CALIBRATOR, joint_loss, overtaking
from slategym.models.multitask.loss_settings import LossSettings
from slategym.models.multitask.network import ItemTable, MultiTaskBert
from slategym.models.multitask.query import Query
from slategym.models.multitask.ranking import ranking_loss
from slategym.models.multitask.sequences import Batch, Sequences, draw_negatives
from slategym.models.tasks import NEXT, Task

FORBIDDEN = -1e9  # logit of an item that cannot be the next


class Sampled(NamedTuple):
    """Items that stand for all others in the next-item softmax."""

    id_A: Tensor  # (A,) int64, sorted, each once
    log_count_A: Tensor  # (A,) float32, log of how often each was expected among the draws


@dataclass(frozen=True)
class Proposal:
    """Draws items more often the more popular they are, as the square root of their clicks."""

    edge_N: Tensor  # (N,) float64, cumulative shares
    share_N: Tensor  # (N,) float64

    @staticmethod
    def of(count_N: Tensor) -> Proposal:
        """From the clicks of each item in training rows."""
        share_N = (count_N.double() + 1.0).sqrt()
        share_N = share_N / share_N.sum()
        return Proposal(share_N.cumsum(0), share_N)

    def draw(self, count: int, generator: torch.Generator) -> Sampled:
        """So many draws, each item kept once.

        Source: sampled softmax with the correction log q, Bengio and Senecal 2008; an item drawn
        at least once of n is expected 1 - (1 - q)^n times.
        """
        uniform_A = torch.rand(count, dtype=torch.float64, generator=generator)
        drawn_A = torch.searchsorted(self.edge_N, uniform_A.to(self.edge_N.device))
        id_A: Tensor = torch.unique(drawn_A.clamp(max=len(self.edge_N) - 1))
        missed_A = torch.log1p(-self.share_N[id_A]) * count
        return Sampled(id_A, torch.log(-torch.expm1(missed_A)).float())


@dataclass(frozen=True)
class Targets:
    """What happened at x rows, and what they are compared with."""

    row_x: Tensor  # (x,) int64, rows of the log
    negative_xC: Tensor  # (x, C) int64, items drawn against the clicked one
    free_xC: Tensor  # (x, C) bool, False where the draw failed
    sampled: Sampled | None  # items of the next-item softmax; None: all N
    # (x, N) or (x, A) bool, items that cannot be the next: met before and not met again, or the
    # target itself among the sampled; None: none
    barred_xA: Tensor | None

    def rows(self, at_x: Tensor) -> Targets:
        """Some of them."""
        return replace(
            self,
            row_x=self.row_x[at_x],
            negative_xC=self.negative_xC[at_x],
            free_xC=self.free_xC[at_x],
            barred_xA=None if self.barred_xA is None else self.barred_xA[at_x],
        )


def batch_targets(
    sequences: Sequences,
    batch: Batch,
    limit_B: Tensor,
    negatives: int,
    generator: torch.Generator,
    sampled: Sampled | None = None,
    left_N: Tensor | None = None,
) -> Targets:
    """Targets of the real rows of a batch, in row-major order.

    Args:
        sequences: the log.
        batch: windows of it.
        limit_B: clicks of each user, from the first, whose items are not drawn as negatives.
        negatives: draws per row; none are made where the log shows what was passed over.
        generator: of the draws, on the CPU.
        sampled: items of the next-item softmax; None: all.
        left_N: bool, items that are neither drawn against nor counted as a next; None: none.
    """
    line_x = batch.real_BR.nonzero()[:, 0]
    row_x = batch.row_BR[batch.real_BR]
    user_x, item_x = batch.user_B[line_x], sequences.item_E[row_x]
    wanted = 0 if sequences.slot_E is not None else negatives
    negative_xC, free_xC = draw_negatives(sequences, user_x, limit_B[line_x], wanted, generator)
    free_xC = free_xC & (negative_xC != item_x[:, None])
    if left_N is not None:
        free_xC = free_xC & ~left_N[negative_xC]
    barred_xA = None
    if not sequences.repeats:
        rank_BA = sequences.rank(batch.user_B, None if sampled is None else sampled.id_A)
        barred_xA = rank_BA[line_x] < sequences.order_E[row_x][:, None]
    if left_N is not None:
        left_A = left_N if sampled is None else left_N[sampled.id_A]
        left_xA = left_A.expand(len(row_x), -1)
        barred_xA = left_xA.clone() if barred_xA is None else barred_xA | left_xA
    if sampled is not None:
        itself_xA = sampled.id_A == item_x[:, None]
        barred_xA = itself_xA if barred_xA is None else barred_xA | itself_xA
    elif barred_xA is not None:
        barred_xA.scatter_(1, item_x[:, None], False)
    return Targets(row_x, negative_xC, free_xC, sampled, barred_xA)


def items_of(sequences: Sequences, batch: Batch, targets: Targets) -> Tensor | None:
    """Every item that the losses of a batch touch, sorted; None: all, as nothing was sampled."""
    if targets.sampled is None:
        return None
    parts = (
        batch.id_BH.flatten(),
        sequences.item_E[targets.row_x],
        targets.negative_xC.flatten(),
        targets.sampled.id_A,
    )
    id_A: Tensor = torch.unique(torch.cat(parts))
    return id_A


@dataclass(frozen=True)
class ClickLoss:
    """How clicks are told from what was not clicked."""

    settings: LossSettings
    weight_E: Tensor | None = None  # of each row of the log; None: all alike

    def __call__(
        self,
        task: Task,
        logit_xC: Tensor,
        label_xC: Tensor,
        used_xC: Tensor,
        row_x: Tensor,
        place_x: Tensor,
    ) -> Tensor:
        """Mean loss, a scalar.

        Args:
            task: the click's.
            logit_xC: log-odds, the row's item first, then its negatives.
            label_xC: 0 or 1.
            used_xC: whether each counts.
            row_x: rows of the log.
            place_x: positions from which they are predicted.
        """
        if self.settings.click != "pointwise":
            return ranking_loss(self.settings.click, logit_xC, used_xC, label_xC[:, 0], place_x)
        loss_xC = task.loss(logit_xC, label_xC)
        if self.weight_E is not None:
            loss_xC = loss_xC * self.weight_E[row_x][:, None]
        return _mean(loss_xC, used_xC)


def task_losses(
    model: MultiTaskBert,
    table: ItemTable,
    query: Query,
    sequences: Sequences,
    targets: Targets,
    weights: Mapping[str, float],
    click_loss: ClickLoss | None = None,
) -> dict[str, Tensor]:
    """Mean loss of every head with a weight above zero, unweighted.

    Args:
        model: the heads.
        table: of the items that the targets touch.
        query: from `requests`, of the targets' rows.
        sequences: the log.
        targets: what happened.
        weights: which heads count.
        click_loss: how clicks are compared; None: the default.

    Returns:
        By head: click (binary cross-entropy of the row and of its negatives), every other task
        given a click, next (cross-entropy over the items not yet consumed).
    """
    row_x = targets.row_x
    item_x = table.local(sequences.item_E[row_x])
    clicked_x = sequences.click_E[row_x]
    losses: dict[str, Tensor] = {}

    def logits(head: str, id_xC: Tensor) -> Tensor:
        return model.logits(head, query, table.vectors_AD, id_xC, table.bias_YA)

    click, *others = model.tasks
    if weights[click.signal.name]:
        id_xC = torch.cat([item_x[:, None], table.local(targets.negative_xC)], dim=1)
        label_xC = torch.zeros(id_xC.shape, device=id_xC.device)
        label_xC[:, 0] = clicked_x
        used_xC = F.pad(targets.free_xC & (clicked_x > 0)[:, None], (1, 0), value=True)
        click_xC = logits(click.signal.name, id_xC)
        click_loss = click_loss or ClickLoss(LossSettings())
        if sequences.slot_E is not None and click_loss.settings.position != "estimated":
            click_xC = click_xC + model.slot_effect(sequences.slot_E[row_x])[:, None]
        losses[click.signal.name] = click_loss(
            click, click_xC, label_xC, used_xC, row_x, sequences.position_E[row_x]
        )
    if query.clicked is not None:  # of the rest no value is known, and nothing of them came next
        took_x = (clicked_x > 0).nonzero()[:, 0]
        query, targets = query.clicked, targets.rows(took_x)
        row_x, item_x, clicked_x = row_x[took_x], item_x[took_x], clicked_x[took_x]
    for m, task in enumerate(others, start=1):
        name = task.signal.name
        if weights[name] and model.settings.chain == "esmm" and task.signal.kind == "binary":
            value_x = sequences.feedback_EM[row_x, m]
            losses[name] = _joint(logits, click.signal.name, name, item_x, value_x, clicked_x)
        elif weights[name]:
            value_x = sequences.feedback_EM[row_x, m]
            seen_x = (clicked_x > 0) & ~value_x.isnan()
            losses[name] = _mean(task.loss(logits(name, item_x[:, None])[:, 0], value_x), seen_x)
    if model.settings.chain == "aitm":
        _keep_order(losses, model, logits, item_x, clicked_x)
    if weights[NEXT]:
        surprise_x = _surprise(model, table, query, item_x, targets)
        losses[NEXT] = _mean(surprise_x, clicked_x > 0)
    return losses


def _joint(
    logits: Callable[[str, Tensor], Tensor],
    click: str,
    head: str,
    item_x: Tensor,
    value_x: Tensor,
    clicked_x: Tensor,
) -> Tensor:
    """A stage's loss together with the click, over every row that tells of both."""
    click_x, given_x = (logits(name, item_x[:, None])[:, 0] for name in (click, head))
    label_x = torch.where(clicked_x > 0, value_x, 0.0)
    return _mean(joint_loss(click_x, given_x, label_x.nan_to_num()), ~label_x.isnan())


def _keep_order(
    losses: dict[str, Tensor],
    model: MultiTaskBert,
    logits: Callable[[str, Tensor], Tensor],
    item_x: Tensor,
    clicked_x: Tensor,
) -> None:
    """Add to each stage's loss by how much it is likelier than the one before it."""
    stages = [task.signal.name for task in model.tasks[1:] if task.signal.kind == "binary"]
    for before, after in pairwise([name for name in stages if name in losses]):
        before_x, after_x = (logits(name, item_x[:, None])[:, 0] for name in (before, after))
        over_x = overtaking(before_x, after_x)
        losses[after] = losses[after] + CALIBRATOR * _mean(over_x, clicked_x > 0)


def _surprise(
    model: MultiTaskBert, table: ItemTable, query: Query, item_x: Tensor, targets: Targets
) -> Tensor:
    """Cross-entropy of the row's item among those that could be next, (x,), nats."""
    if targets.sampled is None:
        logit_xN = model.next_logits(query, table.vectors_AD)
        if targets.barred_xA is not None:
            logit_xN = logit_xN.masked_fill_(targets.barred_xA, FORBIDDEN)
        return F.cross_entropy(logit_xN, item_x, reduction="none")
    own_x1 = model.logits(NEXT, query, table.vectors_AD, item_x[:, None], table.bias_YA)
    at_A = table.local(targets.sampled.id_A)
    few, bias_YA = query.at_items(at_A), table.bias_YA[:, at_A]
    other_xA = model.logits(NEXT, few, table.vectors_AD[at_A], None, bias_YA)
    other_xA = other_xA - targets.sampled.log_count_A
    if targets.barred_xA is not None:
        other_xA = other_xA.masked_fill(targets.barred_xA, FORBIDDEN)
    return torch.cat([own_x1, other_xA], 1).logsumexp(1) - own_x1[:, 0]


def _mean(loss_x: Tensor, used_x: Tensor) -> Tensor:
    return (loss_x * used_x).sum() / used_x.sum().clamp(min=1)
