"""NAME=VALUE as the command line takes it: read as JSON, checked by kind."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from slategym.envs.names import UsageError

KINDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a word",
    tuple: "a list of numbers such as [1, 0.5]",
    NoneType: "null",
}


def read_pairs(option: str, pairs: Sequence[str]) -> dict[str, Any]:
    """Values by name; lists are lists still.

    Args:
        option: that they were given to, such as "--set", for messages.
        pairs: NAME=VALUE each; values are read as JSON where they are JSON, else as text.

    Raises:
        UsageError: if a pair is none or comes twice, or a number is not finite.
    """
    given = dict[str, Any]()
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"{option} takes NAME=VALUE, got {pair!r}")
        if name in given:
            raise UsageError(f"{option} {name} is given twice; give it once")
        given[name] = _value(f"{option} {name}", text)
    return given


def as_texts(
    given: Mapping[str, Any], pairs: Sequence[str], kinds: Mapping[str, Any]
) -> dict[str, Any]:
    """The same with settings that are texts left as written: a folder may be called 2024."""
    texts = {name: text for name, _, text in (pair.partition("=") for pair in pairs)}
    return {
        name: texts[name]
        if name in kinds and not _fits(value, kinds[name]) and _fits(texts[name], kinds[name])
        else value
        for name, value in given.items()
    }


def check_kinds(owner: str, given: Mapping[str, Any], kinds: Mapping[str, Any]) -> dict[str, Any]:
    """The same with tuples for lists, if every value is of its setting's kind.

    Args:
        owner: whose settings they are, for messages.
        given: values by name; names that `kinds` lacks are left to others.
        kinds: type of each setting.

    Raises:
        UsageError: naming the kind that is needed.
    """
    for name, value in given.items():
        if name in kinds and not _fits(value, kinds[name]):
            wanted = " or ".join(_words(kinds[name]))
            raise UsageError(f"{owner}: {name} is {wanted}, got {value!r}")
    return {n: tuple(value) if isinstance(value, list) else value for n, value in given.items()}


def _value(place: str, text: str) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, float) and not math.isfinite(number):
            raise UsageError(f"{place}: a finite number is needed, got {text}")
    return value


def _fits(value: Any, kind: Any) -> bool:
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in get_args(kind))
    if origin is Literal:
        return value in get_args(kind)
    if origin is tuple:
        return isinstance(value, list) and all(_fits(x, get_args(kind)[0]) for x in value)
    return type(value) in ((int, float) if kind is float else (kind,))


def _words(kind: Any) -> Iterator[str]:
    """What may be written, for people."""
    for one in get_args(kind) if get_origin(kind) in (Union, UnionType) else [kind]:
        if get_origin(one) is Literal:
            yield from map(str, get_args(one))
        elif word := KINDS.get(get_origin(one) or one):
            yield word
