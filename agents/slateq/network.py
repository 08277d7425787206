"""A number for a state and one for every item in it: item values, or log-odds of clicks."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from slategym.agents.core.ensemble import linear
from slategym.envs.types import Catalogue

HIDDEN = (256, 128)  # units of the two layers that all items share
MOST_ROWS = 4096  # items up to which each has weights of its own


class ItemNetwork(nn.Module):
    """Dueling heads over a shared trunk (Wang et al. 2016, arXiv:1511.06581), without centring.

    Up to MOST_ROWS items have a row of weights each. In larger catalogues the state makes a query,
    and an item's number is its product with the item's vector.

    Args:
        num_inputs: X.
        catalogue: of N items.
    """

    def __init__(self, num_inputs: int, catalogue: Catalogue) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((num_inputs, *HIDDEN), HIDDEN, strict=False):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.trunk = nn.Sequential(*layers)
        self.level = nn.Linear(HIDDEN[-1], 1)
        self.nothing = nn.Linear(HIDDEN[-1], 1)
        N, D = catalogue.embedding.shape
        self.by_row = N <= MOST_ROWS
        self.item = nn.Linear(HIDDEN[-1], N if self.by_row else D)
        item_ND = nn.functional.normalize(catalogue.embedding, dim=1)
        self.register_buffer("item_DN", torch.empty(0) if self.by_row else item_ND.T.cpu())

    def forward(self, x_BX: Tensor) -> tuple[Tensor, Tensor]:
        """The state's number (B, 1); every item's and, last, that of no click (B, N + 1)."""
        hidden_BZ = self.trunk(x_BX)
        item_BN = self.item(hidden_BZ)
        if not self.by_row:
            item_BN = item_BN @ self.item_DN
        return self.level(hidden_BZ), torch.cat([item_BN, self.nothing(hidden_BZ)], -1)

    def stacked(self, weights: Mapping[str, Tensor], *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The same of all members at once, see `Stackable`: (S, B, 1) and (S, B, N + 1)."""
        (hidden_SBX,) = inputs
        for layer in range(len(HIDDEN)):
            hidden_SBX = linear(weights, f"trunk.{2 * layer}", hidden_SBX).relu()
        item_SBN = linear(weights, "item", hidden_SBX)
        if not self.by_row:
            item_SBN = item_SBN @ weights["item_DN"]
        nothing_SB1 = linear(weights, "nothing", hidden_SBX)
        return linear(weights, "level", hidden_SBX), torch.cat([item_SBN, nothing_SB1], -1)


def of_candidates(item_SBN: Tensor, candidate_SBC: Tensor | None) -> Tensor:
    """The numbers of the candidates, (S, B, C); None: a position is an item id."""
    return item_SBN if candidate_SBC is None else item_SBN.gather(-1, candidate_SBC.long())
