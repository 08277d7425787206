"""Items whose providers learn what gets them shown: rounds of best responses.

In a round every attacker in turn looks like one of the items that are shown most, its topic and its
columns with it, or as it did: whichever a greedy ranker of clicks, told what people click now,
would show most people at their first request. What it is worth stays as little as it was. Rounds
end when nobody gains by changing.

Source: Ben-Porat and Tennenholtz 2018, arXiv:1806.00955 (content providers who learn by best
responses, section 2).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from slategym.envs import engine
from slategym.envs.luck import Luck, purpose
from slategym.envs.scenarios.catalogue import SPAM_QUALITY, Made, assembled
from slategym.envs.scenarios.words import Words
from slategym.envs.types import Catalogue, World

ATTACKER = purpose("scenario.item.attacker")
MODELS = 8  # items shown most, which an attacker may look like
MET = 128  # people before whom the ranker is asked
LUCK = 1_031  # seed of what is true at their first requests


@dataclass(frozen=True)
class Attack:
    """Which items attack, and how long they learn."""

    share: float  # of the catalogue
    rounds: int  # of best responses, at most

    def attackers(self, num_items: int, seed: int) -> Tensor:
        """Which items, (N,) bool; the same in worlds of the same seed."""
        item_N = torch.arange(num_items, dtype=torch.int32)
        luck = Luck.at(item_N, torch.full_like(item_N, seed))
        return luck.uniform(ATTACKER, 1)[:, 0] < self.share

    def on(self, world: World, words: Words, columns: tuple[Made, ...]) -> World:
        """The same world with these items changed.

        Args:
            world: as it is before.
            words: of its scenario.
            columns: of its scenario.
        """
        attacks_N = self.attackers(world.catalogue.num_items, world.seed)
        worse_N = world.catalogue.quality + SPAM_QUALITY * attacks_N
        its = _with_looks(world, world.catalogue.topic, _values(world.catalogue), worse_N,
                          words, columns)  # fmt: skip
        world = replace(world, catalogue=its)
        for _ in range(self.rounds):
            looks_N = _responses(world, attacks_N.nonzero()[:, 0].tolist())
            if torch.equal(looks_N, torch.arange(len(looks_N))):
                break
            its = world.catalogue
            values = [x_N[looks_N] for x_N in _values(its)]
            its = _with_looks(world, its.topic[looks_N], values, its.quality, words, columns)
            world = replace(world, catalogue=its)
        return world


def _values(its: Catalogue) -> list[Tensor]:
    return [x_N for _, x_N in its.attributes]


def _with_looks(
    world: World,
    topic_N: Tensor,
    values: list[Tensor],
    quality_N: Tensor,
    words: Words,
    columns: tuple[Made, ...],
) -> Catalogue:
    return assembled(topic_N, quality_N, values, words, columns, world.seed)


@torch.no_grad()
def wanted_now(world: World) -> Tensor:
    """Log-odds of a click on every item, at first requests of the first people, (B, N)."""
    user_B = torch.arange(min(MET, world.population.size), dtype=torch.int32)
    bare = replace(world, observer=None, history_size=0, shown_size=0)
    session = engine.start(bare, torch.full_like(user_B, LUCK), user_B, torch.zeros_like(user_B))
    now = Luck.at(session.key, session.step)
    return world.users.outlook(session.user, world.catalogue, session.context, now)[0]


def shown_share(score_BN: Tensor, num_slots: int) -> Tensor:
    """Share of people to whom a greedy ranker shows each item, (N,)."""
    top_BK = score_BN.topk(num_slots, dim=1).indices
    shown_BN = torch.zeros_like(score_BN).scatter(1, top_BK, 1.0)
    return shown_BN.mean(0)


def _responses(world: World, attackers: list[int]) -> Tensor:
    """Whose looks every item takes, (N,): an attacker's best response, or its own."""
    K, N = world.slate_size, world.catalogue.num_items
    appeal_BN, looks_N = wanted_now(world), torch.arange(N)
    for item in attackers:
        others_BN = appeal_BN.clone()
        others_BN[:, item] = -torch.inf
        bar_B = others_BN.topk(K, dim=1).values[:, -1]  # to be in the slate, it must be wanted more
        models = shown_share(others_BN, K).topk(min(MODELS, N - 1)).indices
        tried_BX = _wanted_as(world, item, models)
        chance_X = (tried_BX > bar_B[:, None]).float().mean(0)
        own = float((appeal_BN[:, item] > bar_B).float().mean())
        best = int(chance_X.argmax())
        if float(chance_X[best]) > own:
            looks_N[item] = int(models[best])
            appeal_BN[:, item] = tried_BX[:, best]
    return looks_N


def _wanted_as(world: World, item: int, models: Tensor) -> Tensor:
    """Log-odds of a click on an item if it looked like each of these, (B, X)."""
    its = world.catalogue
    tried = Catalogue(
        topic=its.topic[models],
        embedding=its.embedding[models],
        quality=its.quality[item].expand(len(models)).contiguous(),
        topics=its.topics,
        attributes=tuple((column, x_N[models]) for column, x_N in its.attributes),
    )
    return wanted_now(replace(world, catalogue=tried))
