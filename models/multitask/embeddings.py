"""Tables of vectors with a start of a given spread."""

from __future__ import annotations

from torch import nn


def embedding(num: int, width: int, std: float) -> nn.Embedding:
    """A (num, width) table of normal draws from torch's generator."""
    table = nn.Embedding(num, width)
    nn.init.normal_(table.weight, std=std)
    return table
