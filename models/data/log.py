"""A log in the one form that everything above reads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slategym.envs.names import UsageError
from slategym.envs.types import CLICK, Column, Signal
from slategym.models.data.columns import codes
from slategym.models.data.description import (
    DEFAULT_WEIGHTS,
    PAUSE,
    PLAIN,
    PROPENSITIES,
    UNDESCRIBED,
    Description,
)
from slategym.models.data.description import Words as Words
from slategym.models.data.schema import LIKE, Settled, inspect
from slategym.models.data.tables import Tables

LIKED_UP = 0.75  # of the way from the lowest rating to the highest; from there on it is a like
# A topic rarer than this is no item's main topic if a commoner one is there: a hundred items, or
# this share of a small catalogue.
MIN_TOPIC_ITEMS, MIN_TOPIC_SHARE = 100, 1 / 16
REPEATING = 0.05  # share of consumed rows that repeat a pair, above which items are had again
REQUEST = "_request"  # column of rows that are asked together, where a split says so: one number a
# request of a user; nothing of a request is known before all of it
UNKNOWN_TOPIC = "unknown"  # of an item without topics, where others have some


@dataclass(frozen=True, eq=False)  # its identity is `sha256`
class Log:
    """Who met what, when, and what came of it. Users and items are numbered from 0."""

    name: str
    # Sorted by user, then time, ties as they came. user, item int32; time int64, unix seconds UTC;
    # hour float32 in [0, 24); weekday int32, 0 = Monday; where logged slate_id, position int32 and
    # float64 propensities; one float32 column per signal, NaN where it was not observed; one per
    # context column.
    events: pd.DataFrame
    # row = item: key, title, text, topic (int32), topics (list), year (int32), item columns
    items: pd.DataFrame
    users: pd.DataFrame  # row = user: key, then an int32 category per profile column
    profile_names: tuple[str, ...]  # F
    profile_sizes: tuple[int, ...]  # F, number of categories of each
    topic_names: tuple[str, ...]  # G
    item_topics: NDArray[np.float32]  # (N, G), 1 where the item has the topic
    signals: tuple[Signal, ...]  # M, click first, each with its provenance
    sha256: str  # of all that decides a model: everything but name and words
    # What `log.toml` says of it, or what the tables themselves tell; see `models/data/description`.
    words: Words = PLAIN
    context: tuple[
        Column, ...
    ] = ()  # further columns of events: int32 codes (-1: unknown), float32 (NaN: unknown)
    item_columns: tuple[Column, ...] = ()  # further columns of items: the same
    like_from: float | None = 4.0  # rating that counts as a like; None: no such rule
    pause: float = PAUSE  # seconds without an event that end a visit
    slate_size: int | None = None  # K that the log's slates have or its owner asks for
    repeats: bool = False  # whether a user may consume an item again
    traits: tuple[Column, ...] = ()  # F, what the categories of the profile columns are called
    notes: tuple[str, ...] = ()  # what readers of results must know: "users are synthetic"
    unobserved: int = 0  # rows of the tables that were left out: nothing was observed in them

    def __repr__(self) -> str:
        signals = ", ".join(signal.name for signal in self.signals)
        return (
            f"<log {self.name}: {len(self.events):,} events, {self.num_users:,} users, "
            f"{self.num_items:,} {self.words.items}, signals {signals}>"
        )

    @property
    def num_users(self) -> int:
        """U."""
        return len(self.users)

    @property
    def num_items(self) -> int:
        """N."""
        return len(self.items)


def build_log(name: str, tables: Tables, description: Description = UNDESCRIBED) -> Log:
    """Check the tables and number their users and items.

    A click that was not logged is derived: whoever rated or liked a thing must have clicked it, as
    must whoever stayed with it, paid for it or counts it. A like that was not logged is derived
    from the rating. A row in which nothing was observed says nothing and is left out.

    Args:
        name: of the data set, for people.
        tables: as `schema` describes them, rows in any order.
        description: what `log.toml` says of them.

    Raises:
        ValueError: if a table breaks the schema; one line with place, column and fix of the first
            problem.
    """
    settled, problems = inspect(tables, description)
    if settled is None:
        more = len(problems) - 1 + sum(problem.more for problem in problems)
        others = f"; {more} more: slategym data check lists them" if more else ""
        raise UsageError(f"{problems[0]}{others}")
    return number(name, settled, description)


def number(name: str, settled: Settled, description: Description) -> Log:
    """The log of checked tables; see `build_log`."""
    values, signals, like_from = _derive_signals(settled, description)
    observed_E = values.notna().any(axis=1).to_numpy()
    unobserved = int((~observed_E).sum())
    numbered = _number_events(settled, values)[observed_E]
    order = np.lexsort((settled.events["time"].to_numpy()[observed_E], numbered["user"]))
    numbered = numbered.iloc[order].reset_index(drop=True)
    items, topic_names, item_topics_NG = _describe_items(settled)
    users = settled.users.rename(columns={"user": "key"})
    pause = PAUSE if description.pause is None else description.pause
    slate_size = description.slate_size or _slate_size(numbered)
    repeats = description.repeats
    repeats = repeated_share(numbered) > REPEATING if repeats is None else repeats
    decides = (topic_names, signals, settled.context, settled.item_columns, settled.traits)
    rules = (like_from, pause, slate_size, repeats)
    return Log(
        name=name,
        events=numbered,
        items=items,
        users=users,
        profile_names=tuple(trait.name for trait in settled.traits),
        profile_sizes=tuple(len(trait.categories) for trait in settled.traits),
        topic_names=topic_names,
        item_topics=item_topics_NG,
        signals=signals,
        sha256=_digest((numbered, items, users), (*decides, rules)),
        words=description.words,
        context=settled.context,
        item_columns=settled.item_columns,
        like_from=like_from,
        pause=pause,
        slate_size=slate_size,
        repeats=repeats,
        traits=settled.traits,
        notes=description.notes,
        unobserved=unobserved,
    )


def liked_by(log: Log) -> tuple[str, float] | None:
    """The signal that a derived like follows from, and its least value; None: it is no such like.

    Args:
        log: whose columns say which signal it was.
    """
    derived = any(s.name == "like" and s.provenance == "derived" for s in log.signals)
    if not derived or log.like_from is None:
        return None
    like = log.events["like"]
    for signal in log.signals:
        scale = log.events[signal.name]
        follows = (scale >= np.float32(log.like_from)).astype(np.float32).where(scale.notna())
        if signal.kind in ("ordinal", "real") and follows.equals(like.astype(np.float32)):
            return signal.name, log.like_from
    return None


def repeated_share(events: pd.DataFrame) -> float:
    """Share of the consumed rows in which the user had consumed the item before.

    Args:
        events: user, item and click, as in `Log.events`.
    """
    consumed = events.loc[events["click"] > 0, ["user", "item"]]
    return float(consumed.duplicated().mean()) if len(consumed) else 0.0


def _slate_size(events: pd.DataFrame) -> int | None:
    """The commonest number of rows of a slate; None where no slates were logged."""
    if "slate_id" not in events:
        return None
    return int(np.bincount(np.bincount(events["slate_id"])[1:]).argmax()) or None


def _number_events(settled: Settled, values: pd.DataFrame) -> pd.DataFrame:
    """Row numbers for keys, time as the clock reads it, context as codes and numbers."""
    events = settled.events
    time = events["time"].to_numpy().astype(np.int64)
    numbered = pd.DataFrame(
        {
            "user": codes(events["user"], settled.users["user"]),
            "item": codes(events["item"], settled.items["item"]),
            "time": time,
            "hour": (time % 86_400 / 3_600).astype(np.float32),
            "weekday": ((time // 86_400 + 3) % 7).astype(np.int32),  # 1 January 1970: a Thursday
        }
    )
    if "hour" in events:
        numbered["hour"] = events["hour"].astype(np.float32)
    if "weekday" in events:
        numbered["weekday"] = events["weekday"].astype(np.int32)
    if "slate_id" in events:  # of a user: people may number their slates each from 1
        slates, _ = pd.factorize(events["slate_id"], sort=True)
        pairs = numbered["user"].to_numpy(np.int64) * len(events) + slates
        numbered["slate_id"] = pd.factorize(pairs, sort=True)[0].astype(np.int32)
    if "position" in events:
        numbered["position"] = events["position"].astype(np.int32)
    for name in PROPENSITIES:
        if name in events:
            numbered[name] = events[name]  # of a long slate: too small for float32
    numbered = pd.concat([numbered, values], axis=1)
    for column in settled.context:
        numbered[column.name] = _column(events[column.name], column)
    return numbered


def _column(values: pd.Series, column: Column) -> NDArray[np.int32] | NDArray[np.float32]:
    """Codes of a category, -1 where it is unknown; a number as float32, NaN where it is."""
    if column.categories:
        return codes(values, column.categories)
    return np.asarray(values, np.float32)


def _derive_signals(
    settled: Settled, description: Description
) -> tuple[pd.DataFrame, tuple[Signal, ...], float | None]:
    """One float32 column per signal, click first; what each is; and the rating that is a like."""
    events = settled.events
    logged = {signal.name: signal for signal in settled.signals}
    found = {name: events[name].astype(np.float32) for name in logged}
    weights = DEFAULT_WEIGHTS | {
        entry.name: entry.weight for entry in description.signals if entry.weight is not None
    }
    rated = opinion(settled.signals, description.like_from)
    like_from = liked_from(rated, description.like_from)
    if "like" not in found and rated is not None and like_from is not None:
        scale = found[rated.name]
        found["like"] = (scale >= np.float32(like_from)).astype(np.float32).where(scale.notna())
        logged["like"] = LIKE._replace(provenance="derived", weight=weights["like"])
    if "click" not in found:
        found["click"] = _derived_click(found, logged)
        logged["click"] = CLICK._replace(provenance="derived", weight=weights["click"])
    declared = [entry.name for entry in description.signals if entry.name in found]
    first = ["click"] if "like" in declared else ["click", "like"]
    names = [n for n in dict.fromkeys([*first, *declared, *found]) if n in found]
    values = pd.DataFrame({name: found[name] for name in names})
    for signal in logged.values():
        if signal.given is not None:  # a price of nothing says nothing of prices
            values[signal.name] = values[signal.name].mask(found[signal.given] == 0)
    return values, tuple(logged[name] for name in names), like_from


def _derived_click(found: dict[str, pd.Series], logged: dict[str, Signal]) -> pd.Series:
    """1 where an opinion was given or anything was done, 0 where all that is known is nothing.

    NaN where nothing was observed.
    """
    opinions = [n for n, s in logged.items() if n == "like" or s.kind in ("ordinal", "real")]
    deeds = [name for name in found if name not in opinions]
    values = pd.DataFrame(found)
    clicked = values[opinions].notna().any(axis=1) | (values[deeds] > 0).any(axis=1)
    return clicked.astype(np.float32).where(values.notna().any(axis=1))


def opinion(signals: Sequence[Signal], like_from: float | None = None) -> Signal | None:
    """The signal from which a like follows: the rating, or else the first on a scale of levels.

    Args:
        signals: as logged.
        like_from: where it is declared, any number with two ends is a scale too.
    """
    kinds = ("ordinal",) if like_from is None else ("ordinal", "real")
    scales = [signal for signal in signals if signal.kind in kinds or signal.name == "rating"]
    named = [signal for signal in scales if signal.name == "rating"]
    return next(iter(named or scales), None)


def liked_from(rated: Signal | None, declared: float | None) -> float | None:
    """The rating that counts as a like: declared, or three quarters up the scale; None: none."""
    if rated is None or declared is False:
        return None
    return rated.low + LIKED_UP * (rated.high - rated.low) if declared is None else declared


def _describe_items(
    settled: Settled,
) -> tuple[pd.DataFrame, tuple[str, ...], NDArray[np.float32]]:
    """Items with a text and a main topic each, the topics' names, and who has which."""
    items = settled.items
    if "topics" in items:
        topics = [listed or [UNKNOWN_TOPIC] for listed in items["topics"]]
    else:
        topics = [["any"] for _ in range(len(items))]
    names = tuple(sorted({name for listed in topics for name in listed}))
    column = {name: g for g, name in enumerate(names)}
    item_topics_NG = np.zeros((len(items), len(names)), np.float32)
    for row, listed in enumerate(topics):
        item_topics_NG[row, [column[name] for name in listed]] = 1.0
    title = items["title"] if "title" in items else items["item"]
    year = items["year"].fillna(0).astype(np.int32) if "year" in items else np.int32(0)
    described = pd.DataFrame({"key": items["item"], "title": title})
    described["year"] = pd.Series(year, index=described.index, dtype=np.int32)
    described["topics"] = topics
    described["topic"] = main_topics(item_topics_NG)
    described["text"] = composed_texts(described)
    if "text" in items:
        described["text"] = items["text"].where(items["text"].notna(), described["text"])
    for entry in settled.item_columns:
        described[entry.name] = _column(items[entry.name], entry)
    return described, names, item_topics_NG


def composed_texts(items: pd.DataFrame) -> pd.Series:
    """What stands for the text of an item that has none: title, year and topics, as far as known.

    Args:
        items: title, year and topics, as in `Log.items`.
    """
    nothing = [None] * len(items)
    texts = [
        (f"{title} ({year})" if year else title) + (f" | {', '.join(topics)}" if topics else "")
        for title, year, topics in zip(
            items["title"], items.get("year", nothing), items.get("topics", nothing), strict=True
        )
    ]
    return pd.Series(texts, index=items.index, dtype="str")


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
    said = repr(names).replace(", given=None)", ")")  # what is not declared decides nothing
    sha = hashlib.sha256(said.encode())
    for frame in frames:
        for column in frame.columns:
            values = frame[column].to_numpy()
            little = values.dtype.newbyteorder("<")
            numeric = values.dtype.kind in "if"
            content = values.astype(little).tobytes() if numeric else repr(list(values)).encode()
            sha.update(f"{column}:{little if numeric else 'text'}:{len(values)}:".encode())
            sha.update(content)
    return sha.hexdigest()
