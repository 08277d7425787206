"""What a model says about rows of a log, given only what came before each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from slategym.models.multitask.losses import FORBIDDEN, batch_targets
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.requests import Known, requests
from slategym.models.multitask.sequences import (
    Bools,
    Floats,
    Ints,
    Sequences,
    windows_before,
)
from slategym.models.tasks import NEXT, Task

BATCH = 256  # windows encoded together, at most
MOST_LOGITS = 2**24  # of items by windows: 64 MiB


@dataclass(frozen=True)
class Predictions:
    """Uncalibrated outputs and outcomes at x rows; C = the row's item, then its negatives."""

    tasks: tuple[Task, ...]  # M, click first
    row_x: Ints  # rows of the log
    user_x: Ints
    id_xC: Ints  # items
    click_xC: Floats  # log-odds, in the slot where the log has slates
    used_xC: Bools  # False for negatives of unclicked rows and for failed draws
    clicked_xC: Floats  # 0 or 1
    output_xM: Floats  # every task's output for the row's item
    value_xM: Floats  # what happened, NaN where unobserved
    rank_x: Floats  # of the row's item among all that could be next, 0 = first; ties: the middle
    surprise_x: Floats  # nats, of the row's item under the next-item softmax
    other_xC: Floats | None = None  # log-odds of a click of further items that were asked about

    def seen(self, m: int) -> Bools:
        """Rows that say something of a task given a click: clicked, and its signal observed."""
        seen_x: Bools = (self.clicked_xC[:, 0] > 0) & ~np.isnan(self.value_xM[:, m])
        return seen_x


@torch.no_grad()
def predict(
    model: MultiTaskBert,
    sequences: Sequences,
    row_E: Ints,
    *,
    negatives: int = 4,
    seed: int = 0,
    known: Known | None = None,
    others_xC: Ints | None = None,
) -> Predictions:
    """Predict each row from the profile, its context and the user's clicks before it.

    The sequence holds the last max_history of them, running statistics all.

    Args:
        model: in evaluation mode.
        sequences: the log; the earlier rows of a user are read whether trained on or not.
        row_E: rows to predict.
        negatives: items drawn uniformly from those that the user never meets, per row; none where
            the log shows what was passed over.
        seed: of the draws.
        known: what statistics say of the rows; None: read now.
        others_xC: further items whose clicks are asked about, by rows in ascending order.
    """
    known = Known.of(model, sequences, row_E) if known is None else known
    others_xC = np.zeros((len(row_E), 0), np.int64) if others_xC is None else others_xC
    sorted_x = np.sort(row_E)
    generator = torch.Generator().manual_seed(seed)
    table = model.item_table()
    items_ND = table.vectors_AD
    parts: list[dict[str, NDArray[np.generic]]] = []
    size = max(1, min(BATCH, MOST_LOGITS // sequences.num_items))
    for _, windows in windows_before(sequences, row_E, model.settings.max_history, size):
        batch = sequences.batch(windows)
        query = requests(model, table, sequences, windows, batch, known)
        targets = batch_targets(
            sequences, batch, sequences.clicks_U[batch.user_B], negatives, generator
        )
        item_B = sequences.item_E[targets.row_x]
        id_BC = torch.cat([item_B[:, None], targets.negative_xC], dim=1)
        clicked_B = sequences.click_E[targets.row_x]
        clicked_BC = torch.zeros(id_BC.shape, device=model.device)
        clicked_BC[:, 0] = clicked_B
        used_BC = torch.ones_like(id_BC, dtype=torch.bool)
        used_BC[:, 1:] = targets.free_xC & (clicked_B > 0)[:, None]
        click_BC = model.logits(model.heads[0], query, items_ND, id_BC)
        if sequences.slot_E is not None:
            click_BC = click_BC + model.slot_effect(sequences.slot_E[targets.row_x])[:, None]
        next_BN = model.next_logits(query, items_ND)
        if targets.barred_xA is not None:
            next_BN = next_BN.masked_fill(targets.barred_xA, FORBIDDEN)
        target_B1 = next_BN.gather(1, item_B[:, None])
        ahead_B = (next_BN > target_B1).sum(1)
        level_B = (next_BN == target_B1).sum(1)
        other_BC = torch.as_tensor(others_xC[np.searchsorted(sorted_x, windows.row_B)])
        values = {
            "row_x": targets.row_x,
            "user_x": batch.user_B,
            "id_xC": id_BC,
            "click_xC": click_BC,
            "used_xC": used_BC,
            "clicked_xC": clicked_BC,
            "output_xM": torch.cat(
                [model.logits(head, query, items_ND, item_B[:, None]) for head in model.heads[:-1]],
                dim=1,
            ),
            "value_xM": sequences.feedback_EM[targets.row_x],
            "rank_x": ahead_B + (level_B - 1) / 2,
            "surprise_x": next_BN.logsumexp(1) - target_B1[:, 0],
            "other_xC": model.logits(model.heads[0], query, items_ND, other_BC.to(item_B.device)),
        }
        parts.append({name: value.cpu().numpy() for name, value in values.items()})
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(joined["row_x"], kind="stable")
    ordered: dict[str, Any] = {name: value[order] for name, value in joined.items()}
    return Predictions(model.tasks, **ordered)


def mean_losses(predictions: Predictions, weights: Mapping[str, float]) -> dict[str, float]:
    """Each weighted head's mean loss, as in training; 0 where no row says anything of it."""
    return {
        head: float(loss_x.mean()) if len(loss_x) else 0.0
        for head, (loss_x, _) in _losses(predictions, weights).items()
    }


def loss_parts(predictions: Predictions, weights: Mapping[str, float]) -> NDArray[np.float64]:
    """What each of the people adds to the weighted sum of the mean losses, (B,), by user id."""
    users = np.unique(predictions.user_x)
    part_B = np.zeros(len(users))
    for head, (loss_x, user_x) in _losses(predictions, weights).items():
        place_x = np.searchsorted(users, user_x)
        sum_B = np.bincount(place_x, loss_x, minlength=len(users))
        part_B += weights[head] * sum_B / max(1, len(loss_x))
    return part_B


def clearly_above(part_B: NDArray[np.float64], best_B: NDArray[np.float64]) -> bool:
    """Whether one sum of parts is above another by more than a standard error of people.

    Args:
        part_B: one person's each; of one person alone nothing is clear.
        best_B: of the same people.
    """
    above_B = part_B - best_B
    if len(above_B) < 2:
        return False
    error = above_B.std(ddof=1) * np.sqrt(len(above_B))
    return bool(above_B.sum() > error)


def _losses(
    predictions: Predictions, weights: Mapping[str, float]
) -> dict[str, tuple[NDArray[np.floating[Any]], Ints]]:
    """Losses of each weighted head, and whose they are."""
    p = predictions
    click = p.tasks[0]
    user_xC = np.broadcast_to(p.user_x[:, None], p.used_xC.shape)
    loss_xC = click.held_out_loss(p.click_xC, p.clicked_xC)
    losses = {click.signal.name: (loss_xC[p.used_xC], user_xC[p.used_xC])}
    for m, task in enumerate(p.tasks[1:], start=1):
        loss_x, seen_x = task.held_out_loss(p.output_xM[:, m], p.value_xM[:, m]), p.seen(m)
        losses[task.signal.name] = (loss_x[seen_x], p.user_x[seen_x])
    clicked_x = p.clicked_xC[:, 0] > 0
    losses[NEXT] = (p.surprise_x[clicked_x], p.user_x[clicked_x])
    return {head: found for head, found in losses.items() if weights[head]}
