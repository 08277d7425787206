"""What determines a result, as canonical JSON, and its short name.

No name of a class or a file is part of it: a file may move and a class be renamed, and what was
computed before counts as computed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DIGITS = 12  # hexadecimal, of a short name; two of a million coincide with probability 2e-3

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None


def hash_of(spec: Any) -> str:
    """Short name of values: the start of the sha256 of their canonical JSON.

    >>> hash_of({"seed": 1, "width": 64}) == hash_of({"width": 64.0, "seed": 1})
    True
    """
    return sha256(canonical_json(spec).encode()).hexdigest()[:DIGITS]


def content_hash(*arrays: NDArray[np.generic]) -> str:
    """Hash of arrays, 16 digits: of what they hold, their kinds and shapes, on any machine."""
    digest = sha256()
    for array in arrays:
        little = array.dtype.newbyteorder("<")
        digest.update(f"{little.str}{array.shape}".encode())
        digest.update(array.astype(little).tobytes())
    return digest.hexdigest()[:16]


def canonical_json(spec: Any) -> str:
    """The one JSON text of a spec: sorted keys, no spaces, 1.0 written as 1.

    Args:
        spec: frozen dataclasses, mappings with string keys, tuples or lists, str, int, finite
            float, bool and None, nested in any way. A dataclass is written as its fields.

    Raises:
        ValueError: naming the place and the value that is none of these.
    """
    return json.dumps(as_json(spec), sort_keys=True, separators=(",", ":"), allow_nan=False)


def as_json(spec: Any) -> Json:
    """The same as plain values, for storing beside a result."""
    return _plain(spec, "spec")


def _plain(value: Any, place: str) -> Json:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError(f"a spec holds finite numbers; {place} is {value}")
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, tuple | list):
        return [_plain(part, f"{place}[{i}]") for i, part in enumerate(value)]
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise ValueError(f"a spec's mappings have string keys; {place} has {list(value)}")
        return {key: _plain(part, f"{place}.{key}") for key, part in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        if not value.__dataclass_params__.frozen:  # type: ignore[attr-defined]
            raise ValueError(f"a spec's dataclasses are frozen; {place} is {type(value).__name__}")
        return {f.name: _plain(getattr(value, f.name), f"{place}.{f.name}") for f in fields(value)}
    raise ValueError(
        "a spec is made of frozen dataclasses, mappings, tuples, str, int, float, bool and None; "
        f"{place} is a {type(value).__name__}"
    )
