"""Logs: a folder of one's own, or a data set by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slategym.envs.names import UsageError, lookup
from slategym.models.assets.registry import fetch
from slategym.models.data.folder import load_folder
from slategym.models.data.log import Log
from slategym.models.data.movielens import load_movielens


@dataclass(frozen=True)
class DataSet:
    """A log that can be had by name."""

    asset: str  # what to fetch
    read: Callable[[Path], Log]  # from the asset's folder


DATASETS: dict[str, DataSet] = {
    "movielens-100k": DataSet("movielens-100k", load_movielens),
}


def load_log(log: str | Path, *, progress: bool = True, source: str | Path | None = None) -> Log:
    """That log: a folder, or a data set by name, fetched first if it is not in the cache.

    Args:
        log: the folder's path, or a name in `DATASETS`. A name is a data set, even where a folder
            is called so; "./name" is the folder.
        progress: show bars while fetching.
        source: a folder or zip file with a copy of the data set, instead of the network.

    Raises:
        UsageError: if it is neither. OSError: if it cannot be fetched or read. ValueError: if a
            table breaks the schema; see `load_folder`.
    """
    name = str(log)
    if isinstance(log, str) and name in DATASETS:
        dataset = DATASETS[name]
        return dataset.read(fetch(dataset.asset, progress=progress, source=source))
    if source is not None:
        lookup("data set", name, DATASETS)
    if Path(log).expanduser().is_dir():
        return load_folder(Path(log).expanduser())
    if isinstance(log, Path) or "/" in name or "\\" in name or name.startswith((".", "~")):
        raise UsageError(f"{name}: no such folder; a log is a folder or a data set's name")
    try:
        lookup("data set", name, DATASETS)
    except UsageError as error:
        raise UsageError(f"no folder is called {name!r}, and: {error}") from None
    raise AssertionError(name)
