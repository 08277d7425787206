"""What a setting may be: declared beside its name, checked wherever it comes from.

A builder's signature is the declaration: `num_items: Count = 400`, `attention: Rate = 0.65`. The
command line, `make_world` and the pages read it; nothing is checked twice by hand.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import numpy as np

from slategym.envs.names import UsageError, shown

LARGEST = 2**31 - 1  # of what tensors of int32 count


class Range(NamedTuple):
    """Numbers that are possible, both ends among them."""

    low: float
    high: float = math.inf

    def __str__(self) -> str:
        high = "infinity)" if math.isinf(self.high) else f"{self.high:g}]"
        return f"[{self.low:g}, {'2^31)' if self.high == LARGEST else high}"


Count = Annotated[int, Range(1, 2_147_483_647)]
Length = Annotated[int, Range(0, 2_147_483_647)]  # 0: none
Seed = Annotated[int, Range(0, 2_147_483_647)]
Rate = Annotated[float, Range(0, 1)]  # a share or a probability
Amount = Annotated[float, Range(0)]

KINDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a word",
    tuple: "a list of numbers such as [1, 0.5]",
    NoneType: "null",
}


def check_kinds(owner: str, given: Mapping[str, Any], kinds: Mapping[str, Any]) -> dict[str, Any]:
    """The same with tuples for lists and Python's numbers for NumPy's, if all may be.

    Args:
        owner: whose settings they are, for messages.
        given: values by name; names that `kinds` lacks are left to others.
        kinds: type of each setting.

    Raises:
        UsageError: naming the kind that is needed, or the range.
    """
    plain = {name: _plain(value) for name, value in given.items()}
    for name, value in plain.items():
        if name in kinds and not fits(value, kinds[name]):
            if found := _range(value, kinds[name]):
                raise UsageError(f"{owner}: {name} must be in {found}, got {shown(value)}")
            words = list(dict.fromkeys(_words(kinds[name])))
            near = get_close_matches(value, words, n=1) if isinstance(value, str) else []
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"{owner}: {name} is {' or '.join(words)}, got {shown(value)}{hint}")
    return plain


def kinds_of_function(function: Any) -> dict[str, Any]:
    """Types of a function's arguments, as far as they can be known."""
    try:
        return get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError):  # of names that only a type checker imports
        return {}


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is of that kind and in its range; of other packages' classes all are."""
    origin = get_origin(kind)
    if origin is Annotated:
        base, *more = get_args(kind)
        ranges = [one for one in more if isinstance(one, Range)]
        return fits(value, base) and all(r.low <= value <= r.high for r in ranges)
    if origin in (Union, UnionType):
        return any(fits(value, one) for one in get_args(kind))
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in get_args(kind))
    if origin is tuple:
        return isinstance(value, tuple) and all(fits(x, get_args(kind)[0]) for x in value)
    if kind is float:
        return type(value) in (int, float) and abs(value) <= sys.float_info.max  # no NaN
    return type(value) is kind if kind in KINDS else True


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    return tuple(_plain(x) for x in value) if isinstance(value, list | tuple) else value


def _range(value: Any, kind: Any) -> Range | None:
    """The range that a value of the right kind is out of."""
    if get_origin(kind) is Annotated:
        base, *more = get_args(kind)
        return next((x for x in more if isinstance(x, Range)), None) if fits(value, base) else None
    inside = get_args(kind) if get_origin(kind) in (Union, UnionType) else ()
    return next((found for one in inside if (found := _range(value, one))), None)


def _words(kind: Any) -> Iterator[str]:
    """What may be written, for people."""
    for one in get_args(kind) if get_origin(kind) in (Union, UnionType) else [kind]:
        if get_origin(one) is Annotated:
            yield from _words(get_args(one)[0])
        elif get_origin(one) is Literal:
            yield from map(str, get_args(one))
        elif word := KINDS.get(get_origin(one) or one):
            yield word
