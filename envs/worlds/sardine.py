"""The eight environments of SARDINE."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from slategym.envs.candidates import WholeCatalogue
from slategym.envs.choice import PositionBased
from slategym.envs.context import Nothing
from slategym.envs.luck import Luck, purpose
from slategym.envs.memory import check_fits
from slategym.envs.names import UsageError, lookup
from slategym.envs.settings import Count, Length, Seed
from slategym.envs.trees import map_tensors
from slategym.envs.types import Catalogue, Population, World
from slategym.envs.users.boredom import Boredom, FirstSlate

TOPICS, WEIGHT, NUMBER = (purpose(f"sardine.item.{n}") for n in ("topics", "weight", "number"))
NUM_TOPICS = 10
BYTES_PER_ITEM = 255  # while they are drawn, measured
NEVER = 11  # clicks: more than anyone remembers


class Variant(NamedTuple):
    """What tells the eight environments apart."""

    slate_size: int
    slope: float = 100.0
    threshold: int = 5
    influence: float = 0.0
    offset: float = 0.65
    decay: float = 0.85
    horizon: int = 100
    num_items: int = 1000


VARIANTS = {
    "SingleItem-Static": Variant(1, threshold=NEVER),
    "SingleItem-BoredInf": Variant(1, influence=0.05),
    "SingleItem-Uncertain": Variant(1, slope=10.0, threshold=NEVER),
    "SlateTopK-Bored": Variant(10),
    "SlateTopK-BoredInf": Variant(10, influence=0.05),
    "SlateTopK-Uncertain": Variant(10, slope=10.0, influence=0.05),
    "SlateRerank-Static": Variant(10, 5.0, NEVER, 0.0, 0.3, 0.7, 10, 10),
    "SlateRerank-Bored": Variant(10, 5.0, 4, 0.0, 0.3, 0.7, 10, 10),
}

RERANK = (  # the original's ten items, {topic: weight}; with so few, the draw decides the returns
    {0: 0.2859, 1: 0.8343, 7: 0.4713},
    {4: 0.6410, 5: 0.5512, 9: 0.5342},
    {1: 0.6650, 5: 0.6828, 9: 0.3026},
    {3: 0.4933, 6: 0.5656, 8: 0.6608},
    {2: 0.2906, 9: 0.9569},
    {0: 0.1259, 8: 0.9920},
    {1: 0.6681, 3: 0.7441},
    {2: 0.7749, 3: 0.5587, 7: 0.2957},
    {5: 0.3970, 6: 0.9178},
    {2: 0.7164, 3: 0.1930, 9: 0.6704},
)


def sardine(
    variant: str = "SlateTopK-Bored",
    num_items: Count | None = None,
    slate_size: Count | None = None,
    original_influence: bool = False,
    history_size: Length = 0,
    shown_size: Length = 0,
    static: bool = False,
    seed: Seed = 0,
    device: str = "cpu",
) -> World:
    """People who are bored by too much of what they like.

    Description:
        A person likes three to five of ten topics; an item is about two or three. A click on an
        item is likely where its direction matches the person's. Five clicks on one topic within
        five slates bore the person, who then clicks nothing at all for five slates. So the greedy
        choice, ten items of the favourite topic, is the way into boredom.

        Bored: as above. BoredInf: clicks also draw taste towards what was clicked, by 5 %.
        Uncertain: clicks depend less steeply on the match; SlateTopK-Uncertain has boredom and
        influence, SingleItem-Uncertain neither. Static: neither boredom nor influence.
        SingleItem: slates of one. SlateTopK: ten of a thousand. SlateRerank: ten of ten items, in
        the best order, for ten slates.

    Observation space:
        step; user (10,): clicks of the last five slates by topic, as a share of the boredom
        threshold, in [0, 1]; with `history_size`, the last clicked items; with
        `shown_size`, the last slates. All else is hidden.

    Action space:
        MultiDiscrete([num_items] * slate_size), item ids. A repeated item is an empty slot; in the
        original it can be clicked twice.

    Reward:
        clicks.

    Start:
        After a random slate, whose clicks are remembered but not rewarded.

    End:
        Truncated after 100 slates (10 in SlateRerank). Nobody leaves before.

    Args:
        variant: which of the eight; fixed by the world's id.
        num_items: items in the catalogue; None: 1000, or 10 in SlateRerank.
        slate_size: slots; None: the variant's.
        original_influence: True: taste is drawn towards the mean over all numbers of the clicked
            items' embeddings, one number for all topics, as the original program does; for
            reproduction only.
        history_size: remembered clicks in the observation.
        shown_size: remembered slates in the observation, with what was clicked of each.
        static: True: the negative control, without boredom and influence; refused where there is
            neither.
        seed: decides who people and what items are.
        device: of every tensor.

    Source:
        Deffayet et al. 2024, SARDINE; github.com/naver/sardine 5093bde (MIT). Items are drawn anew
        by its recipe, except the ten of SlateRerank, which are the original's.

    Version history:
        v0: first.
    """
    v = lookup("variant", variant, VARIANTS)
    rerank = variant.startswith("SlateRerank") and num_items in (None, v.num_items)
    if static and v.threshold == NEVER and not v.influence:
        raise UsageError(
            f"static: nothing moves in Sardine-{variant}; the world is its own twin, leave it out"
        )
    number = v.num_items if num_items is None else num_items
    check_fits("num_items", number, BYTES_PER_ITEM, device)
    catalogue = map_tensors(
        lambda x: x.to(device), _rerank_items() if rerank else _draw_items(number, seed)
    )
    size = v.slate_size if slate_size is None else slate_size
    if not 1 <= size <= min(10, catalogue.num_items):
        raise UsageError(
            f"slate_size must be in [1, {min(10, catalogue.num_items)}] here (people remember ten "
            f"clicks, and items do not repeat), got {size}"
        )
    choice = PositionBased(v.decay)
    users = Boredom(
        num_topics=NUM_TOPICS,
        slope=v.slope,
        offset=v.offset,
        threshold=NEVER if static else v.threshold,
        influence=0.0 if static else v.influence,
        influence_of_mean=original_influence,
        first_slate=FirstSlate(catalogue, choice, size),
    )
    return World(
        name=f"slategym/Sardine-{variant}-v0",
        catalogue=catalogue,
        population=Population(size=2**20),
        users=users,
        choice=choice,
        context=Nothing(),
        candidates=WholeCatalogue(),
        slate_size=size,
        horizon=v.horizon,
        objective=(1.0,),
        history_size=history_size,
        shown_size=shown_size,
        seed=seed,
        labels=(("people, items and boredom", "synthetic", "SARDINE's recipe"),),
    )


def _draw_items(num_items: int, seed: int) -> Catalogue:
    """Two or three topics each, weights uniform before scaling to unit norm."""
    item_N = torch.arange(num_items, dtype=torch.int32)
    luck = Luck.at(item_N, torch.full_like(item_N, seed))  # items draw as users do
    number_N1 = 2 + luck.integers(NUMBER, 1, 2)
    rank_NG = luck.uniform(TOPICS, NUM_TOPICS).argsort(1).argsort(1)
    return _catalogue(luck.uniform(WEIGHT, NUM_TOPICS) * (rank_NG < number_N1))


def _rerank_items() -> Catalogue:
    weight_NG = torch.zeros(len(RERANK), NUM_TOPICS)
    for n, weights in enumerate(RERANK):
        for topic, weight in weights.items():
            weight_NG[n, topic] = weight
    return _catalogue(weight_NG)


def _catalogue(weight_NG: Tensor) -> Catalogue:
    embedding_NG = weight_NG / weight_NG.norm(dim=1, keepdim=True)
    return Catalogue(
        topic=embedding_NG.argmax(1).int(),
        embedding=embedding_NG,
        quality=torch.zeros(weight_NG.shape[0]),
        topics=tuple(f"topic {topic}" for topic in range(NUM_TOPICS)),
    )
