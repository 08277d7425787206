"""The supervised policy, tuned: what every learner starts from and must beat.

Two choices are made on selection people, with as many slates as a learner has (`tuning.py`): how
the heads of the multi-task model become utilities (`ranker_of`, from which learners start, too),
and then how various the slates are (`tune_supervised`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.agents.core.choice import ConditionalLogit
from slategym.agents.core.choice_fit import fitted_choice, further_heads
from slategym.agents.core.ranker import Ranker, Retrieved, has_ranker, stated_ranker
from slategym.agents.core.tuning import (
    WHOLE,
    Budget,
    Setting,
    Tuning,
    at_edge,
    noted,
    once_per_world,
    said,
    tune,
)
from slategym.agents.slates.diverse import dpp_slate, mmr_slate, quota_slate
from slategym.agents.slates.top import capped_slate
from slategym.agents.types import Action
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError, lookup
from slategym.envs.types import Observation, World
from slategym.models.conditional_logit import nothing_for

RANKER, SUPERVISED = "ranker", "supervised"  # what is tuned, by name
SHARES = {
    "heads": 0.3,
    "nothing": 0.15,
    "kind": 0.075,
    "supervised": 0.25,
}  # of a budget; four kinds
CLICK_WEIGHTS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)  # utility per log-odds of a click
FURTHER_SHARES = (0.0, 0.5, 1.0)  # weight of the next binary head, as a share of the click's
CLICK_RATES = (0.15, 0.3, 0.5, 0.75)  # of the best slates, by which taking nothing is levelled
PROBED = 512  # arrivals on whose first request that is done
FAR = 20.0  # log-odds that are searched around
PLAIN: Setting = {"kind": "none", "strength": 0.0}


class Kind(NamedTuple):
    """A way to make slates various."""

    one_line: str
    fill: Callable[[Supervised, Retrieved], Tensor]  # positions among the retrieved, (B, K)
    strengths: tuple[float, ...]  # that are tried, the mildest first
    by_topic: bool = False  # whether it needs topics


def _greedy(policy: Supervised, best: Retrieved) -> Tensor:
    return best.score.topk(policy.num_slots, dim=1).indices


def _cap(policy: Supervised, best: Retrieved) -> Tensor:
    cap = int(policy.diversity.strength)
    return capped_slate(best.score, policy.topic_N[best.id], policy.num_slots, cap)


def _quota(policy: Supervised, best: Retrieved) -> Tensor:
    strength = policy.diversity.strength
    return quota_slate(best.score, policy.topic_N[best.id], policy.num_slots, strength)


def _mmr(policy: Supervised, best: Retrieved) -> Tensor:
    unit_BCD = policy.unit_ND[best.id]
    return mmr_slate(best.score, unit_BCD, policy.num_slots, policy.diversity.strength)


def _dpp(policy: Supervised, best: Retrieved) -> Tensor:
    unit_BCD = policy.unit_ND[best.id]
    return dpp_slate(best.score, unit_BCD, policy.num_slots, policy.diversity.strength)


DIVERSITIES: dict[str, Kind] = {
    "none": Kind("the best items, whatever they have in common", _greedy, (0.0,)),
    "cap": Kind("at most so many items of a topic", _cap, (3.0, 2.0, 1.0), by_topic=True),
    "quota": Kind(
        "score lost per earlier slot of the topic",
        _quota,
        (0.1, 0.3, 1.0, 3.0),
        by_topic=True,
    ),
    "mmr": Kind("score lost beside a twin", _mmr, (0.125, 0.5, 2.0, 8.0)),
    "dpp": Kind("score lost per nat of explained variance", _dpp, (0.02, 0.1, 0.5, 2.5)),
}
"""How slates are made various, by name; scores are in log-odds."""


@dataclass(frozen=True)
class Diversity:
    """How various slates are: a kind, and how much of it."""

    kind: str = "none"  # a key of DIVERSITIES
    strength: float = 0.0  # items of a topic for "cap", log-odds for the others

    def __post_init__(self) -> None:
        lookup("diversity", self.kind, DIVERSITIES)
        if not 0.0 <= self.strength < math.inf:
            raise UsageError(f"the strength of {self.kind} must be 0 or more, got {self.strength}")
        if self.kind == "cap" and (self.strength < 1 or self.strength != int(self.strength)):
            raise UsageError(f"a cap is a whole number of items, 1 or more, got {self.strength}")

    @property
    def suffix(self) -> str:
        """Of a policy's name: "-cap1"."""
        return "" if self.kind == "none" else f"-{self.kind}{self.strength:g}"


