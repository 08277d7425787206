"""The builders of a process: one for equal content, whoever asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slategym.models.data.datasets import load_log
from slategym.models.data.log import Log
from slategym.models.simulator.builder import WorldBuilder
from slategym.models.simulator.parties import Split
from slategym.models.simulator.recipe import Recipe

REMEMBERED = 4  # builders that a process keeps: of the splits of a log, or of several logs
LOGS = 2  # that a process keeps

_BUILDERS: dict[tuple[Any, ...], WorldBuilder] = {}
_READ: dict[tuple[Any, ...], Log] = {}


def builder_of(log: Log | str, recipe: Recipe, split: Split = 0) -> WorldBuilder:
    """The builder of that log, one a process for equal content.

    Args:
        log: itself, a folder's path, or the name of a data set.
        recipe: of its worlds.
        split: of its people into parties, see `parties`.
    """
    read = log if isinstance(log, Log) else _read(log)
    key = (read.sha256, read.name, recipe.world, repr(recipe.parties), split)
    if key not in _BUILDERS:
        while len(_BUILDERS) >= REMEMBERED:
            _BUILDERS.pop(next(iter(_BUILDERS)))
        _BUILDERS[key] = WorldBuilder(read, recipe, split)
    return _BUILDERS[key]


def forget() -> None:
    """Empty the caches of a process, as a new one would find them."""
    _BUILDERS.clear()
    _READ.clear()


def _read(log: str) -> Log:
    """The log at that place, read again only if one of its files has changed."""
    folder = Path(log).expanduser()
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    stamps = [(f.name, f.stat().st_mtime_ns, f.stat().st_size) for f in files if f.is_file()]
    key = (log, str(folder.absolute()), *stamps)
    if key not in _READ:
        while len(_READ) >= LOGS:
            _READ.pop(next(iter(_READ)))
        _READ[key] = load_log(log)
    return _READ[key]
