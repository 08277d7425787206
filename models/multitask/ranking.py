"""The click as a ranking: what was clicked against what was not, seen from the same place.

Axis letters beyond the legend of `envs/types.py`: x rows of a batch, C a row's item and its drawn
negatives.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

CLICK_LOSSES = {
    "pointwise": "cross-entropy of each row and negative",
    "pairwise": "each click against each of what was not clicked",
    "listwise": "each click among what was not clicked",
}
AWAY = -1e9


def ranking_loss(
    kind: str, logit_xC: Tensor, used_xC: Tensor, clicked_x: Tensor, place_x: Tensor
) -> Tensor:
    """Mean loss of clicks against negatives: those drawn, and the rows passed over nearby.

    The level of the log-odds is left to the calibration.

    Args:
        kind: "pairwise" or "listwise".
        logit_xC: log-odds of a click, the row's item first.
        used_xC: whether each counts.
        clicked_x: 0 or 1, of the row's item.
        place_x: from where the row was seen: rows of one place are compared with one another.

    Source: pairwise, Rendle et al. 2009 (BPR), arXiv:1205.2618, equation 4. Listwise, Cao et al.
    2007 (ListNet), top one probabilities.
    """
    own_x, clicked_x = logit_xC[:, 0], clicked_x > 0
    drawn_xC, drawn_used_xC = logit_xC[:, 1:], used_xC[:, 1:]
    beside_xx = (place_x[:, None] == place_x) & ~clicked_x & used_xC[:, 0]
    other_xR = torch.cat([drawn_xC, own_x.expand(len(own_x), -1)], dim=1)
    counts_xR = torch.cat([drawn_used_xC, beside_xx], dim=1) & clicked_x[:, None]
    if kind == "pairwise":
        loss_xR = F.softplus(other_xR - own_x[:, None])
        return (loss_xR * counts_xR).sum() / counts_xR.sum().clamp(min=1)
    others_x = other_xR.masked_fill(~counts_xR, AWAY).logsumexp(1)
    asked_x = counts_xR.any(1)
    return (F.softplus(others_x - own_x) * asked_x).sum() / asked_x.sum().clamp(min=1)
