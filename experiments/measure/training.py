"""One training by name: which learner, where, with what. Run again it goes on, or does nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from slategym.agents.core import tuning
from slategym.agents.core.agent import Agent, Callback, Progress
from slategym.agents.core.files import ABOUT, BEGUN, read_about, set_damage_aside
from slategym.agents.core.keeping import differences
from slategym.agents.core.ranker import has_ranker
from slategym.agents.registry import find_agent, find_learner
from slategym.envs.names import UsageError, check_registered, load_object
from slategym.envs.registry import NAMESPACE, find_world, make_world
from slategym.envs.types import World
from slategym.models.checksums import read_json

DECIDES = ("agent", "settings", "seeds", "about")  # of what a folder keeps, what a training is
LEAST_TUNED = 3_840  # slates, an eightieth of `tuning.SLATES`: as in the profiles named smoke


@dataclass(frozen=True)
class Training:
    """All that determines the result of training one learner."""

    agent: str  # a learner's name
    world: str  # id of a registered world, with or without the prefix
    world_settings: Mapping[str, Any]  # of its builder, without device
    settings: Any  # the learner's own frozen dataclass
    seeds: tuple[int, ...] = (0,)  # side by side where the learner can

    @cached_property
    def about(self) -> dict[str, Any]:
        """What is kept beside the agent, so that it can be served where it was trained."""
        where = {"world": find_world(self.world)[0], "world_settings": dict(self.world_settings)}
        return where | ({"agent": self.agent} if ":" in self.agent else {})

    @property
    def name(self) -> str:
        """Of its folder: learner, world, seeds."""
        first, last = self.seeds[0], self.seeds[-1]
        seeds = f"seed{first}" if first == last else f"seeds{first}-{last}"
        whole = f"{self.agent}-{find_world(self.world)[0].removeprefix(NAMESPACE)}-{seeds}"
        return whole.replace(":", ".")  # of "module:Name"; no file name of some systems

    def make_world(self, device: str = "cpu") -> World:
        """Where it learns."""
        elsewhere = {} if device == "cpu" else {"device": device}
        return make_world(self.world, **self.world_settings, **elsewhere)

    def finished(self, folder: str | Path) -> bool:
        """Whether this training, and no other, lies there done. Nothing is built to say so.

        What is damaged is set aside, and said.

        Raises:
            UsageError: another training lies there; how it differs is said.
        """
        folder = Path(folder)
        set_damage_aside(folder)
        begun = folder / BEGUN
        if not begun.is_file():
            return False
        theirs = read_json(begun)
        mine = json.loads(json.dumps(self._description()))
        changed = differences({name: theirs.get(name) for name in DECIDES}, mine)
        if changed:
            raise UsageError(
                f"{folder} holds another training ({changed}); resume with the same settings, or "
                "choose another folder with --out"
            )
        done = (folder / ABOUT).is_file() and read_about(folder)["steps"]
        return bool(done >= self.settings.num_steps)

    def run(
        self,
        folder: str | Path,
        *,
        device: str = "cpu",
        world: World | None = None,
        callback: Callback | None = None,
        tensorboard: str | Path | None = None,
        progress: bool = False,
        checkpoint_every: float = 60.0,
        chosen: Mapping[str, Any] | None = None,
        snapshots: int = 0,
        watched: Callable[[Agent], Callback] | None = None,
    ) -> Agent:
        """Train to the end, from the folder's last checkpoint if there is one.

        Args:
            folder: keeps checkpoints and, at the end, the agent.
            device: to compute on.
            world: where it learns, if that is at hand; None: it is made.
            callback: told of progress after every cycle; returns False to stop.
            tensorboard: folder for event files.
            progress: show a bar on standard error.
            checkpoint_every: seconds between checkpoints.
            chosen: settings of policies chosen elsewhere, see `World.chosen`; None: what a learner
                begins at is tuned here, with as many slates as it trains on.
            snapshots: how often, evenly and at the end, what it would serve is kept (`snapshot`).
            watched: from the learner to a further callback, such as `Evaluation`.

        Raises:
            UsageError: the learner cannot act in that world; the folder holds another training.
        """
        self.finished(folder)  # refuses another training before a world is built
        where = self.make_world(device) if world is None else world
        world = replace(where, chosen=self._tuned(where) if chosen is None else chosen)
        agent = find_agent(self.agent)(world, self.settings, seeds=self.seeds)
        watches = watched(agent) if watched is not None else None

        def told(now: Progress) -> bool | None:
            due = min(now.steps, now.total) * snapshots // now.total
            if due and not (snapshot(folder, due) / ABOUT).is_file():
                agent.save(snapshot(folder, due), self.about)
            asked = [one(now) for one in (watches, callback) if one is not None]
            return False if False in asked else None

        return agent.learn(
            world,
            callback=told,
            folder=folder,
            tensorboard=tensorboard,
            progress=progress,
            checkpoint_every=checkpoint_every,
            about=self.about,
        )

    def _tuned(self, where: World) -> dict[str, Any]:
        """What the learner begins at, where it trains on fewer slates than a tuning usually has."""
        entry, slates = find_learner(self.agent), max(LEAST_TUNED, self.settings.num_steps)
        if entry.tuning is None or not has_ranker(where) or slates >= tuning.SLATES:
            return {}
        steps = load_object(entry.tuning)(where, tuning.Budget(slates))
        return {step.name: dict(step.chosen) for step in steps}

    def _description(self) -> dict[str, Any]:
        return {
            "agent": self.agent,
            "settings": asdict(self.settings),
            "seeds": list(self.seeds),
            "about": self.about,
        }


def snapshot(folder: str | Path, number: int) -> Path:
    """Where a training keeps what it would serve at one of its snapshots, numbered from 1."""
    return Path(folder) / f"snapshot-{number}"


class Home(NamedTuple):
    """Where an agent was trained."""

    world: str  # id
    settings: dict[str, Any]  # of its builder


def trained_in(folder: Path, *, trust: bool = False, world: str = "") -> Home | None:
    """Where the agent in that folder was trained; None where there is none, or it does not say.

    Args:
        folder: of the training.
        trust: True: it may name "module:name", which making the world imports.
        world: the full id that the caller named already, which the folder may then name as well.

    Raises:
        UsageError: it names code that is not registered.
    """
    about = folder / ABOUT
    if not about.is_file():
        return None
    kept = read_about(folder)["about"]
    if "world" not in kept:
        return None
    if not (isinstance(kept["world"], str) and isinstance(kept.get("world_settings"), dict)):
        raise UsageError(f"{about} does not say where it was trained; train it again")
    if not trust:
        check_registered(
            about, [kept["world_settings"], "" if kept["world"] == world else kept["world"]]
        )
    settings = {
        n: tuple(x) if isinstance(x, list) else x for n, x in kept["world_settings"].items()
    }
    return Home(kept["world"], settings)
