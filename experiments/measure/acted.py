"""Who acted in a study, from its folder. Nothing here imports torch."""

from __future__ import annotations

from glob import escape
from pathlib import Path

from slategym.agents.core.files import ABOUT
from slategym.agents.registry import find_entry
from slategym.envs.names import UsageError


def acting(folder: Path, policy: str, place: str) -> str | None:
    """What acts as a study's policy did: its first training's folder, or a registered name.

    None: its training is gone, or the name is the study's own.
    """
    trained = sorted((folder / "work").glob(f"{escape(policy)}-{escape(place)}-seed-*/{ABOUT}"))
    if trained:
        return str(trained[0].parent)
    try:
        return policy if find_entry(policy).agent is None else None
    except UsageError:
        return None
