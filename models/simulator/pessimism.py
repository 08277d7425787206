"""Pessimism about a learned world: where models of people disagree, a click counts for less.

An agent that learns in a learned world finds the errors of its model and lives on them. Several
models, fitted apart, agree where the log was rich and disagree where it was poor; so while training
the reward of a click is reduced by their disagreement on it:

    reward - penalty * std over models of the item's expected reward     (MOPO, DORL)
           + entropy_bonus * entropy of what people took next, in the log     (DORL)

Both come as signals of their own with weights in the objective, so that every agent can learn in
such a world and none needs to know; a policy is then read in a world without them. Whoever is
pessimistic stays with what the log showed often, and with it the rich get richer (the Matthew
effect); the entropy term counters it. So report coverage or the Gini index of what is shown along
with the return. In the made-up world of `tests/models/simulator/test_pessimism.py`, where 12.7 can
be earned, a bandit earns in truth 1.7 without a penalty, 12.7 with 3 (four items shown, Gini .85),
and 5.6 with 20 (two items shown, Gini .92).

Source: MOPO: Yu et al. 2020, arXiv:2005.13239, section 4.2. DORL: Gao et al. 2023,
arXiv:2307.04571, section 4, whose entropy term is taken here to first order and by topic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.protocols import UserModel
from slategym.envs.types import Arrival, Catalogue, Context, Items, Population, Signal, World


@dataclass(frozen=True)
class Opinions:
    """What every model of the ensemble knows of the same people."""

    inner: Any  # state of the model that the world plays by
    others: tuple[Any, ...]  # of those that are only asked


@dataclass(frozen=True)
class Pessimistic(UserModel[Opinions]):
    """People as the inner model says; what the others say differs is told as a signal.

    An item's expected reward is that of a slate of it alone, sigmoid(appeal) * value of a click.
    """

    inner: UserModel[Any]
    others: tuple[UserModel[Any], ...]
    objective: tuple[float, ...]  # reward per unit of each of the inner model's signals
    variety_N: Tensor | None = None  # (N,) float32, nats, see `variety`; None: no such signal

    @property
    def signals(self) -> tuple[Signal, ...]:
        """The inner model's, the penalty (<= 0), and the variety if there is one."""
        pairs = [(w * s.low, w * s.high) for w, s in zip(self.objective, self._own, strict=True)]
        most = sum(max(0.0, *pair) for pair in pairs) - sum(min(0.0, *pair) for pair in pairs)
        told = [Signal("penalty", "real", "reward", -most / 2, 0.0, "derived")]
        if self.variety_N is not None:
            top = float(self.variety_N.max())
            told.append(Signal("variety", "nonnegative", "nats", 0.0, top, "derived"))
        return (*self._own, *told)

    @property
    def _own(self) -> tuple[Signal, ...]:
        return self.inner.signals

    def initial(self, arrival: Arrival, luck: Luck) -> Opinions:
        """Every model's own."""
        if arrival.feedback is not None:
            arrival = replace(arrival, feedback=arrival.feedback[..., : len(self._own)])
        others = tuple(model.initial(arrival, luck) for model in self.others)
        return Opinions(self.inner.initial(arrival, luck), others)

    def appeal(self, state: Opinions, items: Items, context: Context) -> Tensor:
        """The inner model's, (B, K)."""
        return self.inner.appeal(state.inner, items, context)

    def respond(
        self, state: Opinions, items: Items, context: Context, luck: Luck
    ) -> tuple[Tensor, Tensor]:
        """The inner model's signals, followed by minus the disagreement, and the variety."""
        value_BKM, mean_BKM = self.inner.respond(state.inner, items, context, luck)
        worth = [
            self._worth(
                model.appeal(own, items, context), model.respond(own, items, context, luck)[1]
            )
            for model, own in self._models(state)
        ]
        told_BKM = self._told(torch.stack(worth), items.id)
        return _beside(value_BKM, told_BKM), _beside(mean_BKM, told_BKM)

    def outlook(
        self, state: Opinions, catalogue: Catalogue, context: Context, luck: Luck
    ) -> tuple[Tensor, Tensor]:
        """The inner model's outlook with the two signals."""
        said = [model.outlook(own, catalogue, context, luck) for model, own in self._models(state)]
        appeal_BN, mean_BNM = said[0]
        id_N = torch.arange(catalogue.num_items, device=appeal_BN.device)
        worth = torch.stack([self._worth(*one) for one in said])
        return appeal_BN, _beside(mean_BNM, self._told(worth, id_N.expand_as(appeal_BN)))

    def evolve(
        self, state: Opinions, items: Items, feedback_BKM: Tensor, context: Context, luck: Luck
    ) -> Opinions:
        """Every model learns of the same feedback."""
        own_BKM = feedback_BKM[..., : len(self._own)]
        inner, *others = (
            model.evolve(own, items, own_BKM, context, luck) for model, own in self._models(state)
        )
        return Opinions(inner, tuple(others))

    def leave(self, state: Opinions) -> Tensor | None:
        """The inner model's."""
        return self.inner.leave(state.inner)

    def away(self, state: Opinions) -> Tensor | None:
        """The inner model's."""
        return self.inner.away(state.inner)

    def about_to_bore(self, state: Opinions) -> Tensor | None:
        """The inner model's."""
        return self.inner.about_to_bore(state.inner)

    def gained(self, state: Opinions) -> Tensor | None:
        """The inner model's."""
        return self.inner.gained(state.inner)

    def reveal(self, state: Opinions) -> Tensor | None:
        """The inner model's."""
        return self.inner.reveal(state.inner)

    def _models(self, state: Opinions) -> list[tuple[UserModel[Any], Any]]:
        own = (state.inner, *state.others)
        return list(zip((self.inner, *self.others), own, strict=True))

    def _worth(self, appeal_BK: Tensor, mean_BKM: Tensor) -> Tensor:
        """Expected reward of each item if it were shown alone, (B, K)."""
        value_BK = (mean_BKM * mean_BKM.new_tensor(self.objective)).sum(-1)
        return appeal_BK.sigmoid() * value_BK

    def _told(self, worth_EBK: Tensor, id_BK: Tensor) -> Tensor:
        """The extra signals, (B, K, 1 or 2); E models."""
        told = [-worth_EBK.std(0, correction=0)]
        if self.variety_N is not None:
            told.append(self.variety_N[id_BK.long()])
        return torch.stack(told, -1)


