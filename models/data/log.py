"""A log in the one form that everything above reads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slategym.envs.types import CLICK, Column, Signal
from slategym.models.data import schema
from slategym.models.data.schema import LIKE, Tables

LIKED_FROM = 4.0  # stars; a film rated so or better counts as liked
# A topic rarer than this is no item's main topic if a commoner one is there: a hundred items, or
# this share of a small catalogue.
MIN_TOPIC_ITEMS, MIN_TOPIC_SHARE = 100, 1 / 16


@dataclass(frozen=True)
class Words:
    """What people call the log's things, singular and plural."""

    item: str = "item"
    items: str = "items"
    topic: str = "topic"
    topics: str = "topics"
    session: str = "session"
    sessions: str = "sessions"


@dataclass(frozen=True, eq=False)  # its identity is `sha256`
class Log:
    """Who met what, when, and what came of it. Users and items are numbered from 0."""

    name: str
    # Sorted by user, then time, ties as they came. user, item int32; time int64, unix seconds UTC;
    # hour float32 in [0, 24); weekday int32, 0 = Monday; where logged slate_id, position int32 and
    # propensity float64; one float32 column per signal, NaN where it was not observed.
    events: pd.DataFrame
    items: pd.DataFrame  # row = item: key, title, text, topic (int32), topics (list), year (int32)
    users: pd.DataFrame  # row = user: key, then an int32 category per profile column
    profile_names: tuple[str, ...]  # F
    profile_sizes: tuple[int, ...]  # F, number of categories of each
    topic_names: tuple[str, ...]  # G
    item_topics: NDArray[np.float32]  # (N, G), 1 where the item has the topic
    signals: tuple[Signal, ...]  # M, click first, each with its provenance
    sha256: str  # of all of the above but the name
    # What `log.toml` says of it, or what the tables themselves tell; see `models/data/description`.
    words: Words = Words()
    context: tuple[
        Column, ...
    ] = ()  # further columns of events: int32 codes (-1: unknown), float32
    item_columns: tuple[Column, ...] = ()  # further columns of items: the same
    like_from: float | None = LIKED_FROM  # rating that counts as a like; None: no such rule
    pause: float = 1_800.0  # seconds without an event that end a visit
    slate_size: int | None = None  # K that the log's slates have or its owner asks for
    repeats: bool = False  # whether a user may consume an item again

    @property
    def num_users(self) -> int:
        """U."""
        return len(self.users)

    @property
    def num_items(self) -> int:
        """N."""
        return len(self.items)


def build_log(name: str, tables: Tables) -> Log:
    """Check the tables and number their users and items.

    A click that was not logged is derived: whoever rated or liked a thing must have clicked it. A
    like that was not logged is derived from the rating.

    Args:
        name: of the data set, for people.
        tables: as `schema` describes them, rows in any order.

    Raises:
        ValueError: if a table breaks the schema; one line with place, column and fix.
    """
    events = schema.check_events(tables.events, tables.signals)
    items = schema.check_items(tables.items)
    checked = tables.events.with_frame(events)
    schema.check_known(checked, "item", pd.Index(items["item"]), tables.items.name)
    if tables.users is None:
        users = pd.DataFrame({"user": np.sort(events["user"].unique())})
    else:
        users = schema.check_users(tables.users)
        schema.check_known(checked, "user", pd.Index(users["user"]), tables.users.name)
    numbered, signals = _number_events(events, users["user"], items["item"], tables.signals)
    item_rows, topic_names, item_topics_NG = _describe_items(items)
    profile_names = tuple(str(column) for column in users.columns if column != "user")
    user_rows = pd.DataFrame({"key": users["user"]})
    for trait in profile_names:
        user_rows[trait] = users[trait].cat.codes.astype(np.int32)
    return Log(
        name=name,
        events=numbered,
        items=item_rows,
        users=user_rows,
        profile_names=profile_names,
        profile_sizes=tuple(len(users[trait].cat.categories) for trait in profile_names),
        topic_names=topic_names,
        item_topics=item_topics_NG,
        signals=signals,
        sha256=_digest((numbered, item_rows, user_rows), (topic_names, signals)),
    )


