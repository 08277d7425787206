"""A state leaf by leaf: nested frozen dataclasses and tuples whose leaves are tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


def map_tensors(fn: Callable[..., Tensor], first: T, *rest: T) -> T:
    """Apply fn leaf by leaf over equal nested dataclasses and tuples; other values are kept."""
    if isinstance(first, Tensor):
        return fn(first, *rest)  # type: ignore[return-value]
    if isinstance(first, tuple) and first and not hasattr(first, "_fields"):
        return tuple(map_tensors(fn, *parts) for parts in zip(first, *rest, strict=True))  # type: ignore[return-value]
    if not is_dataclass(first) or isinstance(first, type):
        return first
    leaves = {
        f.name: map_tensors(fn, getattr(first, f.name), *(getattr(r, f.name) for r in rest))
        for f in fields(first)
    }
    return replace(first, **leaves)


def at_rows(state: T, row_R: Tensor) -> T:
    """These rows of every leaf, copied: several times as fast as `x[row_R]` or by a mask.

    Args:
        state: whose leaves have B rows each.
        row_R: int64, in [0, B).
    """
    return map_tensors(lambda x: x.index_select(0, row_R), state)


def where(mask_B: Tensor, yes: T, no: T) -> T:
    """Row-by-row choice between two states; this is all that auto-reset is."""
    return map_tensors(
        lambda a, b: torch.where(mask_B.view(-1, *[1] * (a.dim() - 1)), a, b), yes, no
    )
