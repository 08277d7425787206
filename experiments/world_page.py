"""A world's page for the terminal: the docstring of its builder, its settings, how to make it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from json import dumps
from typing import NamedTuple

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from slategym.envs.registry import NAMESPACE, WorldEntry, describe_world, find_world

HEADING = re.compile(r"([A-Z][\w ]+):")
SETTINGS = "Args"  # the section of a docstring that is shown as a table


class Section(NamedTuple):
    """A heading, "" before the first, and what stands below it."""

    heading: str
    lines: list[str]


def page(id: str) -> RenderableType:
    """Everything that is known of a world without building it.

    Args:
        id: of a registered world, with or without its prefix.

    Raises:
        UsageError: if there is no such world; the nearest is offered.
    """
    name, entry = find_world(id)
    title, *lines = describe_world(id).splitlines()
    parts: list[RenderableType] = [Text(title, style="bold")]
    for section in _sections(lines):
        if section.heading == SETTINGS:
            parts += ["", Text("Settings", style="bold"), _settings(entry, section.lines)]
            continue
        if section.heading:
            parts += ["", Text(section.heading, style="bold")]
        indent = 2 if section.heading else 0
        for number, paragraph in enumerate(_paragraphs(section.lines)):
            spaced = number > 0 or not section.heading
            parts += [""] if spaced else []
            parts.append(Padding(Text(paragraph), (0, 0, 0, indent), expand=False))
    parts += ["", Text("Try it", style="bold"), *_examples(name)]
    return Group(*parts)


def _sections(lines: list[str]) -> Iterator[Section]:
    section = Section("", [])
    for line in lines:
        found = HEADING.fullmatch(line)
        if found:
            yield section
            section = Section(found[1], [])
        else:
            section.lines.append(line)
    yield section


def _paragraphs(lines: list[str]) -> list[str]:
    """Lines between blank ones, each joined to one."""
    text = "\n".join(line.strip() for line in lines).strip()
    return [" ".join(part.split()) for part in re.split(r"\n\n+", text) if part]


def _settings(entry: WorldEntry, lines: list[str]) -> Table:
    """A row for each setting that the id leaves open: name, default, meaning."""
    module, _, function = entry.builder.partition(":")
    parameters = inspect.signature(getattr(import_module(module), function)).parameters
    table = Table("name", "default", "meaning", box=box.SIMPLE_HEAD, pad_edge=True)
    meanings = dict(_meanings(lines))
    for name, parameter in parameters.items():
        if name not in dict(entry.fixed):
            table.add_row(name, _written(parameter.default), Text(meanings.get(name, "")))
    return table


def _meanings(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Of Google's style: "    name: meaning", further lines indented more."""
    for part in re.split(r"\n(?= {4}\S)", "\n" + "\n".join(lines)):
        name, colon, meaning = part.partition(":")
        if colon:
            yield name.strip(), " ".join(meaning.split())


def _written(default: object) -> str:
    """As `--set` takes it; nothing for what depends on other settings."""
    return "" if default is None else default if isinstance(default, str) else dumps(default)


def _examples(name: str) -> list[RenderableType]:
    bare = name.removeprefix(NAMESPACE)
    lines = (
        f"slategym simulate {bare} --policy random --users 100",
        f'gymnasium.make_vec("slategym:{bare}", num_envs=64)',
    )
    return [Padding(Text(line), (0, 0, 0, 2), expand=False) for line in lines]
