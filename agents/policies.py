"""Every policy by name: what `slategym agents` lists and `--policy` takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from slategym.agents.baselines import Popularity, Random, Supervised, clicks_under_random_slates
from slategym.agents.ranker import Ranker
from slategym.agents.references import Myopic, RuleAware
from slategym.agents.saved import is_saved, load_policy
from slategym.agents.types import Policy
from slategym.envs.names import UsageError, lookup
from slategym.envs.types import World
from slategym.models.state import BertObserver


class PolicyEntry(NamedTuple):
    """How a policy is made for a world, and what it is in a line."""

    kind: str  # baseline | supervised | reference | learner
    one_line: str
    build: Callable[[World], Policy] | None  # None: must be trained, and is named by its folder


def ranker_of(world: World) -> Ranker:
    """The supervised ranker of the world's own observer.

    Raises:
        UsageError: the world has none.
    """
    if not isinstance(world.observer, BertObserver):
        raise UsageError(
            f"{world.name} has no supervised model: supervised policies need a world with learned "
            "state embeddings, such as slategym/MovieLens-v0 with state=True"
        )
    click, like = world.objective[:2]
    return Ranker(world.observer.encoder, click_value=click, like_value=like)


def supervised(world: World, cap: int | None = None) -> Supervised:
    """The supervised ranker, with a cap per topic if one is given."""
    return Supervised(ranker_of(world), world.catalogue.topic.long(), world.slate_size, cap)


def _popularity(world: World) -> Policy:
    count_N = world.catalogue.popularity
    if count_N is None:
        count_N = clicks_under_random_slates(world)
    return Popularity(count_N, world.slate_size)


POLICIES: dict[str, PolicyEntry] = {
    "random": PolicyEntry(
        "baseline", "uniform distinct items", lambda w: Random(w.num_candidates, w.slate_size)
    ),
    "popularity": PolicyEntry("baseline", "the most clicked items, the same for all", _popularity),
    "supervised": PolicyEntry(
        "supervised", "the multi-task model's expected reward, greedily", supervised
    ),
    "supervised-cap1": PolicyEntry(
        "supervised", "the same with at most one item of a topic", lambda w: supervised(w, 1)
    ),
    "supervised-cap2": PolicyEntry(
        "supervised", "the same with at most two items of a topic", lambda w: supervised(w, 2)
    ),
    "supervised-cap3": PolicyEntry(
        "supervised", "the same with at most three items of a topic", lambda w: supervised(w, 3)
    ),
    "myopic": PolicyEntry(
        "reference", "the best slate for one request under the world's true model", Myopic
    ),
    "capped": PolicyEntry(
        "reference", "myopic with at most two items of a topic", lambda w: Myopic(w, cap=2)
    ),
    "rule-aware": PolicyEntry(
        "reference",
        "the supervised ranker told the boredom rule",
        lambda w: RuleAware(ranker_of(w), w),
    ),
    "plackett-luce": PolicyEntry(
        "learner", "PPO on a residual slate policy that starts as the supervised ranker", None
    ),
    "proto-sac": PolicyEntry(
        "learner", "SAC, unchanged, on a direction of the item space; slates by inner product", None
    ),
}


def find_policy(name: str) -> PolicyEntry | None:
    """The policy of that name; None where the name is a folder that holds a trained one.

    Raises:
        UsageError: if there is none; if it must be trained first.
    """
    if is_saved(Path(name)):
        return None
    entry = lookup("policy", name, POLICIES)
    if entry.build is None:
        raise UsageError(
            f"{name} must be trained before it can act: give the folder of a trained one, such as "
            "those that `slategym benchmark movielens` leaves under OUT/work/"
        )
    return entry


def make_policy(name: str, world: World) -> Policy:
    """The policy of that name, or the one saved in that folder, for this world.

    Raises:
        UsageError: see `find_policy`; if it does not fit the world.
    """
    entry = find_policy(name)
    if entry is None or entry.build is None:
        return load_policy(Path(name), world, ranker_of(world))
    with torch.no_grad():
        return entry.build(world)
