"""`log.toml`, beside the tables: what a log's owner says of it, read, checked and written.

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

[signals.purchase]
kind = "binary"

[signals.paid]
kind = "nonnegative"
unit = "EUR"
given = "purchase"    # a binary signal above it, without which this one is 0

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
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from slategym.envs.names import UsageError, plain
from slategym.models.data.description import (
    FILE,
    PLAIN,
    UNDESCRIBED,
    Description,
    Words,
)
from slategym.models.data.log_toml_reader import Mistake, Reader
from slategym.models.plain_file import SETTINGS, check_file


class DescriptionError(UsageError):
    """log.toml says what cannot be; the first mistake in its message, all of them beside it.

    Args:
        mistakes: all, at least one.
        rest: what the remainder says, without the entries that are mistaken.
    """

    def __init__(self, mistakes: tuple[Mistake, ...], rest: Description = UNDESCRIBED) -> None:
        more = len(mistakes) - 1
        others = f" ({more} more in {FILE}; slategym data check lists all)" if more else ""
        super().__init__(f"{mistakes[0]}{others}")
        self.mistakes, self.rest = mistakes, rest

    @property
    def columns(self) -> set[str]:
        """Names of the columns whose tables hold a mistake."""
        return {m.key.split(".")[1] for m in self.mistakes if m.key.count(".")}


def read_description(folder: Path) -> Description:
    """What that folder's `log.toml` says; a folder without one says nothing.

    Raises:
        DescriptionError: if it is no TOML, or says what cannot be.
    """
    path = folder / FILE
    if not path.exists():
        return UNDESCRIBED
    try:
        text = check_file(path, SETTINGS).read_text("utf-8")
    except UnicodeDecodeError as error:
        raise DescriptionError((Mistake("", f"not in UTF-8 ({error})", None),)) from error
    return parse_description(text)


def parse_description(text: str) -> Description:
    """The description that this TOML is.

    Raises:
        DescriptionError: every key that holds what it may not, what it holds, and what it may.

    >>> parse_description("pause = 600").pause
    600.0
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DescriptionError((Mistake("", f"not TOML ({error})", None),)) from error
    except RecursionError as error:
        raise DescriptionError((Mistake("", "nested too deeply", None),)) from error
    reader = Reader(text)
    description = reader.description(document)
    if reader.mistakes:
        raise DescriptionError(tuple(sorted(reader.mistakes, key=Mistake.place)), description)
    return description


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
        note = _note(said.get(path, ""))
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
    note = _note(said.get(path or table, ""))
    return f"[{table}]  # {note}" if note else f"[{table}]"


def _note(text: str) -> str:
    """A comment, in which TOML has no control characters: they are spelled out."""
    return plain(" ".join(text.split()))


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
