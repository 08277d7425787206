"""NAME=VALUE as the command line takes it: read as JSON, else as text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from slategym.envs.names import UsageError
from slategym.envs.settings import fits


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
        if name in kinds and not _written(value, kinds[name]) and fits(texts[name], kinds[name])
        else value
        for name, value in given.items()
    }


def _value(place: str, text: str) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, float) and not math.isfinite(number):
            raise UsageError(f"{place}: a finite number is needed, got {text}")
    return value


def _written(value: Any, kind: Any) -> bool:
    return fits(tuple(value) if isinstance(value, list) else value, kind)
