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
from slategym.models.multitask.network import CALIBRATED


class Retrieved(NamedTuple):
    """The ranker's best candidates of each request, best first."""

    id: Tensor  # (B, C) int64
    score: Tensor  # (B, C) float32


@dataclass(frozen=True)
class Ranker:
    """Expected reward under the B-model, up to what ranking cannot see.

    With multinomial-logit choice a slot earns in proportion to exp(click logit) times the value of
    a click, so items are ranked by click logit + log(click_value + like_value * P(like)): the raw
    logit, since a squashed probability would flatten the best candidates.
    """

    encoder: StateEncoder
    click_value: float = 1.0  # reward per click
    like_value: float = 1.0  # reward per like
    shortlist: int = 150  # items by click logit whose likes are looked at

    def retrieve(self, observation: Observation, count: int) -> Retrieved:
        """The `count` best items of the catalogue that may be shown.

        Raises:
            ValueError: if the observation has no state embedding.
        """
        if observation.state is None:
            raise ValueError("the ranker needs a world with an observer (state=True)")
        model, items_ND, state_BD = self.encoder.model, self.encoder.items_ND, observation.state
        with torch.no_grad():
            click_BN = self._calibrated("click", model.logits("click", state_BD, items_ND, None))
            click_BN = allowed_only(click_BN, observation.allowed)
            wide = min(max(self.shortlist, count), click_BN.shape[1])
            click_BW, id_BW = click_BN.topk(wide, dim=1, sorted=False)
            like_BW = self._calibrated("like", model.logits("like", state_BD, items_ND, id_BW))
            value_BW = torch.log(self.click_value + self.like_value * like_BW.sigmoid())
            score_BC, at_BC = (click_BW + value_BW).topk(min(count, wide), dim=1)
            return Retrieved(id_BW.gather(1, at_BC), score_BC)

    def click_prob(self, observation: Observation, id_BK: Tensor) -> Tensor:
        """Calibrated probability of a click on each of these items, (B, K).

        Raises:
            ValueError: if the observation has no state embedding.
        """
        if observation.state is None:
            raise ValueError("the ranker needs a world with an observer (state=True)")
        model, items_ND = self.encoder.model, self.encoder.items_ND
        with torch.no_grad():
            click_BK = model.logits("click", observation.state, items_ND, id_BK.long())
            return self._calibrated("click", click_BK).sigmoid()

    def _calibrated(self, head: str, logits: Tensor) -> Tensor:
        model, at = self.encoder.model, CALIBRATED.index(head)
        return logits * model.platt_scale_2[at] + model.platt_shift_2[at]

    @property
    def unit_items(self) -> Tensor:
        """Item vectors with zero mean and unit spread each, (N, D): for corrections and protos."""
        return F.layer_norm(self.encoder.items_ND, self.encoder.items_ND.shape[1:])


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
