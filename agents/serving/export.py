"""A policy as a program of its own: observations in, slates out, nothing but torch needed.

What is exported is exactly `policy.act(read(world, shown))`, recorded by torch.jit.trace. A
recording knows nothing of branches that depend on numbers, nor of batch sizes turned into numbers
of Python's; so it is checked against the policy, at other batch sizes, before it is written.

Where the policy reads the state embedding of the world's observer, the observer comes along: the
program takes the user's raw events in its place (`agents/serving/events.py`). What they took is
masked from these as well; a second method, `masked`, takes a mask of the caller's own besides.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.jit import TracerWarning  # type: ignore[attr-defined]

from slategym.agents.core.agent import Agent
from slategym.agents.serving.events import (
    EVENTS,
    MASK,
    Events,
    encoder_of,
    masks,
    observed,
    replaced,
    request,
)
from slategym.agents.types import Policy
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.observation import read, show
from slategym.envs.types import World
from slategym.models.files import atomic_path

RECORDED = 3  # batch size of the recording; the checks use others
CHECKED = 100  # observations
KNOWN = ("slategym", "stable_baselines3")  # whose objects are searched for weights
USERS, LEAP = 20, 3  # users side by side in a check, slates between two checks


class Recorded(Protocol):
    """A program of some format, and whether it takes a mask of its caller's own besides."""

    @property
    def masked(self) -> bool: ...  # noqa: D102

    def slate(self, shown: Mapping[str, Tensor]) -> Tensor: ...  # noqa: D102


@dataclass(frozen=True)
class Exported:
    """A recorded policy and what it takes."""

    program: torch.jit.ScriptModule
    inputs: dict[str, Tensor]  # by name, in order; an example of RECORDED users

    @property
    def masked(self) -> bool:
        """Whether a second method takes a mask of the caller's own besides."""
        return hasattr(self.program, "masked")

    def slate(self, shown: Mapping[str, Tensor]) -> Tensor:
        """(B, K) int32 positions.

        Args:
            shown: the inputs by name; where the program has a method `masked`, a mask as well.
        """
        given = [shown[name] for name in self.inputs]
        masked = MASK in shown and MASK not in self.inputs
        slate_BK: Tensor = (
            self.program.masked(*given, shown[MASK]) if masked else self.program(*given)
        )
        return slate_BK

    def write(self, path: str | Path) -> None:
        """As a file that `torch.jit.load` reads, whole or not at all."""
        with atomic_path(Path(path)) as temporary, _without_complaints():
            self.program.save(str(temporary))


def export(policy: Policy, world: World | None = None) -> Exported:
    """Record how a policy serves, and check the recording.

    Args:
        policy: a learner, trained or not; or a policy that needs no training.
        world: that decides all sizes; None: the learner's own.

    Raises:
        UsageError: it draws its slates, it is told what no service knows, or the recording does not
            always serve what it serves.
    """
    where, example = prepared(policy, world)
    serving, given = Serving(policy, where, tuple(example)), tuple(example.values())
    recorded = {"forward": given}
    if EVENTS[0] in example and masks(where):
        recorded["masked"] = (*given, _any_mask(where, example))
    try:
        with torch.no_grad(), _without_complaints():
            program = torch.jit.trace_module(  # type: ignore[no-untyped-call]
                serving, recorded, check_trace=False
            )
    except RuntimeError as error:
        raise UsageError(
            f"{policy.name} cannot be recorded: {str(error).strip().splitlines()[0]}"
        ) from error
    exported = Exported(program, example)
    check(policy, exported, where)
    return exported


def prepared(policy: Policy, world: World | None) -> tuple[World, dict[str, Tensor]]:
    """The world, and an example of what RECORDED users show; weights ask for no gradients.

    Raises:
        UsageError: the policy draws its slates, or is told what no service knows.
    """
    where = _world_of(policy, world)
    if policy.privileged:
        raise UsageError(
            f"{policy.name} is told what no real system knows, so there is nothing to export"
        )
    _freeze(policy)
    example = next(_sessions(policy, where, RECORDED))
    _refuse_draws(policy, where, example)
    return where, example


def _world_of(policy: Policy, world: World | None) -> World:
    if world is None and not isinstance(policy, Agent):
        raise UsageError(f"{policy.name} is no learner with a world of its own: say which world")
    return policy.world if world is None else world  # type: ignore[attr-defined]


@torch.no_grad()
def check(policy: Policy, exported: Recorded, world: World | None = None) -> int:
    """Compare slates on observations that the policy's own slates lead to.

    Returns:
        how many observations were compared.

    Raises:
        UsageError: the exported program shows another slate.
    """
    compared, where = 0, _world_of(policy, world)
    for shown in _observations(policy, where):
        ours = _act(policy, where, shown)
        sizes = (len(ours), 1, 7) if compared == 0 else (len(ours),)
        for size in sizes:
            few = {name: x[:size] for name, x in shown.items()}
            try:
                theirs = exported.slate(few)
            except RuntimeError as error:
                reason = str(error).strip().splitlines()[-1]
                raise UsageError(
                    f"{policy.name} cannot be exported: recorded for {RECORDED} users, it fails "
                    f"for {size} ({reason})"
                ) from error
            if theirs.shape != ours[:size].shape or not torch.equal(theirs, ours[:size]):
                raise UsageError(
                    f"{policy.name} cannot be exported: for {size} users at slate "
                    f"{int(shown['step'][0, 0])} the recording serves other slates than the policy"
                )
        compared += len(ours)
        if exported.masked:
            given = {**shown, MASK: _any_mask(where, shown)}
            if not torch.equal(exported.slate(given), _act(policy, where, given)):
                raise UsageError(
                    f"{policy.name} cannot be exported: with a mask of its caller's the recording "
                    "serves other slates than the policy"
                )
    return compared