@dataclass(frozen=True)
class Supervised:
    """The ranker's best items, greedily, as various as asked."""

    ranker: Ranker
    topic_N: Tensor  # (N,) int64, main topic of each item
    num_slots: int  # K
    diversity: Diversity = Diversity()
    pool: int = 100  # items from which a various slate is filled
    called: str = SUPERVISED  # in tables
    privileged: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """With its diversity, where it has one."""
        return f"{self.called}{self.diversity.suffix}"

    def act(self, observation: Observation, luck: Luck) -> Action:
        """The slate."""
        if self.diversity.kind == "none":
            return Action(self.ranker.retrieve(observation, self.num_slots).id.int())
        best = self.ranker.retrieve(observation, max(self.pool, self.num_slots))
        slot_BK = DIVERSITIES[self.diversity.kind].fill(self, best)
        return Action(best.id.gather(1, slot_BK.long()).int())

    @cached_property
    def unit_ND(self) -> Tensor:
        """Item vectors of the ranker, of norm one."""
        return F.normalize(self.ranker.unit_items, dim=1)


def supervised_with(world: World, setting: Setting, ranker: Ranker | None = None) -> Supervised:
    """The supervised policy as tuned (or another ranker's), made various like this.

    Args:
        world: where it is to act.
        setting: "kind" and "strength" of a `Diversity`.
        ranker: whose items; None: the tuned one.
    """
    diversity = Diversity(setting["kind"], float(setting["strength"]))
    ranker = ranker_of(world) if ranker is None else ranker
    return Supervised(ranker, world.catalogue.topic.long(), world.slate_size, diversity)


def ranker_of(world: World, budget: Budget = WHOLE) -> Ranker:
    """The world's ranker with the utilities that serve selection people best, chosen once.

    Raises:
        UsageError: the world has no observer that is a multi-task model.
    """
    return _ranker_with(world, tune_ranker(world, budget).chosen)


def ranker_chosen(world: World) -> dict[str, Setting]:
    """What an agent that starts from the world's ranker keeps of it; empty where there is none."""
    return {RANKER: tune_ranker(world).chosen} if has_ranker(world) else {}


@once_per_world
def tune_ranker(world: World, budget: Budget = WHOLE) -> Tuning:
    """The weights of the heads in an item's utility, then the utility of taking nothing."""
    stated_ranker(world)  # refuses a world without one

    def levels(where: World) -> list[Setting]:
        return level_settings(where, tune_heads(world, budget).chosen)

    found = tune(world, RANKER, levels, _plain, budget.share(SHARES["nothing"]))
    return replace(found, note=choice_note(world))


def choice_note(world: World) -> str:
    """Whether the choice model from which tuning begins was fitted on slates, for people."""
    fitted = fitted_choice(world)
    if fitted is None:
        return "choice model stated, not fitted: agents may learn from no slates here"
    return f"choice model {fitted.origin}: {said(_setting_of(fitted))}"


@once_per_world
def tune_heads(world: World, budget: Budget = WHOLE) -> Tuning:
    """The weights of the heads in an item's utility, where clicks are rare."""
    budget = budget.share(SHARES["heads"])
    found = tune(world, f"{RANKER}-heads", head_settings, _plain, budget)
    if not found.tried:
        return replace(found, note=choice_note(world))
    (_, click), *others = found.chosen["heads"].items()
    edges = [at_edge("weight of click", click, CLICK_WEIGHTS)]
    for head, weight in others if click else ():  # fitted on slates, that of a click may be 0
        edges.append(at_edge(f"share of {head}", weight / click, FURTHER_SHARES, ends=(0.0,)))
    return replace(found, note=noted(choice_note(world), *edges))


def tune_ranker_steps(world: World, budget: Budget = WHOLE) -> list[Tuning]:
    """Both."""
    return [tune_heads(world, budget), tune_ranker(world, budget)]


def _plain(where: World, setting: Setting) -> Supervised:
    return supervised_with(where, PLAIN, _ranker_with(where, setting))


