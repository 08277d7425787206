"""What a model says about rows of a log, given only what came before each."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray

from slategym.models.multitask.losses import TaskWeights, batch_targets
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.sequences import (
    Bools,
    Floats,
    Ints,
    Sequences,
    queries,
    windows_before,
)

BATCH = 256  # windows encoded together


@dataclass(frozen=True)
class Predictions:
    """Uncalibrated outputs and outcomes at x rows; C = the row's item, then its negatives."""

    row_x: Ints  # rows of the log
    user_x: Ints
    id_xC: Ints  # items
    click_xC: Floats  # log-odds
    used_xC: Bools  # False for negatives of unclicked rows and for failed draws
    clicked_xC: Floats  # 0 or 1
    like_x: Floats  # log-odds given a click
    liked_x: Floats  # 0 or 1, NaN where unobserved
    expected_x: Floats  # stars, clipped to [1, 5]
    stars_x: Floats  # NaN where unobserved
    rank_x: Ints  # of the row's item among all items not consumed before it, 0 = first
    surprise_x: Floats  # nats, of the row's item under the next-item softmax

    def subset(self, keep_x: Bools) -> Predictions:
        """Some of the rows."""
        return Predictions(*(getattr(self, field.name)[keep_x] for field in fields(self)))


@torch.no_grad()
def predict(
    model: MultiTaskBert, sequences: Sequences, row_E: Ints, *, negatives: int = 4, seed: int = 0
) -> Predictions:
    """Predict each row from the profile, the clock and up to max_history events before it.

    Args:
        model: in evaluation mode.
        sequences: the log; the earlier rows of a user are read whether trained on or not.
        row_E: rows to predict.
        negatives: items drawn uniformly from those that the user never meets, per row.
        seed: of the draws.
    """
    generator = torch.Generator().manual_seed(seed)
    items_ND = model.item_vectors()
    parts: list[dict[str, NDArray[np.generic]]] = []
    for row_B, start_B, stop_B in windows_before(
        sequences, row_E, model.settings.max_history, BATCH
    ):
        batch = sequences.batch(start_B, stop_B)
        lines = torch.arange(len(row_B), device=model.device)
        last_B = torch.as_tensor(stop_B - start_B - 1, device=model.device)
        query_BD = queries(model, items_ND, sequences, batch)[lines, last_B]
        targets = batch_targets(
            sequences, batch.last(), sequences.count_U[batch.user_B], negatives, generator
        )
        item_B = sequences.item_E[targets.row_x]
        id_BC = torch.cat([item_B[:, None], targets.negative_xC], dim=1)
        clicked_B = sequences.click_E[targets.row_x]
        clicked_BC = torch.zeros(id_BC.shape, device=model.device)
        clicked_BC[:, 0] = clicked_B
        used_BC = torch.ones_like(id_BC, dtype=torch.bool)
        used_BC[:, 1:] = targets.free_xC & (clicked_B > 0)[:, None]
        next_BN = model.next_logits(query_BD, items_ND).masked_fill(targets.consumed_xN, -1e9)
        target_B1 = next_BN.gather(1, item_B[:, None])
        ahead_B = (next_BN > target_B1).sum(1)
        values = {
            "row_x": targets.row_x,
            "user_x": batch.user_B,
            "id_xC": id_BC,
            "click_xC": model.logits("click", query_BD, items_ND, id_BC),
            "used_xC": used_BC,
            "clicked_xC": clicked_BC,
            "like_x": model.logits("like", query_BD, items_ND, item_B[:, None])[:, 0],
            "liked_x": sequences.like_E[targets.row_x],
            "expected_x": model.logits("rating", query_BD, items_ND, item_B[:, None])[:, 0].clamp(
                1, 5
            ),
            "stars_x": sequences.stars_E[targets.row_x],
            "rank_x": ahead_B,
            "surprise_x": next_BN.logsumexp(1) - target_B1[:, 0],
        }
        parts.append({name: value.cpu().numpy() for name, value in values.items()})
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(joined["row_x"], kind="stable")
    return Predictions(**{name: value[order] for name, value in joined.items()})  # type: ignore[arg-type]


def mean_losses(predictions: Predictions, weights: TaskWeights) -> dict[str, float]:
    """Each weighted head's mean loss, as in training; see `losses.task_losses`."""
    p = predictions
    clicked_x = p.clicked_xC[:, 0] > 0
    judged_x, rated_x = clicked_x & ~np.isnan(p.liked_x), ~np.isnan(p.stars_x)
    losses = {
        "click": _binary(p.click_xC, p.clicked_xC)[p.used_xC].mean() if weights.click else 0.0,
        "like": _binary(p.like_x, p.liked_x)[judged_x].mean() if weights.like else 0.0,
        "rating": np.square(p.expected_x - p.stars_x)[rated_x].mean() if weights.rating else 0.0,
        "next": p.surprise_x[clicked_x].mean() if weights.next else 0.0,
    }
    return {head: float(loss) for head, loss in losses.items() if getattr(weights, head)}


def _binary(logit_x: Floats, label_x: Floats) -> Floats:
    """Binary cross-entropy, nats."""
    loss_x: Floats = np.logaddexp(0, logit_x) - label_x * logit_x
    return loss_x
