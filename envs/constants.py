"""Numbers that a world's rules hold, as tensors: made once for each device, not at every step."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor


def constant(values: tuple[Any, ...], like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """These numbers beside another tensor. Nobody may write to them.

    A copy to a GPU may not be part of what a CUDA graph records, so only the first step makes one;
    a compiler turns the numbers into constants of its own.

    Args:
        values: numbers, or tuples of them.
        like: whose device it is and, unless one is given, whose type.
        dtype: of the tensor.
    """
    dtype = dtype or like.dtype
    if torch.compiler.is_compiling():
        return torch.tensor(values, dtype=dtype, device=like.device)
    return _kept(values, dtype, like.device)


@lru_cache(maxsize=4096)
def _kept(values: tuple[Any, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device)
