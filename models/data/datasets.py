"""Data sets by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from slategym.envs.names import lookup
from slategym.models.assets.registry import fetch
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


def load(name: str, *, progress: bool = True) -> Log:
    """That data set, fetched first if it is not in the cache.

    Raises:
        UsageError: if there is no such data set. OSError: if it cannot be fetched.
    """
    dataset = lookup("data set", name, DATASETS)
    return dataset.read(fetch(dataset.asset, progress=progress))
