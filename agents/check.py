"""The contract of policies and learners, checked by running them; what is wrong is in words."""

from __future__ import annotations

import math
import random
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from slategym.agents.core.agent import Agent
from slategym.agents.core.random_slates import Random
from slategym.agents.core.tree import leaves
from slategym.agents.registry import find_agent, find_entry
from slategym.agents.types import Action, Policy
from slategym.envs import engine
from slategym.envs.check import ContractError
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.observation import show
from slategym.envs.registry import make_world
from slategym.envs.trees import map_tensors
from slategym.envs.types import Observation, Session, World

T = TypeVar("T")
B, ALONE, SLATES_BEFORE = 6, 3, 3  # users; the one who is asked for alone; slates before the check
CYCLES = 3  # of learning
SMALL_WORLDS = (
    ("Workbench-v0", {"history_size": 8}),
    ("InterestEvolution-v0", {"num_candidates": 10}),
)


def check_agent(
    agent: str | type[Agent] | Policy, world: World | None = None, settings: Any = None
) -> World:
    """Run a policy or a learner through its contract.

    Args:
        agent: a registered name, "module:Name", a learner's class, or a policy itself.
        world: in which it is to act; None: the first of two small made-up worlds that it accepts.
        settings: of a learner that is made here; None: its own.

    Returns:
        The world in which it was checked.

    Raises:
        ContractError: at the first rule that is broken: what `act` returns; distinct, allowed
            positions; no randomness but luck's; users who do not affect one another; arguments left
            alone; and of a learner: its settings, a training that can be broken off and resumed to
            the same result, a folder that serves the same, `predict` on plain arrays.
        UsageError: there is no such policy; it must be told a world.
    """
    made, where = _made(agent, world, settings)
    probe = _Probe(made, where)
    probe.check_names()
    probe.check_act("act")
    if isinstance(made, Agent):
        probe.check_settings()
        probe.check_act("explore")
        probe.check_predict()
        probe.check_learning()
    return where


def _made(
    agent: str | type[Agent] | Policy, world: World | None, settings: Any
) -> tuple[Policy, World]:
    """The policy and the world in which it is checked."""
    if isinstance(agent, str):
        entry = find_entry(agent)
        if entry.agent is None:
            where = make_world(entry.example) if world is None else world
            return entry.make(where), where
        agent = find_agent(agent)
        if world is None and entry.needs:
            world = make_world(entry.example)
    if not isinstance(agent, type):
        if world is None and not isinstance(agent, Agent):
            raise UsageError("a policy that is made already is checked in its own world: give it")
        return agent, agent.world if world is None and isinstance(agent, Agent) else world  # type: ignore[return-value]
    if not issubclass(agent, Agent):
        raise UsageError(f"{agent.__name__} is no learner: derive it from slategym.agents.Agent")
    refused = ""
    for where in [world] if world is not None else _small_worlds():
        try:
            agent.check_world(where)
        except UsageError as error:
            refused = str(error)
            continue
        return _attempt(agent.__name__, "the constructor", agent, where, settings), where
    if world is not None:
        raise UsageError(refused)
    raise UsageError(f"give a world in which to check {agent.__name__}: {refused}")


def _small_worlds() -> list[World]:
    return [make_world(id, **settings) for id, settings in SMALL_WORLDS]


@dataclass(frozen=True)
class _Seen:
    """B users after some slates, as a policy meets them."""

    session: Session
    observation: Observation
    luck: Luck


