"""Every policy by name: found, made and loaded.

Those of this package stand in agents/entries.py. Other packages add theirs by entry points
`slategym.policies` and `slategym.agents`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slategym.agents.core.files import ABOUT, BEGUN, read_about
from slategym.agents.core.hub import fetch
from slategym.agents.entries import (
    FAMILIES,
    FROM_REFIT,
    LEARNED,
    POLICIES,
    PRESENT,
    START,
    STATE,
    PolicyEntry,
    plain_name,
)
from slategym.envs.names import Registry, UsageError, check_registered, load_object, lookup, path_of

if TYPE_CHECKING:
    from slategym.agents.core.agent import Agent
    from slategym.agents.types import Action, Policy
    from slategym.envs.luck import Luck
    from slategym.envs.types import Observation, World


def _plug_in(path: str, one_line: str) -> PolicyEntry:
    return PolicyEntry("plug-in", one_line, path)


def _plug_in_agent(path: str, one_line: str) -> PolicyEntry:
    return PolicyEntry("learner", one_line, None, path)


def _by_path(path: str) -> PolicyEntry:
    """What "module:Name" names: a learner's class, or a function that makes a policy."""
    from slategym.agents.core.agent import Agent

    found = load_object(path)
    learns = isinstance(found, type) and issubclass(found, Agent)
    return _plug_in_agent(path, path) if learns else _plug_in(path, path)


policies = Registry(
    "policy",
    POLICIES,
    {"slategym.policies": _plug_in, "slategym.agents": _plug_in_agent},
    by_path=_by_path,
)


def register_policy(name: str, make: str | Callable[[World], Policy], one_line: str = "") -> None:
    """Add a policy that needs no training, in this process; a package has an entry point.

    Args:
        name: as on the command line.
        make: a function from a world to a policy, or its "module:function".
        one_line: what it does.

    Raises:
        UsageError: there is a policy of that name; the function is found by no other process.
    """
    path = path_of(make)
    policies.register(name, _plug_in(path, one_line or path))


def register_agent(name: str, agent: str | type[Agent], one_line: str = "") -> None:
    """Add a learner, in this process; a package has an entry point.

    Args:
        name: as on the command line; the class's own `name`.
        agent: a class derived from `slategym.agents.Agent`, or its "module:Class".
        one_line: what it does.

    Raises:
        UsageError: there is a policy of that name; the class is found by no other process.
    """
    path = path_of(agent)
    policies.register(name, _plug_in_agent(path, one_line or path))


def find_entry(name: str, called: str = "policy") -> PolicyEntry:
    """What is registered under that name; of a learner's variants, such as slateq-gamma0, too.

    Args:
        name: as `slategym agents` lists it, or "module:Name".
        called: what it is in the message.

    Raises:
        UsageError: if there is none; the nearest is offered.
    """
    if ":" in name or name in policies.all() or plain_name(name) == name:
        return policies.find(name, called)
    base = name.removesuffix(PRESENT if name.endswith(PRESENT) else FROM_REFIT)
    entry = find_entry(base, called)
    if name.endswith(PRESENT):
        if entry.agent is None:
            raise UsageError(f"{base} is no learner: it has no discount, so there is no {name}")
        one_line = f"{base} with gamma = 0: what comes later weighs nothing"
        return entry._replace(kind="bandit", one_line=one_line, fixed=(("gamma", 0.0),))
    if entry.agent is None or entry.refit_first or entry.fixed:
        raise UsageError(f"{base} begins at no ranker that is refitted, so there is no {name}")
    one_line = f"{base} that begins at a ranker refitted on half of its slates"
    return entry._replace(
        one_line=one_line, needs=STATE, example=LEARNED, tuning=START, refit_first=True
    )


def find_learner(name: str) -> PolicyEntry:
    """What is registered of the learner of that name; by name, nothing is imported.

    Raises:
        UsageError: if there is none; the nearest is offered.
    """
    if ":" not in name:
        learners = {name: entry for name, entry in policies.all().items() if entry.agent}
        lookup("agent", name if name in learners else plain_name(name), learners)
    entry = find_entry(name)
    if entry.agent is None:
        raise UsageError(f"{name} is no learner: derive it from slategym.agents.Agent")
    return entry


def find_agent(name: str) -> type[Agent]:
    """The class of the learner of that name, or at "module:Class".

    Raises:
        UsageError: if there is none, and the nearest is offered; it has no discount that its name
            could set to zero.
    """
    entry = find_learner(name)
    assert entry.agent is not None, name
    found: type[Agent] = load_object(entry.agent)
    if entry.refit_first:
        from slategym.agents.refit.first import from_refit

        found = from_refit(found, name.removesuffix(PRESENT))
    if not entry.fixed:
        return found
    from slategym.agents.core.decided import with_decided

    return with_decided(found, name, entry.fixed)


def load_agent(folder: str | os.PathLike[str], world: World, *, trust: bool = False) -> Agent:
    """A trained agent as `Agent.save` left it, to act in this world.

    Args:
        folder: of the training. Of several training seeds the first acts; "FOLDER#3" means seed 3.
        world: of the sizes with which it was trained.
        trust: True: import a learner's class that the folder names as "module:Class".

    Raises:
        UsageError: no trained agent lies there; it was trained for another catalogue or other
            slates, or not with that seed; it names code that is not registered.
    """
    place, seed = folder_and_seed(folder)
    if not (place / ABOUT).is_file():
        find_policy(place)  # says why not
    kept = read_about(place)
    kind = str(kept["about"].get("agent", kept["agent"]))
    if not trust:
        module, colon, rest = kind.partition(":")  # whatever follows a colon would be imported
        path = f"{module}:{re.sub(r'[^0-9A-Za-z_.]', '', rest) or 'agent'}"
        named = [path if colon else kind, kept["settings"], kept.get("chosen", {})]
        check_registered(place / ABOUT, named)
    agent = find_agent(kind).load(place, world)
    return agent if seed is None else agent.of_seed(seed)


