"""Docstrings of Google's style as text for the terminal: headings, paragraphs, meanings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import dedent
from typing import NamedTuple

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

INDENT = "    "
HEADING = re.compile(r"([A-Z][\w ]+):")


class Section(NamedTuple):
    """A heading, "" before the first, and what stands below it."""

    heading: str
    lines: list[str]


def sections(lines: list[str]) -> Iterator[Section]:
    """The sections of a docstring, without its indentation."""
    section = Section("", [])
    for line in lines:
        found = HEADING.fullmatch(line)
        if found:
            yield section
            section = Section(found[1], [])
        else:
            section.lines.append(line)
    yield section


def paragraphs(lines: list[str]) -> list[str]:
    r"""Lines between blank ones, each joined to one; what stands further in keeps its lines.

    >>> paragraphs(["One", "two.", "", "    a = b", "    c = d", "", "Three."])
    ['One two.', '    a = b\n    c = d', 'Three.']
    """
    parts = re.split(r"\n(?:[ ]*\n)+", dedent("\n".join(lines)).strip("\n"))
    return [
        part if part.startswith(INDENT) else " ".join(part.split())
        for part in parts
        if part.strip()
    ]


def meanings(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Of "Args:": "    name: meaning", further lines indented more."""
    for part in re.split(r"\n(?= {4}\S)", "\n" + "\n".join(lines)):
        name, colon, meaning = part.partition(":")
        if colon:
            yield name.strip(), " ".join(meaning.split())


def prose(section: Section) -> Iterator[RenderableType]:
    """A section as paragraphs under its heading."""
    if section.heading:
        yield from ("", Text(section.heading, style="bold"))
    indent = 2 if section.heading else 0
    for number, paragraph in enumerate(paragraphs(section.lines)):
        if number > 0 or not section.heading:
            yield ""
        yield Padding(Text(paragraph), (0, 0, 0, indent), expand=False)


def call(line: str) -> Padding:
    """Something to type."""
    return Padding(Text(line), (0, 0, 0, 2), expand=False)
