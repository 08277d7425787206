"""What a world does, as a short text: equal for worlds in which everything goes the same way."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from hashlib import blake2b
from typing import Any

import torch
from torch import Tensor

from slategym.envs.types import World

BESIDE = {"labels", "selection", "agent_log", "keys", "chosen"}  # fields that move nobody


def identity(world: World) -> str:
    """A hash of who there is, what is on offer and by which rules, 32 hexadecimal digits.

    Tensors count by their shape and sums; what is neither a tensor, a number, a text nor made of
    such counts by its class.
    """
    told = _told(world, frozenset(BESIDE))
    return blake2b(repr(told).encode(), digest_size=16).hexdigest()


def _told(part: Any, leave_out: frozenset[str] = frozenset()) -> Any:
    if isinstance(part, Tensor):
        known = part.detach().double().nan_to_num()
        place = torch.arange(1, known.numel() + 1, device=known.device, dtype=torch.float64)
        sums = (known.sum().item(), (known.flatten() * place.sqrt()).sum().item())
        return (str(part.dtype), tuple(part.shape), *sums)
    if isinstance(part, str | bytes | int | float | bool | None):
        return part
    if isinstance(part, tuple | list):
        return [_told(one) for one in part]
    if isinstance(part, dict):
        return [(str(name), _told(one)) for name, one in part.items()]
    kind = f"{type(part).__module__}.{type(part).__qualname__}"
    if is_dataclass(part) and not isinstance(part, type):
        inside = [f.name for f in fields(part) if f.name not in leave_out]
        return kind, [(name, _told(getattr(part, name))) for name in inside]
    return kind
