"""What the item of a slot does to what follows its slate: a critic of slots, for PPO.

What follows a slate, beyond its own reward, is foreseen as

    value of the request + sum over slots of the effect of the item there

and learned from what did follow. So a slot answers for its own item, and not for what the other
slots' items did to the user. An item is known by what was clicked of its topic lately, by its match
with what is wanted, and by how many earlier slots hold its topic: what is learnt of one topic holds
for the others.

Source: Sunehag et al. 2018, AAMAS, arXiv:1706.05296, section 3 (a value as the sum of its parts);
Foerster et al. 2018, AAAI, arXiv:1705.08926, section 4 (each part's advantage by a critic).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slategym.agents.core.inputs import Inputs
from slategym.agents.policy_gradient.network import Shown
from slategym.envs.names import UsageError
from slategym.envs.types import World

HIDDEN = 64  # units of each of two layers
TIMID = 0.01  # first weights of the last layers, relative to the usual


class SlotCritic(nn.Module):
    """What follows a slate, from its request and its slots.

    Args:
        width: X, of the input vector.
        per_slot: E, features of a slot.
    """

    def __init__(self, width: int, per_slot: int) -> None:
        super().__init__()
        self.request, self.slot = _network(width), _network(per_slot)

    def forward(self, x_BX: Tensor, slot_BKE: Tensor) -> tuple[Tensor, Tensor]:
        """What follows any slate, (B,), and each slot's effect on it, (B, K); units of value."""
        return self.request(x_BX)[..., 0], self.slot(slot_BKE)[..., 0]


def _network(width: int) -> nn.Sequential:
    last = nn.Linear(HIDDEN, 1)
    with torch.no_grad():
        last.weight.mul_(TIMID)
        last.bias.zero_()
    return nn.Sequential(
        nn.Linear(width, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, HIDDEN), nn.Tanh(), last
    )


@dataclass(frozen=True)
class SlotReader:
    """Features of slots; make it by `slot_reader`."""

    inputs: Inputs

    @property
    def width(self) -> int:
        """E."""
        world = self.inputs.world
        slate_1K = torch.zeros(1, world.slate_size, dtype=torch.int64, device=world.device)
        shown = {"x": torch.zeros(1, self.inputs.width, device=world.device)}
        return self(shown, slate_1K).shape[2]

    def __call__(self, shown: Shown, slate_BK: Tensor) -> Tensor:
        """(B, K, E), of order one.

        Args:
            shown: the input vector "x", and "id" unless a place is an item.
            slate_BK: int64, places among the candidates.
        """
        inputs, where, x_BX = self.inputs, self.inputs.remembered, shown["x"]
        assert where is not None
        catalogue = inputs.world.catalogue
        B, K = slate_BK.shape
        id_BK = shown["id"].long().gather(1, slate_BK) if "id" in shown else slate_BK
        topic_BK = catalogue.topic.long()[id_BK]
        told_BGR = x_BX[:, where.topics].reshape(B, -1, catalogue.num_topics).mT
        if where.revealed is not None:
            told_BGR = torch.cat([told_BGR, x_BX[:, where.revealed, None]], 2)
        own_BKR = told_BGR.gather(1, topic_BK[..., None].expand(-1, -1, told_BGR.shape[2]))
        items_BKD = F.embedding(id_BK, inputs.items_ND)
        match_BKn = items_BKD @ x_BX[:, where.taste].reshape(B, -1, items_BKD.shape[2]).mT
        same_BKK = topic_BK[:, :, None] == topic_BK[:, None, :]
        earlier_BK = same_BKK.tril(-1).sum(2) / 3.0
        slot_BK = (torch.arange(K, device=x_BX.device) / K).expand(B, -1)
        visit_BKV = x_BX[:, None, where.visit].expand(-1, K, -1)
        return torch.cat(
            [own_BKR, match_BKn, earlier_BK[..., None], slot_BK[..., None], visit_BKV], 2
        )


def slot_reader(world: World, inputs: Inputs) -> SlotReader:
    """What reads slots in that world.

    Raises:
        UsageError: the world remembers no clicks; its slates have one slot.
    """
    if inputs.remembered is None:
        raise UsageError(
            f"credit 'critic' reads what was clicked, which {world.name} does not remember; "
            "set history_size above 0, or credit 'item'"
        )
    if world.slate_size == 1:
        raise UsageError(
            f"credit 'critic' splits what follows among slots, and slates of {world.name} have "
            "one; use credit 'slate'"
        )
    return SlotReader(inputs)


def slot_advantages(reward_SnK: Tensor, effect_SnK: Tensor) -> Tensor:
    """Advantage of every slot's item, (S, n, K).

    Its own reward and effect, less the mean of the other slots', each beyond what is usual in its
    slot. What the critic leaves unexplained is nobody's: it is noise to every slot (in SARDINE, a
    tenth of it given to all slots costs 40 of 370 clicks; docs/results/sardine.md).

    Args:
        reward_SnK: of each slot.
        effect_SnK: of each slot, by the critic.
    """
    own_SnK = reward_SnK + effect_SnK
    own_SnK = own_SnK - own_SnK.mean(1, keepdim=True)
    others_SnK = (own_SnK.sum(2, keepdim=True) - own_SnK) / (own_SnK.shape[2] - 1)
    return own_SnK - others_SnK
