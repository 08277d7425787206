"""Users of GeMS' simulator: two-dimensional topics, boredom by topic, taste that follows clicks."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from slategym.envs.luck import Luck, purpose
from slategym.envs.protocols import ChoiceModel, UserModel
from slategym.envs.types import NOT_DRAWN, Arrival, Catalogue, Context, Items

PLACE, WEIGHT = (purpose(f"topic_rec.{n}") for n in ("place", "weight"))


@dataclass(frozen=True)
class TopicState:
    """What one likes, what one clicked lately, and what bores."""

    taste: Tensor  # (B, G * E) float32, >= 0, the topics' norms summing to 1
    # (B, R) int32, of remembered clicks, newest last, -1: none: topics, and slates since
    topic: Tensor = field(metadata=NOT_DRAWN)
    age: Tensor = field(metadata=NOT_DRAWN)
    bored: Tensor  # (B, G) int32, slates of boredom remaining


@dataclass(frozen=True)
class WarmSlate:
    """A slate that everyone has seen before the session."""

    items_K: Tensor  # (K,) int32
    catalogue: Catalogue
    choice: ChoiceModel


@dataclass(frozen=True)
class TopicRec(UserModel[TopicState]):
    """Appeal is a steep function of taste match; boring topics do not match; taste drifts.

    A topic bores for `window` slates once `threshold` of the remembered clicks were on it. Every
    click moves taste towards the item: taste <- keep taste + (1 - keep) embedding, scaled so that
    the topics' norms sum to 1. A slate with `crowd` or more items of one topic is clicked
    `penalty` times less.

    The original keeps topics and times of clicks in two queues of ten and puts the clicks on the
    first slate into one of them only; so the oldest topics outlive their time. Kept as it is.

    Source: GeMS, Deffayet et al. 2023, arXiv:2301.08632; github.com/naver/gems 277a85f. Its boost
    of short-term interest is 1 in all published settings, and left out.
    """

    num_topics: int = 10  # G
    topic_size: int = 2  # E
    slope: float = 100.0  # log-odds per unit of match
    offset: float = 0.28  # match at which appeal is 0
    keep: float = 0.9  # of taste, per click
    memory: int = 10  # R, clicks
    window: int = 5  # slates
    threshold: int = 5  # clicks; above `memory`: nobody is ever bored
    crowd: int = 4  # items of one topic
    penalty: float = 1.0  # >= 1
    first_slate: WarmSlate | None = None

    def initial(self, arrival: Arrival, luck: Luck) -> TopicState:
        """Taste by the original's recipe; the clicks on the first slate are remembered."""
        B, R, G, E = luck.stream.shape[0], self.memory, self.num_topics, self.topic_size
        device = luck.stream.device
        place_BGE = (0.4 * luck.normal(PLACE, G * E)).clamp(-1, 1).abs().view(B, G, E)
        weight_BG = luck.uniform(WEIGHT, G) ** 3
        weight_BG = weight_BG / weight_BG.sum(1, keepdim=True)
        none_BR = torch.full((B, R), -1, dtype=torch.int32, device=device)
        state = TopicState(
            taste=self._scaled((place_BGE * weight_BG[..., None]).flatten(1)),
            topic=none_BR,
            age=none_BR.clone(),
            bored=torch.zeros(B, G, dtype=torch.int32, device=device),
        )
        if self.first_slate is None:
            return state
        first = self.first_slate
        items = Items(first.items_K.expand(B, -1).contiguous(), first.catalogue)
        _, click_BK = first.choice(self._match(state, items), luck)
        topic_BR = _append(state.topic, items.topic, click_BK)
        return TopicState(state.taste, topic_BR, state.age, self._boredom(state.bored, topic_BR))

    def appeal(self, state: TopicState, items: Items, context: Context) -> Tensor:
        """As above, (B, K); all items are taken for one slate."""
        return self._match(state, items)

    def outlook(
        self, state: TopicState, catalogue: Catalogue, context: Context, luck: Luck
    ) -> tuple[Tensor, Tensor]:
        """Every item's own appeal, (B, N): whom a slate would crowd depends on the slate."""
        match_BN = self._open_to(state) @ catalogue.embedding.T
        return self.slope * (match_BN - self.offset), match_BN.new_ones(1, 1, 1)

    def evolve(
        self, state: TopicState, items: Items, feedback_BKM: Tensor, context: Context, luck: Luck
    ) -> TopicState:
        """Remember the clicks, drift, and grow bored or recover."""
        R, click_BK = self.memory, feedback_BKM[..., 0] > 0
        if click_BK.shape[1] > R:
            raise ValueError(f"memory must hold a slate: {R} clicks, {click_BK.shape[1]} slots")
        older_BR = torch.where(state.age < 0, -1, state.age + 1).int()
        age_BR = _append(older_BR, torch.zeros_like(items.topic), click_BK)
        topic_BR = _append(state.topic, items.topic, click_BK)
        expired_B1 = (age_BR > self.window).sum(1, keepdim=True)
        age_BR, topic_BR = _forget(age_BR, expired_B1), _forget(topic_BR, expired_B1)
        taste_BD = state.taste
        if self.keep < 1.0:
            for k in range(click_BK.shape[1]):
                towards_BD = Items(items.id[:, k].contiguous(), items.catalogue).embedding
                moved_BD = self._scaled(self.keep * taste_BD + (1.0 - self.keep) * towards_BD)
                taste_BD = torch.where(click_BK[:, k : k + 1], moved_BD, taste_BD)
        return TopicState(taste_BD, topic_BR, age_BR, self._boredom(state.bored, topic_BR))

    def about_to_bore(self, state: TopicState) -> Tensor:
        """Topics that bore, or would after one more click, (B, G) bool."""
        return (state.bored > 0) | (self._count(state.topic) >= self.threshold - 1)

    def _match(self, state: TopicState, items: Items) -> Tensor:
        match_BK = (items.embedding @ self._open_to(state)[:, :, None]).squeeze(2)
        appeal_BK = self.slope * (match_BK - self.offset)
        if self.penalty == 1.0:
            return appeal_BK
        one_BK, none_BG = torch.ones_like(items.topic), torch.zeros_like(state.bored)
        count_BG = none_BG.scatter_add(1, items.topic.long(), one_BK)
        crowded_B1 = (count_BG >= self.crowd).any(1, keepdim=True)
        fewer_BK = (
            logsigmoid(appeal_BK)
            - log(self.penalty)
            - torch.log1p(-appeal_BK.sigmoid() / self.penalty)
        )
        return torch.where(crowded_B1, fewer_BK, appeal_BK)

    def _open_to(self, state: TopicState) -> Tensor:
        """Taste, with the topics that bore left out, (B, G * E)."""
        interested_BD = (state.bored == 0).repeat_interleave(self.topic_size, 1)
        return state.taste * interested_BD

    def _boredom(self, bored_BG: Tensor, topic_BR: Tensor) -> Tensor:
        """Recover by a slate; then what was clicked too often bores."""
        count_BG = self._count(topic_BR)
        left_BG = (bored_BG - 1).clamp(min=0)
        starts_BG = (count_BG >= self.threshold) & (left_BG == 0)
        return left_BG.masked_fill(starts_BG, self.window)

    def _count(self, topic_BR: Tensor) -> Tensor:
        """Remembered clicks by topic, (B, G) int32."""
        known_BR = (topic_BR >= 0).int()
        none_BG = known_BR.new_zeros(len(topic_BR), self.num_topics)
        return none_BG.scatter_add(1, topic_BR.clamp(min=0).long(), known_BR)

    def _scaled(self, taste_BD: Tensor) -> Tensor:
        taste_BGE = taste_BD.view(-1, self.num_topics, self.topic_size)
        norm_BG: Tensor = torch.linalg.vector_norm(taste_BGE, dim=2)
        return taste_BD / norm_BG.sum(1, keepdim=True)


def _append(last_BR: Tensor, new_BK: Tensor, click_BK: Tensor) -> Tensor:
    """The last R of the old entries followed by the clicked new ones in slot order."""
    order_BK = (~click_BK).int().argsort(dim=1, stable=True)
    both = torch.cat([last_BR, new_BK.gather(1, order_BK)], 1)
    keep_BR = torch.arange(last_BR.shape[1], device=last_BR.device) + click_BK.sum(1, keepdim=True)
    return both.gather(1, keep_BR)


def _forget(newest_last_BR: Tensor, number_B1: Tensor) -> Tensor:
    """Without the oldest `number` entries."""
    known_BR = newest_last_BR >= 0
    rank_BR = known_BR.int().cumsum(1)  # 1 for the oldest that is known
    return torch.where(known_BR & (rank_BR > number_B1), newest_last_BR, -1)
