"""What a log's owner says of it: `log.toml`, beside the tables.

Everything in it may be left out; then the tables themselves tell, or a default holds.

```toml
like_from = 4.0       # a rating from here on counts as a like; false: no rating does
pause = 1800          # seconds without an event that end a visit
slate_size = 5        # items in a slate
repeats = false       # whether a user may consume an item again
notes = []            # what readers of results must know: "times are made up"

[words]               # what people call things: item, items, topic, topics, session, sessions
item = "film"
items = "films"

[signals.rating]      # a column of events: feedback
kind = "ordinal"      # binary, ordinal, real, nonnegative or count
unit = "stars"
low = 0.5
high = 5.0
step = 0.5            # ordinal: distance of neighbouring levels
weight = 0.0          # reward per unit
provenance = "logged" # or derived, assumed, synthetic

[context.device]      # a column of events: what is known before anything is shown
kind = "category"     # or "number", with unit, low and high
categories = ["phone", "laptop"]  # left out: whatever is found

[item_columns.price]  # a column of items: the same
kind = "number"
unit = "EUR"

[traits.age]          # a column of users; left out: every column of users is a trait
brackets = [18, 25, 35]  # a number's lower ends; or categories, as above
```
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from slategym.envs.names import UsageError
from slategym.envs.types import Column, Provenance, Signal, SignalKind

FILE = "log.toml"
PAUSE = 1_800.0  # seconds without an event that end a visit, where nobody says otherwise
BUILT_IN = (  # columns of events that are no signal and no context of one's own
    ["user", "item", "time", "hour", "weekday", "slate_id", "position", "propensity"]
)
KNOWN = ("click", "like", "rating")  # signals that need no declaration
TAKEN = {  # names in `Log` that no declared column can have
    "signals": BUILT_IN,
    "context": (*BUILT_IN, *KNOWN),
    "item_columns": ("item", "key", "title", "text", "year", "topic", "topics"),
    "traits": ("user", "key"),
}
DEFAULT_WEIGHTS = {"click": 1.0, "like": 1.0}  # reward per unit; of any other signal 0

ColumnKind = Literal["category", "number"]
E = TypeVar("E")


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


def read_description(folder: Path) -> Description:
    """What that folder's `log.toml` says; a folder without one says nothing.

    Raises:
        ValueError: if it is no TOML, or says something that cannot be; one line.
    """
    path = folder / FILE
    if not path.exists():
        return UNDESCRIBED
    try:
        return parse_description(path.read_text("utf-8"))
    except UnicodeDecodeError as error:
        raise UsageError(f"{FILE}: not in UTF-8 ({error})") from error


def parse_description(text: str) -> Description:
    """The description that this TOML is.

    Raises:
        UsageError: in one line: the key, what it holds, what it may hold.

    >>> parse_description("pause = 600").pause
    600.0
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{FILE}: not TOML ({error})") from error
    _only(document, [field.name for field in fields(Description)], "")
    words = _table(document, "words")
    _only(words, [field.name for field in fields(Words)], "words.")
    description = Description(
        words=Words(**{key: _word(value, f"words.{key}") for key, value in words.items()}),
        signals=_entries(document, "signals", _signal),
        like_from=_like_from(document),
        context=_entries(document, "context", _column),
        item_columns=_entries(document, "item_columns", _column),
        traits=_entries(document, "traits", _trait) if "traits" in document else None,
        pause=_number(document, "pause", "", above=0),
        slate_size=_whole(document, "slate_size"),
        repeats=_truth(document, "repeats"),
        notes=_notes(document),
    )
    both = {entry.name for entry in description.signals} & {e.name for e in description.context}
    if both:
        raise UsageError(
            f"{FILE}: {sorted(both)[0]!r} is both a signal (what came of it) and context (what "
            "was known before); remove one"
        )
    return description


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


