"""A world of five items whose best slate is known. Importable by every test."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from slategym.envs.candidates import WholeCatalogue
from slategym.envs.choice import MultinomialLogit
from slategym.envs.context import Nothing
from slategym.envs.luck import Luck
from slategym.envs.protocols import UserModel
from slategym.envs.types import Arrival, Catalogue, Context, Items, Population, World

APPEAL = (-2.5, 0.5, -3.0, -2.0, 0.0)  # log-odds
BEST = {1, 4}  # the slate of most clicks: whatever happens, nobody changes


@dataclass(frozen=True)
class Steady(UserModel[Tensor]):
    """Everybody wants the same, for ever."""

    def initial(self, arrival: Arrival, luck: Luck) -> Tensor:
        return torch.zeros_like(arrival.user_id, dtype=torch.float32)

    def appeal(self, state: Tensor, items: Items, context: Context) -> Tensor:
        return torch.tensor(APPEAL)[items.id.long()]


def five_items() -> World:
    """Five items, all on offer, two at a time, eight slates; a click is worth ten."""
    return World(
        name="five items",
        catalogue=Catalogue(torch.arange(5).int(), torch.eye(5), torch.zeros(5)),
        population=Population(size=2**20),
        users=Steady(),
        choice=MultinomialLogit(),
        context=Nothing(),
        candidates=WholeCatalogue(),
        slate_size=2,
        horizon=8,
        objective=(10.0,),
        history_size=4,
    )
