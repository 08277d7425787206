"""A training as a file, for `slategym train --config FILE`.

    agent = "slateq"
    world = "InterestEvolution-v0"
    steps = 30000
    seeds = 3

    [agent_settings]
    learning_rate = 0.002

    [world_settings]
    slate_size = 3

TOML, YAML or JSON, by the file's ending. What the command line says goes before the file. A preset
(`experiments/presets`) is such a file; what it says for people is not read. A file
names registered things only, unless its reader is trusted with more.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from slategym.envs.names import UsageError, check_registered, shown
from slategym.envs.settings import Count, Range, Seed, check_kinds
from slategym.experiments.cli.options import MOST_SEEDS
from slategym.experiments.presets import FOR_PEOPLE

BYTES = 1_000_000  # of a file
KINDS: dict[str, type] = {
    "agent": str,
    "world": str,
    "steps": int,
    "seed": int,
    "seeds": int,
    "device": str,
    "agent_settings": dict,
    "world_settings": dict,
}
RANGES = {"steps": Count, "seed": Seed, "seeds": Annotated[int, Range(1, MOST_SEEDS)]}


@dataclass(frozen=True)
class Config:
    """What a file says of a training; None and {}: nothing."""

    agent: str | None = None
    world: str | None = None
    steps: int | None = None
    seed: int | None = None
    seeds: int | None = None
    device: str | None = None
    agent_settings: Mapping[str, Any] = field(default_factory=dict)
    world_settings: Mapping[str, Any] = field(default_factory=dict)


def read_config(path: Path, *, trust: bool = False) -> Config:
    """Read a file.

    Args:
        path: of the file, at most `BYTES` of it.
        trust: True: it may name "module:Name", which training imports.

    Raises:
        UsageError: it is not there, or not readable; a name in it is unknown, a value of a wrong
            kind; it names code that is not registered.
    """
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    if path.stat().st_size > BYTES:
        raise UsageError(f"{path} has more than {BYTES:,} bytes; it is no training's settings")
    said = _parsed(path)
    if not isinstance(said, dict):
        raise UsageError(f"{path} holds no table of settings; it has {', '.join(KINDS)}")
    said = {name: value for name, value in said.items() if name not in FOR_PEOPLE}
    for name, value in said.items():
        if name not in KINDS:
            near = get_close_matches(str(name), KINDS, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]!r}?" if near else f"it may have {', '.join(KINDS)}"
            raise UsageError(f"{path} has {shown(str(name))}; {hint}")
        if not isinstance(value, KINDS[name]) or isinstance(value, bool):
            raise UsageError(f"{path}: {name} is a {KINDS[name].__name__}, got {shown(value)}")
        if isinstance(value, dict):
            for setting, given in value.items():
                if not str(setting).isidentifier():  # it would be read as another one's value
                    raise UsageError(
                        f"{path}: {name} has {shown(setting)}; a setting's name is made of "
                        "letters, digits and _"
                    )
                _check_plain(f"{path}: {name}.{shown(setting)[1:-1]}", given)
    check_kinds(str(path), said, RANGES)
    if not trust:
        check_registered(path, said)
    return Config(**said)


def with_config(pairs: list[str] | None, settings: Mapping[str, Any]) -> list[str]:
    """NAME=VALUE of the command line, and before them those of a file that it leaves open."""
    typed = pairs or []
    named = {pair.partition("=")[0] for pair in typed}
    written = [f"{n}={json.dumps(x)}" for n, x in settings.items() if n not in named]
    return [*written, *typed]


def _check_plain(place: str, value: Any, within: int = 0) -> None:
    if isinstance(value, list) and within < 3:
        for each in value:
            _check_plain(place, each, within + 1)
    elif not isinstance(value, str | int | float | None):
        raise UsageError(
            f"{place} is a {type(value).__name__}; give a number, a text, true, false or a list"
        )


def _parsed(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".toml":
            return tomllib.loads(text)
        if path.suffix in (".yaml", ".yml"):
            import yaml

            if any(isinstance(x, yaml.AliasEvent) for x in yaml.parse(text, yaml.SafeLoader)):
                raise UsageError(f"{path} repeats itself by an alias (*name); write it out")
            return yaml.safe_load(text)
        if path.suffix == ".json":
            return json.loads(text)
    except UsageError:
        raise
    except (ValueError, OSError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    except Exception as error:
        if type(error).__module__.startswith("yaml"):
            line = " ".join(str(error).split())
            raise UsageError(f"{path} cannot be read: {line}") from error
        raise
    raise UsageError(f"{path} ends in {path.suffix or 'nothing'}; give .toml, .yaml or .json")
