"""Users who tire of a topic after too many recent clicks on it, as in SARDINE."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from slategym.envs.constants import constant
from slategym.envs.luck import Luck, purpose
from slategym.envs.protocols import ChoiceModel, UserModel
from slategym.envs.types import NOT_DRAWN, Arrival, Catalogue, Context, Items

NUM_TOPICS, TASTE, TOPICS, WARM_UP = (
    purpose(f"boredom.{n}") for n in ("num_topics", "taste", "topics", "warm_up")
)
STEP = 256  # a remembered click is one int32: STEP * slates left + topic
THREE, FOUR = 0.3226, 0.6989  # Binomial(10, 0.4) given 3, 4 or 5: P(3), P(at most 4)


@dataclass(frozen=True)
class BoredomState:
    """What one likes, what one clicked lately, and what bores."""

    taste: Tensor  # (B, G) float32, unit norm, >= 0
    # (B, R + 1) int32, the last R clicks, a ring; column R: a bin, 0 or less
    clicks: Tensor = field(metadata=NOT_DRAWN)
    next: Tensor = field(metadata=NOT_DRAWN)  # (B,) int32, ring position of the next, in [0, R)
    count: Tensor  # (B, G) float32, remembered clicks by topic
    bored: Tensor  # (B, G) int32, slates of boredom remaining


@dataclass(frozen=True)
class FirstSlate:
    """A slate of random items that everyone has seen, and reacted to, before the session."""

    catalogue: Catalogue
    choice: ChoiceModel
    size: int  # K


@dataclass(frozen=True)
class Boredom(UserModel[BoredomState]):
    """Appeal is a steep function of taste match, and vanishes while the user is bored.

    A topic bores for `window` slates once `threshold` of the last `memory` clicks, none older than
    `window` slates, were on it. After a slate with clicks, taste moves towards the clicked items:
    taste <- (1 - influence) taste + influence (their mean embedding), scaled to unit norm.

    Source: SARDINE, Deffayet et al. 2024 (github.com/naver/sardine 5093bde).
    """

    num_topics: int = 10  # G, at most 256
    slope: float = 100.0  # log-odds per unit of match
    offset: float = 0.65  # match at which appeal is 0, in [0, 1]
    memory: int = 10  # R, clicks; at least the slate size
    window: int = 5  # slates
    threshold: int = 5  # clicks; above `memory`: nobody is ever bored
    influence: float = 0.0  # in [0, 1)
    influence_of_mean: bool = False  # True: the mean over all numbers, a slip of the original
    whole: bool = True  # True: boredom switches off all interest; False: in the boring topics only
    first_slate: FirstSlate | None = None

    def initial(self, arrival: Arrival, luck: Luck) -> BoredomState:
        """Three to five liked topics, weights uniform before scaling to unit norm."""
        B, G, device = luck.stream.shape[0], self.num_topics, luck.stream.device
        u_B1 = luck.uniform(NUM_TOPICS, 1)
        number_B1 = 3 + (u_B1 > THREE).int() + (u_B1 > FOUR).int()
        rank_BG = luck.uniform(TOPICS, G).argsort(1).argsort(1)
        taste_BG = luck.uniform(TASTE, G) * (rank_BG < number_B1)
        state = BoredomState(
            taste=_unit(taste_BG),
            clicks=torch.zeros(B, self.memory + 1, dtype=torch.int32, device=device),
            next=torch.zeros(B, dtype=torch.int32, device=device),
            count=torch.zeros(B, G, device=device),
            bored=torch.zeros(B, G, dtype=torch.int32, device=device),
        )
        if self.first_slate is None:
            return state
        first = self.first_slate
        ids_BK = luck.integers(WARM_UP, first.size, first.catalogue.num_items)
        items = Items(ids_BK, first.catalogue)
        _, click_BK = first.choice(self._match(state, items), luck)
        return self._react(state, items, click_BK.float())

    def appeal(self, state: BoredomState, items: Items, context: Context) -> Tensor:
        """Match beyond the offset, times the slope, (B, K); the match of a bored user is 0."""
        return self._match(state, items)

    def outlook(
        self, state: BoredomState, catalogue: Catalogue, context: Context, luck: Luck
    ) -> tuple[Tensor, Tensor]:
        """Every item's appeal, (B, N), by one matrix product."""
        match_BN = self._open_to(state) @ catalogue.embedding.T
        return self.slope * (match_BN - self.offset), match_BN.new_ones(1, 1, 1)

    def evolve(
        self, state: BoredomState, items: Items, feedback_BKM: Tensor, context: Context, luck: Luck
    ) -> BoredomState:
        """Remember the clicks, grow bored or recover, and drift."""
        return self._react(state, items, feedback_BKM[..., 0])

    def about_to_bore(self, state: BoredomState) -> Tensor:
        """Topics that bore, or would after one more click, (B, G) bool."""
        return (state.bored > 0) | (state.count >= self.threshold - 1)

    def reveal(self, state: BoredomState) -> Tensor:
        """Share of the boredom threshold reached per topic, in [0, 1], (B, G)."""
        return (state.count / self.threshold).clamp(max=1.0)

    def _match(self, state: BoredomState, items: Items) -> Tensor:
        match_BK = (items.embedding @ self._open_to(state)[:, :, None]).squeeze(2)
        return self.slope * (match_BK - self.offset)

    def _open_to(self, state: BoredomState) -> Tensor:
        """Taste, with what bores left out, (B, G)."""
        if self.whole and not torch.compiler.is_compiling():
            return state.taste * (state.bored.sum(1, keepdim=True) == 0)  # the same, with less
        tired_BG = state.bored > 0
        if self.whole:
            tired_BG = tired_BG.any(1, keepdim=True)
        return state.taste.masked_fill(tired_BG, 0.0)

    def _react(self, state: BoredomState, items: Items, clicked_BK: Tensor) -> BoredomState:
        R, click_BK = self.memory, clicked_BK.int()
        if click_BK.shape[1] > R:
            raise ValueError(f"memory must hold a slate: {R} clicks, {click_BK.shape[1]} slots")

        # write the clicks into the ring in slot order; what was not clicked goes to the bin
        place_BK = state.next[:, None] + _running_sum(click_BK)
        next_B = place_BK[:, -1]
        new_BK = (items.topic + STEP * self.window) * click_BK  # 0 in the bin: counts for nothing
        clicks_BR = _written(state.clicks - STEP, _in_ring(place_BK, click_BK, R), new_BK)
        count_BG = _counted(clicks_BR, self.num_topics)
        bored_BG = (state.bored - 1).clamp(min=0)
        starts_BG = (count_BG >= self.threshold) & (bored_BG == 0)
        return replace(
            state,
            taste=self._drift(state.taste, items, clicked_BK) if self.influence else state.taste,
            clicks=clicks_BR,
            next=torch.where(next_B >= R, next_B - R, next_B),
            count=count_BG,
            bored=torch.where(starts_BG, self.window, bored_BG),
        )

    def _drift(self, taste_BG: Tensor, items: Items, clicked_BK: Tensor) -> Tensor:
        number_B1 = clicked_BK.sum(1, keepdim=True)
        towards_BG = (clicked_BK[:, :, None] * items.embedding).sum(1) / number_B1.clamp(min=1.0)
        if self.influence_of_mean:
            towards_BG = towards_BG.mean(1, keepdim=True)
        moved_BG = (1.0 - self.influence) * taste_BG + self.influence * towards_BG
        return torch.where(number_B1 > 0, _unit(moved_BG), taste_BG)


