"""Settings of a policy, chosen on people of its own: an opponent deserves that, too.

A learner is shown hundreds of thousands of slates before it is compared; a ranker whose weights are
guessed would lose for want of the same. So named settings meet the same people with the same luck,
with as many slates in all as a learner has, and the best is kept. The people are the world's
selection people (`World.selection`), whom no comparison meets; where a world has none, nothing is
tuned and the first of the settings stands.

Few sessions tell the worst settings from the best, and many are needed to tell the best apart:
hence successive halving. Every round reads those that are left on further people, and the better
half goes on.

Source: Karnin, Koren and Somekh 2013, Almost Optimal Exploration in Multi-Armed Bandits; Jamieson
and Talwalkar 2016, arXiv:1502.07943.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import wraps
from hashlib import sha256
from typing import Any, ClassVar, Concatenate, NamedTuple, ParamSpec, TypeVar
from weakref import ref

import torch
from torch import Tensor

from slategym.agents.core.reporting import bar
from slategym.agents.types import Action, Policy
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.trees import at_rows
from slategym.envs.types import Observation, Outcome, Session, World
from slategym.models.console import plain_console
from slategym.models.files import kept

Setting = Mapping[str, Any]  # JSON values by name
Tell = Callable[[int], None]  # of slates so far
P = ParamSpec("P")
R = TypeVar("R")

SLATES = 307_200  # shown in all while a policy is tuned, at most: what `plackett-luce` learns from
LUCK = 1_002  # seed of what happens to them; no training seed is as high
KEPT = 2  # one of so many settings goes on to the next round
BATCH = 512  # sessions side by side; changes no result
KNOWN_BY = (64, 8)  # users and slates by which a world is told from others
STAY = 5  # of these slates, on a topic
SHOWN_AT = (0, 3, 7)  # of these slates, before which policies are told apart
FORMAT = 1  # of the search: a change of its rules is a new one


@dataclass(frozen=True)
class Budget:
    """What a tuning may spend, and who is told how far it is."""

    slates: int | None = None  # shown in all, at most; None: SLATES
    tell: Tell | None = None  # None: a bar, where standard error is a terminal

    def share(self, share: float) -> Budget:
        """A part of it."""
        return replace(self, slates=int(share * self.total))

    @property
    def total(self) -> int:
        """Slates, as a number."""
        return SLATES if self.slates is None else self.slates


WHOLE = Budget()
NOBODY = "not tuned, there are no selection people"


@dataclass(frozen=True)
class Tried:
    """One setting, and what it earned before selection people."""

    setting: Setting
    sessions: int  # read
    mean: float  # return a session


@dataclass(frozen=True)
class Tuning:
    """What was tried, and what was taken."""

    name: str  # of what was tuned
    chosen: Setting
    tried: tuple[Tried, ...] = ()  # in the order given; (): there was nobody to tune on
    slates: int = 0  # budget, of all settings together
    where: str = ""  # world whose selection people they met
    note: str = ""  # what else there is to know of the settings, for people
    untried: str = NOBODY  # why nothing was tried, if so

    @property
    def best_mean(self) -> float:
        """Return a session of the chosen setting, on selection people."""
        return next((t.mean for t in self.tried if t.setting == self.chosen), math.nan)

    def __str__(self) -> str:
        note = f" ({self.note})" if self.note else ""
        if not self.tried:
            return f"{self.name}: {self.untried}; {said(self.chosen)}{note}"
        return (
            f"{self.name}: {said(self.chosen)}, the best of {len(self.tried)} settings on the "
            f"selection people of {self.where}, {self.slates:,} slates{note}"
        )


@dataclass(frozen=True)
class Tuned:
    """A policy whose settings were tuned, and what was tried."""

    name: str
    inner: Policy
    steps: tuple[Tuning, ...]  # in the order in which they were made
    privileged: ClassVar[bool] = False

    @property
    def tuning(self) -> Tuning:
        """The last step, its own."""
        return self.steps[-1]

    def act(self, observation: Observation, luck: Luck) -> Action:
        """As the best of those tried."""
        return self.inner.act(observation, luck)


def said(setting: Setting) -> str:
    """A setting in words.

    >>> said({"heads": {"click": 0.15, "like": 0.0}, "cap": None})
    'click 0.15, like 0, cap none'
    """
    parts = []
    for name, value in setting.items():
        if isinstance(value, Mapping):
            parts.append(said(value))
        elif isinstance(value, int | float):
            parts.append(f"{name} {value:.3g}")
        else:
            parts.append(f"{name} {'none' if value is None else value}")
    return ", ".join(parts)


def at_edge(what: str, value: float, tried: Sequence[float], ends: Sequence[float] = ()) -> str:
    """That a better value may lie beyond those tried; empty where none may.

    Args:
        what: is of this value, in words.
        value: that was taken.
        tried: values, in any order.
        ends: of them those beyond which nothing makes sense.

    >>> at_edge("weight of click", 4.0, (0.5, 1.0, 2.0, 4.0))
    'weight of click at the edge: 4 is the highest tried'
    >>> at_edge("cap", 1.0, (1.0, 2.0), ends=(1.0,))
    ''
    """
    if value in ends or len(tried) < 2 or min(tried) < value < max(tried):
        return ""
    side = "highest" if value >= max(tried) else "lowest"
    return f"{what} at the edge: {value:.3g} is the {side} tried"


def noted(*notes: str) -> str:
    """Those that say something, one after the other."""
    return "; ".join(note for note in notes if note)


def once_per_world(
    find: Callable[Concatenate[World, P], R],
) -> Callable[Concatenate[World, P], R]:
    """Ask no more than once while a world lives: what follows from it costs a second.

    Args:
        find: of a world, names, and budgets, of which the number of slates decides.
    """
    memory: dict[tuple[Any, ...], tuple[ref[World], R]] = {}

    @wraps(find)
    def answer(world: World, /, *args: P.args, **named: P.kwargs) -> R:
        given = (*args, *(named[name] for name in sorted(named)))
        told = tuple(x.total if isinstance(x, Budget) else x for x in given)
        key = (id(world), told, tuple(sorted(named)))
        if key in memory and memory[key][0]() is world:
            return memory[key][1]
        found = find(world, *args, **named)
        memory[key] = ref(world, lambda _: memory.pop(key, None)), found
        return found

    return answer


def tune(
    world: World,
    name: str,
    settings: Callable[[World], Sequence[Setting]] | Sequence[Setting],
    make: Callable[[World, Setting], Policy],
    budget: Budget = WHOLE,
) -> Tuning:
    """The setting that serves selection people best; found once, and kept for worlds like this.

    Args:
        world: where the policy is to act. What is in `World.chosen` under the name is taken over.
        name: of what is tuned.
        settings: to try, or how they follow from the world of the selection people; different ones.
            Of equally good ones the first is taken.
        make: the policy of a setting for a world. It must not be privileged.
        budget: slates shown in all, at most, and who is told of them.
    """
    slates = budget.total
    if name in world.chosen:
        return Tuning(name, world.chosen[name], untried="tuned elsewhere")
    where = None if world.selection is None else world.selection()
    tries = list(settings(where or world)) if callable(settings) else list(settings)
    if where is None:
        return Tuning(name, tries[0])
    if len(tries) == 1:
        return Tuning(name, tries[0], untried="not tuned, there is one setting")

    def compute() -> dict[str, Any]:
        policies = [make(where, setting) for setting in tries]
        with _telling(name, budget) as tell:
            tried = halve(where, policies, slates, tell)
        rows = [asdict(Tried(s, *found)) for s, found in zip(tries, tried, strict=True)]
        return {"world": where.name, "name": name, "slates": slates, "tried": rows}

    decides = [name, where.name, tries, slates, where.horizon, where.population.size, LUCK, FORMAT]
    decides += [shown_in(where, make(where, tries[0]))]
    rows = kept(f"constants/tuned-{name}", decides, compute)["tried"]
    tried = tuple(Tried(s, r["sessions"], r["mean"]) for s, r in zip(tries, rows, strict=True))
    return Tuning(name, best(tried).setting, tried, slates, where.name)


def best(tried: Sequence[Tried]) -> Tried:
    """The best of those that were read on most people; of equals, the first."""
    most = max(t.sessions for t in tried)
    return max((t for t in tried if t.sessions == most), key=lambda t: t.mean)


@contextmanager
def _telling(name: str, budget: Budget) -> Iterator[Tell]:
    """Who is told, or a bar on standard error, where that is a terminal."""
    if budget.tell is not None:
        yield budget.tell
        return
    began, slates = time.monotonic(), budget.total
    with bar(f"tuning {name}", slates, plain_console(stderr=True).is_terminal) as show:
        yield lambda spent: show(spent, {"time/fps": spent / (time.monotonic() - began + 1e-9)})


def halve(
    world: World, policies: Sequence[Policy], slates: int, tell: Tell | None = None
) -> list[tuple[int, float]]:
    """Sessions and mean return of each policy: the better it is, the more people it meets.

    All that are read in a round meet the same people with the same luck, those of earlier rounds
    among them. Every round may take as many slates as every other.

    Args:
        world: where.
        policies: to read.
        slates: shown in all, at most: one session of each is read in any case.
        tell: told of the slates shown so far.
    """
    left, read = list(range(len(policies))), [0] * len(policies)
    total = [0.0] * len(policies)
    rounds = max(1, math.ceil(math.log(len(policies), KEPT) - 1e-9))
    spent, length = 0, float(world.horizon)  # slates a session, first at most, then on average
    for turn in range(rounds):
        begin = read[left[0]]
        more = int((slates - spent) / ((rounds - turn) * len(left) * length))
        earned, shown = _earned(world, [policies[p] for p in left], begin, begin + max(1, more))
        for p, sum_of_returns in zip(left, earned, strict=True):
            total[p], read[p] = total[p] + sum_of_returns, begin + max(1, more)
        spent, length = spent + shown, shown / (max(1, more) * len(left))
        if tell is not None:
            tell(spent)
        ordered = sorted(left, key=lambda p: (-total[p], p))
        left = sorted(ordered[: math.ceil(len(left) / KEPT)])
    return [(n, t / n) for n, t in zip(read, total, strict=True)]


@torch.no_grad()
def _earned(
    world: World, policies: Sequence[Policy], begin: int, end: int
) -> tuple[list[float], int]:
    """Sum of expected returns of each policy over sessions begin to end; slates shown in all.

    Session s is that of a person drawn from the table; when all have been met, they come again with
    other luck.
    """
    size = world.population.size
    order_U = torch.randperm(size, generator=torch.Generator().manual_seed(LUCK))
    sums, shown = [0.0] * len(policies), 0
    width = max(1, BATCH // (end - begin))  # policies side by side
    for first in range(0, len(policies), width):
        group = policies[first : first + width]
        for at in range(begin, end, BATCH):
            session_x = torch.arange(at, min(at + BATCH, end))
            user_x = order_U[session_x % size].int().to(world.device)
            luck_x = (LUCK + session_x // size).int().to(world.device)
            found, slates = _returns(world, group, user_x, luck_x)
            shown += slates
            for offset, value in enumerate(found):
                sums[first + offset] += value
    return sums, shown


def _returns(
    world: World, policies: Sequence[Policy], user_x: Tensor, luck_x: Tensor
) -> tuple[list[float], int]:
    """Sum of expected returns of each policy over these sessions, side by side; slates shown."""
    P, number, shown = len(policies), len(user_x), 0
    user_B, luck_B = user_x.repeat(P), luck_x.repeat(P)
    session = engine.start(world, luck_B, user_B, torch.zeros_like(user_B))
    whose_B = torch.arange(P, device=world.device).repeat_interleave(number)
    return_P = torch.zeros(P, dtype=torch.float64, device=world.device)
    while len(whose_B):
        slate_BK = _slates(world, policies, session, whose_B)
        session, outcome = engine.transition(world, session, slate_BK)
        return_P.index_add_(0, whose_B, outcome.expected_reward.double())
        shown += len(whose_B)
        going_B = ~(outcome.left | outcome.cut)
        if not going_B.all():
            session = at_rows(session, going_B.nonzero()[:, 0])
            whose_B = whose_B[going_B]
    return [float(x) for x in return_P], shown


def _slates(world: World, policies: Sequence[Policy], session: Session, whose_B: Tensor) -> Tensor:
    """Each row's slate as its policy has it, (B, K)."""
    observation, now = engine.observe(world, session), Luck.at(session.key, session.step)
    if len(policies) == 1:
        return policies[0].act(observation, now).slate
    slate_BK = torch.zeros(len(whose_B), world.slate_size, dtype=torch.int32, device=world.device)
    for p, policy in enumerate(policies):
        row_b = torch.nonzero(whose_B == p)[:, 0]
        if len(row_b):
            seen, luck = at_rows((observation, now), row_b)
            slate_BK[row_b] = policy.act(seen, luck).slate
    return slate_BK