def from_hub(name: str, world: World, *, revision: str | None = None, trust: bool = False) -> Agent:
    """A trained agent of the Hugging Face hub, to act in this world; see `core/hub.py`.

    Args:
        name: "owner/name".
        world: as of `load_agent`.
        revision: of the repository; None: its newest.
        trust: as of `load_agent`.

    Raises:
        UsageError: it cannot be had, or see `load_agent`.
    """
    return load_agent(fetch(name, revision=revision), world, trust=trust)


def folder_and_seed(name: str | os.PathLike[str]) -> tuple[Path, int | None]:
    """A trained policy's folder, and the training seed that "#" chooses; None: no choice.

    >>> folder_and_seed("runs/a#3")
    (PosixPath('runs/a'), 3)
    """
    folder, mark, seed = os.fspath(name).rpartition("#")
    if mark and seed.isdecimal() and not Path(name).is_dir():
        return Path(folder), int(seed)
    return Path(name), None


def seeds_of(name: str | os.PathLike[str]) -> tuple[int, ...]:
    """Training seeds of the policies that a name stands for; none where nothing was trained.

    Args:
        name: a policy's name or a folder; "FOLDER#3" stands for seed 3 alone.
    """
    folder, seed = folder_and_seed(name)
    if not (folder / ABOUT).is_file():
        return ()
    return tuple(read_about(folder)["seeds"]) if seed is None else (seed,)


@dataclass(frozen=True)
class Exploring:
    """A learner as it acts in training, to write logs with exact propensities where it has them."""

    agent: Agent

    @property
    def name(self) -> str:
        """The learner's."""
        return self.agent.name

    @property
    def privileged(self) -> bool:
        """The learner's."""
        return self.agent.privileged

    def act(self, observation: Observation, luck: Luck) -> Action:
        """Slates as it explores."""
        return self.agent.explore(observation, luck)


def find_policy(name: str | os.PathLike[str]) -> PolicyEntry | None:
    """The policy of that name; None where the name is a folder that holds a trained one.

    Raises:
        UsageError: if there is none; if it must be trained first.
    """
    given, name = name, os.fspath(name)
    if "#" in name:
        name = str(folder_and_seed(name)[0])
    if Path(name).is_dir() and _holds_policy(Path(name)):
        return None
    if not isinstance(given, str) or _is_path(name):
        raise UsageError(_no_policy_in(Path(name)))
    entry = _of_a_family(name) or find_entry(name)
    if entry.build is None:
        raise UsageError(
            f"{name} must be trained before it can act: give the folder of a trained one, such as "
            "those that `slategym train` and `slategym benchmark movielens` (under OUT/work/) leave"
        )
    return entry


def _holds_policy(folder: Path) -> bool:
    return (folder / ABOUT).is_file()


def _is_path(name: str) -> bool:
    """Whether a folder is meant: by its separators, or because there is one and no such name."""
    if os.sep in name or "/" in name or name.startswith((".", "~")):
        return True
    return Path(name).is_dir() and name not in policies.all() and _of_a_family(name) is None


def _no_policy_in(folder: Path) -> str:
    if not folder.exists():
        return f"there is no folder {folder}"
    if not folder.is_dir():
        return f"{folder} is a file; give the folder that `slategym train` left"
    if (folder / BEGUN).is_file():
        return f"the training in {folder} is not finished; call slategym train again first"
    return f"{folder} holds no trained policy: {ABOUT}, which slategym train writes, is not there"


def _of_a_family(name: str) -> PolicyEntry | None:
    """The entry of a name such as supervised-mmr0.7."""
    for pattern, (path, decided, argument, kind, needs) in FAMILIES.items():
        if given := re.fullmatch(pattern, name):
            fixed = (*decided, (argument, kind(given[1])))
            return PolicyEntry("supervised", name, path, None, needs, fixed, LEARNED)
    return None


def make_policy(name: str | os.PathLike[str], world: World, *, trust: bool = False) -> Policy:
    """The policy of that name, or the one saved in that folder, for this world.

    Args:
        name: as `slategym agents` lists it; the folder of a trained one, of whose training seeds
            the first acts or, as "FOLDER#3", seed 3; "module:function" of a function from a world
            to a policy.
        world: where it is to act.
        trust: of a folder, see `load_agent`.

    Raises:
        UsageError: see `find_policy`; if it does not fit the world.
    """
    import torch

    entry = find_policy(name)
    if entry is not None:
        with torch.no_grad():
            return entry.make(world)
    return load_agent(name, world, trust=trust)


def make_policies(
    name: str | os.PathLike[str], world: World, *, trust: bool = False
) -> dict[int | None, Policy]:
    """Every policy that a name stands for, by training seed; None where nothing was trained.

    Args:
        name: as of `make_policy`; a folder of several training seeds stands for all of them.
        world: where they are to act.
        trust: of a folder, see `load_agent`.

    Raises:
        UsageError: see `find_policy`; if it does not fit the world.
    """
    seeds = seeds_of(name)
    if not seeds:
        return {None: make_policy(name, world, trust=trust)}
    agent = load_agent(folder_and_seed(name)[0], world, trust=trust)
    return {seed: agent.of_seed(seed) for seed in seeds}
