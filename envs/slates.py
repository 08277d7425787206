"""Slates as callers give them, checked and brought into the engine's form."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from slategym.envs.types import World


def check_slates(world: World, slates: Any, num_envs: int) -> Tensor:
    """Slates as the engine takes them.

    Args:
        world: what they are for.
        slates: (B, K) integers, an array or a tensor on the world's device.
        num_envs: B.

    Returns:
        (B, K) int32 positions on the world's device.

    Raises:
        ValueError: naming the rule, the value and the fix.
    """
    C, shape = world.num_candidates, (num_envs, world.slate_size)
    array = slates if isinstance(slates, Tensor) else np.asarray(slates)
    if tuple(array.shape) != shape:
        raise ValueError(
            f"slates must have shape (users, slots) = {shape}, got {tuple(array.shape)}"
        )
    if isinstance(array, Tensor):
        if array.device != world.device:
            raise ValueError(
                f"slates must be on the world's device {world.device}, got {array.device}; "
                f"use slates.to({str(world.device)!r})"
            )
        integral = not (array.dtype.is_floating_point or array.dtype.is_complex)
        integral = integral and array.dtype is not torch.bool
    else:
        integral = array.dtype.kind in "iu"
    if not integral:
        raise ValueError(
            f"slates hold integer positions in [0, {C}), got {array.dtype}"
            f"{_nans(array)}; round or rank the scores first"
        )
    if isinstance(array, Tensor):
        low, high = torch.stack(array.aminmax()).tolist()
    else:
        low, high = _range(array)
    if low < 0 or high >= C:
        raise ValueError(
            f"slate positions must be in [0, {C}), the candidates of {world.name}; "
            f"got {low if low < 0 else high}"
        )
    return torch.as_tensor(array, device=world.device).to(torch.int32)


def _nans(array: Any) -> str:
    return " with NaN" if bool((array != array).any()) else ""


def _range(array: np.ndarray) -> tuple[int, int]:
    """A lower bound, that is negative where a number is, and the largest number."""
    if (
        array.dtype.kind == "i" and array.dtype.isnative
    ):  # once over: what is negative is large without sign
        high = int(array.view(f"u{array.dtype.itemsize}").max())
        if high < 2 ** (8 * array.dtype.itemsize - 1):
            return 0, high
    return int(np.minimum.reduce(array, None)), int(np.maximum.reduce(array, None))