def to_toml(description: Description, comments: Mapping[str, str] | None = None) -> str:
    """The description as TOML; read again, it is the same.

    Args:
        description: what to write; what is None is left out.
        comments: dotted key ("signals.dwell.kind", "pause") or table ("signals.dwell") ->
            what to say behind that line.
    """
    said = comments or {}

    def line(key: str, value: object, path: str) -> str:
        text = f"{key} = {_toml(value)}"
        note = " ".join(said.get(path, "").split())
        return f"{text}  # {note}" if note else text

    top = ["like_from", "pause", "slate_size", "repeats", "notes"]
    said_of_all = {key: getattr(description, key) for key in top}
    lines = [line(key, value, key) for key, value in said_of_all.items() if value not in (None, ())]
    if description.words != PLAIN:
        lines += ["", _head("words", said)]
        lines += [
            line(field.name, getattr(description.words, field.name), f"words.{field.name}")
            for field in fields(Words)
        ]
    for table in ("signals", "context", "item_columns", "traits"):
        entries: tuple[Any, ...] | None = getattr(description, table)
        if entries == () and table == "traits":
            lines += ["", "[traits]"]
        for entry in entries or ():
            path = f"{table}.{entry.name}"
            lines += ["", _head(f"{table}.{_key(entry.name)}", said, path)]
            lines += [
                line(field.name, value, f"{path}.{field.name}")
                for field in fields(entry)
                if field.name != "name"
                and (value := getattr(entry, field.name)) is not None
                and not value == field.default == ""
            ]
    return "\n".join(lines).lstrip("\n") + "\n"


def _head(table: str, said: Mapping[str, str], path: str | None = None) -> str:
    note = " ".join(said.get(path or table, "").split())
    return f"[{table}]  # {note}" if note else f"[{table}]"


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("_", "a").replace("-", "a").isalnum()
    return name if bare else _toml(name)


