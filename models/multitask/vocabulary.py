"""What the rows of a model's tables stand for, so that it can be read on another log."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256

from slategym.models.data.log import Log

DIGITS = 12  # of a hash that stands for a person


@dataclass(frozen=True)
class Vocabulary:
    """Keys and categories in the order of the model's rows, and who was held out."""

    items: tuple[str, ...]  # N keys
    profile: tuple[tuple[str, tuple[str, ...]], ...]  # per profile column: name, categories
    until: int  # unix seconds UTC, the last moment of the log that the model was fitted on
    rows: int  # of that log
    held: tuple[str, ...]  # hashes of the keys of people held out from training; none: no such
    texts: tuple[str, ...] = ()  # N hashes of the items' texts; none: not known

    @staticmethod
    def of(log: Log, held: tuple[str, ...] = ()) -> Vocabulary:
        """Of the log that a model is fitted on."""
        traits = {trait.name: trait.categories for trait in log.traits}
        sizes = zip(log.profile_names, log.profile_sizes, strict=True)
        return Vocabulary(
            tuple(map(str, log.items["key"])),
            tuple((name, traits.get(name) or tuple(map(str, range(size)))) for name, size in sizes),
            int(log.events["time"].max()),
            len(log.events),
            held,
            tuple(map(anonymous, map(str, log.items["text"]))),
        )

    def to_json(self) -> str:
        """As a file holds it."""
        return json.dumps(vars(self), ensure_ascii=False, indent=0)

    @staticmethod
    def from_json(text: str) -> Vocabulary:
        """What `to_json` gave."""
        found = json.loads(text)
        profile = tuple((name, tuple(categories)) for name, categories in found["profile"])
        return Vocabulary(
            tuple(found["items"]),
            profile,
            found["until"],
            found["rows"],
            tuple(found["held"]),
            tuple(found.get("texts", ())),
        )


def anonymous(key: str) -> str:
    """A key or a text as a short hash: enough to know it again, not to read whose or what it is."""
    return sha256(key.encode()).hexdigest()[:DIGITS]
