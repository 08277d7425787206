"""What the readers of data sets share: finding their files, and keeping categories few."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from slategym.models.plain_file import check_file

UNKNOWN = "unknown"


def need(folder: Path, name: str, files: str) -> list[Path]:
    """The paths of those files.

    Args:
        folder: where they should be.
        name: of the data set, for the message.
        files: their names, blanks between them.

    Raises:
        FileNotFoundError: naming those that are not there.
    """
    paths = [folder / file for file in files.split()]
    if missing := [path.name for path in paths if not path.exists()]:
        raise FileNotFoundError(
            f"{folder}: {name} lacks {', '.join(missing)}; name a folder that holds them"
        )
    return [check_file(path) for path in paths]


def commonest(values: pd.Series, most: int, other: str = "other") -> pd.Series:
    """The texts, with all but the `most` commonest as `other`; empty ones stay empty."""
    keep = values.value_counts().index[:most]
    return values.where(values.isin(keep) | values.isna(), other)