@once_per_world
def tune_diversity(world: World, kind: str, budget: Budget = WHOLE) -> Tuning:
    """How much of a kind of diversity serves selection people best, on the tuned ranker."""
    ranker, strengths = ranker_of(world, budget), strengths_of(world, kind)
    found = tune(
        world,
        f"{SUPERVISED}-{kind}",
        [{"kind": kind, "strength": strength} for strength in strengths],
        lambda where, setting: supervised_with(where, setting, ranker),
        budget.share(SHARES["kind"]),
    )
    if not found.tried or kind == "cap":  # of one item, to as many as there are slots
        return found
    return replace(found, note=at_edge("strength", found.chosen["strength"], strengths))


@once_per_world
def tune_supervised(world: World, budget: Budget = WHOLE) -> Tuning:
    """Which kind of diversity serves them best, each as strong as is best for it; none is one."""
    ranker = ranker_of(world, budget)
    kinds = [kind for kind in DIVERSITIES if strengths_of(world, kind)]
    return tune(
        world,
        SUPERVISED,
        lambda _: [tune_diversity(world, kind, budget).chosen for kind in kinds],
        lambda where, setting: supervised_with(where, setting, ranker),
        budget.share(SHARES["supervised"]),
    )


def strengths_of(world: World, kind: str) -> tuple[float, ...]:
    """Strengths that mean something in this world, mildest first."""
    K, found = world.slate_size, DIVERSITIES[kind]
    if kind != "none" and (K < 2 or (found.by_topic and world.catalogue.num_topics < 2)):
        return ()
    return tuple(s for s in found.strengths if kind != "cap" or s < K)


def _ranker_with(world: World, setting: Setting) -> Ranker:
    heads, nothing = dict(setting["heads"]), setting["nothing"]
    choice = ConditionalLogit(
        heads.pop("click"), tuple(heads.items()), math.inf if nothing is None else nothing
    )
    return replace(stated_ranker(world), choice=choice)


def head_settings(where: World) -> list[Setting]:
    """Weights of the heads that are tried, of slates that are rarely clicked.

    What was fitted on slates comes first, where the log has them, then what is stated.
    """
    stated = stated_ranker(where)
    further = further_heads(stated)[:1]
    fitted = fitted_choice(where)
    found = [] if fitted is None else [_setting_of(fitted)]
    found.append(setting_of(stated))
    for share in FURTHER_SHARES if further else (0.0,):
        for click in CLICK_WEIGHTS:
            found.append(_setting(click, {head: share * click for head in further if share}))
    return [s for at, s in enumerate(found) if s not in found[:at]]


def level_settings(where: World, chosen: Setting) -> list[Setting]:
    """Utilities of taking nothing that are tried with these weights, the weights' own first.

    Each is such that the best slates of these people at their first request get a stated share of
    clicks, under the choice model itself.
    """
    heads = dict(chosen["heads"])
    click = heads.pop("click")
    best_U = _best_utility(where, stated_ranker(where), click, heads)
    return [chosen, *(_setting(click, heads, _level(best_U, rate)) for rate in CLICK_RATES)]


def setting_of(ranker: Ranker) -> Setting:
    """What `World.chosen` holds under "ranker" for this one."""
    return _setting_of(ranker.choice)


def _setting_of(choice: ConditionalLogit) -> Setting:
    return _setting(choice.click, dict(choice.further), choice.nothing)


def _setting(click: float, further: Mapping[str, float], nothing: float = math.inf) -> Setting:
    """JSON values: infinity is none."""
    shown = None if nothing == math.inf else round(nothing, 4)
    return {"heads": {"click": click, **further}, "nothing": shown}


@torch.no_grad()
def _best_utility(
    where: World, stated: Ranker, click: float, further: Mapping[str, float]
) -> Tensor:
    """Log of the summed exp(utility) of everybody's best slate at the first request, (U,)."""
    user_U = torch.arange(min(PROBED, where.population.size), dtype=torch.int32)
    user_U = user_U.to(where.device)
    zero_U = torch.zeros_like(user_U)
    observation = engine.observe(where, engine.start(where, zero_U, user_U, zero_U))
    ranker = replace(stated, choice=ConditionalLogit(click, tuple(further.items())))
    best = ranker.retrieve(observation, where.slate_size)
    return ranker.utility(observation, best.id).logsumexp(1)


def _level(best_U: Tensor, rate: float) -> float:
    return nothing_for(best_U, rate, float(best_U.min()) - FAR, float(best_U.max()) + FAR)
