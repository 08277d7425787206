"""Vectors of items: their texts projected, a residual of their own, columns, graph and media.

    item text -> text vectors -> LayerNorm -> Linear (D), + id residual + item columns
    + graph vector -> Linear + media vector -> Linear            each part through a gate, or summed

Axis letters beyond the legend of `envs/types.py`: A some items, P parts of a vector.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from slategym.envs.types import Column
from slategym.models.hashes import content_hash
from slategym.models.multitask.columns import ColumnInputs
from slategym.models.multitask.embeddings import embedding
from slategym.models.multitask.item_extras import ItemExtras
from slategym.models.multitask.settings import ItemSettings

ID_STD = 0.02  # small: an item without training rows stays where its text puts it
NOTHING = ItemExtras()


class ItemVectors(nn.Module):
    """What an item is to the network.

    Args:
        width: D.
        text_vectors_ND0: vectors of the items' texts, any width D0.
        columns: further columns of items.
        extra_NZ: their values, codes and numbers; None: nothing is known of them.
        settings: which parts there are, and how they come together.
        extras: what else is known of the items.
    """

    text_vectors_ND0: Tensor
    extra_NZ: Tensor
    seen_N: Tensor
    graph_NG: Tensor
    media_NV: Tensor

    def __init__(
        self,
        width: int,
        text_vectors_ND0: Tensor,
        columns: tuple[Column, ...] = (),
        extra_NZ: Tensor | None = None,
        settings: ItemSettings | None = None,
        extras: ItemExtras = NOTHING,
    ) -> None:
        super().__init__()
        settings = settings or ItemSettings()
        num_items, text_width = text_vectors_ND0.shape
        self.settings = settings
        self.register_buffer("text_vectors_ND0", text_vectors_ND0.detach().clone().float())
        parts = 0
        if settings.text:
            self.text_norm = nn.LayerNorm(text_width)
            self.text_projection = nn.Linear(text_width, width)
            parts += 1
        if settings.residual != "none":
            self.residual = embedding(num_items, width, ID_STD)
            parts += 1
        if settings.residual == "seen":
            seen_N = torch.ones(num_items) if extras.seen_N is None else extras.seen_N.float()
            self.register_buffer("seen_N", seen_N)
            with torch.no_grad():
                self.residual.weight.mul_(seen_N[:, None])
        self.columns: ColumnInputs | None = None
        if columns:
            values_NZ = torch.zeros(num_items, len(columns)) if extra_NZ is None else extra_NZ
            self.register_buffer("extra_NZ", values_NZ.detach().clone().float())
            self.columns = ColumnInputs(columns, width)
            if extra_NZ is not None:  # else the weights to be loaded hold it
                self.columns.set_scale(self.extra_NZ)
            parts += 1
        self.graph_projection = self.media_projection = None
        if extras.graph_NG is not None:
            self.register_buffer("graph_NG", extras.graph_NG.detach().clone().float())
            self.graph_projection = nn.Linear(extras.graph_NG.shape[1], width)
            parts += 1
        if extras.media_NV is not None:
            self.register_buffer("media_NV", extras.media_NV.detach().clone().float())
            self.media_projection = nn.Linear(extras.media_NV.shape[1], width)
            parts += 1
        self.gate: nn.Linear | None = None
        if settings.mix == "gated":  # starts at 1 of each
            self.gate = nn.Linear(parts * width, parts)
            nn.init.zeros_(self.gate.weight)
            nn.init.zeros_(self.gate.bias)

    @property
    def text_version(self) -> str:
        """Hash of the text vectors: item vectors of different versions must not be mixed."""
        return content_hash(self.text_vectors_ND0.cpu().numpy())

    def forward(self, id_A: Tensor | None = None, text_ND0: Tensor | None = None) -> Tensor:
        """Vectors of these items, (A, D), or of all N where id_A is None.

        Args:
            id_A: their ids.
            text_ND0: text vectors instead of the kept ones.
        """
        parts = self._parts(id_A, self.text_vectors_ND0 if text_ND0 is None else text_ND0)
        if self.gate is not None:
            share_AP = 2 * torch.sigmoid(self.gate(torch.cat(parts, dim=1)))
            return (share_AP[..., None] * torch.stack(parts, dim=1)).sum(1)
        vectors_AD = parts[0]
        for part_AD in parts[1:]:
            vectors_AD = torch.add(vectors_AD, part_AD)
        return vectors_AD

    def residuals(self, id_A: Tensor | None = None) -> Tensor:
        """What is learned of these items alone, (A, D).

        Exactly 0 of an item without training rows where `residual` is "seen".
        """
        residual_AD = self.residual.weight if id_A is None else self.residual(id_A)
        if self.settings.residual == "always":
            return residual_AD
        seen_A = self.seen_N if id_A is None else self.seen_N[id_A]
        return residual_AD * seen_A[:, None]

    def _parts(self, id_A: Tensor | None, text_ND0: Tensor) -> list[Tensor]:
        """What there is of each item, (A, D) each."""

        def some(values_N: Tensor) -> Tensor:
            return values_N if id_A is None else values_N[id_A]

        parts: list[Tensor] = []
        if self.settings.text:
            parts.append(self.text_projection(self.text_norm(some(text_ND0))))
        if self.settings.residual != "none":
            parts.append(self.residuals(id_A))
        if self.columns is not None:
            parts.append(self.columns(some(self.extra_NZ)))
        if self.graph_projection is not None:
            parts.append(self.graph_projection(some(self.graph_NG)))
        if self.media_projection is not None:
            media_AV = some(self.media_NV)
            known_A = ~media_AV.isnan().any(1, keepdim=True)
            parts.append(self.media_projection(media_AV.nan_to_num()) * known_A)
        return parts
