"""Whether a log holds what was shown, or only what was taken up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slategym.models.data.log import Log

SLATE_SIZE = 5  # slots, where the log has no slates
LEAST_LEFT = 5  # slates that a catalogue must be good for


def has_slates(log: Log) -> bool:
    """Whether the log holds what was shown and passed over: slates, and rows without a click."""
    return "slate_id" in log.events and bool((log.events["click"] == 0).any())


def first_clicks(log: Log) -> NDArray[np.bool_]:
    """Rows before which no other click of their own slate was read, (E,); without slates all.

    What the clicks of a slate were worth is known together: read row by row, the first tells of the
    second, which no ranker could have known.
    """
    table = log.events
    if not has_slates(log):
        return np.ones(len(table), bool)
    took_E = table["click"].to_numpy() > 0
    again_E = table["slate_id"].where(took_E).duplicated().to_numpy()
    first_E: NDArray[np.bool_] = took_E & ~again_E
    return first_E


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
