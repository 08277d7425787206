"""What a trained agent's folder holds, read and checked without torch."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slategym.envs.names import UsageError
from slategym.models.checksums import Damaged, check_files, read_json, set_aside

ABOUT = "agent.json"  # written last: the agent is whole
WEIGHTS = "agent.safetensors"
CHECKPOINT = "checkpoint.safetensors"
BEGUN = "training.json"  # which training the folder holds, and how it stands
FORMAT = 1  # of both JSON files; raise it when what is written changes

KINDS: dict[str, type] = {  # of what `ABOUT` holds, at least
    "agent": str,
    "settings": dict,
    "seeds": list,
    "slate_size": int,
    "steps": int,
    "about": dict,
}

logger = logging.getLogger(__name__)


def read_about(folder: Path) -> dict[str, Any]:
    """What a finished agent's `ABOUT` says, checked; its weights are not looked at.

    Raises:
        UsageError: the file is damaged, or no agent's, or of a newer version.
    """
    path = folder / ABOUT
    try:
        found = read_json(path)
    except Damaged as error:
        raise UsageError(f"{error}; call slategym train again with its settings") from error
    for name, kind in KINDS.items():
        value = found.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            got = "is missing" if name not in found else f"is {str(value)[:40]!r}"
            raise UsageError(f"{path} describes no agent: {name!r} {got}; train it again")
    seeds = found["seeds"]
    if not seeds or not all(type(seed) is int for seed in seeds):
        raise UsageError(f"{path} describes no agent: 'seeds' is {str(seeds)[:40]}; train it again")
    if found.get("format", FORMAT) != FORMAT:
        raise UsageError(
            f"{path} is of format {found['format']!r}, this slategym reads {FORMAT}; train it again"
        )
    return found


def serves_start(about: Mapping[str, Any], place: int) -> str | None:
    """The tuned policy that a trained agent serves in place of what it learned, by name.

    Args:
        about: from `read_about`.
        place: which of its seeds.

    Returns:
        None: it serves what it learned, or what it began at is no policy of a name.
    """
    served, start = about.get("served") or [], about.get("start")
    goes_back = place < len(served) and served[place]["policy"] == "start"
    return start if goes_back and isinstance(start, str) else None


def check_weights(folder: Path, about: Mapping[str, Any]) -> None:
    """Hold the weights against what `ABOUT` says of them.

    Raises:
        Damaged: they are missing or altered.
    """
    stated = about.get("sha256", {})  # earlier versions kept none
    check_files(folder, stated if isinstance(stated, dict) else {})
    if not (folder / WEIGHTS).is_file():
        raise Damaged(f"{folder / WEIGHTS} is missing")


def set_damage_aside(folder: Path) -> None:
    """Rename what is damaged of a training's folder, so that only that is made again; say so."""
    if (folder / BEGUN).is_file():
        try:
            read_json(folder / BEGUN)
        except Damaged as error:
            _aside(folder / BEGUN, error)
    if (folder / ABOUT).is_file():
        try:
            check_weights(folder, read_about(folder))
        except (Damaged, UsageError) as error:
            if (folder / WEIGHTS).is_file():
                set_aside(folder / WEIGHTS)
            _aside(folder / ABOUT, error)


def _aside(path: Path, error: Exception) -> None:
    reason = str(error).partition("; ")[0]
    logger.warning("%s; set aside as %s, the training goes on", reason, set_aside(path).name)
