"""A log's further columns as vectors: an embedding per category, a direction per number.

All start at zero: a network learns from a column only what helps, and one without is the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from slategym.envs.types import Column


class ColumnInputs(nn.Module):
    """The sum of what each of Z columns says.

    Args:
        columns: of events or of items.
        width: D.
    """

    middle_Z: Tensor
    half_Z: Tensor

    def __init__(self, columns: Sequence[Column], width: int) -> None:
        super().__init__()
        self.columns = tuple(columns)
        self.tables = nn.ModuleDict()
        for z, column in enumerate(self.columns):
            rows = len(column.categories) + 1 if column.categories else 1  # the first: unknown
            self.tables[str(z)] = nn.Embedding(rows, width, _weight=torch.zeros(rows, width))
        self.register_buffer("middle_Z", torch.zeros(len(self.columns)))
        self.register_buffer("half_Z", torch.ones(len(self.columns)))
        for z, column in enumerate(self.columns):
            if not column.categories and math.isfinite(column.high - column.low):
                self.middle_Z[z] = (column.low + column.high) / 2
                self.half_Z[z] = max((column.high - column.low) / 2, 1e-9)

    def set_scale(self, extra_EZ: Tensor) -> None:
        """Take middle and spread of the numbers from these rows instead of the declared ranges."""
        for z, column in enumerate(self.columns):
            known_x = extra_EZ[:, z][~extra_EZ[:, z].isnan()]
            if not column.categories and len(known_x) > 1 and float(known_x.std()) > 0:
                self.middle_Z[z], self.half_Z[z] = known_x.mean(), known_x.std()

    def forward(self, extra_xZ: Tensor) -> Tensor:
        """The vector of each row, (x, D).

        Args:
            extra_xZ: categories by their number, -1 where unknown; numbers, NaN where unknown.

        Raises:
            ValueError: if there are not as many columns as were learned.
        """
        if extra_xZ.shape[-1] != len(self.columns):
            raise ValueError(
                f"the model has learned {len(self.columns)} further columns "
                f"({', '.join(column.name for column in self.columns)}), got {extra_xZ.shape[-1]}"
            )
        parts = []
        for z, column in enumerate(self.columns):
            value_x, table = extra_xZ[..., z], self.tables[str(z)]
            assert isinstance(table, nn.Embedding)
            if column.categories:
                code_x = value_x.nan_to_num(-1.0).long() + 1
                parts.append(table(code_x.clamp(0, len(column.categories))))
            else:
                scaled_x = ((value_x - self.middle_Z[z]) / self.half_Z[z]).nan_to_num()
                parts.append(scaled_x[..., None] * table.weight[0])
        return torch.stack(parts).sum(0)

    def unknown(self, like_B: Tensor) -> Tensor:
        """Rows of which nothing is known, (B, Z)."""
        empty_Z = [-1.0 if column.categories else math.nan for column in self.columns]
        unknown_Z = torch.tensor(empty_Z, device=like_B.device)
        return unknown_Z.expand(len(like_B), -1)
