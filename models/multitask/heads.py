"""From a query to an output for each item: one small network per head, then a dot product.

Every head is a dot product with the item vectors plus an item bias, so that scoring the whole
catalogue costs one matrix product and nothing of BERT runs per (user, item) pair.

Axis letters beyond the legend of `envs/types.py`: x any leading axes, Y the M + 1 heads.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slategym.models.multitask.chains import Transfer
from slategym.models.multitask.settings import MultiTaskSettings
from slategym.models.multitask.sharing import sharing_of

FETCH_COST = 24  # of an item's vector for one user, in products of a vector in a matrix product


class QueryHeads(nn.Module):
    """A network per head that turns the query its own way.

    Args:
        settings: the architecture.
        num_heads: Y, the signals' and, last, that of the next item.
        stages: heads of the log's funnel, in order.
    """

    def __init__(
        self, settings: MultiTaskSettings, num_heads: int, stages: Sequence[int] = (0,)
    ) -> None:
        super().__init__()
        width, drop = settings.width, settings.dropout
        self.width = width
        self.networks = nn.ModuleList(
            nn.Sequential(
                nn.Linear(width, width), nn.GELU(), nn.Dropout(drop), nn.Linear(width, width)
            )
            for _ in range(num_heads)
        )
        self.user_levels = nn.ModuleList(nn.Linear(width, 1) for _ in range(num_heads - 1))
        self.sharing = sharing_of(settings.sharing, width, num_heads)
        self.transfer = Transfer(width, stages) if settings.chain == "aitm" else None

    def match(
        self, index: int, query_xD: Tensor, items_ND: Tensor, id_xC: Tensor | None, bias_N: Tensor
    ) -> Tensor:
        """How one head's query meets these items, (x, C), a user's level left out.

        Args:
            index: of the head.
            query_xD: from `EventSequence.query`.
            items_ND: vectors of items.
            id_xC: rows of them; None: all.
            bias_N: of the same items, of this head.
        """
        turned_xD: Tensor = self.networks[index](self._own(index, query_xD))
        query_xD = turned_xD * self.width**-0.5
        if id_xC is None:
            return F.linear(query_xD, items_ND, bias_N)
        if _all_are_cheaper(query_xD, items_ND, id_xC):
            return F.linear(query_xD, items_ND, bias_N).gather(-1, id_xC)
        match_xC: Tensor = torch.linalg.vecdot(F.embedding(id_xC, items_ND), query_xD[..., None, :])
        return match_xC + F.embedding(id_xC, bias_N[:, None]).squeeze(-1)

    def _own(self, index: int, query_xD: Tensor) -> Tensor:
        """One head's query, by what is shared and by what the stage before it found."""
        if self.transfer is None:
            shared_xD: Tensor = self.sharing(index, query_xD)
            return shared_xD
        told_xD: Tensor = self.transfer(index, lambda head: self.sharing(head, query_xD))
        return told_xD

    def level(self, index: int, query_xD: Tensor) -> Tensor:
        """What one head adds to every item of a user, (x, 1)."""
        level_x1: Tensor = self.user_levels[index](query_xD)
        return level_x1


def _all_are_cheaper(query_xD: Tensor, items_ND: Tensor, id_xC: Tensor) -> bool:
    """Whether one product with all items costs less than fetching the vectors of those asked of."""
    asked_of_enough = id_xC.shape[-1] * FETCH_COST >= items_ND.shape[0]
    return asked_of_enough and not (query_xD.requires_grad or items_ND.requires_grad)
