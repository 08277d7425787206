"""Every policy by name: what `slategym agents` lists and `--policy` takes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import torch

from slategym.agents.baselines.fixed import (
    Popularity,
    Random,
    Supervised,
    clicks_under_random_slates,
)
from slategym.agents.baselines.mmr import SupervisedMMR
from slategym.agents.baselines.ranker import Ranker
from slategym.agents.baselines.tuning import tuned
from slategym.agents.core.agent import ABOUT, BEGUN, Agent
from slategym.agents.references.myopic import Myopic, RuleAware
from slategym.agents.references.planner import Planner
from slategym.agents.saved import is_saved, load_policy
from slategym.agents.types import Action, Policy
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError, lookup
from slategym.envs.types import Observation, World
from slategym.models.multitask.incremental import BertObserver


class PolicyEntry(NamedTuple):
    """How a policy is made for a world, and what it is in a line."""

    kind: str  # baseline | supervised | bandit | reference | learner
    one_line: str
    build: Callable[[World], Policy] | None  # None: must be trained, and is named by its folder
    agent: str | None = None  # "module:Class" of what trains it, see agents/core/agent.py
    needs: str = ""  # what a world must have, for people; "": any world will do


MOST_CAP = 10  # items of a topic, at most, when the cap is tuned
MMR_STRENGTHS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # log-odds lost beside a twin, when tuned
STATE = "a learned state, as MovieLens-v0 has"
ONE_CHOICE = "at most one click a slate, as InterestEvolution-v0 has"


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


def supervised_mmr(world: World, strength: float) -> SupervisedMMR:
    """The supervised ranker, re-ranked by maximal marginal relevance."""
    return SupervisedMMR(ranker_of(world), world.slate_size, strength)


def _tuned_cap(world: World) -> Policy:
    caps = range(min(world.slate_size, MOST_CAP), 0, -1)  # of equals, the loosest
    return tuned(world, "supervised-capped", lambda w, cap: supervised(w, int(cap)), caps)


def _tuned_mmr(world: World) -> Policy:
    return tuned(world, "supervised-mmr", supervised_mmr, MMR_STRENGTHS)


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
        "supervised",
        "the multi-task model's expected reward, greedily",
        supervised,
        needs=STATE,
    ),
    "supervised-cap1": PolicyEntry(
        "supervised",
        "the same with at most one item of a topic",
        lambda w: supervised(w, 1),
        needs=STATE,
    ),
    "supervised-cap2": PolicyEntry(
        "supervised",
        "the same with at most two items of a topic",
        lambda w: supervised(w, 2),
        needs=STATE,
    ),
    "supervised-cap3": PolicyEntry(
        "supervised",
        "the same with at most three items of a topic",
        lambda w: supervised(w, 3),
        needs=STATE,
    ),
    "supervised-capped": PolicyEntry(
        "supervised",
        "the same with the cap per topic that serves selection users best",
        _tuned_cap,
        needs=STATE,
    ),
    "supervised-mmr": PolicyEntry(
        "supervised",
        "the same made various by maximal marginal relevance, as much as serves them best",
        _tuned_mmr,
        needs=STATE,
    ),
    "myopic": PolicyEntry(
        "reference", "the best slate for one request under the world's true model", Myopic
    ),
    "capped": PolicyEntry(
        "reference", "myopic with at most two items of a topic", lambda w: Myopic(w, cap=2)
    ),
    "planner": PolicyEntry(
        "reference",
        "the best of some slates by rollouts in the true world, ten slates deep",
        Planner,
    ),
    "planner-one-step": PolicyEntry(
        "reference",
        "the same without looking beyond the request",
        lambda w: Planner(w, depth=1),
    ),
    "rule-aware": PolicyEntry(
        "reference",
        "the supervised ranker told the boredom rule",
        lambda w: RuleAware(ranker_of(w), w),
        needs=STATE,
    ),
    "linucb": PolicyEntry(
        "bandit",
        "linear bandit with upper confidence bounds, which looks no further than the request",
        None,
        "slategym.agents.bandits.linear:LinUCB",
    ),
    "thompson": PolicyEntry(
        "bandit",
        "the same bandit, exploring by draws from its posterior",
        None,
        "slategym.agents.bandits.linear:Thompson",
    ),
    "slateq": PolicyEntry(
        "learner",
        "Q-learning of single items whose values add up to a slate's, where one item is chosen",
        None,
        "slategym.agents.slateq.agent:SlateQ",
        needs=ONE_CHOICE,
    ),
    "plackett-luce": PolicyEntry(
        "learner",
        "PPO on slates drawn without replacement, from scratch or from the supervised ranker on",
        None,
        agent="slategym.agents.policy_gradient.ppo:PlackettLucePPO",
    ),
    "reinforce-topk": PolicyEntry(
        "learner",
        "REINFORCE on logged slates, corrected for who showed them and for the other slots",
        None,
        agent="slategym.agents.policy_gradient.reinforce:ReinforceTopK",
    ),
    "proto-sac": PolicyEntry(
        "learner",
        "stable-baselines3's SAC on a point of the item space; slates by inner product",
        None,
        "slategym.agents.sb3.proto:ProtoSAC",
    ),
    "proto-td3": PolicyEntry(
        "learner",
        "stable-baselines3's TD3 on a point of the item space; slates by inner product",
        None,
        "slategym.agents.sb3.proto:ProtoTD3",
    ),
    "fusion-sac": PolicyEntry(
        "learner",
        "stable-baselines3's SAC on the weights of the multi-task model's heads",
        None,
        "slategym.agents.sb3.fusion:FusionSAC",
        needs=STATE,
    ),
    "fusion-ppo": PolicyEntry(
        "learner",
        "stable-baselines3's PPO on the weights of the multi-task model's heads",
        None,
        "slategym.agents.sb3.fusion:FusionPPO",
        needs=STATE,
    ),
    "gems": PolicyEntry(
        "learner",
        "SAC in the latent space of a slate auto-encoder, fitted on a log",
        None,
        "slategym.agents.latent.gems:Gems",
    ),
    "hac": PolicyEntry(
        "learner",
        "hyper-actor critic: a learned direction ranks, the critic is asked of what was shown",
        None,
        "slategym.agents.latent.hac:Hac",
    ),
    "ppo-multidiscrete": PolicyEntry(
        "learner",
        "stable-baselines3's PPO on a position per slot, as most people would try it",
        None,
        "slategym.agents.sb3.multidiscrete:PPOMultiDiscrete",
    ),
}

FAMILIES: dict[str, Callable[[World, str], Policy]] = {  # named with a number of one's own
    r"supervised-cap([1-9]\d*)": lambda w, cap: supervised(w, int(cap)),
    r"supervised-mmr(\d+(?:\.\d+)?)": lambda w, strength: supervised_mmr(w, float(strength)),
}


def find_agent(name: str) -> type[Agent]:
    """The class of the learner of that name.

    Raises:
        UsageError: if there is none; the nearest is offered.
    """
    learners = {name: entry.agent for name, entry in POLICIES.items() if entry.agent}
    module, _, attribute = lookup("agent", name, learners).partition(":")
    found: type[Agent] = getattr(import_module(module), attribute)
    return found


def load_agent(folder: Path, world: World) -> Agent:
    """A trained agent as `Agent.save` left it, to act in this world.

    Raises:
        UsageError: it was trained for another catalogue or other slates.
    """
    name = json.loads((folder / ABOUT).read_text())["agent"]
    return find_agent(name).load(folder, world)


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


def find_policy(name: str) -> PolicyEntry | None:
    """The policy of that name; None where the name is a folder that holds a trained one.

    Raises:
        UsageError: if there is none; if it must be trained first.
    """
    if is_saved(Path(name)) or (Path(name) / ABOUT).is_file():
        return None
    if (Path(name) / BEGUN).is_file():
        raise UsageError(f"the training in {name} is not finished; call slategym train again first")
    entry = _of_a_family(name) or lookup("policy", name, POLICIES)
    if entry.build is None:
        raise UsageError(
            f"{name} must be trained before it can act: give the folder of a trained one, such as "
            "those that `slategym train` and `slategym benchmark movielens` (under OUT/work/) leave"
        )
    return entry


def _of_a_family(name: str) -> PolicyEntry | None:
    """The entry of a name such as supervised-mmr0.7."""
    for pattern, make in FAMILIES.items():
        if given := re.fullmatch(pattern, name):
            return PolicyEntry("supervised", name, partial(_made, make, given[1]), needs=STATE)
    return None


def _made(make: Callable[[World, str], Policy], number: str, world: World) -> Policy:
    return make(world, number)


def make_policy(name: str, world: World) -> Policy:
    """The policy of that name, or the one saved in that folder, for this world.

    Raises:
        UsageError: see `find_policy`; if it does not fit the world.
    """
    entry = find_policy(name)
    if (Path(name) / ABOUT).is_file():
        return load_agent(Path(name), world)
    if entry is None or entry.build is None:
        return load_policy(Path(name), world, ranker_of(world))
    with torch.no_grad():
        return entry.build(world)
