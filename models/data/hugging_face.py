"""Logs from and to Hugging Face's `datasets`: a dataset for events, for items and, if any, users.

Needs the package `datasets` (`pip install 'slategym[datasets]'`). What columns they have is what a
log's folder has (docs/recipes/own_log.md).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slategym.envs.names import UsageError
from slategym.models.data.folder import CHECKSUMS, load_folder, write_folder
from slategym.models.data.log import Log
from slategym.models.files import atomic_path, make_folder

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

NEEDED, TABLES = ("events", "items"), ("events", "items", "users")


def from_datasets(
    tables: Mapping[str, Dataset], folder: str | Path, *, log_toml: str | None = None
) -> Log:
    """Write datasets as a log's folder, which every command takes, and read it.

    Args:
        tables: "events", "items" and, if there are any, "users"; a DatasetDict or a dict.
        folder: made if absent; tables of the same names in it are replaced.
        log_toml: what the columns mean; None: what is there stays, `slategym data describe`
            proposes one.

    Raises:
        UsageError: a table is missing, or another is given. ValueError: one breaks the schema.
    """
    missing, others = set(NEEDED) - set(tables), set(tables) - set(TABLES)
    if missing or others:
        raise UsageError(
            f"a log is made of events, items and, if any, users; got {', '.join(tables)}"
        )
    place = make_folder(Path(folder))
    (place / CHECKSUMS).unlink(missing_ok=True)  # of tables that are replaced
    for name, table in tables.items():
        with atomic_path(place / f"{name}.parquet") as path:
            table.to_parquet(str(path))
        (place / f"{name}.csv").unlink(missing_ok=True)
    if log_toml is not None:
        with atomic_path(place / "log.toml") as path:
            path.write_text(log_toml, encoding="utf-8")
    return load_folder(place)


def to_datasets(log: Log) -> DatasetDict:
    """A log as a DatasetDict: events, items and users, as its folder has them.

    Args:
        log: any.

    Returns:
        In memory; `push_to_hub` and `save_to_disk` are its own. log.toml is the description of
        "events".

    Raises:
        UsageError: `datasets` is not installed.
    """
    found: Any = _datasets()
    import pandas as pd

    with tempfile.TemporaryDirectory() as place:
        write_folder(log, place)
        tables = {
            name: found.Dataset.from_pandas(
                pd.read_parquet(Path(place) / f"{name}.parquet"), preserve_index=False
            )
            for name in TABLES
        }
        tables["events"].info.description = (Path(place) / "log.toml").read_text(encoding="utf-8")
    return found.DatasetDict(tables)  # type: ignore[no-any-return]


def _datasets() -> Any:
    if find_spec("datasets") is None:
        raise UsageError("needs datasets, not installed: pip install 'slategym[datasets]'")
    import datasets

    return datasets
