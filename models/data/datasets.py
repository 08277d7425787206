"""Logs: a folder of one's own, or a data set by name.

A data set that others can have by name is a line in DATASETS, or an entry point
`slategym.data_sets` in another package. Nothing heavy is imported before a log is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slategym.envs.names import Registry, UsageError, load_object, lookup

if TYPE_CHECKING:
    from slategym.models.data.log import Log


@dataclass(frozen=True)
class DataSet:
    """A log that can be had by name."""

    asset: str | None  # what to fetch; None: the function fetches, and is given nothing
    read: str | Callable[..., Log]  # "module:function", or a function, from the asset's folder

    def load(self, progress: bool = True, source: str | Path | None = None) -> Log:
        """The log, fetched first if it is not in the cache.

        Args:
            progress: show bars while fetching.
            source: a folder or zip file with a copy, instead of the network.

        Raises:
            UsageError: there is a source, and it fetches on its own. OSError: it cannot be fetched.
        """
        read: Callable[..., Log] = (
            load_object(self.read) if isinstance(self.read, str) else self.read
        )
        if self.asset is None:
            if source is not None:
                raise UsageError(f"{self.read} fetches on its own; leave out the source")
            return read()
        from slategym.models.assets.registry import fetch

        return read(fetch(self.asset, progress=progress, source=source))


DATASETS: dict[str, DataSet] = {
    "movielens-100k": DataSet("movielens-100k", "slategym.models.data.movielens:load_movielens"),
}
data_sets = Registry(
    "data set", DATASETS, {"slategym.data_sets": lambda path, one_line: DataSet(None, path)}
)


def register_data_set(name: str, path: str) -> None:
    """Add a data set in this process; for every process, a package has an entry point.

    Args:
        name: as on the command line.
        path: "module:function" of a function without arguments that returns a `Log`.

    Raises:
        UsageError: there is a data set of that name.
    """
    data_sets.register(name, DataSet(None, path))


def load_log(log: str | Path, *, progress: bool = True, source: str | Path | None = None) -> Log:
    """That log: a folder, or a data set by name, fetched first if it is not in the cache.

    Args:
        log: the folder's path, or a data set's name. A name is a data set, even where a folder
            is called so; "./name" is the folder.
        progress: show bars while fetching.
        source: a folder or zip file with a copy of the data set, instead of the network.

    Raises:
        UsageError: if it is neither. OSError: if it cannot be fetched or read. ValueError: if a
            table breaks the schema; see `load_folder`.
    """
    found = find_log(log)
    if isinstance(found, DataSet):
        return found.load(progress, source)
    if source is not None:
        lookup("data set", str(log), data_sets.all())
    from slategym.models.data.folder import load_folder

    return load_folder(found)


def find_log(log: str | Path) -> DataSet | Path:
    """The data set of that name, or the folder; nothing is read.

    Raises:
        UsageError: if it is neither.
    """
    name = str(log)
    if isinstance(log, str) and (name in data_sets.all() or ":" in name):
        return data_sets.find(name)
    folder = Path(log).expanduser()
    if folder.is_dir():
        return folder
    if isinstance(log, Path) or "/" in name or "\\" in name or name.startswith((".", "~")):
        raise UsageError(f"{name}: no such folder; a log is a folder or a data set's name")
    try:
        lookup("data set", name, data_sets.all())
    except UsageError as error:
        raise UsageError(f"no folder is called {name!r}, and: {error}") from None
    raise AssertionError(name)