def _number_events(
    events: pd.DataFrame, user_keys: pd.Series, item_keys: pd.Series, known: Sequence[Signal]
) -> tuple[pd.DataFrame, tuple[Signal, ...]]:
    """Row numbers for keys, context from the time, derived signals, sorted."""
    time = events["time"].to_numpy().astype(np.int64)
    numbered = pd.DataFrame(
        {
            "user": pd.Index(user_keys).get_indexer(events["user"]).astype(np.int32),
            "item": pd.Index(item_keys).get_indexer(events["item"]).astype(np.int32),
            "time": time,
            "hour": (time % 86_400 / 3_600).astype(np.float32),
            "weekday": ((time // 86_400 + 3) % 7).astype(np.int32),  # 1 January 1970: a Thursday
        }
    )
    if "hour" in events:
        numbered["hour"] = events["hour"].astype(np.float32)
    if "weekday" in events:
        numbered["weekday"] = events["weekday"].astype(np.int32)
    if "slate_id" in events:
        numbered["slate_id"] = pd.factorize(events["slate_id"], sort=True)[0].astype(np.int32)
    if "position" in events:
        numbered["position"] = events["position"].astype(np.int32)
    if "propensity" in events:
        numbered["propensity"] = events["propensity"]  # of a long slate: too small for float32
    values, signals = _derive_signals(events, known)
    numbered = pd.concat([numbered, values], axis=1)
    order = np.lexsort((numbered["time"], numbered["user"]))
    return numbered.iloc[order].reset_index(drop=True), signals


def _derive_signals(
    events: pd.DataFrame, known: Sequence[Signal]
) -> tuple[pd.DataFrame, tuple[Signal, ...]]:
    """One float32 column per signal, click and like first, and what each is."""
    logged = {signal.name: signal for signal in known if signal.name in events}
    found = {name: events[name].astype(np.float32) for name in logged}
    if "like" not in found and "rating" in found:
        stars = found["rating"]
        found["like"] = (stars >= LIKED_FROM).astype(np.float32).where(stars.notna())
        logged["like"] = LIKE._replace(provenance="derived")
    if "click" not in found:
        observed = pd.DataFrame(found).notna().any(axis=1)
        found["click"] = observed.astype(np.float32)
        logged["click"] = CLICK._replace(provenance="derived")
    first = [name for name in ("click", "like") if name in found]
    names = first + [name for name in found if name not in first]
    return pd.DataFrame({name: found[name] for name in names}), tuple(logged[n] for n in names)


def _describe_items(
    items: pd.DataFrame,
) -> tuple[pd.DataFrame, tuple[str, ...], NDArray[np.float32]]:
    """Items with a text and a main topic each, the topics' names, and who has which."""
    if "topics" in items:
        topics = [[part.strip() for part in cell.split("|")] for cell in items["topics"]]
    else:
        topics = [["any"] for _ in range(len(items))]
    names = tuple(sorted({name for listed in topics for name in listed}))
    column = {name: g for g, name in enumerate(names)}
    item_topics_NG = np.zeros((len(items), len(names)), np.float32)
    for row, listed in enumerate(topics):
        item_topics_NG[row, [column[name] for name in listed]] = 1.0
    year = items["year"].astype(np.int32) if "year" in items else np.int32(0)
    described = pd.DataFrame({"key": items["item"], "title": items["title"]})
    described["year"] = pd.Series(year, index=described.index, dtype=np.int32)
    described["topics"] = topics
    described["topic"] = main_topics(item_topics_NG)
    if "text" in items:
        described["text"] = items["text"]
    else:
        described["text"] = [
            f"{title} ({year}) | {', '.join(listed)}" if year else f"{title} | {', '.join(listed)}"
            for title, year, listed in zip(
                described["title"], described["year"], topics, strict=True
            )
        ]
    return described, names, item_topics_NG


def main_topics(item_topics_NG: NDArray[np.float32]) -> NDArray[np.int32]:
    """Each item's most telling topic, (N,): the rarest of its common ones.

    Common topics are those of at least `MIN_TOPIC_ITEMS` items, fewer in a small catalogue; an item
    without any takes the most frequent of its topics. Of equals, the first.
    """
    count_G = item_topics_NG.sum(axis=0)
    least = min(MIN_TOPIC_ITEMS, MIN_TOPIC_SHARE * len(item_topics_NG))
    common_NG = (item_topics_NG > 0) & (count_G >= least)
    rarest_N = np.where(common_NG, count_G, np.inf).argmin(axis=1)
    most_frequent_N = (item_topics_NG * count_G).argmax(axis=1)
    topic_N: NDArray[np.intp] = np.where(common_NG.any(axis=1), rarest_N, most_frequent_N)
    return topic_N.astype(np.int32)


def _digest(frames: Sequence[pd.DataFrame], names: Sequence[object]) -> str:
    """The same for the same content, whatever the machine and the libraries' versions."""
    sha = hashlib.sha256(repr(names).encode())
    for frame in frames:
        for column in frame.columns:
            values = frame[column].to_numpy()
            little = values.dtype.newbyteorder("<")
            numeric = values.dtype.kind in "if"
            content = values.astype(little).tobytes() if numeric else repr(list(values)).encode()
            sha.update(f"{column}:{little if numeric else 'text'}:{len(values)}:".encode())
            sha.update(content)
    return sha.hexdigest()