class _Probe:
    """One check run: a policy, its name for the messages, and users to show it."""

    def __init__(self, policy: Policy, world: World):
        self.policy, self.world, self.name = policy, world, type(policy).__name__

    @cached_property
    def seen(self) -> _Seen:
        world = self.world
        user_B = torch.arange(B, dtype=torch.int32, device=world.device)
        session = engine.start(world, user_B, user_B % world.population.size, 0 * user_B)
        policy = Random(world.num_candidates, world.slate_size)
        for _ in range(min(SLATES_BEFORE, world.horizon - 1)):
            luck = Luck.at(session.key, session.step)
            slate_BK = policy.act(engine.observe(world, session), luck).slate
            session, _ = engine.transition(world, session, slate_BK)
        observation = engine.observe(world, session)
        if self.policy.privileged:
            observation = replace(observation, hidden=session)
        return _Seen(session, observation, Luck.at(session.key, session.step))

    def check_names(self) -> None:
        name, privileged = (getattr(self.policy, x, None) for x in ("name", "privileged"))
        if not isinstance(name, str) or not name:
            self.fail("name", f"must be its name in tables, a string; got {name!r}")
        if not isinstance(privileged, bool):
            self.fail("privileged", "must say whether it is told the users' hidden state: a bool")
        if not callable(getattr(self.policy, "act", None)):
            self.fail("act", "is missing: it chooses the slates")

    def check_settings(self) -> None:
        agent = self.policy
        assert isinstance(agent, Agent)
        settings = agent.default_settings()
        rules = getattr(type(settings), "__dataclass_params__", None)
        if rules is None or not rules.frozen:
            self.fail(
                "default_settings", "must return a dataclass(frozen=True): it names a training"
            )
        if "num_steps" not in [field.name for field in fields(settings)]:
            self.fail("default_settings", "must have num_steps, the slates of a whole training")

    def check_act(self, what: str) -> None:
        """The slates of B users: their form, and what they depend on."""
        act: Callable[[Observation, Luck], Action] = getattr(self.policy, what)
        seen, generators = self.seen, _generators()
        before = map_tensors(torch.clone, seen.observation)
        action = self.attempt(what, act, seen.observation, seen.luck)
        self.check_action(what, action)
        if generators != _generators():
            self.fail(
                what,
                "advanced a global random generator. torch.rand, numpy.random or random inside? "
                "Draw from luck instead: luck.uniform(purpose, n)",
            )
        if not _same(before, seen.observation):
            self.fail(what, "changed the observation. An operation ending in _, or x[i] =?")
        again = self.attempt(what, act, seen.observation, seen.luck)
        if not torch.equal(action.slate, again.slate):
            self.fail(what, "gave two slates for the same request. Something kept in self?")
        row = slice(ALONE, ALONE + 1)
        alone = self.attempt(
            what, act, _users(seen.observation, row), _users(seen.luck, row), note=" for one user"
        )
        if not torch.equal(alone.slate, action.slate[row]):
            self.fail(
                what,
                f"shows user {ALONE} {action.slate[ALONE].tolist()} in company and "
                f"{alone.slate[0].tolist()} alone. A mean, a sort or a draw over the users' axis?",
            )

    def check_action(self, what: str, action: Any) -> None:
        """One action's type, shape and positions."""
        K, C = self.world.slate_size, self.world.num_candidates
        if not isinstance(action, Action):
            self.fail(what, f"must return an Action(slate, logp), got {type(action).__name__}")
        slate_BK = action.slate
        if not isinstance(slate_BK, Tensor) or slate_BK.shape != (B, K):
            self.fail(
                what,
                f"must return slates of shape (users, slots) = {(B, K)}, got "
                f"{tuple(getattr(slate_BK, 'shape', ()))}",
            )
        if slate_BK.dtype != torch.int32:
            self.fail(what, f"must return int32 positions, got {slate_BK.dtype}: slate.int()")
        if slate_BK.device != self.world.device:
            self.fail(
                what, f"made slates on {slate_BK.device}, the world is on {self.world.device}"
            )
        if bool(((slate_BK < 0) | (slate_BK >= C)).any()):
            self.fail(
                what,
                f"returned {int(slate_BK.min())} to {int(slate_BK.max())}; a position counts the "
                f"candidates of the request, from 0 to {C - 1}. An item id where the world offers "
                "candidates?",
            )
        distinct_B = _distinct(slate_BK)
        repeats = isinstance(self.policy, Agent) and self.policy.repeats
        if what == "act" and not repeats and not bool(distinct_B.all()):
            b = int((~distinct_B).int().argmax())
            self.fail(
                what,
                f"shows an item twice to user {b}: {slate_BK[b].tolist()}; the second slot would "
                "stay empty. top_slate(score, slots) chooses without replacement",
            )
        allowed_BC = self.seen.observation.allowed
        if allowed_BC is not None and bool((allowed_BC.sum(1) >= K).all()):
            fine_BK = allowed_BC.gather(1, slate_BK.long())
            if not bool(fine_BK.all()):
                b = int((~fine_BK.all(1)).int().argmax())
                self.fail(
                    what,
                    f"shows user {b} what may not be shown: {slate_BK[b][~fine_BK[b]].tolist()}. "
                    "observation.allowed is the mask: allowed_only(score, observation.allowed)",
                )
        logp_B = action.logp
        if logp_B is None:
            return
        if not isinstance(logp_B, Tensor) or logp_B.shape != (B,):
            self.fail(what, "must give one log-probability per slate, (users,), or None")
        if not bool((logp_B.isfinite() & (logp_B <= 1e-4)).all()):
            self.fail(what, f"gave log-probabilities {logp_B.tolist()}; they are finite and <= 0")
        self.check_slots(what, action)

    def check_slots(self, what: str, action: Action) -> None:
        """Log-probabilities of slots, where a policy has them: they belong to the slate's."""
        K = self.world.slate_size
        for name in ("slot_logp", "position_logp"):
            logp_BK = getattr(action, name)
            if logp_BK is None:
                continue
            if not isinstance(logp_BK, Tensor) or logp_BK.shape != (B, K):
                self.fail(what, f"must give {name} of every slot, (users, slots) = {(B, K)}")
            if not bool((logp_BK.isfinite() & (logp_BK <= 1e-4)).all()):
                self.fail(what, f"gave {name} {logp_BK.tolist()}; they are finite and <= 0")
        if action.slot_logp is not None:
            total_B = action.slot_logp.double().sum(1)
            if action.logp is None or bool(((total_B - action.logp).abs() > 1e-3).any()):
                self.fail(
                    what,
                    "gave slot_logp that do not sum to logp. They are of each slot's choice given "
                    "the slots before it; what a slot is shown with whatever the others hold is "
                    "position_logp",
                )

    def check_predict(self) -> None:
        """The same slates from arrays, as the environments show them."""
        agent, seen = self.policy, self.seen
        assert isinstance(agent, Agent)
        shown = {name: x.cpu().numpy() for name, x in show(self.world, seen.observation).items()}
        many = self.attempt("predict", agent.predict, shown, luck=seen.luck)
        one = self.attempt(
            "predict",
            agent.predict,
            {name: x[ALONE] for name, x in shown.items()},
            luck=_users(seen.luck, slice(ALONE, ALONE + 1)),
        )
        expected_BK = agent.act(seen.observation, seen.luck).slate.cpu().numpy()
        if not np.array_equal(many, expected_BK) or not np.array_equal(one, expected_BK[ALONE]):
            self.fail(
                "predict",
                "serves other slates from arrays than `act` does from the observation. Does `act` "
                "read what no observation shows, observation.hidden?",
            )

    def check_learning(self) -> None:
        """A few cycles; the same broken off and resumed; a folder that serves the same."""
        agent = self.policy
        assert isinstance(agent, Agent)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            generators = _generators()
            whole = self._learned(folder / "whole", CYCLES)
            if generators != _generators():
                self.fail(
                    "learn", "advanced a global random generator: two trainings are not the same"
                )
            self._learned(folder / "broken", 1)
            broken = self._learned(folder / "broken", CYCLES - 1)
            ours, theirs = whole.state_dict(), broken.state_dict()
            if ours.keys() != theirs.keys():
                self.fail(
                    "state", f"names other tensors after a resume: {ours.keys() ^ theirs.keys()}"
                )
            moved = [name for name, x in ours.items() if not torch.equal(x, theirs[name])]
            if moved:
                self.fail(
                    "state",
                    f"broken off after one cycle and resumed, a training differs in {moved[0]}. "
                    "Something that decides what is learned is not in `state`, or `restore` does "
                    "not take it over",
                )
            again = self.attempt("load", type(agent).load, folder / "whole", self.world)
        seen = self.seen
        ours_BK, theirs_BK = (x.act(seen.observation, seen.luck).slate for x in (whole, again))
        if not torch.equal(ours_BK, theirs_BK):
            self.fail(
                "load",
                "serves other slates than what was saved. `weights` lacks something that `act` "
                "reads, or `load_weights` does not take it over",
            )

    def _learned(self, folder: Path, cycles: int) -> Agent:
        """A new agent of this kind after so many cycles more."""
        agent = self.policy
        assert isinstance(agent, Agent)
        told: list[dict[str, float]] = []
        pupil = type(agent)(self.world, agent.settings, seeds=agent.seeds)

        def count(now: Any) -> bool:
            told.append(dict(now.figures))
            return len(told) < cycles

        self.attempt("learn", pupil.learn, self.world, callback=count, folder=folder)
        for figures in told:
            for tag, value in figures.items():
                if not isinstance(value, int | float) or not math.isfinite(value):
                    self.fail("cycle", f"told of {tag} = {value!r}; figures are finite numbers")
        for name, x in leaves(pupil.state()).items():
            if x.is_floating_point() and not bool(x.isfinite().all()):
                self.fail("cycle", f"left NaN or infinity in {name}. Has the learner diverged?")
        return pupil

    def attempt(
        self, what: str, method: Callable[..., T], *arguments: Any, note: str = "", **named: Any
    ) -> T:
        """The result; a crash is said with the line where it happened."""
        return _attempt(self.name, f"{what}{note}", method, *arguments, **named)

    def fail(self, what: str, why: str) -> Any:
        """Say which method does what wrong.

        Raises:
            ContractError: always.
        """
        raise ContractError(f"{self.name}.{what} {why}")


def _attempt(name: str, what: str, method: Callable[..., T], *arguments: Any, **named: Any) -> T:
    try:
        return method(*arguments, **named)
    except UsageError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}:{last.lineno}"
        raise ContractError(
            f"{name}: {what} failed at {place}: {type(error).__name__}: {error}"
        ) from error


def _distinct(slate_BK: Tensor) -> Tensor:
    """Whether a slate holds no position twice, (B,) bool."""
    ordered_BK = slate_BK.sort(1).values
    return (ordered_BK[:, 1:] != ordered_BK[:, :-1]).all(1)


def _users(thing: T, row: slice) -> T:
    """Those users alone."""
    return map_tensors(lambda x: x[row], thing)


def _generators() -> tuple[bytes, str, str]:
    """Where the process's random generators stand."""
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002
    return torch.get_rng_state().numpy().tobytes(), repr(numpy_state), repr(random.getstate())


def _same(a: Any, b: Any) -> bool:
    ours, theirs = leaves(a), leaves(b)
    return ours.keys() == theirs.keys() and all(torch.equal(x, theirs[n]) for n, x in ours.items())
