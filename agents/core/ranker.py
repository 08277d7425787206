"""The supervised multi-task ranker: what every learner starts from and must beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.agents.slates.top import allowed_only
from slategym.envs.names import UsageError
from slategym.envs.types import Observation, World
from slategym.models.multitask.incremental import BertObserver, StateEncoder

LEAST_VALUE = 1e-6  # reward of a click below which clicks are not told apart: keeps the log finite


class Retrieved(NamedTuple):
    """The ranker's best candidates of each request, best first."""

    id: Tensor  # (B, C) int64
    score: Tensor  # (B, C) float32


@dataclass(frozen=True)
class Ranker:
    """Expected reward under the agents' own model, up to what ranking cannot see.

    With multinomial-logit choice a slot earns in proportion to exp(click logit) times the value of
    a click, so items are ranked by click logit + log(value): the raw logit, since a squashed
    probability would flatten the best candidates. The value of a click is what the world pays for
    it: the sum over all signals of their weight times their mean given a click.
    """

    encoder: StateEncoder
    weights: tuple[tuple[str, float], ...] = (("click", 1.0), ("like", 1.0))  # reward per unit
    shortlist: int = 150  # items by click logit whose values are looked at

    def retrieve(self, observation: Observation, count: int) -> Retrieved:
        """The `count` best items of the catalogue that may be shown, or all if there are fewer.

        Raises:
            ValueError: if the observation has no state embedding.
        """
        state_BD = _state(observation)
        model, items_ND = self.encoder.model, self.encoder.items_ND
        with torch.no_grad():
            click_BN = self._calibrated("click", model.logits("click", state_BD, items_ND, None))
            click_BN = allowed_only(click_BN, observation.allowed)
            wide = min(max(self.shortlist, count), click_BN.shape[1])
            click_BW, id_BW = click_BN.topk(wide, dim=1, sorted=False)
            value_BW = torch.log(self.value(state_BD, id_BW).clamp(min=LEAST_VALUE))
            score_BC, at_BC = (click_BW + value_BW).topk(min(count, wide), dim=1)
            return Retrieved(id_BW.gather(1, at_BC), score_BC)

    def value(self, state_BD: Tensor, id_BK: Tensor) -> Tensor:
        """Mean reward of a click on each of these items, (B, K).

        Args:
            state_BD: embeddings of the users' states.
            id_BK: int64 item ids.
        """
        value_BK = torch.zeros(id_BK.shape, device=id_BK.device)
        for signal, weight in self.weights:
            if weight:
                value_BK = value_BK + weight * self._mean(signal, state_BD, id_BK)
        return value_BK

    def _mean(self, signal: str, state_BD: Tensor, id_BK: Tensor) -> Tensor | float:
        """A signal's mean given a click, (B, K)."""
        if signal == "click":
            return 1.0
        return self.encoder.model.expected(signal, state_BD, self.encoder.items_ND, id_BK)

    def click_prob(self, observation: Observation, id_BK: Tensor) -> Tensor:
        """Calibrated probability of a click on each of these items, (B, K).

        Raises:
            ValueError: if the observation has no state embedding.
        """
        state_BD = _state(observation)
        model, items_ND = self.encoder.model, self.encoder.items_ND
        with torch.no_grad():
            click_BK = model.logits("click", state_BD, items_ND, id_BK.long())
            return self._calibrated("click", click_BK).sigmoid()

    def _calibrated(self, head: str, logits: Tensor) -> Tensor:
        return self.encoder.model.calibrated(head, logits)

    @property
    def unit_items(self) -> Tensor:
        """Item vectors with zero mean and unit spread each, (N, D): for corrections and protos."""
        return F.layer_norm(self.encoder.items_ND, self.encoder.items_ND.shape[1:])


def has_ranker(world: World) -> bool:
    """Whether the world's observer is a multi-task model, which can rank."""
    return isinstance(world.observer, BertObserver)


def ranker_of(world: World) -> Ranker:
    """The supervised ranker of the world's own observer, paid as the world pays.

    A signal that the model has no head for, such as the penalties of a pessimistic world, cannot be
    ranked by: its weight is left out.

    Raises:
        UsageError: the world has no such observer.
    """
    if not isinstance(world.observer, BertObserver):
        raise UsageError(
            f"{world.name} has no supervised model: supervised policies need a world with learned "
            "state embeddings, such as slategym/MovieLens-v0 with state=True"
        )
    paid = zip(world.users.signals, world.objective, strict=True)
    heads = world.observer.encoder.model.heads
    weights = tuple((signal.name, weight) for signal, weight in paid if signal.name in heads)
    return Ranker(world.observer.encoder, weights)


def _state(observation: Observation) -> Tensor:
    if observation.state is None:
        raise ValueError("the ranker needs a world with an observer (state=True)")
    return observation.state
