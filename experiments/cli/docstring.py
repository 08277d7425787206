"""Docstrings of Google's style as what a terminal shows."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from slategym.envs.docstrings import Section, paragraphs


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
