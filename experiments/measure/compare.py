"""Policies before the same people with the same luck: rows, and differences with intervals."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from slategym.agents.core.agent import Agent
from slategym.agents.core.tuning import Tuned
from slategym.agents.registry import folder_and_seed, make_policies, make_policy
from slategym.agents.types import Policy
from slategym.envs.names import UsageError
from slategym.envs.registry import find_world, make_world
from slategym.envs.types import World
from slategym.experiments.measure.play import play as play_users
from slategym.experiments.measure.play import reading
from slategym.experiments.measure.training import trained_in
from slategym.experiments.statistics.cells import Cell
from slategym.experiments.statistics.estimate import Estimate, holm, side_of
from slategym.experiments.statistics.exposure import NAMES, exposure_means
from slategym.experiments.statistics.stats import mean, paired_difference

Chooses = Policy | str | os.PathLike[str]  # a policy, its name, or the folder of a trained one


def play(
    world: World | str,
    policy: Chooses,
    users: int | Sequence[int] | Tensor = 200,
    *,
    seed: int = 0,
    batch: int = 512,
    on_batch: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """One session of each of some users under a policy.

    Args:
        world: where: a world, or a registered one's name.
        policy: who chooses: a policy, a name that `slategym agents` lists, or the folder of a
            trained one.
        users: how many, the first of the population; or rows of the population, integers.
        seed: of the luck; two policies with one seed meet the same people with the same luck.
        batch: users side by side; changes no result.
        on_batch: called with the number of sessions just finished.

    Returns:
        A row per user, in order: user, person, return, and what else of a session there is.

    Raises:
        UsageError: there are no such users, or no such world or policy.
    """
    where = make_world(world) if isinstance(world, str) else world
    chosen = make_policy(policy, where) if isinstance(policy, str | os.PathLike) else policy
    return play_users(
        where, chosen, _rows_of(users, where), seed=seed, batch=batch, on_batch=on_batch
    )


@dataclass(frozen=True)
class PairedDifference:
    """What one policy earns more than another, each user beside themselves."""

    policy: str
    minus: str
    estimate: Estimate  # of the paired difference in return; 95 % interval over people (and seeds)
    adjusted_p: float  # for the number of differences, after Holm

    @property
    def clear(self) -> bool:
        """The interval and the adjusted p-value agree that it is not zero."""
        return side_of(self.estimate, self.adjusted_p) != 0

    def __str__(self) -> str:
        verdict = "" if self.clear else ", not clear"
        return (
            f"{self.policy} - {self.minus}: {self.estimate.signed()} "
            f"(adjusted p {self.adjusted_p:.3f}{verdict})"
        )


@dataclass(frozen=True)
class Comparison:
    """Policies before the same people with the same luck."""

    world: str
    rows: pd.DataFrame  # a row per session: policy, seed of training, user, person, return, ...
    means: Mapping[str, Estimate]  # return a session of each policy, 95 % interval over people
    differences: tuple[PairedDifference, ...]  # of every pair
    notes: tuple[str, ...] = ()  # what a reader must know beside the numbers

    def __str__(self) -> str:
        first = next(iter(self.means.values()))
        width = max(map(len, self.means))
        lines = [
            f"{self.world}: return a session, {first.num_users} users "
            f"({first.num_people} people), [95 % interval over people]",
            *(f"  {name:{width}}  {found}" for name, found in self.means.items()),
            "paired differences, the same users with the same luck:",
            *(f"  {difference}" for difference in self.differences),
            *_shown(self.rows, width),
            *self.notes,
        ]
        return "\n".join(lines)


def compare(
    world: World | str,
    policies: Sequence[Chooses],
    users: int | Sequence[int] | Tensor = 1000,
    *,
    seed: int = 0,
    batch: int = 512,
    settings: Mapping[str, Any] | None = None,
    on_batch: Callable[[str, int], None] | None = None,
    trust: bool = False,
) -> Comparison:
    """Paired differences between policies, with 95 % intervals that resample people.

    Args:
        world: where: a world, or a registered one's name.
        policies: two or more: policies, names that `slategym agents` lists, folders of trained
            ones. One of several training seeds is read with all of them.
        users: how many, the first of the population; or rows of the population, integers.
        seed: of the luck, the same for all.
        batch: users side by side; changes no result.
        settings: of the world, where it is given by name.
        on_batch: called with the policy's name and the number of sessions just finished.
        trust: True: import what a trained policy's folder names as "module:Name".

    Raises:
        UsageError: there are fewer than two policies, or one comes twice; there are no such users,
            world or policy.
    """
    notes = list[str]()
    if isinstance(world, str):
        taken = settings_of_training(world, policies, settings or {}, trust)
        where = make_world(world, **taken)
        if listed := ", ".join(f"{n}={x}" for n, x in taken.items() if n not in (settings or {})):
            notes.append(f"the world as in training: {listed}")
    elif settings:
        raise UsageError("settings are for a world given by name; this one is built already")
    else:
        where = world
    row_U = _rows_of(users, where)
    if len(row_U) < 2:
        raise UsageError("an interval needs two users or more, got one")
    named = _named(policies, where, trust)
    parts = []
    for name, seeds in named.items():
        tell = None if on_batch is None else partial(on_batch, name)
        for trained, policy in seeds.items():
            rows = reading(where, policy, row_U, seed=seed, batch=batch, on_batch=tell)
            learned = "" if trained is None else where.name
            parts.append(rows.assign(policy=name, seed=trained or 0, trained_in=learned))
            if isinstance(policy, Tuned):
                notes += [str(step) for step in policy.steps if str(step) not in notes]
        if len(seeds) > 1:
            notes.append(f"{name}: {len(seeds)} training seeds; its intervals are over them, too")
    return comparison(where.name, pd.concat(parts, ignore_index=True), notes)


def settings_of_training(
    world: str, policies: Sequence[Chooses], given: Mapping[str, Any], trust: bool = False
) -> dict[str, Any]:
    """The world's settings: those given, and else those in which trained policies learned there.

    Raises:
        UsageError: two were trained there with different settings, and none was given.
    """
    id, taken, whose = find_world(world)[0], dict[str, Any](), dict[str, str]()
    for policy in policies:
        if not isinstance(policy, str | os.PathLike):
            continue
        home = trained_in(folder_and_seed(policy)[0], trust=trust, world=id)
        for name, value in home.settings.items() if home and home.world == id else ():
            if name in given:
                continue
            if name in taken and taken[name] != value:
                raise UsageError(
                    f"{whose[name]} was trained with {name}={taken[name]}, {os.fspath(policy)} "
                    f"with {name}={value}; say which is meant: {name}=..."
                )
            taken[name], whose[name] = value, os.fspath(policy)
    return {**taken, **given}


def comparison(world: str, rows: pd.DataFrame, notes: Sequence[str] = ()) -> Comparison:
    """Means and differences of rows that are there.

    Args:
        world: its name.
        rows: with columns policy, seed and trained_in ("": nowhere), user, person and return.
        notes: what a reader must know.
    """
    placed = rows.assign(world=world, variant="world", group="evaluation")
    cells = {name: Cell(str(name), "world") for name in rows["policy"].unique()}
    pairs = list(itertools.combinations(cells, 2))
    found = [paired_difference(placed, cells[a], cells[b]) for a, b in pairs]
    adjusted = holm([estimate.p_value for estimate in found])
    return Comparison(
        world,
        rows,
        {name: mean(placed, cell) for name, cell in cells.items()},
        tuple(
            PairedDifference(a, b, estimate, p)
            for (a, b), estimate, p in zip(pairs, found, adjusted, strict=True)
        ),
        tuple(notes),
    )


def _shown(rows: pd.DataFrame, width: int) -> list[str]:
    """Lines of what each policy shows; none of rows that do not say."""
    means = exposure_means(rows)
    if not len(means.columns):
        return []
    heads = [NAMES[name] for name in means.columns]
    body = [
        f"  {policy!s:{width}}  "
        + "  ".join(f"{x:{len(head)}.2f}" for head, x in zip(heads, values, strict=True))
        for policy, values in zip(means.index, means.to_numpy(), strict=True)
    ]
    return ["what is shown, means:", f"  {'':{width}}  {'  '.join(heads)}", *body]


def _named(
    policies: Sequence[Chooses], world: World, trust: bool
) -> dict[str, Mapping[int | None, Policy]]:
    """Each by the name that tables have, as it was given or its own; its training seeds."""
    if isinstance(policies, str):
        raise UsageError(f"policies are a list, as {policies.split(',')}; got {policies!r}")
    if len(policies) < 2:
        raise UsageError(f"compare two policies or more, got {len(policies)}")
    found = dict[str, Mapping[int | None, Policy]]()
    for given in policies:
        name = os.fspath(given) if isinstance(given, str | os.PathLike) else given.name
        if name in found:
            raise UsageError(f"policy {name!r} is given twice; give it once")
        if isinstance(given, str | os.PathLike):
            found[name] = make_policies(given, world, trust=trust)
        elif isinstance(given, Agent):
            found[name] = {seed: given.of_seed(seed) for seed in given.seeds}
        else:
            found[name] = {None: given}
    return found


def _rows_of(users: int | Sequence[int] | Tensor, world: World) -> Tensor:
    """Rows of the population, (U,) int32."""
    size = world.population.size
    if isinstance(users, int):
        if not 1 <= users <= size:
            raise UsageError(
                f"users must be in [1, {size}], the people of {world.name} with these settings; "
                f"got {users}"
            )
        return torch.arange(users, dtype=torch.int32)
    row_U = torch.as_tensor(users)
    if row_U.ndim != 1 or row_U.is_floating_point() or row_U.dtype == torch.bool or not len(row_U):
        raise UsageError(
            "users are a number of them or rows of the population, one axis of integers; got "
            f"{row_U.dtype} of shape {tuple(row_U.shape)}"
        )
    if int(row_U.min()) < 0 or int(row_U.max()) >= size:
        raise UsageError(
            f"rows of the population are in [0, {size}); got {int(row_U.min())} to "
            f"{int(row_U.max())}"
        )
    return row_U.to(torch.int32)
