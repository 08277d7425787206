"""Looking things up by name, and saying so when there is no such name."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TypeVar

V = TypeVar("V")

LISTED = 12  # names in a message, at most


class UsageError(ValueError):
    """The caller asked for something that cannot be: an unknown name, a size out of range.

    The command line answers it with exit code 2.
    """


def lookup(kind: str, name: str, table: Mapping[str, V]) -> V:
    """The entry of that name.

    Args:
        kind: what is looked up, for the message: "world", "policy".
        name: as the caller wrote it.
        table: everything known.

    Raises:
        UsageError: naming the nearest known name, and the others; of many, the next nearest.
    """
    if name in table:
        return table[name]
    lowered = {known.lower(): known for known in table}
    near = [lowered[n] for n in get_close_matches(name.lower(), lowered, n=LISTED, cutoff=0.4)]
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    known = sorted(table)
    if len(known) > LISTED:
        listed = near or known[:LISTED]
        known = [*listed, f"... ({len(known)} in all)"]
    raise UsageError(f"unknown {kind} {name!r}{hint} Known: {', '.join(known)}")
