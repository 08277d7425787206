"""Settings of a world as the command line takes them: NAME=VALUE, checked against its builder."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from importlib import import_module
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from slategym.envs.names import UsageError
from slategym.envs.registry import find_world

KINDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a word",
    tuple: "a list of numbers such as [1, 0.5]",
    NoneType: "null",
}


def read_settings(world: str, pairs: Sequence[str]) -> dict[str, Any]:
    """What `--set` says, for `make_world`; that a world has such a setting is for the registry.

    Args:
        world: id of a registered world.
        pairs: NAME=VALUE each; values are read as JSON where they are JSON, else as text.

    Raises:
        UsageError: if a pair is none, comes twice, or holds another kind of value than the setting.
    """
    given = dict[str, Any]()
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"--set takes NAME=VALUE, got {pair!r}")
        if name in given:
            raise UsageError(f"--set {name} is given twice; give it once")
        if name == "device":
            raise UsageError("--set device: give --device instead")
        given[name] = _value(name, text)
    id, entry = find_world(world)
    module, _, function = entry.builder.partition(":")
    kinds = get_type_hints(getattr(import_module(module), function))
    for name, value in given.items():
        if name in kinds and not _fits(value, kinds[name]):
            wanted = " or ".join(_words(kinds[name]))
            raise UsageError(f"{id}: {name} is {wanted}, got {value!r}")
    return {n: tuple(value) if isinstance(value, list) else value for n, value in given.items()}


def _value(name: str, text: str) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, float) and not math.isfinite(number):
            raise UsageError(f"--set {name}: a finite number is needed, got {text}")
    return value


def _fits(value: Any, kind: Any) -> bool:
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in get_args(kind))
    if origin is tuple:
        return isinstance(value, list) and all(_fits(x, get_args(kind)[0]) for x in value)
    return type(value) in ((int, float) if kind is float else (kind,))


def _words(kind: Any) -> Iterator[str]:
    """What may be written, for people."""
    for one in get_args(kind) if get_origin(kind) in (Union, UnionType) else [kind]:
        if word := KINDS.get(get_origin(one) or one):
            yield word
