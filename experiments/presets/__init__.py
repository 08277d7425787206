"""Settings that suit a learner in a world, one file each, with the curve that they reach.

`WORLD/AGENT.toml` is what `slategym train --config` takes, so that a copy of it is a start of one's
own; three entries more are for people: `chosen` says how the settings came about, `page` where more
is said, `[reached]` what they earned while they trained (`benchmarks/presets.py` measures it).
Studies and
`slategym train AGENT --world WORLD --preset` read the same files.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from slategym.envs.names import UsageError
from slategym.envs.registry import NAMESPACE

FOLDER = Path(__file__).parent
FOR_PEOPLE = ("chosen", "page", "reached")  # entries of a file that no training reads


class Reached(NamedTuple):
    """What a preset earned on selection people (or, where luck draws people, others) as it trained.

    Expected return a session at every point, mean over people and seeds, 95 % over people.
    """

    slates: tuple[int, ...]  # of each seed
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    by_seed: tuple[float, ...]  # at the end
    beside: Mapping[str, float]  # policies by name, on the same people with the same luck
    people: int
    seeds: tuple[int, ...]
    cpu_seconds: float  # of training and reading, all seeds
    date: str
    commit: str  # of the code; "+" behind it: with changes

    def __str__(self) -> str:
        low, high = self.low[-1], self.high[-1]
        return f"{self.mean[-1]:.1f} [{low:.1f}, {high:.1f}]"


class Preset(NamedTuple):
    """A file's content."""

    agent: str  # a learner's name
    world: str  # id, without its prefix
    agent_settings: Mapping[str, Any]  # those that are not the learner's own defaults
    world_settings: Mapping[str, Any]
    chosen: str  # how the settings came about
    page: str  # of docs/results: more about what learners reach there; "": none
    reached: Reached | None  # None: it depends on what the world is made of

    @property
    def path(self) -> Path:
        """Of the file."""
        return path_of(self.agent, self.world)

    @property
    def of_a_log(self) -> bool:
        """Whether the world is made of a log that its user brings."""
        return self.world == "Log-v0"

    def summary(self) -> str:
        """What it reached, in a line."""
        more = f"; more: {self.page}" if self.page else ""
        if self.reached is None:
            why = "depends on the log" if self.of_a_log else "was not measured in this form"
            return f"preset of {self.agent} in {self.world}: what it reaches {why}{more}"
        found, last = self.reached, self.reached.slates[-1]
        beside = ", ".join(f"{name} {value:.1f}" for name, value in found.beside.items())
        return (
            f"preset of {self.agent} in {self.world}: it reached {found} a session after {last:,} "
            f"slates (95 % over {found.people} people, mean of {len(found.seeds)} seeds; {beside}; "
            f"commit {found.commit}){more}"
        )


def path_of(agent: str, world: str) -> Path:
    """Where the preset of a learner in a world lies, if there is one."""
    return FOLDER / world.removeprefix(NAMESPACE) / f"{agent}.toml"


def all_presets() -> list[tuple[str, str]]:
    """World and agent of every preset, in order of the alphabet; nothing is read."""
    return [(path.parent.name, path.stem) for path in sorted(FOLDER.glob("*/*.toml"))]


def find_preset(agent: str, world: str) -> Preset:
    """The preset of that learner in that world; nothing but its file is read.

    Raises:
        UsageError: there is none; those of the world, or all, are named.
    """
    bare = world.removeprefix(NAMESPACE)
    if (bare, agent) not in all_presets():
        here = [a for w, a in all_presets() if w == bare]
        there = f"{bare} has one of {', '.join(here)}" if here else "slategym presets lists all"
        raise UsageError(f"there is no preset of {agent} in {bare}; {there}")
    return _read(path_of(agent, bare))


def tuned(agent: str, world: str) -> Any:
    """Settings of the preset, as the learner's own dataclass.

    Raises:
        UsageError: see `find_preset`.
    """
    from dataclasses import replace

    from slategym.agents.registry import find_agent

    given = find_preset(agent, world).agent_settings
    values = {name: tuple(x) if isinstance(x, list) else x for name, x in given.items()}
    return replace(find_agent(agent).default_settings(), **values)


@cache
def _read(path: Path) -> Preset:
    said = tomllib.loads(path.read_text(encoding="utf-8"))
    found: dict[str, Any] | None = said.get("reached")
    parts: dict[str, Any] = {}
    for name, value in (found or {}).items():
        parts[name] = tuple(value) if isinstance(value, list) else value
    return Preset(
        agent=said["agent"],
        world=said["world"],
        agent_settings={"num_steps": said["steps"], **said.get("agent_settings", {})},
        world_settings=said.get("world_settings", {}),
        chosen=said["chosen"].strip(),
        page=said.get("page", ""),
        reached=None if found is None else Reached(**parts),
    )