def _toml(value: object) -> str:
    """A value in TOML: numbers and truth as they are, everything else as a basic string."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value!r}"
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(part) for part in value)}]"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _only(table: Mapping[str, object], known: list[str], prefix: str) -> None:
    """Refuse what nobody reads."""
    for key in table:
        if key not in known:
            near = get_close_matches(key.lower(), known, n=1, cutoff=0.4)
            hint = f"; did you mean {near[0]!r}?" if near else ";"
            raise UsageError(
                f"{FILE}: unknown key {prefix + key!r}{hint} Known: {', '.join(known)}"
            )


def _table(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    table = document.get(key, {})
    if not isinstance(table, dict):
        raise UsageError(f"{FILE}: {key} is a table, [{key}]; got {table!r}")
    return table


def _entries(
    document: Mapping[str, Any], key: str, read: Callable[[str, dict[str, Any], str], E]
) -> tuple[E, ...]:
    """One entry per table below that key."""

    def each() -> Iterator[E]:
        for name, table in _table(document, key).items():
            where = f"{key}.{name}"
            if not isinstance(table, dict):
                raise UsageError(f"{FILE}: {where} is a table, [{where}]; got {table!r}")
            if not name.strip() or "." in name:
                raise UsageError(
                    f"{FILE}: [{where}]: a column's name has no dot and is not empty; rename it"
                )
            if name in TAKEN[key]:
                raise UsageError(f"{FILE}: [{where}]: {name!r} is built in; remove the table")
            yield read(name, table, where + ".")

    return tuple(each())


def _signal(name: str, table: dict[str, Any], prefix: str) -> SignalEntry:
    _only(table, [field.name for field in fields(SignalEntry) if field.name != "name"], prefix)
    entry = SignalEntry(
        name,
        kind=_choice(table, "kind", prefix, get_args(SignalKind)),
        unit=_text(table["unit"], prefix + "unit") if "unit" in table else None,
        low=_number(table, "low", prefix),
        high=_number(table, "high", prefix),
        step=_number(table, "step", prefix, above=0),
        weight=_number(table, "weight", prefix),
        provenance=_choice(table, "provenance", prefix, get_args(Provenance)),
    )
    if entry.weight is not None and not math.isfinite(entry.weight):
        raise UsageError(f"{FILE}: {prefix}weight is a finite number; got {entry.weight:g}")
    if name == "click" and entry.kind not in (None, "binary"):
        raise UsageError(f"{FILE}: {prefix}kind: a click is binary; got {entry.kind!r}; rename it")
    if name in ("like", "rating") and entry.kind is None:
        return entry
    return entry if name == "click" else _complete(entry)


def _complete(entry: SignalEntry) -> SignalEntry:
    """Refuse now what no table can complete."""
    resolve_signal(entry)
    return entry


def _column(name: str, table: dict[str, Any], prefix: str) -> ColumnEntry:
    known = [f.name for f in fields(ColumnEntry) if f.name not in ("name", "brackets")]
    _only(table, known, prefix)
    return _column_of(name, table, prefix)


def _trait(name: str, table: dict[str, Any], prefix: str) -> ColumnEntry:
    _only(table, ["kind", "categories", "brackets"], prefix)
    entry = _column_of(name, table, prefix)
    if entry.kind == "number":
        raise UsageError(
            f"{FILE}: {prefix}kind: a trait is a category; give a number brackets = [18, 35, 60]"
        )
    if "brackets" not in table:
        return entry
    ends = table["brackets"]
    numeric = isinstance(ends, list) and all(type(end) in (int, float) for end in ends)
    if not numeric or not ends or ends != sorted(set(ends)) or entry.categories is not None:
        raise UsageError(
            f"{FILE}: {prefix}brackets is an ascending list of numbers, without categories; "
            f"got {ends!r}"
        )
    return replace(entry, brackets=tuple(float(end) for end in ends))


def _column_of(name: str, table: dict[str, Any], prefix: str) -> ColumnEntry:
    kind = _choice(table, "kind", prefix, get_args(ColumnKind))
    categories = table.get("categories")
    if categories is not None:
        texts = isinstance(categories, list) and all(isinstance(c, str) for c in categories)
        if not texts or not categories or len(set(categories)) < len(categories):
            raise UsageError(
                f"{FILE}: {prefix}categories is a list of different texts; got {categories!r}"
            )
        if kind == "number":
            raise UsageError(f"{FILE}: {prefix}categories: a number has none")
    numeric = sorted({"unit", "low", "high"} & table.keys())
    if numeric and kind != "number":
        raise UsageError(f'{FILE}: {prefix}{numeric[0]} is for numbers; write kind = "number"')
    low, high = _number(table, "low", prefix), _number(table, "high", prefix)
    if low is not None and high is not None and not low < high:
        raise UsageError(f"{FILE}: {prefix}low must be below high; got {low:g} and {high:g}")
    return ColumnEntry(
        name,
        kind=kind or "category",
        categories=None if categories is None else tuple(categories),
        unit=_text(table.get("unit", ""), prefix + "unit"),
        low=low,
        high=high,
    )


def _like_from(document: Mapping[str, Any]) -> float | Literal[False] | None:
    if document.get("like_from") is False:
        return False
    return _number(document, "like_from", "")


def _notes(document: Mapping[str, Any]) -> tuple[str, ...]:
    notes = document.get("notes", [])
    if not isinstance(notes, list):
        raise UsageError(f"{FILE}: notes is a list of texts; got {notes!r}")
    return tuple(_text(note, "notes") for note in notes)


def _number(
    table: Mapping[str, Any], key: str, prefix: str, above: float | None = None
) -> float | None:
    if key not in table:
        return None
    value = table[key]
    if type(value) not in (int, float) or math.isnan(value):
        raise UsageError(f"{FILE}: {prefix}{key} is a number; got {value!r}")
    if above is not None and not (value > above and math.isfinite(value)):
        raise UsageError(f"{FILE}: {prefix}{key} is above {above:g}; got {value!r}")
    return float(value)


def _whole(table: Mapping[str, Any], key: str) -> int | None:
    value = table.get(key)
    if value is not None and (type(value) is not int or value < 1):
        raise UsageError(f"{FILE}: {key} is a whole number from 1; got {value!r}")
    return value


def _truth(table: Mapping[str, Any], key: str) -> bool | None:
    value = table.get(key)
    if value is not None and not isinstance(value, bool):
        raise UsageError(f"{FILE}: {key} is true or false; got {value!r}")
    return value


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{FILE}: {key} is a text; got {value!r}")
    return value


def _word(value: Any, key: str) -> str:
    """A text that is shown as it is: nothing in it acts upon terminals and reports."""
    if not _text(value, key).isprintable():
        raise UsageError(f"{FILE}: {key} is made of printable characters; got {value!r}")
    return str(value)


def _choice(table: Mapping[str, Any], key: str, prefix: str, known: tuple[Any, ...]) -> Any:
    if key not in table:
        return None
    if table[key] not in known:
        raise UsageError(f"{FILE}: {prefix}{key} is one of {', '.join(known)}; got {table[key]!r}")
    return table[key]
