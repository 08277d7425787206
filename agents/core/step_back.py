"""No worse than the start: what training did not clearly improve is not served.

A learner that begins as a tuned policy has something to lose. So before it is
served, its start and what training made of it meet the same selection people with the same luck,
and training must show for it: the trained policy is served if its paired gain is clear by the rule
of every comparison (a bootstrap over people leaves out zero), and the start otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from slategym.agents.core.earned import earned_by_many
from slategym.agents.core.tuning import shown_in
from slategym.agents.types import Policy
from slategym.envs.types import World
from slategym.models.files import kept

LUCK = 1_003  # seed of what happens to selection people; no training or tuning has it
SHARE = 1 / 4  # slates shown to decide, start and one trained policy, of those of a training
FEWEST = 64  # sessions read in any case, if there are as many arrivals
RESAMPLES = 4_000  # bootstrap draws of people


@dataclass(frozen=True)
class Served:
    """What is served after a training, and what decided it."""

    policy: Literal["start", "trained"]
    gain: float  # of the trained policy over the start, expected return a session
    low: float  # of its 95 % interval over people
    high: float
    people: int
    sessions: int
    where: str  # world whose selection people decided

    def __str__(self) -> str:
        why = "" if self.policy == "trained" else ", which is not clear"
        known = math.isfinite(self.low)  # not of one person
        interval = f"[{self.low:+.2f}, {self.high:+.2f}]" if known else "without an interval"
        return (
            f"{self.policy} policy: training gained {self.gain:+.2f} {interval}{why}; "
            f"{self.sessions} sessions of {self.people} selection people of {self.where}"
        )


def decide(
    world: World,
    start: Policy,
    trained: Sequence[Policy],
    num_steps: int,
    decides: Mapping[str, Any] | None = None,
) -> list[Served]:
    """Which of start and trained is to be served, for each training seed; [] without such people.

    Args:
        world: in which they were trained; its selection people decide.
        start: before training.
        trained: after it, by seed.
        num_steps: slates of the training, which bounds those that are shown here.
        decides: name and settings of the start: it is read once for all trainings that begin there;
            None: it has no name, and is read anew.
    """
    if world.selection is None:
        return []
    where = world.selection()
    size = where.population.size
    number = min(size, max(FEWEST, int(SHARE * num_steps / (2 * where.horizon))))
    order_U = torch.randperm(size, generator=torch.Generator().manual_seed(LUCK))
    user_x = order_U[:number].int().to(where.device)
    person_U = where.population.person
    person_x = user_x if person_U is None else person_U[user_x.long()]
    before_x = _earned_before(where, start, user_x, decides)
    found = []
    for policy in trained:
        gain_x = earned_by_many(where, policy, user_x, LUCK) - before_x
        mean, low, high = paired_interval(gain_x.double().cpu(), person_x.cpu())
        found.append(
            Served(
                policy="trained" if low > 0 else "start",
                gain=mean,
                low=low,
                high=high,
                people=len(np.unique(person_x.cpu().numpy())),
                sessions=number,
                where=where.name,
            )
        )
    return found


def _earned_before(
    world: World, start: Policy, user_x: Tensor, decides: Mapping[str, Any] | None
) -> Tensor:
    """What the start earns in each session, (x,)."""

    def compute() -> list[float]:
        earned_x: list[float] = earned_by_many(world, start, user_x, LUCK).tolist()
        return earned_x

    if decides is None:
        return earned_by_many(world, start, user_x, LUCK)
    people = [world.name, world.population.size, world.horizon, user_x.tolist(), LUCK]
    found = kept("constants/start", [dict(decides), people, shown_in(world, start)], compute)
    return torch.tensor(found, device=world.device)


def paired_interval(gain_x: Tensor, person_x: Tensor) -> tuple[float, float, float]:
    """Mean of paired differences and its 95 % interval, people resampled whole.

    Args:
        gain_x: float64, of each session.
        person_x: whose it is.

    Returns:
        Mean, 2.5 % and 97.5 % of the bootstrap; with one person, no interval is finite.
    """
    mean = float(gain_x.mean())
    who_x = np.unique(person_x.numpy(), return_inverse=True)[1]
    num_people = int(who_x.max()) + 1
    if num_people < 2:
        return mean, -float("inf"), float("inf")
    total_P = np.bincount(who_x, weights=gain_x.numpy())
    number_P = np.bincount(who_x)
    even_P = np.full(num_people, 1.0 / num_people)
    times_RP = np.random.default_rng(0).multinomial(num_people, even_P, RESAMPLES)
    mean_R = (times_RP @ total_P) / (times_RP @ number_P)
    low, high = np.quantile(mean_R, (0.025, 0.975))
    return mean, float(low), float(high)


def as_json(served: Sequence[Served]) -> list[dict[str, Any]]:
    """For agent.json, by training seed; ends of an interval that is not finite are None."""
    ends = ({"low": one.low, "high": one.high} for one in served)
    told = ({end: x if math.isfinite(x) else None for end, x in both.items()} for both in ends)
    return [{**asdict(one), **both} for one, both in zip(served, told, strict=True)]


def from_json(kept: Iterable[Mapping[str, Any]]) -> tuple[Served, ...]:
    """What `as_json` gave."""
    least = {"low": -math.inf, "high": math.inf}
    return tuple(
        Served(**{**one, **{end: x for end, x in least.items() if one[end] is None}})
        for one in kept
    )
