"""A training that has left the finite numbers stops at once: nothing of it is kept as finished."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor


class NotFinite(ArithmeticError):
    """A loss or a weight is NaN or infinite; the message names it and when it was met."""


def check_losses(losses: Mapping[str, float], when: str) -> None:
    """Refuse losses that are no finite numbers.

    Args:
        losses: by name; NaN stands for none where the name says no loss.
        when: "after 4,096 slates", for the message.

    Raises:
        NotFinite: naming the first.
    """
    for name, value in losses.items():
        if "loss" in name and not math.isfinite(value):
            raise NotFinite(f"{_words(name, value, when)}")


def check_weights(weights: Mapping[str, Tensor], when: str) -> None:
    """Refuse weights that are NaN.

    Infinity is allowed: bounds and masks are kept so.

    Raises:
        NotFinite: naming the first.
    """
    for name, value in weights.items():
        if value.is_floating_point() and bool(torch.isnan(value).any()):
            raise NotFinite(_words(name, math.nan, when))


def _words(name: str, value: float, when: str) -> str:
    return (
        f"training diverged: {name} is {value} {when}; nothing after the last checkpoint is kept. "
        "Take a smaller learning rate"
    )
