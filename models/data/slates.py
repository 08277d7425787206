"""Whether a log holds what was shown, or only what was taken up."""

from __future__ import annotations

from slategym.models.data.log import Log


def has_slates(log: Log) -> bool:
    """Whether the log holds what was shown and passed over: slates, and rows without a click."""
    return "slate_id" in log.events and bool((log.events["click"] == 0).any())
