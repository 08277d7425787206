"""Losses beside those of the heads: two views of one history, and the worst small disturbance.

Axis letters beyond the legend of `envs/types.py`: S positions of a sequence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.models.multitask.network import ItemTable, MultiTaskBert
from slategym.models.multitask.sequences import Batch

MASKED, CROPPED, REORDERED = 0.5, 0.6, 0.4  # shares of a history, each view one of the three
TEMPERATURE = 0.1
ASKED = 0.2  # of the events of a window, hidden and asked for by cloze
LEAST_EVENTS = 3  # of a history that has two views


def contrastive_loss(
    model: MultiTaskBert, table: ItemTable, batch: Batch, generator: torch.Generator
) -> Tensor | None:
    """How badly two views of a history are told from those of others, nats.

    A view leaves items of events out at random (not their signals), keeps a stretch of events, or
    shuffles one.

    Args:
        model: in training.
        table: of the items in the windows.
        batch: windows.
        generator: of the views, on the CPU.

    Returns:
        A scalar; None where fewer than two histories are long enough.

    Source: Xie et al. 2022 (CL4SRec), arXiv:2010.14395, sections 3.2 and 3.3.
    """
    length_B = batch.at_BR.amax(1)
    kept_B = length_B >= LEAST_EVENTS
    if int(kept_B.sum()) < 2:
        return None
    views = [
        F.normalize(_view(model, table, batch, length_B, generator)[kept_B], dim=1)
        for _ in range(2)
    ]
    both_VD = torch.cat(views)
    count = len(views[0])
    logit_VV = both_VD @ both_VD.T / TEMPERATURE
    logit_VV = logit_VV.masked_fill(
        torch.eye(2 * count, dtype=torch.bool, device=logit_VV.device), -1e9
    )
    partner_V = torch.arange(2 * count, device=logit_VV.device).roll(count)
    return F.cross_entropy(logit_VV, partner_V)


def cloze_batch(batch: Batch, generator: torch.Generator) -> Batch:
    """The batch with a share of its positions to predict, and always the last of a window.

    Args:
        batch: windows.
        generator: draws the positions, on the CPU.
    """
    B, H = batch.id_BH.shape
    chosen_BS = (torch.rand(B, H + 1, generator=generator) < ASKED).to(batch.id_BH.device)
    chosen_BS.scatter_(1, batch.at_BR.amax(1, keepdim=True), True)
    return replace(batch, real_BR=batch.real_BR & chosen_BS.gather(1, batch.at_BR))


def _view(
    model: MultiTaskBert,
    table: ItemTable,
    batch: Batch,
    length_B: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """The state after one view of each history, (B, D)."""
    B, H = batch.id_BH.shape
    place_BH = torch.arange(H).expand(B, H).clone()
    hidden_BH = torch.zeros(B, H, dtype=torch.bool)
    after_B = length_B.cpu().clone()
    kind_B = torch.randint(3, (B,), generator=generator)
    for b in range(B):
        length = int(after_B[b])
        if length < LEAST_EVENTS:
            continue
        if kind_B[b] == 0:
            hidden_BH[b, :length] = torch.rand(length, generator=generator) < MASKED
            continue
        share = CROPPED if kind_B[b] == 1 else REORDERED
        stretch = max(1, int(share * length))
        start = int(torch.randint(length - stretch + 1, (1,), generator=generator))
        if kind_B[b] == 1:
            place_BH[b, :stretch] = torch.arange(start, start + stretch)
            after_B[b] = stretch
        else:
            order = torch.randperm(stretch, generator=generator) + start
            place_BH[b, start : start + stretch] = order
    device = batch.id_BH.device
    place_BH, hidden_BH, after_B = place_BH.to(device), hidden_BH.to(device), after_B.to(device)
    sequence = model.sequence
    context_BD = sequence.context_token(
        batch.profile_BF, batch.hour_B, batch.weekday_B, batch.extra_BZ
    )
    feedback_BHM = batch.feedback_BHM.gather(1, place_BH[..., None].expand_as(batch.feedback_BHM))
    events_BHD = sequence.event_tokens(
        table.vectors_AD,
        table.local(batch.id_BH.gather(1, place_BH)),
        feedback_BHM,
        batch.gap_BH.gather(1, place_BH),
    )
    item_BHD = F.embedding(table.local(batch.id_BH.gather(1, place_BH)), table.vectors_AD)
    events_BHD = events_BHD - item_BHD * hidden_BH[..., None]
    return sequence.states_after(context_BD, events_BHD, after_B)


def disturbed(
    total: Tensor, table: ItemTable, again: Callable[[], ItemTable], size: float
) -> ItemTable:
    """The items' vectors moved a little in the direction that hurts most.

    Args:
        total: the loss, its graph kept.
        table: whose vectors it was computed from.
        again: works the table out anew, with a graph of its own.
        size: of the move, of an item's vector's mean length.

    Source: Miyato, Dai and Goodfellow 2017, arXiv:1605.07725, equation 4 (fast gradient method),
    each item's vector for itself.
    """
    (slope_AD,) = torch.autograd.grad(total, [table.vectors_AD], retain_graph=True)
    length = table.vectors_AD.detach().norm(dim=1).mean()
    step_AD = size * length * F.normalize(slope_AD, dim=1)
    fresh = again()
    return fresh._replace(vectors_AD=fresh.vectors_AD + step_AD)
