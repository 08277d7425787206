"""What a log's owner says of it: names, signals, columns and rules, as values; see `log_toml`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from slategym.envs.names import UsageError
from slategym.envs.types import Column, Provenance, Signal, SignalKind

FILE = "log.toml"
PAUSE = 1_800.0  # seconds without an event that end a visit, where nobody says otherwise
# of the whole slate; of a slot's item given the slots before it; of it there, whatever they hold
PROPENSITIES = ("propensity", "slot_propensity", "position_propensity")
BUILT_IN = (  # columns of events that are no signal and no context of one's own
    ["user", "item", "time", "hour", "weekday", "slate_id", "position", *PROPENSITIES]
)
KNOWN = ("click", "like", "rating")  # signals that need no declaration
TAKEN = {  # names in `Log` that no declared column can have
    "signals": BUILT_IN,
    "context": (*BUILT_IN, *KNOWN),
    "item_columns": ("item", "key", "title", "text", "year", "topic", "topics"),
    "traits": ("user", "key"),
}
NAMES: dict[str, tuple[str, ...]] = {  # what people call the columns that a log must have
    "user": (
        *("user", "user_id", "userid", "uid", "customer", "customer_id", "member", "member_id"),
        *("visitor", "visitor_id", "visitorid", "account", "account_id", "reader", "client_id"),
        *("person", "session_id"),
    ),
    "item": (
        *("item", "item_id", "itemid", "product", "product_id", "sku", "asin", "article"),
        *("article_id", "movie", "movie_id", "movieid", "film", "video", "video_id", "track"),
        *("track_id", "song_id", "ad_id", "content_id", "stock_code", "stockcode"),
    ),
    "time": (
        *("time", "timestamp", "ts", "datetime", "date", "event_time", "created_at", "unix_time"),
        *("invoicedate", "invoice_date", "order_date", "purchased_at", "viewed_at"),
    ),
}
DEFAULT_WEIGHTS = {"click": 1.0, "like": 1.0}  # reward per unit; of any other signal 0

ColumnKind = Literal["category", "number"]


@dataclass(frozen=True)
class Words:
    """What people call the log's things, singular and plural."""

    item: str = "item"
    items: str = "items"
    topic: str = "topic"
    topics: str = "topics"
    session: str = "session"
    sessions: str = "sessions"


PLAIN = Words()


@dataclass(frozen=True)
class SignalEntry:
    """One declared signal; what is None follows from its kind, its name or its values."""

    name: str
    kind: SignalKind | None = None
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    step: float | None = None  # of an ordinal signal, units
    weight: float | None = None  # reward per unit
    provenance: Provenance | None = None
    given: str | None = None  # binary signal without which this one is 0

    @classmethod
    def of(cls, signal: Signal) -> SignalEntry:
        """The same, all declared."""
        return cls(**signal._asdict())


@dataclass(frozen=True)
class ColumnEntry:
    """One declared column of events, items or users."""

    name: str
    kind: ColumnKind = "category"
    categories: tuple[str, ...] | None = None  # None: whatever is found, sorted
    brackets: tuple[float, ...] | None = None  # of a trait: ascending lower ends of all but one
    unit: str = ""  # of a number
    low: float | None = None  # of a number; None: as found
    high: float | None = None

    @classmethod
    def of(cls, column: Column) -> ColumnEntry:
        """The same, all declared."""
        if column.categories:
            return cls(column.name, "category", column.categories)
        return cls(column.name, "number", None, None, column.unit, column.low, column.high)


@dataclass(frozen=True)
class Description:
    """`log.toml`, checked. Signals and columns stand in their declared order."""

    words: Words = PLAIN
    signals: tuple[SignalEntry, ...] = ()
    like_from: float | Literal[False] | None = None  # None: three quarters up the scale
    context: tuple[ColumnEntry, ...] = ()
    item_columns: tuple[ColumnEntry, ...] = ()
    traits: tuple[ColumnEntry, ...] | None = None  # None: every column of users
    pause: float | None = None  # seconds; None: `PAUSE`
    slate_size: int | None = None  # None: as the log's slates have it
    repeats: bool | None = None  # None: as the log does
    notes: tuple[str, ...] = ()  # what readers of results must know: "users are synthetic"


UNDESCRIBED = Description()  # where there is no log.toml


def resolve_signal(entry: SignalEntry, found: Signal | None = None) -> Signal:
    """The signal that is declared, with what is left out filled in.

    Args:
        entry: as declared.
        found: what the name and the values tell, for a signal known by name.

    Raises:
        UsageError: if its kind, or the scale that its kind needs, is left out.
    """
    kind = entry.kind or (found.kind if found else None)
    where = f"{FILE}: [signals.{entry.name}]"
    if kind is None:
        raise UsageError(f"{where} lacks kind; write one of {', '.join(get_args(SignalKind))}")
    if found is not None and found.kind != kind:
        found = None
    low, high = _range(entry, kind, found, where)
    step = entry.step if entry.step is not None else (found.step if found else 1.0)
    if kind == "ordinal":
        levels = (high - low) / step
        if abs(levels - round(levels)) > 1e-6 or round(levels) < 1:
            raise UsageError(
                f"{where} step {step:g} does not lead from low {low:g} to high {high:g}"
            )
    units = {"binary": "count", "count": "count"}
    weight = DEFAULT_WEIGHTS.get(entry.name, 0.0) if entry.weight is None else entry.weight
    return Signal(
        entry.name,
        kind,
        entry.unit if entry.unit is not None else (found.unit if found else units.get(kind, "")),
        low,
        high,
        entry.provenance or (found.provenance if found else "logged"),
        step,
        weight,
        entry.given,
    )


def _range(
    entry: SignalEntry, kind: SignalKind, found: Signal | None, where: str
) -> tuple[float, float]:
    """The least and the greatest value, declared or following from the kind."""
    by_kind = {"binary": (0.0, 1.0), "nonnegative": (0.0, math.inf), "count": (0.0, math.inf)}
    default = (found.low, found.high) if found else by_kind.get(kind, (None, None))
    low = entry.low if entry.low is not None else default[0]
    high = entry.high if entry.high is not None else default[1]
    if low is None or high is None:
        raise UsageError(f"{where} is {kind} and lacks {'low' if low is None else 'high'}")
    if not low < high:
        raise UsageError(f"{where} low must be below high; got {low:g} and {high:g}")
    if kind == "binary" and (low, high) != (0.0, 1.0):
        raise UsageError(f"{where} is binary, so 0 or 1; got low {low:g} and high {high:g}")
    if kind in ("nonnegative", "count") and low < 0:
        raise UsageError(f"{where} is {kind}, so low is 0 or more; got {low:g}; use real instead")
    if kind in ("ordinal", "real") and not (math.isfinite(low) and math.isfinite(high)):
        raise UsageError(f"{where} is {kind}, so low and high are finite; got {low:g}, {high:g}")
    return low, high
