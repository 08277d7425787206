"""A policy's page for the terminal: what it is, its settings with what they mean, how to use it."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from slategym.agents.core.agent import Agent
from slategym.agents.registry import find_agent, policies
from slategym.envs.names import load_object
from slategym.experiments.cli.docstring import call, prose, sections
from slategym.experiments.cli.world_page import written

HIDDEN = ("Args",)  # of a class's docstring: how a program makes it
FIELD = re.compile(r"\s+(\w+): [^#]+(?:#\s*(.*))?")


def page(name: str) -> RenderableType:
    """Everything that is known of a policy without building it.

    Args:
        name: as `slategym agents` lists it, or "module:Name".

    Raises:
        UsageError: if there is no such policy; the nearest is offered.
    """
    entry = policies.find(name, "agent")
    parts: list[RenderableType] = [
        Text.assemble((name, "bold"), f"  ({entry.kind}): {entry.one_line}")
    ]
    if entry.agent is None:
        parts += _described(load_object(entry.build) if entry.build else None)
        examples = [f"slategym simulate {entry.example} --policy {name}"]
    else:
        found = find_agent(name)
        parts += _described(sys.modules[found.__module__])
        parts += _described(found)
        parts += ["", Text("Settings", style="bold"), _settings(found.default_settings())]
        parts += [Text(f"Trains several seeds {seeds_of(found)}.")]
        examples = [
            f"slategym train {name} --world {entry.example}",
            f"slategym simulate {entry.example} --policy runs/{name}-{entry.example}-seed0",
        ]
    if entry.needs:
        parts += ["", Text("Needs", style="bold"), call(entry.needs)]
    return Group(*parts, "", Text("Try it", style="bold"), *map(call, examples))


def comments(settings: type) -> dict[str, str]:
    """What the comment beside each field of a dataclass says, by name."""
    lines = inspect.getsource(settings).splitlines()
    found = [FIELD.fullmatch(line) for line in lines]
    return {match[1]: match[2] or "" for match in found if match}


def seeds_of(agent: type[Agent]) -> str:
    """How many seeds it trains at a time, for people."""
    return "side by side" if agent.several_seeds else "one at a time"


def _described(thing: Any) -> Iterator[RenderableType]:
    """The docstring, but for what concerns programmers alone."""
    for section in sections((inspect.getdoc(thing) or "").splitlines()):
        if section.heading not in HIDDEN:
            yield from prose(section)


def _settings(default: Any) -> Table:
    table = Table("name", "default", "meaning", box=box.SIMPLE_HEAD, pad_edge=True)
    told = comments(type(default))
    for field in fields(default):
        table.add_row(field.name, written(getattr(default, field.name)), Text(told[field.name]))
    return table
