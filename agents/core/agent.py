"""What every learner is: a policy that learns, stops anywhere, and goes on exactly there.

An agent file has its settings, its networks and three things that differ: what one cycle of
playing and learning does (`cycle`), how it chooses (`act`), and which tensors it consists of
(`state`, `weights`). The loop, the progress bar, the event files, saving and resuming are here,
once.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from copy import copy
from dataclasses import asdict, astuple, dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor

from slategym.agents.core.files import ABOUT, CHECKPOINT, FORMAT, WEIGHTS, check_weights, read_about
from slategym.agents.core.keeping import Keeping
from slategym.agents.core.ranker import Ranker
from slategym.agents.core.reporting import bar, events
from slategym.agents.core.step_back import Served, as_json, decide, from_json
from slategym.agents.core.tree import filled, leaves
from slategym.agents.core.tuning import Setting
from slategym.agents.types import Action, Policy
from slategym.envs.gym import SlateVectorEnv
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.observation import check_finite, read
from slategym.envs.settings import Seed, check_kinds, kinds_of_function
from slategym.envs.types import Observation, World
from slategym.models import finite
from slategym.models.checksums import Damaged, sha256_of, with_checksum
from slategym.models.ending import told_to_end
from slategym.models.files import atomic_path
from slategym.models.hashes import hash_of
from slategym.models.tensor_files import read_weights, remove_checkpoints

A = TypeVar("A", bound="Agent")

CURVE_POINTS = 60  # of a whole training


@dataclass(frozen=True)
class Progress:
    """How far training is."""

    steps: int  # slates shown so far, of each seed
    total: int  # slates in all
    seconds: float  # since this call began
    figures: Mapping[str, float]  # under stable-baselines3's tag names


Callback = Callable[[Progress], bool | None]  # False: stop here


@dataclass(frozen=True)
class CurvePoint:
    """Where a learner stood when it had seen so much."""

    steps: int  # slates shown so far, of each seed
    seconds: float  # of training so far, wall clock
    return_mean: float  # of the sessions that ended since the last point, exploring


class Agent(ABC):
    """A slate policy that learns. Abstract; the agents themselves are final.

    Args:
        world: whose slates it is to choose; decides all sizes.
        settings: a frozen dataclass; None: the agent's own defaults. `num_steps` among them is the
            length of the whole training, on which schedules depend.
        seeds: of training, side by side where the agent can; each gets networks of its own.
        ranker: refitted, on whose slates it begins where it begins on a ranker's (`from_ranker`);
            None: the tuned one.
    """

    name: ClassVar[str]
    privileged: ClassVar[bool] = False
    several_seeds: ClassVar[bool] = False  # whether seeds can be trained side by side
    repeats: ClassVar[bool] = False  # whether a slate may hold an item twice, and so an empty slot
    from_ranker: ClassVar[bool] = False  # whether it can begin at a ranker that is refitted

    def __init__(
        self,
        world: World,
        settings: Any = None,
        *,
        seeds: Sequence[int] = (0,),
        ranker: Ranker | None = None,
    ) -> None:
        self.world, self.refitted = world, ranker
        self.settings = self.default_settings() if settings is None else settings
        check_settings(self.name, self.settings)
        self.seeds = check_seeds(self.name, seeds)
        self.steps = 0  # slates learnt from, of each seed
        self.serving = 0  # which of the seeds `act` speaks for
        self.served: tuple[Served, ...] = ()  # by seed, once selection people have decided
        self.curve: list[CurvePoint] = []
        self.seconds = 0.0  # of training so far, wall clock
        self.cpu_seconds = 0.0  # of training so far, of this process
        if not self.seeds or (len(self.seeds) > 1 and not self.several_seeds):
            raise UsageError(
                f"{self.name} trains {'one seed or more' if self.several_seeds else 'one seed'} at "
                f"a time, got {len(self.seeds)}"
            )
        self.check_world(world)
        self.build()

    def __repr__(self) -> str:
        return (
            f"<{self.name} in {self.world.name}: {self.steps:,} slates learnt from, "
            f"{len(self.seeds)} seed(s)>"
        )

    @classmethod
    @abstractmethod
    def default_settings(cls) -> Any:
        """A frozen dataclass of at most a dozen fields, with `num_steps`."""

    @classmethod
    def check_world(cls, world: World) -> None:
        """Refuse a world that this agent cannot act in.

        Raises:
            UsageError: saying what is missing.
        """
        return None

    @abstractmethod
    def build(self) -> None:
        """Networks, optimisers, buffers: everything that `state` names except the sessions."""

    @abstractmethod
    def begin(self, world: World) -> None:
        """Seat the training users in this world."""

    @abstractmethod
    def cycle(self) -> tuple[int, dict[str, float]]:
        """Play and learn a little; slates shown per seed, and figures under SB3's tag names."""

    @abstractmethod
    def act(self, observation: Observation, luck: Luck) -> Action:
        """Slates as it serves: no exploration unless that is the policy."""

    @abstractmethod
    def weights(self) -> dict[str, Tensor]:
        """What serving needs."""

    def blank(self) -> Mapping[str, Tensor]:
        """Tensors of the names and shapes that `weights` gives; values do not matter."""
        return self.weights()

    @abstractmethod
    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take over what `weights` gave."""

    @abstractmethod
    def state(self) -> Any:
        """Every tensor on which the rest of a training depends, a tree; see `core/tree.py`."""

    @abstractmethod
    def restore(self, state: Any) -> None:
        """Take over such a tree."""

    def chosen(self) -> Mapping[str, Setting]:
        """Settings chosen on selection people on which it rests: kept with it, not chosen anew."""
        return {}

    def explore(self, observation: Observation, luck: Luck) -> Action:
        """Slates as it explores, with exact log-probability where it has one."""
        return self.act(observation, luck)

    def at_start(self) -> Policy | None:
        """As it was before it learnt anything, where that is a policy not to fall behind."""
        return None

    @property
    def start_name(self) -> str | None:
        """The policy, by name, whose slates `at_start` serves, every one; None: no such policy."""
        return None

    def serve(self, trained: Sequence[bool]) -> None:
        """From now on serve, by seed, what was trained or the start; called where there is one.

        Training goes on from what was trained in any case.
        """
        raise NotImplementedError(f"{self.name} begins at a policy and cannot go back to it")

    def of_seed(self: A, seed: int) -> A:
        """The same agent, acting for this one of its training seeds.

        Raises:
            UsageError: it was not trained with that seed.
        """
        if seed not in self.seeds:
            known = ", ".join(map(str, self.seeds))
            raise UsageError(f"{self.name} was not trained with seed {seed}; its seeds are {known}")
        one = copy(self)
        one.serving = self.seeds.index(seed)
        return one

    def state_dict(self) -> dict[str, Tensor]:
        """Everything, flat: with it a training goes on to the same result bit for bit on CPU."""
        return {**leaves(self.state()), "steps": torch.tensor(self.steps)}

    def load_state_dict(self, saved: Mapping[str, Tensor]) -> None:
        """Take over what `state_dict` gave.

        Raises:
            ValueError: a tensor is missing or does not fit.
        """
        self.restore(filled(self.state(), saved))
        self.steps = int(saved["steps"])

    def predict(
        self, shown: Mapping[str, Any], deterministic: bool = True, luck: Luck | None = None
    ) -> Any:
        """The slate for an observation as the environments show it, one user's or a batch.

        Args:
            shown: entries as arrays or tensors.
            deterministic: False: as it explores.
            luck: of these users; None: that of users 0, 1, ... at their first request.

        Returns:
            positions (K,) or (B, K), int32, as the observation was: an array or a tensor.
        """
        alone = torch.as_tensor(shown["step"]).dim() == 1
        batch = {name: torch.as_tensor(x)[None] if alone else x for name, x in shown.items()}
        check_finite(batch)
        observation = read(self.world, batch)
        if luck is None:
            stream_B = torch.arange(len(observation.step), dtype=torch.int32)
            luck = Luck(stream_B.to(self.world.device))
        with torch.no_grad():
            chosen = (self.act if deterministic else self.explore)(observation, luck).slate
        chosen = chosen[0] if alone else chosen
        return chosen if isinstance(shown["step"], Tensor) else chosen.cpu().numpy()

    def learn(
        self: A,
        world: World | SlateVectorEnv,
        num_steps: int | None = None,
        callback: Callback | None = None,
        *,
        folder: str | Path | None = None,
        tensorboard: str | Path | None = None,
        progress: bool = False,
        checkpoint_every: float = 60.0,
        about: Mapping[str, Any] | None = None,
    ) -> A:
        """Learn in this world until `num_steps` slates have been shown, in all.

        Args:
            world: where; of the same sizes as the agent's own.
            num_steps: slates of each seed, counted from the very beginning; None: the settings'.
            callback: told of progress after every cycle; returns False to stop.
            folder: keeps checkpoints and the finished agent. A training that was killed goes on
                from its last checkpoint there.
            tensorboard: folder for event files.
            progress: show a bar on standard error.
            checkpoint_every: seconds between checkpoints.
            about: JSON kept beside the agent: the world's id and settings, say.

        Raises:
            UsageError: the folder holds a training with other settings, or one that is under way;
                the world does not fit.
            NotFinite: a loss or a weight is no finite number: the training stops there, and what
                it had checkpointed before stays.

        A signal to end (SIGTERM, SIGHUP, an interrupt) waits for the cycle under way, of which a
        checkpoint is kept; a second one does not wait.
        """
        world = world.world if isinstance(world, SlateVectorEnv) else world
        self._check_same_sizes(world)
        self.check_world(world)
        total = self.settings.num_steps if num_steps is None else num_steps
        self.served = ()
        self.begin(world)
        keeping = None if folder is None else self._keeping(Path(folder), about or {})
        tensorboard = None if tensorboard is None else Path(tensorboard)
        with ExitStack() as stack:
            if keeping is not None:
                stack.enter_context(keeping.alone())
                self._take_up(keeping)
                stack.enter_context(keeping.told())
            self._cycles(total, callback, keeping, tensorboard, progress, checkpoint_every)
            self._check_finite()
            if keeping is not None:
                self._checkpoint(keeping)
            self._decide(world)
            if keeping is not None:
                self.save(keeping.folder, about or {})
                remove_checkpoints(keeping.folder / CHECKPOINT, but_last=True)
                keeping.status("finished" if self.steps >= total else "stopped")
        return self

    def _cycles(
        self,
        total: int,
        callback: Callback | None,
        keeping: Keeping | None,
        tensorboard: Path | None,
        progress: bool,
        checkpoint_every: float,
    ) -> None:
        """Play and learn until so many slates have been shown, or somebody says stop."""
        began, saved, first = time.monotonic(), time.monotonic(), self.steps
        clock, cpu_clock = began - self.seconds, time.process_time() - self.cpu_seconds
        with ExitStack() as stack:
            show = stack.enter_context(bar(self.name, total, progress))
            write = stack.enter_context(events(tensorboard, self.steps))
            if keeping is not None:  # else there is nothing to keep before it ends
                asked_to_end = stack.enter_context(told_to_end())
            while self.steps < total:
                shown, figures = self.cycle()
                self.steps += shown
                finite.check_losses(figures, f"after {self.steps:,} slates")
                seconds = time.monotonic() - began
                rate = (self.steps - first) * len(self.seeds) / max(seconds, 1e-9)
                figures = {
                    **figures,
                    "time/fps": rate,
                    "time/total_timesteps": float(self.steps),
                }
                self.seconds = time.monotonic() - clock
                self.cpu_seconds = time.process_time() - cpu_clock
                self._note(figures, total)
                show(self.steps, figures)
                write(self.steps, figures)
                if keeping is not None and asked_to_end():
                    self._checkpoint(keeping)
                    keeping.status("killed", "told to end")
                    break
                if keeping is not None and time.monotonic() - saved > checkpoint_every:
                    self._checkpoint(keeping)
                    saved = time.monotonic()
                now = Progress(self.steps, total, seconds, figures)
                if callback is not None and callback(now) is False:
                    break

    def save(self, folder: str | Path, about: Mapping[str, Any] | None = None) -> None:
        """Write what serving needs: weights first, the settings that name them last.

        Args:
            folder: made if absent.
            about: JSON kept beside it.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        flat = {name: x.detach().cpu().contiguous() for name, x in self.weights().items()}
        with atomic_path(folder / WEIGHTS) as path:
            save_file(flat, path, metadata={"format": "pt"})
        values = {
            **self._about(about or {}),
            "format": FORMAT,
            "status": "finished",
            "sha256": {WEIGHTS: sha256_of(folder / WEIGHTS)},
        }
        with atomic_path(folder / ABOUT) as path:
            text = json.dumps(with_checksum(values), indent=2, sort_keys=True)
            path.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls: type[A], folder: str | Path, world: World) -> A:
        """Read what `save` wrote, to act in a world of the same sizes.

        Raises:
            UsageError: nothing of this kind lies there; it was trained for another catalogue or
                other slates.
        """
        folder = Path(folder)
        if not (folder / ABOUT).is_file():
            raise UsageError(f"{folder} holds no trained agent: {ABOUT} is missing")
        kept = read_about(folder)
        if kept["agent"] != cls.name:
            raise UsageError(f"{folder} holds an agent named {kept['agent']}, not {cls.name}")
        try:
            check_weights(folder, kept)
        except Damaged as error:
            raise UsageError(f"{error}; call slategym train again with its settings") from error
        try:
            settings = type(cls.default_settings())(**_tuples(kept["settings"]))
            served = from_json(kept.get("served", ()))
        except TypeError as error:
            raise UsageError(
                f"{folder / ABOUT} has settings that {cls.name} does not take ({error}); train it "
                "again"
            ) from error
        if kept["slate_size"] != world.slate_size:
            raise UsageError(
                f"{folder} was trained for slates of {kept['slate_size']}, {world.name} shows "
                f"{world.slate_size}; pass slate_size={kept['slate_size']}"
            )
        chosen = kept.get("chosen", {})
        world = replace(world, chosen={**world.chosen, **chosen})
        try:
            agent = cls(world, settings, seeds=kept["seeds"])
        except (MemoryError, RuntimeError) as error:  # sizes that a stranger wrote, say
            reason = str(error).partition("\n")[0][:200]
            raise UsageError(
                f"{folder / ABOUT} describes an agent that cannot be made here: {reason}"
            ) from error
        try:
            agent.load_weights(read_weights(folder / WEIGHTS, agent.blank()))
        except (KeyError, RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[-1].strip()
            raise UsageError(f"{folder} does not fit {world.name}: {reason}") from error
        agent.steps = kept["steps"]
        agent.served = served
        return agent

    def _decide(self, world: World) -> None:
        """Serve what selection people are clearly better off with, the start or what was trained.

        Of a training that was stopped too; where there is nobody to decide, what was trained.
        """
        start = self.at_start()
        if start is None or not self.steps:
            return
        self.serve([True] * len(self.seeds))
        trained = [self.of_seed(seed) for seed in self.seeds]
        named = self.start_name and {"start": self.start_name, "chosen": dict(self.chosen())}
        self.served = tuple(decide(world, start, trained, self.steps, named or None))
        if self.served:
            self.serve([one.policy == "trained" for one in self.served])

    def _about(self, about: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "agent": self.name,
            "settings": asdict(self.settings),
            "seeds": list(self.seeds),
            "slate_size": self.world.slate_size,
            "num_items": self.world.catalogue.num_items,
            "steps": self.steps,
            "chosen": dict(self.chosen()),
            "served": as_json(self.served),
            "start": self.start_name,
            "about": dict(about),
        }

    def _fingerprint(self, about: Mapping[str, Any]) -> str:
        kept = self._about(about)
        del kept["steps"], kept["served"]
        return hash_of(kept)

    def _keeping(self, folder: Path, about: Mapping[str, Any]) -> Keeping:
        return Keeping(folder, self._about(about), self._fingerprint(about))

    def _checkpoint(self, keeping: Keeping) -> None:
        self._check_finite()
        curve = [astuple(point) for point in self.curve]
        so_far = {"curve": curve, "seconds": self.seconds, "cpu_seconds": self.cpu_seconds}
        keeping.checkpoint(self.state_dict(), so_far)

    def _take_up(self, keeping: Keeping) -> None:
        """Go on from the folder's last checkpoint, if there is one."""
        found = keeping.take_up()
        if found is None:
            return
        saved, so_far = found
        self.load_state_dict(saved)
        self.curve = [CurvePoint(*point) for point in so_far["curve"]]
        self.seconds, self.cpu_seconds = so_far["seconds"], so_far["cpu_seconds"]

    def _check_finite(self) -> None:
        finite.check_weights(self.weights(), f"after {self.steps:,} slates")

    def _note(self, figures: Mapping[str, float], total: int) -> None:
        due = self.curve[-1].steps + total / CURVE_POINTS if self.curve else 0
        if self.steps >= due and "rollout/ep_rew_mean" in figures:
            self.curve.append(CurvePoint(self.steps, self.seconds, figures["rollout/ep_rew_mean"]))

    def _check_same_sizes(self, world: World) -> None:
        for what, ours, theirs in (
            ("slots", self.world.slate_size, world.slate_size),
            ("candidates", self.world.num_candidates, world.num_candidates),
            ("items", self.world.catalogue.num_items, world.catalogue.num_items),
        ):
            if ours != theirs:
                raise UsageError(
                    f"this agent was made for {ours} {what}, {world.name} has {theirs}; make it "
                    "with the world in which it learns"
                )


def _tuples(settings: dict[str, Any]) -> dict[str, Any]:
    """JSON's lists as the tuples that they were."""
    return {name: tuple(x) if isinstance(x, list) else x for name, x in settings.items()}


def check_seeds(name: str, seeds: Sequence[int]) -> tuple[int, ...]:
    """The seeds of a training.

    Raises:
        UsageError: one is no whole number in [0, 2^31), or comes twice.
    """
    found = tuple(check_kinds(name, {"seed": seed}, {"seed": Seed})["seed"] for seed in seeds)
    if len(set(found)) < len(found):
        raise UsageError(f"{name}: training seeds must differ, got {found}")
    return found


def check_settings(name: str, settings: Any) -> None:
    """Refuse settings that hold another kind of value than they declare.

    Raises:
        UsageError: naming the setting.
    """
    if is_dataclass(settings):
        values = {f.name: getattr(settings, f.name) for f in fields(settings)}
        check_kinds(name, values, kinds_of_function(type(settings)))
