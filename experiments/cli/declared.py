"""Settings of worlds and learners by their declarations, which need no torch."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, get_type_hints

from slategym.agents.registry import find_agent, find_learner
from slategym.envs.names import load_object
from slategym.envs.outline import Parameter, Unread, outline
from slategym.envs.settings import kinds_of_function


def parameters_of(path: str) -> tuple[Parameter, ...]:
    """Arguments of the function at "module:name": its source is read; if need be, it is imported.

    Raises:
        UsageError: there is none.
    """
    found = outline(path)
    read = found.parameters if found else ()
    if read and not _left_open(read):
        return read
    function = load_object(path)
    kinds = kinds_of_function(function)
    return tuple(
        Parameter(
            name,
            Unread("") if each.default is inspect.Parameter.empty else each.default,
            kinds.get(name, Any),
            "",
        )
        for name, each in inspect.signature(function).parameters.items()
    )


def settings_of(agent: str) -> tuple[Parameter, ...]:
    """Settings with which a learner trains by default, as `parameters_of`.

    Raises:
        UsageError: there is no such learner.
    """
    entry = find_learner(agent)
    found = outline(entry.agent or "")
    method = found.method("default_settings") if found else None
    read = (method.returned() if method else None) or ()
    if read and not _left_open(read):
        return _as_decided(agent, read, dict(entry.fixed))
    default = find_agent(agent).default_settings()
    meaning, kinds = {p.name: p.meaning for p in read}, get_type_hints(type(default))
    return tuple(
        Parameter(f.name, getattr(default, f.name), kinds[f.name], meaning.get(f.name, ""))
        for f in fields(default)
    )


def _as_decided(
    agent: str, read: Sequence[Parameter], decided: Mapping[str, Any]
) -> tuple[Parameter, ...]:
    """With the settings that the learner's name decides."""
    if decided.keys() - {p.name for p in read}:
        find_agent(agent)  # says what it does not have
    return tuple(p._replace(default=decided.get(p.name, p.default)) for p in read)


def kinds_of(parameters: Sequence[Parameter]) -> Mapping[str, Any]:
    """Their types by name."""
    return {parameter.name: parameter.kind for parameter in parameters}


def _left_open(parameters: Sequence[Parameter]) -> bool:
    """Whether something is not declared in so many words."""
    return any(
        isinstance(p.kind, Unread) or (isinstance(p.default, Unread) and p.default.text)
        for p in parameters
    )
