"""Pages of worlds: what the docstring of a builder says, and what it leaves to another world's."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from textwrap import fill

from slategym.envs.docstrings import meanings, sections
from slategym.envs.outline import outline
from slategym.envs.registry import ON_EVERY_PAGE, WorldEntry, find_world, worlds

SETTINGS = "Args"  # the section of a docstring that says what settings mean


def docstring_of(entry: WorldEntry) -> str:
    """What is told of a world, read without building or importing it.

    Of a recipe: sections and meanings of settings that its builder does not tell are those of the
    world that it is a recipe of.
    """
    found = outline(entry.builder)
    own = (found.doc if found else "") or entry.one_line
    if not entry.recipe_of:
        return own
    settings = () if found is None else (each.name for each in found.parameters)
    return _completed(own, docstring_of(worlds.find(entry.recipe_of)), settings)


def describe_world(id: str) -> str:
    """A world's page: the docstring of its builder.

    Raises:
        UsageError: there is no such world; the nearest is offered.
    """
    name, entry = find_world(id)
    page = docstring_of(entry)
    if page == entry.one_line:  # no source of it could be read
        page = inspect.getdoc(entry.load()) or page
    said = "\n".join(map(_paragraph, ON_EVERY_PAGE))
    about = f"\n\nThis one:\n{_paragraph(entry.about)}" if entry.about else ""
    return f"{name}\n\n{page}{about}\n\nIn programs:\n{said}"


def _completed(own: str, other: str, settings: Iterable[str]) -> str:
    """A docstring with another's sections where it has none, in the other's order."""
    here, there = (dict(sections(doc.splitlines())) for doc in (own, other))
    meant = dict(meanings(there.get(SETTINGS, []))) | dict(meanings(here.get(SETTINGS, [])))
    told = [f"{name}: {meant[name]}" for name in settings if name in meant]
    here[SETTINGS] = [
        line
        for text in told
        for line in fill(text, 96, initial_indent=" " * 4, subsequent_indent=" " * 8).splitlines()
    ]
    parts = ["\n".join(here[""]).strip()]
    for heading in dict.fromkeys([*there, *here]):
        if heading:
            lines = "\n".join(here.get(heading, there.get(heading, []))).strip("\n")
            parts.append(f"{heading}:\n{lines}")
    return "\n\n".join(parts)


def _paragraph(text: str) -> str:
    return fill(text, 96, initial_indent=" " * 4, subsequent_indent=" " * 4)