def _unit(x_BG: Tensor) -> Tensor:
    norm_B1: Tensor = torch.linalg.vector_norm(x_BG, dim=1, keepdim=True)
    return x_BG / norm_B1


# What follows is a single operation each, which a compiler cannot join with its neighbours: for it
# they are written slot by slot, with equal results.


def _running_sum(click_BK: Tensor) -> Tensor:
    """Clicks up to and with each slot, (B, K) int32."""
    if not torch.compiler.is_compiling():
        return click_BK.cumsum(1, dtype=torch.int32)
    slot_K = torch.arange(click_BK.shape[1], dtype=torch.int32, device=click_BK.device)
    sum_BK = torch.zeros_like(click_BK)
    for k in range(click_BK.shape[1]):
        sum_BK = sum_BK + torch.where(slot_K >= k, click_BK[:, k : k + 1], 0)
    return sum_BK


def _in_ring(place_BK: Tensor, click_BK: Tensor, size: int) -> Tensor:
    """Where in a ring of R = size clicks are written, (B, K), by their places counted from 1.

    What was not clicked goes to R, the bin.
    """
    if not torch.compiler.is_compiling():
        ring_x = (size, *(place % size for place in range(2 * size)))  # at 0: the bin
        table_x = constant(ring_x, place_BK, torch.int64)
        return table_x.index_select(0, (place_BK * click_BK).flatten()).view(place_BK.shape)
    place_BK = torch.where(place_BK > size, place_BK - size, place_BK) - 1
    return torch.where(click_BK > 0, place_BK, size)


def _written(ring_BR: Tensor, place_BK: Tensor, new_BK: Tensor) -> Tensor:
    """The ring with `new` written at these places, in slot order; only the bin is written twice."""
    if not torch.compiler.is_compiling():
        return ring_BR.scatter(1, place_BK, new_BK)
    place_R = torch.arange(ring_BR.shape[1], dtype=torch.int32, device=ring_BR.device)
    for k in range(place_BK.shape[1]):
        here_BR = place_BK[:, k : k + 1] == place_R
        ring_BR = torch.where(here_BR, new_BK[:, k : k + 1], ring_BR)
    return ring_BR


def _counted(ring_BR: Tensor, num_topics: int) -> Tensor:
    """What is remembered, by topic, (B, G) float32."""
    topic_BR, kept_BR = ring_BR & (STEP - 1), ring_BR >= STEP
    if not torch.compiler.is_compiling():
        none_BG = torch.zeros(len(ring_BR), num_topics, device=ring_BR.device)
        return none_BG.scatter_add_(1, topic_BR.long(), kept_BR.float())
    topic_G = torch.arange(num_topics, dtype=torch.int32, device=ring_BR.device)
    count_BG = torch.zeros(len(ring_BR), num_topics, device=ring_BR.device)
    topic_BR = torch.where(kept_BR, topic_BR, -1)
    for r in range(ring_BR.shape[1]):
        count_BG = count_BG + (topic_BR[:, r : r + 1] == topic_G).float()
    return count_BG
