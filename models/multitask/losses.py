"""Losses of the heads, each masked to where its signal was observed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.sequences import Batch, Sequences, draw_negatives
from slategym.models.tasks import NEXT


@dataclass(frozen=True)
class Targets:
    """What happened at x rows, and what they are compared with."""

    row_x: Tensor  # (x,) int64, rows of the log
    negative_xC: Tensor  # (x, C) int64, items drawn against the clicked one
    free_xC: Tensor  # (x, C) bool, False where the draw failed
    consumed_xN: Tensor  # (x, N) bool, items that the user met before, never the target itself


def batch_targets(
    sequences: Sequences,
    batch: Batch,
    limit_B: Tensor,
    negatives: int,
    generator: torch.Generator,
) -> Targets:
    """Targets of the real positions of a batch, in row-major order.

    Args:
        sequences: the log.
        batch: windows of it.
        limit_B: events of each user, from the first, whose items are not drawn as negatives.
        negatives: draws per row.
        generator: of the draws, on the CPU.
    """
    rank_BN = sequences.rank(batch.user_B)
    line_x = batch.real_BS.nonzero()[:, 0]
    row_x = batch.row_BS[batch.real_BS]
    negative_xC, free_xC = draw_negatives(rank_BN, line_x, limit_B[line_x], negatives, generator)
    consumed_xN = rank_BN[line_x] < sequences.order_E[row_x][:, None]
    consumed_xN.scatter_(1, sequences.item_E[row_x][:, None], False)
    return Targets(row_x, negative_xC, free_xC, consumed_xN)


def task_losses(
    model: MultiTaskBert,
    items_ND: Tensor,
    query_xD: Tensor,
    sequences: Sequences,
    targets: Targets,
    weights: Mapping[str, float],
) -> dict[str, Tensor]:
    """Mean loss of every head with a weight above zero, unweighted.

    Args:
        model: the heads.
        items_ND: item vectors.
        query_xD: from `queries`, at the targets' rows.
        sequences: the log.
        targets: what happened.
        weights: which heads count.

    Returns:
        By head: click (binary cross-entropy of the row and of its negatives), every other task
        given a click, next (cross-entropy over the items not yet consumed).
    """
    row_x = targets.row_x
    item_x = sequences.item_E[row_x]
    clicked_x = sequences.click_E[row_x]
    losses: dict[str, Tensor] = {}
    click, *others = model.tasks
    if weights[click.signal.name]:
        id_xC = torch.cat([item_x[:, None], targets.negative_xC], dim=1)
        label_xC = torch.zeros(id_xC.shape, device=id_xC.device)
        label_xC[:, 0] = clicked_x
        used_xC = F.pad(targets.free_xC & (clicked_x > 0)[:, None], (1, 0), value=True)
        click_xC = model.logits(click.signal.name, query_xD, items_ND, id_xC)
        losses[click.signal.name] = _mean(click.loss(click_xC, label_xC), used_xC)
    for m, task in enumerate(others, start=1):
        name = task.signal.name
        if weights[name]:
            value_x = sequences.feedback_EM[row_x, m]
            output_x = model.logits(name, query_xD, items_ND, item_x[:, None])[:, 0]
            seen_x = (clicked_x > 0) & ~value_x.isnan()
            losses[name] = _mean(task.loss(output_x, value_x), seen_x)
    if weights[NEXT]:
        logit_xN = model.next_logits(query_xD, items_ND)
        logit_xN = logit_xN.masked_fill_(targets.consumed_xN, -1e9)
        surprise_x = F.cross_entropy(logit_xN, item_x, reduction="none")
        losses[NEXT] = _mean(surprise_x, clicked_x > 0)
    return losses


def total_loss(losses: Mapping[str, Tensor], weights: Mapping[str, float]) -> Tensor:
    """Weighted sum, a scalar."""
    return torch.stack([weights[head] * loss for head, loss in losses.items()]).sum()


def _mean(loss_x: Tensor, used_x: Tensor) -> Tensor:
    return (loss_x * used_x).sum() / used_x.sum().clamp(min=1)
