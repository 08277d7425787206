"""Settings of several policies, searched with the same budget each: Optuna asks, units answer.

Supervised and learned policies get as many trials of as many slates. A trial of a learner trains
with most of its slates and reads with the rest; one of `supervised` reads with all of them. They
read the world's selection people (`World.selection`), whom no comparison meets; a world without
such people is read on its own with luck that no training has.

A trial is a unit: it runs on any backend, and a search that was killed goes on where it stopped,
since Optuna, told the same in the same order, asks the same.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from slategym.agents.core.choice_fit import further_heads
from slategym.agents.core.ranker import stated_ranker
from slategym.agents.core.supervised import (
    DIVERSITIES,
    RANKER,
    SUPERVISED,
    strengths_of,
)
from slategym.agents.core.tuning import halve
from slategym.agents.registry import find_agent, find_learner, make_policy, policies
from slategym.envs.names import UsageError, shown
from slategym.envs.settings import Count, fits
from slategym.envs.types import World
from slategym.experiments.measure.training import Training
from slategym.experiments.measure.units import world_of
from slategym.experiments.runs.store import Store
from slategym.experiments.runs.units import Unit, Work

if TYPE_CHECKING:
    import optuna

TRIAL = "trial@1"
READ_SHARE = 0.25  # of a learner's slates, by which it is told from others
AROUND = 10.0  # a positive setting is searched from default / AROUND to default * AROUND
Run = Callable[[list[Unit]], object]  # computes what is missing of them


@dataclass(frozen=True)
class Numbers:
    """A setting between two numbers."""

    low: float
    high: float
    log: bool = False

    def ask(self, trial: optuna.Trial, name: str) -> float:
        """A value."""
        return float(trial.suggest_float(name, self.low, self.high, log=self.log))


@dataclass(frozen=True)
class Words:
    """One of several values."""

    values: tuple[str | int | float | bool | None, ...]

    def ask(self, trial: optuna.Trial, name: str) -> Any:
        """A value."""
        return trial.suggest_categorical(name, self.values)


Space = Mapping[str, Numbers | Words]


@dataclass(frozen=True)
class Search:
    """One policy's search."""

    policy: str  # "supervised", or a learner
    world: str  # id
    settings: Mapping[str, Any]  # of the world's builder
    space: Space
    trials: int
    slates: int  # of each trial
    seed: int = 0  # of Optuna's sampler and of trainings
    together: int = 4  # trials asked for before any of them is told

    def unit(self, number: int, setting: Mapping[str, Any]) -> Unit:
        """A trial."""
        spec = {
            "policy": self.policy,
            "world": self.world,
            "settings": dict(self.settings),
            "setting": dict(setting),
            "slates": self.slates,
            "seed": self.seed,
        }
        return Unit(f"{self.policy}, trial {number}", TRIAL, spec, kind="json", cost=self.slates)


@dataclass(frozen=True)
class Trial:
    """One setting, and what it earned."""

    setting: Mapping[str, Any]
    mean: float  # expected return a session
    sessions: int  # read


def search(asked: Search, store: Store, run: Run) -> list[Trial]:
    """Every trial, in the order asked for.

    Args:
        asked: whose settings.
        store: where trials are kept.
        run: computes units on whatever backend.

    Raises:
        UsageError: Optuna is not installed; a kept trial is none.
    """
    check_installed()
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # told in batches: each of a batch takes those asked for beside it as poor
    sampler = optuna.samplers.TPESampler(seed=asked.seed, constant_liar=True)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    found: list[Trial] = []
    while len(found) < asked.trials:
        number = min(asked.together, asked.trials - len(found))
        trials = [study.ask() for _ in range(number)]
        settings = [{n: kind.ask(t, n) for n, kind in asked.space.items()} for t in trials]
        units = [asked.unit(len(found) + at, setting) for at, setting in enumerate(settings)]
        run(units)
        for trial, setting, unit in zip(trials, settings, units, strict=True):
            mean, sessions = earned_in(store, unit)
            study.tell(trial, mean)
            found.append(Trial(setting, mean, sessions))
    return found


