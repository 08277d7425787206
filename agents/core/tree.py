"""Nested states as flat names and tensors, for safetensors, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from torch import Tensor

T = TypeVar("T")


def leaves(tree: Any, name: str = "") -> dict[str, Tensor]:
    """Every tensor of nested dataclasses, mappings and tuples, by its dotted path.

    >>> import torch
    >>> sorted(leaves({"a": (torch.zeros(1), torch.ones(1)), "b": None}))
    ['a.0', 'a.1']
    """
    if isinstance(tree, Tensor):
        return {name: tree}
    found: dict[str, Tensor] = {}
    for part, value in _parts(tree):
        found |= leaves(value, f"{name}.{part}" if name else part)
    return found


def filled(tree: T, tensors: Mapping[str, Tensor], name: str = "") -> T:
    """The same tree with the tensors of these names; what is not a tensor is kept.

    Raises:
        ValueError: a tensor is missing or of another shape.
    """
    if isinstance(tree, Tensor):
        if name not in tensors:
            raise ValueError(f"the saved state has no {name!r}; was it saved by another version?")
        found = tensors[name]
        if found.shape != tree.shape:
            raise ValueError(
                f"the saved {name!r} has shape {tuple(found.shape)}, not {tuple(tree.shape)}: it "
                "was saved with other settings or for another world"
            )
        return found.to(device=tree.device, dtype=tree.dtype, copy=True)  # type: ignore[return-value]
    new = {
        part: filled(value, tensors, f"{name}.{part}" if name else part)
        for part, value in _parts(tree)
    }
    if isinstance(tree, Mapping):
        return type(tree)(new)  # type: ignore[call-arg]
    if isinstance(tree, tuple):
        values = new.values()
        return type(tree)(*values) if hasattr(tree, "_fields") else tuple(values)  # type: ignore[return-value]
    if is_dataclass(tree) and not isinstance(tree, type):
        return replace(tree, **new)
    return tree


def _parts(tree: Any) -> list[tuple[str, Any]]:
    if isinstance(tree, Mapping):
        return [(str(key), value) for key, value in tree.items()]
    if isinstance(tree, tuple):
        return [(str(at), value) for at, value in enumerate(tree)]
    if is_dataclass(tree) and not isinstance(tree, type):
        return [(f.name, getattr(tree, f.name)) for f in fields(tree)]
    return []
