"""Logs: a folder of one's own, or a data set by name.

A data set that others can have by name is a line in DATASETS, or an entry point
`slategym.data_sets` in another package. Nothing heavy is imported before a log is read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slategym.envs.names import Registry, UsageError, load_object, lookup, path_of

if TYPE_CHECKING:
    from slategym.models.data.log import Log


@dataclass(frozen=True)
class DataSet:
    """A log that can be had by name."""

    asset: str | None  # what to fetch; None: see `address`
    read: str | Callable[..., Log]  # "module:function", or a function, from the folder of its files
    what: str = ""  # in one line; of an asset, the asset says it
    licence: str = ""
    # Where a copy of one's own comes from, where nothing is fetched; empty, and no asset: the
    # function finds its data itself, and is given nothing.
    address: str = ""
    # Published splits by name: "module:function" from folder and log to the test rows, (E,).
    splits: Mapping[str, str] = field(default_factory=dict)

    def test_rows(self, split: str, log: Log) -> Any:
        """The test rows of a published split, a bool mask over the rows of the data set's log.

        Args:
            split: a key of `splits`.
            log: as `load` gave it.
        """
        assert self.asset is not None, "only what is fetched has published splits"
        from slategym.models.assets.registry import fetch

        return load_object(self.splits[split])(fetch(self.asset, progress=False), log)

    def load(self, name: str, progress: bool = True, source: str | Path | None = None) -> Log:
        """The log, fetched first if it is not in the cache.

        Args:
            name: of the data set, for messages and for `SLATEGYM_SOURCE_<NAME>`.
            progress: show bars while fetching.
            source: a folder with a copy (of an asset, or a zip file), instead of the network.

        Raises:
            UsageError: there is a source, and it fetches on its own; or there must be one. OSError:
                it cannot be fetched, or the copy is not there.
        """
        read: Callable[..., Log] = (
            load_object(self.read) if isinstance(self.read, str) else self.read
        )
        if self.asset is None and self.address:
            return read(self._own_copy(name, source))
        if self.asset is None:
            if source is not None:
                raise UsageError(f"{self.read} fetches on its own; leave out the source")
            return read()
        from slategym.models.assets.registry import fetch

        return read(fetch(self.asset, progress=progress, source=source))

    def _own_copy(self, name: str, source: str | Path | None) -> Path:
        """The folder with a copy of a data set that is not fetched."""
        variable = f"SLATEGYM_SOURCE_{name.upper().replace('-', '_')}"
        own = source or os.environ.get(variable)
        if not own:
            raise UsageError(
                f"{name} is not fetched ({self.licence}): get it from {self.address}, unpack it, "
                f"and name its folder in {variable} or as source="
            )
        folder = Path(own).expanduser()
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder}: no such folder, named for {name}")
        return folder


SETS = "slategym.models.data.sets"
GROUPLENS = "https://grouplens.org/datasets/movielens/"
DATASETS: dict[str, DataSet] = {
    "movielens-100k": DataSet(
        "movielens-100k",
        f"{SETS}.movielens:load_movielens",
        splits={"u1": f"{SETS}.movielens:u1_test"},
    ),
    "movielens-1m": DataSet(
        None,
        f"{SETS}.movielens_files:load_movielens_1m",
        "1,000,209 ratings of 3,883 films by 6,040 people, 2000-03",
        "research use; no redistribution",
        GROUPLENS,
    ),
    "movielens-latest-small": DataSet(
        None,
        f"{SETS}.movielens_files:load_movielens_csv",
        "100,836 ratings of 9,742 films by 610 people, in half stars, with tags as text",
        "research use; no redistribution",
        GROUPLENS,
    ),
    "open-bandit-random": DataSet("open-bandit-random", f"{SETS}.open_bandit:load_random"),
    "open-bandit-bts": DataSet("open-bandit-bts", f"{SETS}.open_bandit:load_thompson"),
    "womens-clothing": DataSet("womens-clothing", f"{SETS}.womens_clothing:load_womens_clothing"),
    "mind": DataSet(
        None,
        f"{SETS}.mind:load_mind",
        "news shown and clicked in impressions, 2019, with titles and abstracts",
        "Microsoft research licence",
        "https://msnews.github.io/",
    ),
    "kuairand-pure": DataSet(
        None,
        f"{SETS}.kuairand:load_kuairand",
        "short videos shown in 2022, partly at random, with nine kinds of feedback",
        "CC BY-SA 4.0",
        "https://zenodo.org/records/10439422",
    ),
    "amazon-reviews-2023": DataSet(
        None,
        f"{SETS}.amazon:load_amazon",
        "reviews of one category of products, with stars, text, price and store",
        "research use",
        "https://amazon-reviews-2023.github.io/",
    ),
}
data_sets = Registry(
    "data set", DATASETS, {"slategym.data_sets": lambda path, one_line: DataSet(None, path)}
)


def register_data_set(name: str, read: str | Callable[[], Log]) -> None:
    """Add a data set in this process; for every process, a package has an entry point.

    Args:
        name: as on the command line.
        read: a function without arguments that returns a `Log`, or its "module:function".

    Raises:
        UsageError: there is a data set of that name; the function is found by no other process.
    """
    data_sets.register(name, DataSet(None, path_of(read)))


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
        return found.load(str(log), progress, source)
    if source is not None:  # a folder has no other source
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
