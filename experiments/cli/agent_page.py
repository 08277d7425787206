"""A policy's page for the terminal: what it is, its settings with what they mean, how to use it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from slategym.agents.registry import find_agent, find_entry
from slategym.envs.docstrings import sections
from slategym.envs.outline import Parameter, outline
from slategym.experiments.cli.declared import settings_of
from slategym.experiments.cli.docstring import call, prose
from slategym.experiments.cli.world_page import written

HIDDEN = ("Args",)  # of a class's docstring: how a program makes it


def page(name: str) -> RenderableType:
    """Everything that is known of a policy without building it.

    Args:
        name: as `slategym agents` lists it, or "module:Name".

    Raises:
        UsageError: if there is no such policy; the nearest is offered. If it is a variant that
            begins at a refitted ranker of a learner that begins at none.
    """
    entry = find_entry(name, "agent")
    if entry.refit_first:
        find_agent(name)  # only the class knows whether it begins at a ranker
    parts: list[RenderableType] = [
        Text.assemble((name, "bold"), f"  ({entry.kind}): {entry.one_line}")
    ]
    if entry.agent is None:
        found = outline(entry.build) if entry.build else None
        parts += _described(found.doc if found else "")
        examples = [f"slategym simulate {entry.example} --policy {name}"]
    else:
        found = outline(entry.agent)
        if found is not None:
            parts += [*_described(found.module.doc), *_described(found.doc)]
        parts += ["", Text("Settings", style="bold"), _settings(settings_of(name))]
        several = found is not None and found.constant("several_seeds") is True
        together = several and not entry.refit_first
        parts += [Text(f"Trains several seeds {'side by side' if together else 'one at a time'}.")]
        examples = [
            f"slategym train {name} --world {entry.example}",
            f"slategym simulate {entry.example} --policy runs/{name}-{entry.example}-seed0",
        ]
    if entry.needs:
        parts += ["", Text("Needs", style="bold"), call(entry.needs)]
    return Group(*parts, "", Text("Try it", style="bold"), *map(call, examples))


def _described(docstring: str) -> Iterator[RenderableType]:
    """The docstring, but for what concerns programmers alone."""
    for section in sections(docstring.splitlines()):
        if section.heading not in HIDDEN:
            yield from prose(section)


def _settings(declared: Sequence[Parameter]) -> Table:
    table = Table("name", "default", "meaning", box=box.SIMPLE_HEAD, pad_edge=True)
    for parameter in declared:
        table.add_row(parameter.name, written(parameter.default), Text(parameter.meaning))
    return table
