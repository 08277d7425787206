"""What could looking ahead be worth here? Asked before any learner is trained, of the truth itself.

Greedy told the truth shows the best slate of the moment. The planner told the truth plays slates
out in the true world and knows no more. What the planner earns above greedy is the headroom: where
it is nothing, no learner can win by planning, and whatever it wins is something else.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from slategym.agents.core.earned import earned
from slategym.agents.references.myopic import Myopic
from slategym.agents.references.planner import Planner, Rule, best_rule
from slategym.agents.registry import make_policy
from slategym.agents.types import Policy
from slategym.envs.names import UsageError
from slategym.envs.types import World
from slategym.experiments.measure.play import people
from slategym.experiments.statistics.cells import Cell
from slategym.experiments.statistics.estimate import Estimate, side_of
from slategym.experiments.statistics.stats import mean, paired_difference
from slategym.experiments.statistics.words import share
from slategym.models.files import kept

DEPTHS = (1, 2, 4, 8, 16, 32)  # slates looked ahead, tried until nothing more is gained
FLAT = 0.005  # of the return: less than that, or an interval with zero in it, is no gain
GREEDY, RULE, PLANNER = "greedy, told", "rule, told", "planner, told"
CHUNK = 100  # users between two reports of progress
KNOWN_BY, LUCK = 16, 1_010  # users by whom a world is known, and the seed of their luck
VERSION = 2  # of what is kept

Tell = Callable[[str, int], None]  # of a policy's name and the sessions just finished


@dataclass(frozen=True)
class Depth:
    """A planner that looks so far ahead."""

    slates: int
    earned: Estimate
    gain: Estimate | None  # on the depth before, paired; None: it is the first
    seconds: float  # of CPU, all sessions


@dataclass(frozen=True)
class Headroom:
    """Who earns what, told the truth or not, and what looking ahead adds."""

    world: str
    means: Mapping[str, Estimate]  # expected return a session, by policy
    headroom: Estimate  # planner - greedy, paired
    rule: str  # what the best simple rule does, in words
    curve: tuple[Depth, ...]  # of the planner
    seconds: Mapping[str, float]  # of CPU, by policy
    num_users: int

    @property
    def share(self) -> float:
        """The headroom as a share of what greedy earns."""
        return self.headroom.value / max(abs(self.means[GREEDY].value), 1e-9)

    @property
    def flat(self) -> bool:
        """Whether the deepest look ahead gained nothing on the one before."""
        return len(self.curve) > 1 and not _gains(self.curve[-1])

    @property
    def something(self) -> bool:
        """Whether there is something to plan for: clearly more than nothing, and not a trifle."""
        return side_of(self.headroom) > 0 and self.share >= FLAT

    @property
    def sentence(self) -> str:
        """In one sentence, whether there is something to plan for."""
        found = f"{self.headroom.signed()}, {share(self.share)} of what greedy earns"
        if self.something:
            return f"There is something to plan for: told the truth, planning is worth {found}."
        return f"There is nothing to plan for: told the truth, planning is worth {found}."

    def __str__(self) -> str:
        first = self.means[GREEDY]
        width = max(map(len, self.means))
        lines = [
            f"{self.world}: expected return a session, {first.num_users} users "
            f"({first.num_people} people), [95 % interval over people]",
            *(
                f"  {name:{width}}  {found}  {self.seconds[name]:6.1f} s"
                for name, found in self.means.items()
            ),
            f"the best simple rule that is told the truth: {self.rule}",
            "the planner by how far it looks ahead, with what that gains:",
            *(
                f"  {d.slates:2d} slates  {d.earned}  "
                f"{'' if d.gain is None else d.gain.signed()}  {d.seconds:6.1f} s"
                for d in self.curve
            ),
            f"headroom, planner - greedy, paired: {self.headroom.signed()} ({share(self.share)})",
            self.sentence,
        ]
        if not self.flat:
            lines.append("The curve is not flat yet: the headroom is a lower bound.")
        return "\n".join(lines)

    def document(self) -> dict[str, Any]:
        """For programs, as JSON values."""
        return {
            "world": self.world,
            "users": self.num_users,
            "people": self.headroom.num_people,
            "returns": {name: _numbers(found) for name, found in self.means.items()},
            "seconds": dict(self.seconds),
            "rule": self.rule,
            "depths": [
                {
                    "slates": d.slates,
                    **_numbers(d.earned),
                    "gain": None if d.gain is None else _numbers(d.gain),
                    "seconds": d.seconds,
                }
                for d in self.curve
            ],
            "flat": self.flat,
            "headroom": {**_numbers(self.headroom), "share": self.share},
            "something_to_plan_for": self.something,
            "sentence": self.sentence,
        }


def headroom(
    world: World,
    user_U: Tensor,
    *,
    seed: int,
    supervised: bool = True,
    depths: Sequence[int] = DEPTHS,
    rollouts: int = 8,
    tell: Tell | None = None,
) -> Headroom:
    """Read random, the supervised ranker, and greedy, the best rule and the planner told the truth.

    Args:
        world: where; its users' model must say how appealing every item is (`outlook`).
        user_U: int32 rows of the population, two or more.
        seed: of the luck, the same for all.
        supervised: whether to read the supervised ranker, where the world has one.
        depths: slates that the planner looks ahead, in turn until nothing more is gained.
        rollouts: futures of a candidate slate.
        tell: told of progress.

    Raises:
        UsageError: there are fewer than two users.
    """
    if len(user_U) < 2:
        raise UsageError("an interval needs two users or more, got one")
    read = _Reading(world, user_U.to(torch.int32), seed, tell)
    read("random", make_policy("random", world))
    if supervised and world.observer is not None:
        read("supervised", make_policy("supervised", world))
    read(GREEDY, Myopic(world))
    rule = best_rule(world)
    if (rule.cap, rule.avoid) != (None, 0.0):
        read(RULE, Myopic(world, rule.cap, avoid=rule.avoid))
    curve = _deeper(read, world, rule, depths, rollouts)
    read.rename(_named(curve[-1].slates), PLANNER)
    names = [name for name in read.seconds if not name.startswith("depth ")]
    return Headroom(
        world.name,
        {name: read.mean(name) for name in names},
        read.difference(PLANNER, GREEDY),
        str(rule),
        curve,
        {name: read.seconds[name] for name in names},
        len(user_U),
    )


def _deeper(
    read: _Reading, world: World, rule: Rule, depths: Sequence[int], rollouts: int
) -> tuple[Depth, ...]:
    """Planners that look further and further, until that gains nothing."""
    curve: list[Depth] = []
    for slates in depths:
        if slates > max(world.horizon, depths[0]):
            break
        name = _named(slates)
        read(name, Planner(world, depth=slates, rollouts=rollouts, base=rule))
        gain = read.difference(name, _named(curve[-1].slates)) if curve else None
        curve.append(Depth(slates, read.mean(name), gain, read.seconds[name]))
        # one slate more may be too few to see anything of what is to come
        if len(curve) > 2 and not _gains(curve[-1]) and not _gains(curve[-2]):
            break
    return tuple(curve)


def _gains(depth: Depth) -> bool:
    gain = depth.gain
    return gain is None or (side_of(gain) > 0 and gain.value > FLAT * abs(depth.earned.value))


def _named(slates: int) -> str:
    return f"depth {slates}"


def _numbers(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


class _Reading:
    """Expected returns of the same users with the same luck, policy by policy."""

    def __init__(self, world: World, user_U: Tensor, seed: int, tell: Tell | None) -> None:
        self.world, self.seed, self.tell = world, seed, tell
        self.user_U = user_U.to(world.device)
        self.rows = pd.DataFrame()
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str, policy: Policy) -> None:
        """Read a policy under that name."""
        began, parts = time.process_time(), []
        for begin in range(0, len(self.user_U), CHUNK):
            user_B = self.user_U[begin : begin + CHUNK]
            parts.append(earned(self.world, policy, user_B, self.seed))
            if self.tell is not None:
                self.tell(name, len(user_B))
        self.seconds[name] = time.process_time() - began
        rows = pd.DataFrame(
            {
                "user": self.user_U.cpu().numpy(),
                "person": people(self.world.population, self.user_U).cpu().numpy(),
                "expected_return": torch.cat(parts).cpu().numpy(),
                "policy": name,
            }
        ).assign(seed=0, trained_in="", world=self.world.name, variant="world", group="evaluation")
        self.rows = pd.concat([self.rows, rows], ignore_index=True)

    def rename(self, old: str, new: str) -> None:
        """The rows of a policy under another name."""
        self.rows["policy"] = self.rows["policy"].replace(old, new)
        self.seconds[new] = self.seconds.pop(old)

    def mean(self, name: str) -> Estimate:
        return mean(self.rows, Cell(name, "world"), "expected_return")

    def difference(self, name: str, baseline: str) -> Estimate:
        return paired_difference(
            self.rows, Cell(name, "world"), Cell(baseline, "world"), "expected_return"
        )


def kept_headroom(
    world: World,
    user_U: Tensor,
    *,
    seed: int,
    depths: Sequence[int] = DEPTHS,
    rollouts: int = 8,
    tell: Tell | None = None,
) -> dict[str, Any]:
    """What `headroom` says, as JSON values with its "text"; computed once and kept.

    Args:
        world: where; it is known by its name, its labels and by what greedy earns in it.
        user_U: int32 rows of the population, two or more.
        seed: of the luck.
        depths: slates that the planner looks ahead.
        rollouts: futures of a candidate slate.
        tell: told of progress.
    """

    def compute() -> dict[str, Any]:
        found = headroom(world, user_U, seed=seed, depths=depths, rollouts=rollouts, tell=tell)
        return {**found.document(), "text": str(found)}

    few_B = user_U[:KNOWN_BY].to(torch.int32).to(world.device)
    known = [round(x, 3) for x in earned(world, Myopic(world), few_B, LUCK).tolist()]
    shape = [world.slate_size, world.horizon, world.population.size, world.num_candidates]
    decides = [VERSION, world.name, list(world.objective), shape, known]
    decides += [user_U.tolist(), seed, list(depths), rollouts, [list(x) for x in world.labels]]
    name = re.sub(r"[^\w.-]+", "-", world.name.rpartition("/")[2]).strip("-")
    found: dict[str, Any] = kept(f"headroom/{name}", decides, compute)
    return found
