"""Hyper-actions: points of the unit sphere that rank items, and that slates stand for.

Both directions of one map. A hyper-action Z shows the items with the largest Z . phi(e_i); a slate
stands for the mean of phi(e_i) over its items, scaled to the sphere. The leading axis S is the
training seed.

Source: Liu et al. 2023, arXiv:2302.03431; there neither Z nor phi has unit length.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slategym.agents.latent.sac import mlp
from slategym.agents.slates.retrieval import best_products
from slategym.envs.names import UsageError

HIDDEN = 256  # width of the actor's one hidden layer
WIDEST = 32  # hyper-action, where no width is asked for


class HyperActor(nn.Module):
    """What is seen in, a hyper-action out."""

    def __init__(self, input_width: int, width: int) -> None:
        super().__init__()
        self.body = mlp(input_width, HIDDEN, width)

    def forward(self, seen_BX: Tensor) -> Tensor:
        """(B, E), of unit length."""
        return F.normalize(self.body(seen_BX), dim=1)


class ItemKernel(nn.Module):
    """Item vectors in, their images phi in the space of hyper-actions out."""

    def __init__(self, item_width: int, width: int) -> None:
        super().__init__()
        self.map = nn.Linear(item_width, width, bias=False)
        nn.init.orthogonal_(self.map.weight)  # items begin as far apart as they are
        self.sharpness = nn.Parameter(torch.tensor(4.0))  # log-odds of a click per unit of cosine
        self.bias = nn.Parameter(torch.tensor(-3.0))  # log-odds

    def forward(self, vectors_ND: Tensor) -> Tensor:
        """(N, E), of unit length."""
        return F.normalize(self.map(vectors_ND), dim=1)


def inferred(phi_SNE: Tensor, id_SMK: Tensor, shown_SMK: Tensor) -> Tensor:
    """The hyper-actions that slates stand for, (S, M, E), of unit length.

    Args:
        phi_SNE: images of all items.
        id_SMK: items of the slates.
        shown_SMK: float, 0 where a slot is empty.
    """
    return F.normalize((rows(phi_SNE, id_SMK) * shown_SMK[..., None]).sum(2), dim=2)


def what_it_shows(phi_SNE: Tensor, hyper_SME: Tensor, num_slots: int) -> Tensor:
    """The hyper-actions that the K items furthest along these stand for, (S, M, E).

    Of the whole catalogue, whatever was on offer.
    """
    _, id_SMK = best_products(hyper_SME, phi_SNE, num_slots)
    return inferred(phi_SNE, id_SMK, torch.ones_like(id_SMK, dtype=phi_SNE.dtype))


def rows(table_SNE: Tensor, id_SMK: Tensor) -> Tensor:
    """Rows of every seed's own table, (S, M, K, E)."""
    S, N, E = table_SNE.shape
    offset_S11 = (torch.arange(S, device=id_SMK.device) * N).view(-1, 1, 1)
    return F.embedding(id_SMK.long() + offset_S11, table_SNE.reshape(S * N, E))


def width_of(asked: int | None, item_width: int) -> int:
    """E, of the hyper-action.

    Raises:
        UsageError: it is wider than the item vectors: no slate could stand for most of such space.
    """
    if asked is None:
        return min(item_width, WIDEST)
    if not 1 <= asked <= item_width:
        raise UsageError(
            f"width must be in [1, {item_width}], the width of the item vectors, got {asked}"
        )
    return asked
