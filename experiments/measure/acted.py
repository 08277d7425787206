"""Who acted in a study, from its folder. Nothing here imports torch."""

from __future__ import annotations

from glob import escape
from pathlib import Path
from typing import Any, NamedTuple

from slategym.agents.core.files import ABOUT
from slategym.agents.registry import find_entry
from slategym.envs.names import UsageError, check_registered
from slategym.models.checksums import read_json

STUDY, SUMMARY = "study.json", "summary.json"


class Place(NamedTuple):
    """A study's open place, as its folder says."""

    name: str
    world: str  # id
    settings: dict[str, Any]  # of its builder
    means: dict[str, float] | None  # return a session by policy; None: no result yet


def open_place(folder: Path, *, trust: bool = False) -> Place:
    """Where a study's policies acted and what they earned there.

    Args:
        folder: of the study.
        trust: True: it may name "module:name", which making the world imports.

    Raises:
        Damaged: study.json or summary.json cannot be read. UsageError: they are no study's, or
            name code that is not registered.
    """
    study = read_json(folder / STUDY)
    summary = read_json(folder / SUMMARY) if (folder / SUMMARY).is_file() else None
    try:
        place = next(one for one in study["places"] if one["role"] == "open")
        name, world, settings = place["name"], place["world"], dict(place["settings"])
        means = None
        if summary is not None:
            means = {str(n): float(x) for n, x in summary["means"].get(name, {}).items()}
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
        raise UsageError(f"{folder} holds no study that can be read: {error!r}") from error
    if not trust:
        check_registered(folder / STUDY, [world, settings])
    return Place(str(name), str(world), settings, means)


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