@torch.no_grad()
def shown_in(world: World, policy: Policy) -> str:
    """Hash of a world, and of what the policy shows in it: tells both from others."""
    known = _probe(world)
    digest = sha256(known.digest)
    for observation, now in known.seen:
        digest.update(policy.act(observation, now).slate.cpu().numpy().tobytes())
    return digest.hexdigest()


class _Probe(NamedTuple):
    """What a world does when slates are shown that no policy chose."""

    digest: bytes  # of slates, and of what came of them
    seen: tuple[tuple[Observation, Luck], ...]  # before some of them


@once_per_world
def _probe(world: World) -> _Probe:
    """Sessions of a few people whose slates keep to a topic: what bores or tires shows in them."""
    number = min(KNOWN_BY[0], world.population.size)
    user_B = torch.arange(number, dtype=torch.int32, device=world.device)
    session = engine.start(world, torch.full_like(user_B, LUCK), user_B, torch.zeros_like(user_B))
    digest, seen = sha256(), list[tuple[Observation, Luck]]()
    for step in range(KNOWN_BY[1]):
        observation, now = engine.observe(world, session), Luck.at(session.key, session.step)
        if step in SHOWN_AT:
            seen.append((observation, now))
        slate_BK = _of_a_topic(world, observation, step)
        session, outcome = engine.transition(world, session, slate_BK)
        for x in (slate_BK, _rounded(outcome), outcome.left):
            digest.update(x.cpu().numpy().tobytes())
    return _Probe(digest.digest(), tuple(seen))


def _of_a_topic(world: World, observation: Observation, step: int) -> Tensor:
    """The most popular items of a topic that may be shown, a while each, (B, K) positions."""
    catalogue, B = world.catalogue, observation.step.shape[0]
    liked_N = catalogue.quality if catalogue.popularity is None else catalogue.popularity
    place_N = liked_N.argsort(stable=True).argsort() / (len(liked_N) + 1)  # in [0, 1)
    user_B1 = torch.arange(B, device=world.device)[:, None]
    own_BN = catalogue.topic == (user_B1 + step // STAY) % catalogue.num_topics
    score_BC = own_BN + place_N
    if observation.candidates is not None:
        score_BC = score_BC.gather(1, observation.candidates.long())
    if observation.allowed is not None:
        score_BC = score_BC.masked_fill(~observation.allowed, -1.0)
    return score_BC.topk(world.slate_size, dim=1).indices.int()


def _rounded(outcome: Outcome) -> Tensor:
    """Expected rewards without the last digits, in which devices differ, (B,)."""
    return (outcome.expected_reward * 1e3).round()
