"""What may be shown at a request."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from slategym.envs.luck import Luck, purpose
from slategym.envs.types import Arrival, Catalogue, Items

OFFER = purpose("candidates.offer")


@dataclass(frozen=True)
class WholeCatalogue:
    """Every item, always; a slate position is an item id and nothing is drawn or stored."""

    def count(self, catalogue: Catalogue) -> int:
        """C = N."""
        return catalogue.num_items

    def initial(self, catalogue: Catalogue, arrival: Arrival, luck: Luck) -> None:
        """Nothing to remember."""
        return None

    def renew(
        self, offer: None, catalogue: Catalogue, items: Items, feedback_BKM: Tensor, luck: Luck
    ) -> None:
        """Nothing to remember."""
        return None

    def ids(self, offer: None) -> None:
        """A position is an item id."""
        return None

    def allowed(self, offer: None) -> None:
        """All."""
        return None


@dataclass(frozen=True)
class FreshDocuments:
    """A new offer each step: `number` rows of the catalogue, uniform, with replacement.

    With one catalogue row per topic this is RecSim's document sampler: two positions may hold
    documents of one topic, and they are two documents.
    """

    number: int  # C

    def __post_init__(self) -> None:
        if self.number < 1:
            raise ValueError(f"number of fresh documents must be positive, got {self.number}")

    def count(self, catalogue: Catalogue) -> int:
        """C = number."""
        return self.number

    def initial(self, catalogue: Catalogue, arrival: Arrival, luck: Luck) -> Tensor:
        """Item ids, (B, C) int32."""
        return luck.integers(OFFER, self.number, catalogue.num_items)

    def renew(
        self, offer: Tensor, catalogue: Catalogue, items: Items, feedback_BKM: Tensor, luck: Luck
    ) -> Tensor:
        """Item ids, (B, C) int32."""
        return luck.integers(OFFER, self.number, catalogue.num_items)

    def ids(self, offer: Tensor) -> Tensor:
        """Item ids, (B, C) int32."""
        return offer

    def allowed(self, offer: Tensor) -> None:
        """All."""
        return None


@dataclass(frozen=True)
class UnseenCatalogue:
    """The catalogue without what the user has consumed, before the session or in it.

    The offer is `seen` (B, N) bool; an item is seen once it is in the user's history or clicked.
    """

    def count(self, catalogue: Catalogue) -> int:
        """C = N."""
        return catalogue.num_items

    def initial(self, catalogue: Catalogue, arrival: Arrival, luck: Luck) -> Tensor:
        """What the user has consumed before, (B, N) bool: all of it, else what is remembered."""
        N, B = catalogue.num_items, arrival.user_id.shape[0]
        seen_BN = torch.zeros(B, N, dtype=torch.bool, device=arrival.user_id.device)
        consumed_BW = arrival.history if arrival.consumed is None else arrival.consumed
        if consumed_BW is None:
            return seen_BN
        known_BW = torch.where(consumed_BW < 0, N, consumed_BW).long()
        with_bin_BN = torch.nn.functional.pad(seen_BN, (0, 1)).scatter(1, known_BW, 1)
        return with_bin_BN[:, :N].contiguous()

    def renew(
        self, offer: Tensor, catalogue: Catalogue, items: Items, feedback_BKM: Tensor, luck: Luck
    ) -> Tensor:
        """A clicked item is not offered again. (B, N) bool."""
        clicked_BK, id_BK = feedback_BKM[..., 0] > 0, items.id.long()
        # a slate may repeat an item: all its copies must write the same value
        same_BKK = id_BK[:, :, None] == id_BK[:, None, :]
        seen_BK = (same_BKK & clicked_BK[:, None, :]).any(2) | offer.gather(1, id_BK)
        return offer.scatter(1, id_BK, seen_BK)

    def ids(self, offer: Tensor) -> None:
        """A position is an item id."""
        return None

    def allowed(self, offer: Tensor) -> Tensor:
        """Not consumed yet, (B, N) bool."""
        return ~offer
