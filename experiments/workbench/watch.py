"""How a study or a training stands, from the files in its folder, while it runs."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from slategym.envs.names import UsageError

STATUS, UNITS, TRAINING, SUMMARY = "status.json", "units", "training.json", "summary.json"
RETURN = "rollout/ep_rew_mean"  # under stable-baselines3's tag name
NEWEST = 8  # units that are named
POINTS = 200  # of a curve


@dataclass(frozen=True)
class Standing:
    """How it stands."""

    folder: Path
    status: str  # running | finished | stopped | killed | failed | unknown
    reason: str
    done: dict[str, int]  # finished units, by what they do
    newest: tuple[tuple[str, float], ...]  # finished last, and seconds since then
    curves: pd.DataFrame  # run, steps, return: of sessions that ended in training, exploring
    verdict: str  # "": there is none yet

    @property
    def report(self) -> Path | None:
        """The page, once it is there."""
        page = self.folder / "report.html"
        return page if page.is_file() else None


def watch(folder: str | Path) -> Standing:
    """Read how a run stands.

    Args:
        folder: of a study, as `slategym benchmark` leaves it, or of a training.

    Raises:
        UsageError: it is no such folder.
    """
    folder = Path(folder)
    known = [name for name in (STATUS, UNITS, TRAINING, "agent.json") if (folder / name).exists()]
    if not known:
        raise UsageError(
            f"{folder} holds no study and no training; give the folder that slategym benchmark or "
            "slategym train writes"
        )
    said = _json(folder / STATUS)
    units = sorted(
        (path for path in (folder / UNITS).glob("*") if path.suffix in (".json", ".parquet")),
        key=lambda path: -path.stat().st_mtime,
    )
    now = time.time()
    newest = tuple((_plain(path.stem), now - path.stat().st_mtime) for path in units[:NEWEST])
    return Standing(
        folder,
        str(said.get("status", "unknown")),
        str(said.get("reason", "")),
        dict(Counter(_kind(path.stem) for path in units).most_common()),
        newest,
        curves(folder),
        str(_json(folder / SUMMARY).get("verdict", "")),
    )


def curves(folder: str | Path) -> pd.DataFrame:
    """Returns in training, from event files: a row per run and point."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    parts = []
    for place in sorted({path.parent for path in Path(folder).glob("tensorboard/**/events.*")}):
        events = EventAccumulator(str(place), size_guidance={"scalars": POINTS})
        events.Reload()
        if RETURN in events.Tags()["scalars"]:
            run = _plain(place.parent.name if re.search(r"_\d+$", place.name) else place.name)
            points = [(run, event.step, event.value) for event in events.Scalars(RETURN)]
            parts.append(pd.DataFrame(points, columns=["run", "steps", "return"]))
    return (
        pd.concat(parts, ignore_index=True)
        if parts
        else pd.DataFrame(
            {
                "run": pd.Series(dtype=str),
                "steps": pd.Series(dtype=int),
                "return": pd.Series(dtype=float),
            }
        )
    )


def _plain(name: str) -> str:
    """A unit's name without the hash at its end."""
    return re.sub(r"-[0-9a-f]{12}$", "", name)


def _kind(name: str) -> str:
    """What a unit of that name does: the word before place and seed."""
    return "train" if "-seed-" in name else _plain(name).split("-")[0]


def _json(path: Path) -> dict[str, object]:
    """What a file says; {}: it is not there, or is being written."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
