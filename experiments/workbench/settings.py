"""What the page was asked to show: a world with policies, or a run. Handed over as JSON."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from slategym.agents.core.files import ABOUT, read_about
from slategym.agents.registry import find_policy, folder_and_seed
from slategym.envs.names import UsageError
from slategym.envs.registry import find_world
from slategym.experiments.measure.acted import STUDY, acting, open_place

PLAIN = ("popularity", "random")
DEFAULT = "Sardine-SlateTopK-Bored-v0"  # needs no download


@dataclass(frozen=True)
class PageSettings:
    """What to show at first; the page can change policies and people."""

    world: str
    settings: dict[str, Any] = field(default_factory=dict)
    policies: tuple[str, ...] = (
        PLAIN  # names and folders, those to choose from; the first two begin
    )
    run: str = ""  # folder to watch; "": none

    def as_text(self) -> str:
        """For the page's command line."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_text(text: str) -> PageSettings:
        """The inverse of `as_text`."""
        said = json.loads(text)
        return PageSettings(said["world"], said["settings"], tuple(said["policies"]), said["run"])


def asked_of(
    name: str,
    world: str = "",
    settings: dict[str, Any] | None = None,
    policies: tuple[str, ...] = (),
) -> PageSettings:
    """What a word on the command line stands for.

    Args:
        name: a world, a study's folder, a training's folder; "": a world that needs no download.
        world: where a run is shown; "": where it was trained.
        settings: of the world.
        policies: to choose from; (): those of the run, or plain ones.

    Raises:
        UsageError: there is nothing of that name; there is no such policy.
    """
    for policy in policies:
        if find_policy(policy) is None:  # a folder
            read_about(folder_and_seed(policy)[0])
    if not name:
        name = world or DEFAULT
    folder = Path(name)
    if not folder.is_dir():
        if "/" in name or name.startswith("."):
            raise UsageError(f"there is no folder {name}")
        id, _ = find_world(name)
        return PageSettings(id, settings or {}, policies or PLAIN)
    found = _of_study(folder) if (folder / STUDY).is_file() else _of_training(folder)
    id = find_world(world)[0] if world else found.world
    return PageSettings(
        id,
        settings or ({} if world and id != found.world else found.settings),
        policies or found.policies,
        found.run,
    )


def _of_study(folder: Path) -> PageSettings:
    """The first open place; all that acted there, the folders of those that learned."""
    place = open_place(folder)
    means = place.means or {}
    best_first = sorted(means, key=lambda name: -means[name])
    found = (acting(folder, policy, place.name) for policy in best_first)
    chosen = [one for one in found if one is not None]
    return PageSettings(place.world, place.settings, tuple(chosen) or PLAIN, str(folder))


def _of_training(folder: Path) -> PageSettings:
    if not (folder / ABOUT).is_file():
        find_policy(folder)  # says why not
    about = read_about(folder)["about"]
    if "world" not in about:
        raise UsageError(f"{folder} does not say where it was trained; slategym train's folders do")
    return PageSettings(about["world"], about["world_settings"], (str(folder), *PLAIN), str(folder))


def label_of(policy: str) -> str:
    """A policy for people: a training's folder without where it lies and the hash at its end."""
    return re.sub(r"-[0-9a-f]{12}$", "", policy.rstrip("/").rpartition("/")[2])