def earned_in(store: Store, unit: Unit) -> tuple[float, int]:
    """What a trial's result says it earned a session, and in how many.

    Raises:
        UsageError: the file says neither; one line that names it.
    """
    read = store.read(unit)
    found: dict[str, Any] = read if isinstance(read, dict) else {}
    mean: Any = found.get("mean")
    sessions: Any = found.get("sessions")
    if not (fits(mean, float) and fits(sessions, Count)):
        raise UsageError(
            f"{store.path(unit)} is no trial's result: mean is a number and sessions are counted, "
            f"got {shown(mean)} and {shown(sessions)}; delete it, and the search reads it anew"
        )
    return float(mean), sessions


def best(trials: list[Trial]) -> Trial:
    """The one that earned most; of equals the first."""
    return max(trials, key=lambda trial: trial.mean)


def check_installed() -> None:
    """Refuse in one line where Optuna is not.

    Raises:
        UsageError: it is not installed.
    """
    if importlib.util.find_spec("optuna") is None:
        raise UsageError("a search needs Optuna: pip install 'slategym[search]'")


def space_of(policy: str, world: World) -> Space:
    """What is searched by default.

    Of `supervised`, weights of the heads and diversity, between the ends of what `tuning` tries. Of
    a learner, its learning rate, discount and weight of entropy, where it has them.

    Raises:
        UsageError: the policy is neither; the world has no supervised model.
    """
    if policy == SUPERVISED:
        return _supervised_space(world)
    entry = policies.all().get(policy)
    if ":" not in policy and (entry is None or entry.agent is None):
        find_learner(policy)  # names the nearest
    settings = find_agent(policy).default_settings()
    decided = dict(find_learner(policy).fixed)
    found: dict[str, Numbers | Words] = {}
    for name in ("learning_rate", "entropy"):
        default = getattr(settings, name, None)
        if isinstance(default, float) and default > 0:
            found[name] = Numbers(default / AROUND, default * AROUND, log=True)
    if "gamma" not in decided and isinstance(getattr(settings, "gamma", None), float):
        found["gamma"] = Numbers(0.8, 0.99)
    return found


def _supervised_space(world: World) -> Space:
    further = further_heads(stated_ranker(world))[:1]
    kinds = {kind: strengths for kind in DIVERSITIES if (strengths := strengths_of(world, kind))}
    found: dict[str, Numbers | Words] = {"click": Numbers(0.125, 4.0, log=True)}
    found |= {f"share of {head}": Numbers(0.0, 1.0) for head in further}
    found["kind"] = Words(tuple(kinds))
    for kind, strengths in kinds.items():
        if kind == "cap":
            found[f"strength of {kind}"] = Words(strengths)
        elif len(strengths) > 1:
            found[f"strength of {kind}"] = Numbers(min(strengths), max(strengths), log=True)
    return found


def chosen_of(setting: Mapping[str, Any]) -> dict[str, Any]:
    """What `World.chosen` holds for a setting of `supervised`."""
    click, kind = setting["click"], setting["kind"]
    heads = {"click": click, **{head: share * click for head, share in _shares(setting)}}
    strength = float(setting.get(f"strength of {kind}", 0.0))
    return {
        RANKER: {"heads": heads, "nothing": None},
        SUPERVISED: {"kind": kind, "strength": strength},
    }


def _shares(setting: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, share in setting.items():
        if name.startswith("share of ") and share:
            yield name.removeprefix("share of "), share


def trial(work: Work) -> dict[str, Any]:
    """One setting's return a session on selection people, and how many were read."""
    spec, device = work.spec, work.settings.get("device", "cpu")
    world = world_of(spec["world"], spec["settings"], device)
    where = world if world.selection is None else world.selection()
    slates, setting = spec["slates"], spec["setting"]
    if spec["policy"] == SUPERVISED:
        chosen = chosen_of(setting)
        policy = make_policy(SUPERVISED, replace(where, chosen=chosen))
        trained = 0
    else:
        trained = math.floor(slates * (1.0 - READ_SHARE))
        settings = replace(
            find_agent(spec["policy"]).default_settings(), num_steps=trained, **setting
        )
        training = Training(
            spec["policy"], spec["world"], spec["settings"], settings, (spec["seed"],)
        )
        policy = training.run(
            work.folder,
            world=world,
            callback=lambda now: work.progress(now.steps, slates, "training"),
        )
    ((sessions, mean),) = halve(
        where, [policy], slates - trained, lambda shown: work.progress(trained + shown, slates)
    )
    return {"mean": mean, "sessions": sessions, "trained": trained, "slates": slates}
