"""Vectors of items: their texts projected, a residual of their own, their columns.

    item text -> frozen text vectors -> LayerNorm -> Linear (D), + id embedding + item columns

Axis letters beyond the legend of `envs/types.py`: A some items.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from slategym.envs.types import Column
from slategym.models.multitask.columns import ColumnInputs
from slategym.models.multitask.embeddings import embedding

ID_STD = 0.02  # small: an item without training rows stays where its text puts it


class ItemVectors(nn.Module):
    """What an item is to the network.

    Args:
        width: D.
        text_vectors_ND0: frozen vectors of the items' texts, any width D0.
        columns: further columns of items.
        extra_NZ: their values, codes and numbers; None: nothing is known of them.
    """

    text_vectors_ND0: Tensor
    extra_NZ: Tensor

    def __init__(
        self,
        width: int,
        text_vectors_ND0: Tensor,
        columns: tuple[Column, ...] = (),
        extra_NZ: Tensor | None = None,
    ) -> None:
        super().__init__()
        num_items, text_width = text_vectors_ND0.shape
        self.register_buffer("text_vectors_ND0", text_vectors_ND0.detach().clone().float())
        self.text_norm = nn.LayerNorm(text_width)
        self.text_projection = nn.Linear(text_width, width)
        self.residual = embedding(num_items, width, ID_STD)
        self.columns: ColumnInputs | None = None
        if columns:
            values_NZ = torch.zeros(num_items, len(columns)) if extra_NZ is None else extra_NZ
            self.register_buffer("extra_NZ", values_NZ.detach().clone().float())
            self.columns = ColumnInputs(columns, width)
            self.columns.set_scale(self.extra_NZ)

    def forward(self, id_A: Tensor | None = None, text_ND0: Tensor | None = None) -> Tensor:
        """Vectors of these items, (A, D), or of all N where id_A is None.

        Args:
            id_A: their ids.
            text_ND0: text vectors instead of the kept ones.
        """
        text_AD0 = self.text_vectors_ND0 if text_ND0 is None else text_ND0
        residual_AD = self.residual.weight
        if id_A is not None:
            text_AD0, residual_AD = text_AD0[id_A], self.residual(id_A)
        vectors_AD = torch.add(self.text_projection(self.text_norm(text_AD0)), residual_AD)
        if self.columns is None:
            return vectors_AD
        extra_AZ = self.extra_NZ if id_A is None else self.extra_NZ[id_A]
        return torch.add(vectors_AD, self.columns(extra_AZ))