def _any_mask(world: World, shown: Mapping[str, Tensor]) -> Tensor:
    """A mask of a caller's own: every fifth item may not be shown, (B, N) int8."""
    item_N = torch.arange(world.catalogue.num_items, device=world.device)
    return (item_N % 5 > 0).to(torch.int8).expand(len(shown["step"]), -1).contiguous()


def _freeze(policy: Policy) -> None:
    """No weight of the policy's asks for gradients any more: a recording holds constants.

    Tensors are searched in its attributes, and in those of objects from its own package.
    """
    known = {*KNOWN, type(policy).__module__.partition(".")[0]}
    met: set[int] = set()
    left: list[Any] = [policy]
    while left:
        thing = left.pop()
        if id(thing) in met:
            continue
        met.add(id(thing))
        if isinstance(thing, Tensor):
            if thing.is_leaf:
                thing.requires_grad_(False)
        elif isinstance(thing, nn.Module):
            thing.requires_grad_(False)
        elif isinstance(thing, Mapping):
            left += thing.values()
        elif isinstance(thing, tuple | list):
            left += thing
        elif type(thing).__module__.partition(".")[0] in known and hasattr(thing, "__dict__"):
            left += vars(thing).values()


class Serving(nn.Module):
    """Observations as tensors in a fixed order; slates."""

    def __init__(self, policy: Policy, world: World, names: tuple[str, ...]) -> None:
        super().__init__()
        self._policy, self._world, self._names = policy, world, names

    def forward(self, *shown: Tensor) -> Tensor:
        """(B, K) int32."""
        slate_BK = _act(self._policy, self._world, dict(zip(self._names, shown, strict=True)))
        return slate_BK.int().contiguous()

    def masked(self, *shown: Tensor) -> Tensor:
        """The same with a mask behind the rest: (B, N) int8, 1 where an item may be shown."""
        names = (*self._names, MASK)
        slate_BK = _act(self._policy, self._world, dict(zip(names, shown, strict=True)))
        return slate_BK.int().contiguous()


def _act(policy: Policy, world: World, shown: Mapping[str, Tensor], stream: int = 0) -> Tensor:
    by_events = EVENTS[0] in shown
    observation = request(world, shown) if by_events else read(world, shown)
    return policy.act(observation, Luck(torch.zeros_like(observation.step) + stream)).slate


def _observations(policy: Policy, world: World) -> Iterator[dict[str, Tensor]]:
    """CHECKED in all, USERS at a time, LEAP slates apart."""
    sessions = _sessions(policy, world, USERS)
    for _ in range(CHECKED // USERS):
        yield next(sessions)
        for _ in range(LEAP - 1):
            next(sessions)


def _sessions(policy: Policy, world: World, num_users: int) -> Iterator[dict[str, Tensor]]:
    """What these users show before every slate of a session, then the next users, without end.

    Raises:
        UsageError: raw events do not lead to the state that the world's observer has.
    """
    first = 0
    encoder = encoder_of(world)
    while True:
        user_B = torch.arange(first, first + num_users, dtype=torch.int32, device=world.device)
        zero_B, size = torch.zeros_like(user_B), world.population.size
        session = engine.start(world, zero_B, user_B % size, user_B // size)
        events = None if encoder is None else Events.of(world, session)
        for _ in range(world.horizon):
            observation = engine.observe(world, session)
            seen = show(world, observation)
            if events is not None:
                seen = _by_events(world, seen, events)
            yield seen
            slate_BK = policy.act(observation, Luck(zero_B)).slate  # by events it would be reread
            items, _ = engine.pick(world, session, slate_BK)
            session, outcome = engine.transition(world, session, slate_BK)
            if events is not None and encoder is not None:
                events = events.after(items.id, outcome, encoder.seconds)
        first += num_users


def _by_events(world: World, seen: dict[str, Tensor], events: Events) -> dict[str, Tensor]:
    """The same request by raw events, which must lead to the same observation."""
    rest = {name: x for name, x in seen.items() if name not in replaced(world)}
    given = events.shown() | rest
    found = observed(world, given)
    for name in seen:
        ours, theirs = seen[name].float(), found[name].float()
        if not torch.allclose(theirs, ours, rtol=1e-3, atol=1e-3, equal_nan=True):
            raise UsageError(
                f"{world.name}: {name} from the raw events is not what the session holds; does the "
                "world's observer read more than its events?"
            )
    return given


@torch.no_grad()
def _refuse_draws(policy: Policy, world: World, shown: Mapping[str, Tensor]) -> None:
    slates = [_act(policy, world, shown, stream) for stream in range(4)]
    if not all(torch.equal(slate, slates[0]) for slate in slates):
        raise UsageError(
            f"{policy.name} draws its slates when it serves, and a program without the environment "
            "has no luck to draw from; export a learner that serves one best slate"
        )


@contextmanager
def _without_complaints() -> Iterator[None]:
    """TorchScript is announced as outdated, and the tracer warns of what `check` then tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", TracerWarning)
        yield
