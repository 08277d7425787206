"""A world's page for the terminal: the docstring of its builder, its settings, how to make it."""

from __future__ import annotations

from json import dumps

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from slategym.envs.docstrings import meanings, sections
from slategym.envs.outline import Unread
from slategym.envs.pages import SETTINGS, docstring_of
from slategym.envs.registry import NAMESPACE, ON_EVERY_PAGE, WorldEntry, find_world
from slategym.experiments.cli.declared import parameters_of
from slategym.experiments.cli.docstring import call, prose
from slategym.experiments.presets import all_presets, find_preset


def page(id: str) -> RenderableType:
    """Everything that is known of a world without building it.

    Args:
        id: of a registered world, with or without its prefix.

    Raises:
        UsageError: if there is no such world; the nearest is offered.
    """
    name, entry = find_world(id)
    parts: list[RenderableType] = [Text(name, style="bold"), ""]
    for section in sections(docstring_of(entry).splitlines()):
        if section.heading == SETTINGS:
            parts += ["", Text("Settings", style="bold"), _settings(entry, section.lines)]
        else:
            parts += prose(section)
    if entry.about:
        parts += ["", Text("This one", style="bold"), Padding(Text(entry.about), (0, 0, 0, 2))]
    bare = name.removeprefix(NAMESPACE)
    tuned = [find_preset(agent, world) for world, agent in all_presets() if world == bare]
    if tuned:
        parts += ["", Text("Settings that suit it", style="bold")]
        parts += [Padding(Text(each.summary()), (0, 0, 0, 2)) for each in tuned]
        parts += [call(f"slategym train {each.agent} --world {bare} --preset") for each in tuned]
    parts += ["", Text("In programs", style="bold")]
    parts += [Padding(Text(said), (0, 0, 0, 2)) for said in ON_EVERY_PAGE]
    parts += ["", Text("Try it", style="bold"), *_examples(name)]
    return Group(*parts)


def _settings(entry: WorldEntry, lines: list[str]) -> Table:
    """A row for each setting that the id leaves open: name, default, meaning."""
    table = Table("name", "default", "meaning", box=box.SIMPLE_HEAD, pad_edge=True)
    told = dict(meanings(lines))
    for parameter in parameters_of(entry.builder):
        if parameter.name not in dict(entry.fixed):
            meaning = Text(told.get(parameter.name, ""))
            table.add_row(parameter.name, written(parameter.default), meaning)
    return table


def written(default: object) -> str:
    """As `--set` takes it; nothing for what depends on other settings."""
    if default is None or isinstance(default, Unread):
        return ""
    return default if isinstance(default, str) else dumps(default)


def _examples(name: str) -> list[RenderableType]:
    bare = name.removeprefix(NAMESPACE)
    return [
        call(f"slategym simulate {bare} --policy random --users 100"),
        call(f'gymnasium.make("slategym:{bare}").reset(seed=7)'),
        call(f'gymnasium.make_vec("slategym:{bare}", num_envs=64)'),
    ]
