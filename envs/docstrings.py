"""Docstrings of Google's style as text: headings, paragraphs, meanings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import dedent
from typing import NamedTuple

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