def pessimistic(
    world: World,
    ensemble: Sequence[UserModel[Any]],
    penalty: float,
    entropy_bonus: float = 0.0,
) -> World:
    """The same world with a reward that distrusts its own model, for training only.

    Args:
        world: learned; its user model is one of the ensemble.
        ensemble: the other models of the same people, at least one, with the same signals.
        penalty: reward lost per unit of disagreement, lambda of MOPO, >= 0.
        entropy_bonus: reward per nat of `variety`, >= 0.

    Raises:
        UsageError: if one of these rules is broken, or if the log that the entropy needs is not
            part of the world.
    """
    if min(penalty, entropy_bonus) < 0:
        raise UsageError(
            "penalty and entropy_bonus must be 0 or more, got "
            f"penalty={penalty}, entropy_bonus={entropy_bonus}"
        )
    if not ensemble:
        raise UsageError("pessimism needs models that could disagree: give at least one more")
    for model in ensemble:
        if model.signals != world.users.signals:
            raise UsageError(
                f"the models of an ensemble must have the same signals as {world.name}, "
                f"({', '.join(s.name for s in world.users.signals)}); one has "
                f"({', '.join(s.name for s in model.signals)})"
            )
    variety_N = variety(world) if entropy_bonus else None
    users = Pessimistic(world.users, tuple(ensemble), world.objective, variety_N)
    weights = (penalty, entropy_bonus) if entropy_bonus else (penalty,)
    return replace(
        world,
        name=f"{world.name} (pessimistic)",
        users=users,
        objective=(*world.objective, *weights),
        population=_wider(world.population, len(weights)),
        labels=(*world.labels, ("penalty", "derived", "disagreement of models fitted apart")),
    )


def variety(world: World) -> Tensor:
    """Entropy of the topic that logged people took after one of the item's topic, (N,), nats.

    Items after which anything came are those from which a policy is free to go on.

    Raises:
        UsageError: if the world's population has no history.
    """
    history_UH = world.population.history
    if history_UH is None:
        raise UsageError(
            f"an entropy bonus is computed from what people took in the log, and {world.name} has "
            "none; use entropy_bonus=0"
        )
    G, topic_N = world.catalogue.num_topics, world.catalogue.topic.long()
    both_UH = (history_UH[:, :-1] >= 0) & (history_UH[:, 1:] >= 0)
    topic_UH = topic_N[history_UH.clamp(min=0).long()]
    pair_X = (topic_UH[:, :-1] * G + topic_UH[:, 1:])[both_UH]
    count_GG = torch.bincount(pair_X, minlength=G * G).view(G, G).float()
    share_GG = count_GG / count_GG.sum(1, keepdim=True).clamp(min=1.0)
    entropy_G: Tensor = torch.special.entr(share_GG).sum(1)
    assert float(entropy_G.max()) <= math.log(G) + 1e-4
    return entropy_G[topic_N]


def _beside(value_BKM: Tensor, told_BKM: Tensor) -> Tensor:
    """Signals followed by others, the first of which may be broadcastable."""
    B, K, _ = told_BKM.shape
    return torch.cat([value_BKM.expand(B, K, -1), told_BKM], -1)


def _wider(population: Population, number: int) -> Population:
    """With so many signals more in the logged feedback, all zero."""
    if population.feedback is None:
        return population
    return replace(population, feedback=pad(population.feedback, (0, number)))
