"""A log.toml read to its end, whatever is wrong with it; see `log_toml`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, get_args

from slategym.envs.names import UsageError
from slategym.envs.types import Provenance, SignalKind
from slategym.models.data.description import (
    FILE,
    TAKEN,
    ColumnEntry,
    ColumnKind,
    Description,
    SignalEntry,
    Words,
    resolve_signal,
)

E = TypeVar("E")
GIVEN_KINDS = ("binary", "nonnegative", "count")  # of signals that may be given another
HEAD = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(#.*)?")  # of a table


@dataclass(frozen=True)
class Mistake:
    """Something that log.toml says and that cannot be; as a string, one line."""

    key: str  # "signals.dwell.kind"
    says: str  # rule, value and fix
    line: int | None  # from 1; None: not found

    @property
    def table(self) -> str:
        """The file, as problems of tables have it."""
        return FILE

    def place(self) -> tuple[int, str]:
        """To put them in order."""
        return self.line or 0, self.key

    def __str__(self) -> str:
        at = FILE if self.line is None else f"{FILE}, line {self.line}"
        return f"{at}: {self.says}"


class Reader:
    """Reads a document to its end, whatever is wrong with it, and keeps what is wrong.

    What is mistaken reads as if it were left out.
    """

    def __init__(self, text: str) -> None:
        self.mistakes: list[Mistake] = []
        self._lines = _lines(text)

    def say(self, key: str, says: str) -> None:
        """A mistake at that dotted key."""
        at = [*(key.split(".")[:n] for n in range(key.count(".") + 1, 0, -1))]
        line = next((n for k in at if (n := self._lines.get(".".join(k)))), None)
        self.mistakes.append(Mistake(key, says, line))

    def description(self, document: Mapping[str, Any]) -> Description:
        """All of it."""
        self.only(document, [field.name for field in fields(Description)], "")
        description = Description(
            words=self.words(document),
            signals=self.entries(document, "signals", self.signal),
            like_from=self.like_from(document),
            context=self.entries(document, "context", self.column),
            item_columns=self.entries(document, "item_columns", self.column),
            traits=self.entries(document, "traits", self.trait) if "traits" in document else None,
            pause=self.number(document, "pause", "", above=0),
            slate_size=self.whole(document, "slate_size"),
            repeats=self.truth(document, "repeats"),
            notes=self.notes(document),
        )
        binary = ["like"]
        for entry in description.signals:
            if entry.given is not None and entry.given not in binary:
                key = f"signals.{entry.name}.given"
                says = f"{key} is a binary signal declared above it; got {entry.given!r}"
                self.say(key, f"{says}; declare that one first")
            if entry.kind == "binary" and entry.name != "click":
                binary.append(entry.name)
        context = {entry.name for entry in description.context}
        for name in sorted(context & {entry.name for entry in description.signals}):
            self.say(
                f"context.{name}",
                f"{name!r} is both a signal (what came of it) and context (what was known "
                "before); remove one",
            )
        return description

    def words(self, document: Mapping[str, Any]) -> Words:
        """[words]; nothing in them acts upon terminals and reports."""
        words = self.table(document, "words")
        known = [field.name for field in fields(Words)]
        self.only(words, known, "words.")
        told = {}
        for key in words.keys() & set(known):
            if (word := self.text(words[key], f"words.{key}")) is None:
                continue
            if word.isprintable():
                told[key] = word
            else:
                self.say(
                    f"words.{key}", f"words.{key} is made of printable characters; got {word!r}"
                )
        return Words(**told)

    def only(self, table: Mapping[str, object], known: list[str], prefix: str) -> None:
        """Nobody reads any other key."""
        for key in table:
            if key not in known:
                near = get_close_matches(key.lower(), known, n=1, cutoff=0.4)
                hint = f"; did you mean {near[0]!r}?" if near else ";"
                self.say(
                    prefix + key, f"unknown key {prefix + key!r}{hint} Known: {', '.join(known)}"
                )

    def table(self, document: Mapping[str, Any], key: str) -> dict[str, Any]:
        """The table of that name; empty where there is none."""
        table = document.get(key, {})
        if isinstance(table, dict):
            return table
        self.say(key, f"{key} is a table, [{key}]; got {table!r}")
        return {}

    def entries(
        self,
        document: Mapping[str, Any],
        key: str,
        read: Callable[[str, dict[str, Any], str], E],
    ) -> tuple[E, ...]:
        """One entry per table below that key that has no mistake."""
        found = []
        for name, table in self.table(document, key).items():
            where, before = f"{key}.{name}", len(self.mistakes)
            if not isinstance(table, dict):
                self.say(where, f"{where} is a table, [{where}]; got {table!r}")
            elif not name.strip() or "." in name:
                self.say(
                    where, f"[{where}]: a column's name has no dot and is not empty; rename it"
                )
            elif name in TAKEN[key]:
                self.say(where, f"[{where}]: {name!r} is built in; remove the table")
            else:
                entry = read(name, table, where + ".")
                if len(self.mistakes) == before:
                    found.append(entry)
        return tuple(found)

    def signal(self, name: str, table: dict[str, Any], prefix: str) -> SignalEntry:
        """[signals.NAME]."""
        before = len(self.mistakes)
        self.only(table, [f.name for f in fields(SignalEntry) if f.name != "name"], prefix)
        entry = SignalEntry(
            name,
            kind=self.choice(table, "kind", prefix, get_args(SignalKind)),
            unit=self.text(table["unit"], prefix + "unit") if "unit" in table else None,
            low=self.number(table, "low", prefix),
            high=self.number(table, "high", prefix),
            step=self.number(table, "step", prefix, above=0),
            weight=self.number(table, "weight", prefix),
            provenance=self.choice(table, "provenance", prefix, get_args(Provenance)),
            given=self.text(table["given"], prefix + "given") if "given" in table else None,
        )
        if entry.given is not None and entry.kind not in GIVEN_KINDS:
            self.say(
                prefix + "given",
                f"{prefix}given is of what is 0 without it, {', '.join(GIVEN_KINDS)}; got "
                f"{entry.kind!r}; leave it out",
            )
        if entry.weight is not None and not math.isfinite(entry.weight):
            self.say(prefix + "weight", f"{prefix}weight is a finite number; got {entry.weight:g}")
        if name == "click" and entry.kind not in (None, "binary"):
            says = f"{prefix}kind: a click is binary; got {entry.kind!r}; rename it"
            self.say(prefix + "kind", says)
        known_by_name = name == "click" or (name in ("like", "rating") and entry.kind is None)
        if not known_by_name and len(self.mistakes) == before:
            try:
                resolve_signal(entry)  # refuse now what no table can complete
            except UsageError as error:
                self.say(prefix.rstrip("."), str(error).removeprefix(f"{FILE}: "))
        return entry

    def trait(self, name: str, table: dict[str, Any], prefix: str) -> ColumnEntry:
        """[traits.NAME]."""
        self.only(table, ["kind", "categories", "brackets"], prefix)
        entry = self.column_of(name, table, prefix)
        if entry.kind == "number":
            self.say(
                prefix + "kind",
                f"{prefix}kind: a trait is a category; give a number brackets = [18, 35, 60]",
            )
        if "brackets" not in table:
            return entry
        ends = table["brackets"]
        numeric = isinstance(ends, list) and all(type(end) in (int, float) for end in ends)
        if not numeric or not ends or ends != sorted(set(ends)) or entry.categories is not None:
            self.say(
                prefix + "brackets",
                f"{prefix}brackets is an ascending list of numbers, without categories; "
                f"got {ends!r}",
            )
            return entry
        return replace(entry, brackets=tuple(float(end) for end in ends))

    def column(self, name: str, table: dict[str, Any], prefix: str) -> ColumnEntry:
        """[context.NAME] or [item_columns.NAME]."""
        known = [f.name for f in fields(ColumnEntry) if f.name not in ("name", "brackets")]
        self.only(table, known, prefix)
        return self.column_of(name, table, prefix)

    def column_of(self, name: str, table: dict[str, Any], prefix: str) -> ColumnEntry:
        """Any column."""
        kind = self.choice(table, "kind", prefix, get_args(ColumnKind))
        categories = table.get("categories")
        if categories is not None:
            key = prefix + "categories"
            texts = isinstance(categories, list) and all(isinstance(c, str) for c in categories)
            if not texts or not categories or len(set(categories)) < len(categories):
                self.say(key, f"{key} is a list of different texts; got {categories!r}")
                categories = None
            elif kind == "number":
                self.say(key, f"{key}: a number has none; got {categories!r}; remove them")
        if kind != "number" and table.get("kind") != "number":
            for key in sorted({"unit", "low", "high"} & table.keys()):
                self.say(prefix + key, f'{prefix}{key} is for numbers; write kind = "number"')
        low, high = self.number(table, "low", prefix), self.number(table, "high", prefix)
        if low is not None and high is not None and not low < high:
            says = f"{prefix}low must be below high; got {low:g} and {high:g}"
            self.say(prefix + "low", says)
        return ColumnEntry(
            name,
            kind=kind or "category",
            categories=None if categories is None else tuple(categories),
            unit=self.text(table.get("unit", ""), prefix + "unit") or "",
            low=low,
            high=high,
        )

    def like_from(self, document: Mapping[str, Any]) -> float | Literal[False] | None:
        """A number, or false."""
        if document.get("like_from") is False:
            return False
        return self.number(document, "like_from", "")

    def notes(self, document: Mapping[str, Any]) -> tuple[str, ...]:
        """A list of texts."""
        notes = document.get("notes", [])
        if not isinstance(notes, list):
            self.say("notes", f"notes is a list of texts; got {notes!r}")
            return ()
        told = (self.text(note, "notes") for note in notes)
        return tuple(note for note in told if note is not None)

    def number(
        self, table: Mapping[str, Any], key: str, prefix: str, above: float | None = None
    ) -> float | None:
        """A number; None where there is none."""
        if key not in table:
            return None
        value, whole = table[key], prefix + key
        if type(value) not in (int, float) or math.isnan(value):
            self.say(whole, f"{whole} is a number; got {value!r}")
            return None
        if above is not None and not (value > above and math.isfinite(value)):
            self.say(whole, f"{whole} is above {above:g}; got {value!r}")
            return None
        return float(value)

    def whole(self, table: Mapping[str, Any], key: str) -> int | None:
        """A whole number from 1; None where there is none."""
        value = table.get(key)
        if value is not None and (type(value) is not int or value < 1):
            self.say(key, f"{key} is a whole number from 1; got {value!r}")
            return None
        return value

    def truth(self, table: Mapping[str, Any], key: str) -> bool | None:
        """True or false; None where neither is said."""
        value = table.get(key)
        if value is not None and not isinstance(value, bool):
            self.say(key, f"{key} is true or false; got {value!r}")
            return None
        return value

    def text(self, value: Any, key: str) -> str | None:
        """A text."""
        if isinstance(value, str):
            return value
        self.say(key, f"{key} is a text; got {value!r}")
        return None

    def choice(
        self, table: Mapping[str, Any], key: str, prefix: str, known: tuple[Any, ...]
    ) -> Any:
        """One of a few words; None where there is none."""
        if key not in table:
            return None
        if table[key] in known:
            return table[key]
        near = get_close_matches(str(table[key]).lower(), known, n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        whole = prefix + key
        self.say(whole, f"{whole} is one of {', '.join(known)}; got {table[key]!r}{hint}")
        return None


def _lines(text: str) -> dict[str, int]:
    r"""Dotted key -> line on which it stands, as far as keys stand at the start of lines.

    >>> _lines("pause = 5\n[signals.dwell]\nkind = 'real'")
    {'pause': 1, 'signals.dwell': 2, 'signals.dwell.kind': 3}
    """
    table, found = "", dict[str, int]()
    for number, line in enumerate(text.splitlines(), 1):
        head = HEAD.fullmatch(line)
        if head:
            table = ".".join(_bare(part) for part in head[1].split("."))
            found.setdefault(table, number)
            table += "."
        elif "=" in line and not line.lstrip().startswith("#"):
            found.setdefault(table + _bare(line.partition("=")[0]), number)
    return found


def _bare(key: str) -> str:
    return key.strip().strip("\"'")
