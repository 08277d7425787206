"""Whether a log holds what was shown, or only what was taken up."""

from __future__ import annotations

from slategym.models.data.log import Log

SLATE_SIZE = 5  # slots, where the log has no slates
LEAST_LEFT = 5  # slates that a catalogue must be good for


def has_slates(log: Log) -> bool:
    """Whether the log holds what was shown and passed over: slates, and rows without a click."""
    return "slate_id" in log.events and bool((log.events["click"] == 0).any())


def default_slate(log: Log) -> int:
    """Slots of a slate where nobody says otherwise."""
    return min(log.slate_size or SLATE_SIZE, max(1, log.num_items // 2))


def slates_left(log: Log) -> int | None:
    """Slates of one click each for which the catalogue lasts before everybody; None: for ever.

    Where nothing is consumed twice, whoever has consumed most decides.
    """
    if log.repeats:
        return None
    return log.num_items - most_consumed(log) - default_slate(log)


def most_consumed(log: Log) -> int:
    """Different items that somebody has consumed, at most."""
    pairs = log.events.loc[log.events["click"] > 0, ["user", "item"]].drop_duplicates()
    return int(pairs["user"].value_counts().max()) if len(pairs) else 0


def too_few_left(log: Log) -> str | None:
    """Why a world of this log would have nothing to show, and the mend; None: it has."""
    left = slates_left(log)
    if left is None or left >= LEAST_LEFT:
        return None
    return (
        f"some users have consumed {most_consumed(log)} of {log.num_items} {log.words.items}, "
        "which leaves too few to show; if they may be had again, write repeats = true in log.toml"
    )
