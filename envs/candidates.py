"""What may be shown at a request."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from slategym.envs.luck import Luck, purpose
from slategym.envs.types import Arrival, Catalogue, Items

OFFER = purpose("candidates.offer")
BYTES_OF_ID = 4


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


@dataclass(frozen=True)
class UnseenOfMany:
    """`UnseenCatalogue` where items are many and few are consumed: no row of N for a user.

    The offer is what was consumed, (B, most) int32 item ids, N: a place that is still free. Only
    `allowed` is a row of N, made when it is asked for.
    """

    num_items: int  # N
    most: int  # items that anybody can have consumed by the end of a session

    def count(self, catalogue: Catalogue) -> int:
        """C = N."""
        return catalogue.num_items

    def initial(self, catalogue: Catalogue, arrival: Arrival, luck: Luck) -> Tensor:
        """What the user has consumed before, (B, L) int32; L is more than `most` if need be."""
        N, user_B = self.num_items, arrival.user_id
        consumed_BW = arrival.history if arrival.consumed is None else arrival.consumed
        if consumed_BW is None:
            consumed_BW = user_B.new_zeros(len(user_B), 0)
        known_BW = torch.where(consumed_BW < 0, N, consumed_BW).int().sort(1).values
        free = max(0, self.most - known_BW.shape[1])
        return torch.nn.functional.pad(known_BW, (0, free), value=N)

    def renew(
        self, offer: Tensor, catalogue: Catalogue, items: Items, feedback_BKM: Tensor, luck: Luck
    ) -> Tensor:
        """A clicked item is not offered again. (B, L) int32.

        Raises:
            RuntimeError: of the scatter, where more than `most` were consumed.
        """
        clicked_BK = feedback_BKM[..., 0] > 0
        filled_B1 = (offer < self.num_items).sum(1, keepdim=True)
        # place 0 takes what was not clicked, and is cut off
        place_BK = torch.where(clicked_BK, filled_B1 + clicked_BK.cumsum(1), 0)
        with_bin_BL = torch.nn.functional.pad(offer, (1, 0))
        return with_bin_BL.scatter(1, place_BK, items.id.int())[:, 1:].contiguous()

    def ids(self, offer: Tensor) -> None:
        """A position is an item id."""
        return None

    def allowed(self, offer: Tensor) -> Tensor:
        """Not consumed yet, (B, N) bool."""
        all_BN = torch.ones(len(offer), self.num_items + 1, dtype=torch.bool, device=offer.device)
        return all_BN.scatter(1, offer.long(), False)[:, :-1].contiguous()


def unseen(num_items: int, most: int) -> UnseenCatalogue | UnseenOfMany:
    """The catalogue without what was consumed, kept in the form that takes fewer bytes.

    Args:
        num_items: N.
        most: items that anybody can have consumed by the end of a session.
    """
    few = BYTES_OF_ID * most < num_items
    return UnseenOfMany(num_items, most) if few else UnseenCatalogue()
