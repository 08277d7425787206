"""What simulated people did, as a folder that `slategym data check`, `fit` and worlds read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet

from slategym.envs.context import UNKNOWN
from slategym.envs.types import Column, World
from slategym.experiments.measure.slate_log import ABOUT
from slategym.models.checksums import check_beside
from slategym.models.data.description import ColumnEntry, Description, SignalEntry
from slategym.models.data.folder import TABLES, check_replaceable, written_whole
from slategym.models.files import atomic_path

CLOCK = ("hour", "weekday", "gap")  # of the context: times say it
USER, ITEM = "u", "i"  # before the numbers of keys
NOTE = "simulated: {world}, everything is made up"


def write_log_folder(world: World, slates: Path, folder: Path) -> Path:
    """Events, items, users and `log.toml` of slates that `slate_log` has written.

    Events keep their propensities, reward, ends and the file's metadata; what the agent saw is left
    out. Categories of the context are told by their names.

    Args:
        world: where the slates were shown.
        slates: the file.
        folder: made if absent; a log that slategym wrote there is replaced.

    Raises:
        OSError: nothing can be written there. UsageError: it holds a log of somebody's own.
        Damaged: the slates were altered.
    """
    check_replaceable(folder)
    check_beside(slates)
    names = set(pyarrow.parquet.read_schema(slates).names)
    kept = [name for name in _columns(world) if name in names]
    table = pyarrow.parquet.read_table(slates, columns=kept)
    about = (table.schema.metadata or {}).get(ABOUT, b"{}")
    events = table.to_pandas()
    users = np.sort(events["user"].unique())
    for column in _categories(world):
        words = np.array([*column.categories, UNKNOWN], dtype=object)
        events[column.name] = words[events[column.name].to_numpy().astype(np.int64)]
    events["user"], events["item"] = _keys(USER, events["user"]), _keys(ITEM, events["item"])
    written = pyarrow.Table.from_pandas(events, preserve_index=False)
    written = written.replace_schema_metadata({**(written.schema.metadata or {}), ABOUT: about})
    frames = {"items": _items(world), "users": _users(world, users)}
    with written_whole(folder, described(world)):
        for name, frame in frames.items():
            with atomic_path(folder / f"{name}.parquet") as path:
                frame.to_parquet(path, index=False)
        with atomic_path(folder / "events.parquet") as path:
            pyarrow.parquet.write_table(written, path)
        for name in TABLES:
            (folder / f"{name}.csv").unlink(missing_ok=True)
    return folder


def described(world: World) -> Description:
    """What `log.toml` says of a world's log: signals with their weights, columns, the slate."""
    signals = [
        SignalEntry.of(signal._replace(weight=weight))
        for signal, weight in zip(world.users.signals, world.objective, strict=True)
    ]
    return Description(
        signals=tuple(signals),
        context=tuple(map(ColumnEntry.of, _categories(world))),
        item_columns=tuple(ColumnEntry.of(column) for column, _ in world.catalogue.attributes),
        slate_size=world.slate_size,
        repeats=True,
        notes=(NOTE.format(world=world.name),),
    )


def _columns(world: World) -> tuple[str, ...]:
    """Of the file of slates, those that a log keeps."""
    propensities = ("propensity", "slot_propensity", "position_propensity")
    clock = tuple(name for name in CLOCK[:2] if name in world.context.shown)
    return (
        *("user", "item", "time", "slate_id", "position"),
        *clock,
        *(column.name for column in _categories(world)),
        *propensities,
        *(signal.name for signal in world.users.signals),
        *("visit", "step", "reward", "terminated", "truncated"),
    )


def _categories(world: World) -> tuple[Column, ...]:
    """Columns of the context beside the clock, with their names."""
    return tuple(
        Column(name, tuple(word for word in world.context.names[name] if word != UNKNOWN))
        for name in world.context.shown
        if name not in CLOCK
    )


def _items(world: World) -> pd.DataFrame:
    """Keys, titles, texts, topics and columns."""
    its = world.catalogue
    keys = _keys(ITEM, pd.Series(range(its.num_items)))
    told: dict[str, Any] = {
        "item": keys,
        "title": its.title or keys,
        "text": its.text or keys,
        "topics": [its.topics[topic] for topic in its.topic.tolist()],
    }
    for column, value_N in its.attributes:
        value = value_N.cpu().numpy()
        words = np.array([*column.categories, UNKNOWN], dtype=object)
        told[column.name] = words[value.astype(np.int64)] if column.categories else value
    return pd.DataFrame(told)


def _users(world: World, user_U: np.ndarray) -> pd.DataFrame:
    """Keys and profiles of those who came."""
    told: dict[str, Any] = {"user": _keys(USER, pd.Series(user_U))}
    if world.population.profile is not None:
        profile_UF = world.population.profile.cpu().numpy()[user_U]
        for f, name in enumerate(world.population.profile_names):
            told[name] = [f"{name} {value}" for value in profile_UF[:, f]]
    return pd.DataFrame(told)


def _keys(letter: str, number: Any) -> Any:
    """Keys of one length, so that they sort as the numbers do."""
    width = 7 if letter == USER else 5
    return letter + pd.Series(number).astype(str).str.zfill(width)
