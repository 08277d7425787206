"""What an item brings beside its text and columns: its place in a graph, media, whether it was met.

Axis letters beyond the legend of `envs/types.py`: A attributes of items, G width of graph vectors,
V width of media vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from slategym.envs.names import UsageError, lookup
from slategym.models.data.log import Log
from slategym.models.multitask.settings import ItemSettings

GRAPH_WIDTH = 32  # G
LAYERS = 2  # of propagation: items to attributes and back is one
KEY = "item"  # column of a media file: the item's key

Floats = NDArray[np.float64]


class ItemExtras(NamedTuple):
    """Beside text and columns; None: there is no such thing."""

    seen_N: Tensor | None = None  # (N,) bool, whether it has training rows
    graph_NG: Tensor | None = None
    media_NV: Tensor | None = None  # NaN in every column where an item has none

    @property
    def widths(self) -> dict[str, int]:
        """Of each that is there: what `blank` makes an untrained twin of."""
        tensors = {"graph": self.graph_NG, "media": self.media_NV}
        return {name: x.shape[1] for name, x in tensors.items() if x is not None}

    @staticmethod
    def blank(num_items: int, widths: dict[str, int], *, seen: bool) -> ItemExtras:
        """Of the same shape, for a model whose weights are about to be loaded."""
        made = {name: torch.zeros(num_items, width) for name, width in widths.items()}
        seen_N = torch.ones(num_items, dtype=torch.bool) if seen else None
        return ItemExtras(seen_N, made.get("graph"), made.get("media"))


def attributes(log: Log) -> Floats:
    """Topics and categories of items, (N, A), 0 or 1; attributes of no item are left out.

    Raises:
        UsageError: if no attribute tells two items apart.
    """
    parts = [log.item_topics.astype(np.float64)]
    for column in log.item_columns:
        if column.categories:
            codes = log.items[column.name].to_numpy(np.int64)
            parts.append((codes[:, None] == np.arange(len(column.categories))).astype(np.float64))
    found_NA = np.concatenate(parts, axis=1)
    found_NA = found_NA[:, found_NA.any(0)]
    if not found_NA.size or (found_NA == found_NA[:1]).all():
        raise UsageError(
            f"{log.name} has no topics and no columns of categories that tell its items apart: "
            "there is no graph of items and attributes; take graph='none'"
        )
    return found_NA


def spectral(links_NA: Floats) -> Floats:
    """The leading singular vectors of the normalised links, times their values, (N, G).

    Source: Dhillon 2001 (co-clustering by bipartite spectral graph partitioning), section 4.
    """
    left, values, _ = np.linalg.svd(_normalised(links_NA), full_matrices=False)
    found = (left * values)[:, 1 : GRAPH_WIDTH + 1]  # the first tells only how many links there are
    largest = np.take_along_axis(found, np.abs(found).argmax(0)[None], axis=0)
    signed: Floats = found * np.where(largest < 0, -1.0, 1.0)
    return np.pad(signed, ((0, 0), (0, GRAPH_WIDTH - signed.shape[1])))


def propagated(links_NA: Floats) -> Floats:
    """Fixed random vectors of the attributes, spread over the graph, (N, G).

    Source: He et al. 2020 (LightGCN), arXiv:2002.02126, equations 3 and 4, on items and attributes;
    attributes start at normal draws, items at zero, nothing is trained before the network is.
    """
    flow_NA = _normalised(links_NA)
    spread_AG = np.random.default_rng(0).normal(size=(links_NA.shape[1], GRAPH_WIDTH))
    item_NG, total_NG = (
        np.zeros((len(links_NA), GRAPH_WIDTH)),
        np.zeros((len(links_NA), GRAPH_WIDTH)),
    )
    for _ in range(LAYERS):
        item_NG, spread_AG = flow_NA @ spread_AG, flow_NA.T @ item_NG + spread_AG
        total_NG += item_NG
    mean_NG: Floats = total_NG / LAYERS
    return mean_NG


def _normalised(links_NA: Floats) -> Floats:
    """Links over the root of both ends' degrees."""
    item_N, attribute_A = links_NA.sum(1).clip(min=1), links_NA.sum(0).clip(min=1)
    flow_NA: Floats = links_NA / np.sqrt(item_N[:, None] * attribute_A)
    return flow_NA


MAKERS: dict[str, Callable[[Floats], Floats]] = {"spectral": spectral, "propagated": propagated}


def graph_vectors(log: Log, graph: str) -> Tensor | None:
    """Vectors of items by their attributes, of unit variance, (N, G); None: without a graph."""
    if graph == "none":
        return None
    found_NG = lookup("graph", graph, MAKERS)(attributes(log))
    return torch.as_tensor(found_NG / max(float(found_NG.std()), 1e-9), dtype=torch.float32)


def media_vectors(log: Log, path: str | Path) -> Tensor:
    """Vectors that somebody computed of images or sounds, (N, V), each column standardised.

    Args:
        log: whose items they are of.
        path: a .parquet or .csv file with a column `item`, the items' keys, and a column of numbers
            for each dimension; items may be missing.

    Raises:
        UsageError: if there is no such file, or it is not of these items.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise UsageError(f"no media file at {str(path)!r}; it has a column {KEY!r} and numbers")
    rows = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    numbers = [name for name in rows if name != KEY and pd.api.types.is_numeric_dtype(rows[name])]
    if KEY not in rows or not numbers:
        raise UsageError(
            f"{path} needs a column {KEY!r} with the items' keys and at least one of numbers, "
            f"it has {', '.join(map(str, rows.columns))}"
        )
    keys = rows[KEY].astype(str)
    if keys.duplicated().any():
        raise UsageError(f"{path} has item {keys[keys.duplicated()].iloc[0]!r} twice; keep one row")
    found = rows[numbers].astype(np.float64).set_index(keys)
    found = found.reindex(log.items["key"].astype(str))
    known_N = found.notna().all(axis=1).to_numpy()
    if not known_N.any():
        raise UsageError(f"{path} has none of the {len(log.items)} items of {log.name} by its key")
    values_NV = found.to_numpy()
    middle_V, spread_V = values_NV[known_N].mean(0), values_NV[known_N].std(0)
    scaled_NV = (values_NV - middle_V) / np.where(spread_V > 0, spread_V, 1.0)
    scaled_NV[~known_N] = np.nan
    return torch.as_tensor(scaled_NV, dtype=torch.float32)


def item_extras(log: Log, settings: ItemSettings, train_E: NDArray[np.bool_]) -> ItemExtras:
    """What the settings ask for, of the log's items.

    Args:
        log: whose items they are.
        settings: which extras there are.
        train_E: training rows.

    Raises:
        UsageError: if the log or the media file does not have it.
    """
    seen_N = torch.zeros(log.num_items, dtype=torch.bool)
    seen_N[torch.as_tensor(log.events["item"].to_numpy(np.int64)[train_E])] = True
    media_NV = media_vectors(log, settings.media) if settings.media else None
    return ItemExtras(seen_N, graph_vectors(log, settings.graph), media_NV)
