"""Corrections to what the ranker says of a pair, fitted to how people chose from its slates.

utility = scale * ranker's utility + correction         log-odds, against those of taking nothing
reward  = ranker's mean reward of a click + correction

Both corrections are the sum of a small network of the pair's features, a direction in the space of
items that follows from the user's state, and an effect of the item itself: a head on the frozen
embeddings of the multi-task model. All are zero at first.

Axis letters beyond the legend of `envs/types.py`: F features of a pair, R requests.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slategym.agents.core.offer import Offer
from slategym.agents.slates.top import FORBIDDEN

HIDDEN = 64  # units of the network
DIRECTION, ITEM, NETWORK = 10.0, 10.0, 0.01  # precision of the weights' prior, 1 / units^2


class Correction(nn.Module):
    """What interaction taught.

    Args:
        num_features: F.
        items_ND: item vectors, entries of order one.
        num_slots: K.
        nothing: utility of taking nothing, at first.
        seed: of the initial weights; the global generator is left as it was.
    """

    items_ND: Tensor

    def __init__(
        self, num_features: int, items_ND: Tensor, num_slots: int, nothing: float, seed: int
    ) -> None:
        super().__init__()
        N, D = items_ND.shape
        self.register_buffer("items_ND", items_ND.clone(), persistent=False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.first, self.last = nn.Linear(num_features, HIDDEN), nn.Linear(HIDDEN, 2)
            self.direction = nn.Linear(D, 2 * D, bias=False)
        for parameter in (self.last.weight, self.last.bias, self.direction.weight):
            nn.init.zeros_(parameter)
        self.item_N2 = nn.Parameter(torch.zeros(N, 2))
        self.slot_K = nn.Parameter(torch.zeros(num_slots))  # of being shown there; none is served
        self.scale = nn.Parameter(torch.ones(()))
        self.nothing = nn.Parameter(torch.tensor(float(nothing)))

    def forward(self, offer: Offer) -> tuple[Tensor, Tensor]:
        """Utilities less that of taking nothing, and rewards of a click, (R, C) each."""
        D = self.items_ND.shape[1]
        towards_R2D = self.direction(offer.state).view(-1, 2, D) / D
        items_RCD = F.embedding(offer.id, self.items_ND)
        added_RC2 = self.last(F.relu(self.first(offer.features)))
        added_RC2 = added_RC2 + F.embedding(offer.id, self.item_N2)
        added_RC2 = added_RC2 + items_RCD @ towards_R2D.transpose(1, 2)
        utility_RC = self.scale * offer.utility + added_RC2[..., 0] - self.nothing
        utility_RC = utility_RC.masked_fill(~offer.allowed, FORBIDDEN)
        return utility_RC, offer.reward + added_RC2[..., 1]

    def prior(self) -> Tensor:
        """Minus the log-density of the weights before anything was seen, up to a constant."""
        network = self.first.weight.square().sum() + self.last.weight.square().sum()
        items, direction = self.item_N2.square().sum(), self.direction.weight.square().sum()
        return (NETWORK * network + ITEM * items + DIRECTION * direction) / 2


def choice_loss(utility_RK: Tensor, clicked_RK: Tensor, one_choice: bool) -> Tensor:
    """Minus the log-likelihood of what was chosen, mean over slates, nats.

    Args:
        utility_RK: of what each slot held, less that of taking nothing.
        clicked_RK: 0 or 1.
        one_choice: whether at most one slot is chosen, or each for itself.
    """
    if not one_choice:
        return F.binary_cross_entropy_with_logits(utility_RK, clicked_RK) * utility_RK.shape[1]
    none_R1 = torch.zeros_like(utility_RK[:, :1])
    whole_R = torch.cat([none_R1, utility_RK], 1).logsumexp(1)
    return (whole_R - (utility_RK * clicked_RK).sum(1)).mean()


def reward_loss(reward_RK: Tensor, earned_RK: Tensor, clicked_RK: Tensor) -> Tensor:
    """Half the squared error of the rewards of what was clicked, mean over slates."""
    return 0.5 * ((earned_RK - reward_RK).square() * clicked_RK).sum(1).mean()
