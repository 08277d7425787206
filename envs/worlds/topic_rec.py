"""The six environments of GeMS."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from slategym.envs.candidates import WholeCatalogue
from slategym.envs.choice import MixedPositionBased, PositionBased
from slategym.envs.context import Nothing
from slategym.envs.luck import Luck, purpose
from slategym.envs.memory import check_fits
from slategym.envs.names import UsageError, lookup
from slategym.envs.protocols import ChoiceModel
from slategym.envs.settings import Count, Length, Seed
from slategym.envs.trees import map_tensors
from slategym.envs.types import Catalogue, Population, World
from slategym.envs.users.topic_rec import TopicRec, WarmSlate

PLACE, WEIGHT = (purpose(f"topic_rec.item.{n}") for n in ("place", "weight"))
NUM_TOPICS, TOPIC_SIZE = 10, 2
BYTES_PER_ITEM = 379  # while they are drawn, measured
NEVER = 11  # clicks: more than anyone remembers
DRAWS = {"Focused": 0, "Diffuse": 10_007}  # added to the seed: of one law, two draws of items


def topic_rec(
    click: Literal["TopDown", "Mixed", "DivPen"] = "TopDown",
    items: Literal["Focused", "Diffuse"] = "Focused",
    num_items: Count = 1000,
    slate_size: Count = 10,
    history_size: Length = 0,
    shown_size: Length = 0,
    static: bool = False,
    seed: Seed = 0,
    device: str = "cpu",
) -> World:
    """People who lose interest in a topic after five clicks, and whose taste follows clicks.

    Description:
        People and items are points in a space of ten topics of two dimensions each. A click is
        likely where they match. Five of the last ten clicks on one topic, within five slates, bore
        the person of that topic for five slates. Every click draws taste towards the item.

        TopDown: attention falls by .85 from slot to slot. Mixed: half of the people begin at the
        bottom. DivPen: as Mixed, and a slate with four or more items of one topic is clicked
        three times less. Focused and Diffuse: two draws of the items, by one law.

    Observation space:
        step; with `history_size`, the last clicked items; with
        `shown_size`, the last slates. All else is hidden.

    Action space:
        MultiDiscrete([num_items] * slate_size), item ids. A repeated item is an empty slot; in the
        original it can be clicked twice.

    Reward:
        clicks.

    Start:
        After a slate of the best item of every topic, whose clicks are remembered.

    End:
        Truncated after 100 slates. Nobody leaves before.

    Args:
        click: how slates are read; fixed by the world's id.
        items: what items are like; fixed by the world's id.
        num_items: items in the catalogue.
        slate_size: slots, at most ten.
        history_size: remembered clicks in the observation.
        shown_size: remembered slates in the observation, with what was clicked of each.
        static: True: the negative control, without boredom and drift.
        seed: decides who people and what items are.
        device: of every tensor.

    Source:
        Deffayet et al. 2023, GeMS, arXiv:2301.08632; github.com/naver/gems 277a85f. Items are
        drawn anew, by the program's recipe without its last line, a power of 1.5: with that line a
        plain copy of the program earns 68 by its short-term oracle, without it 101 (96 to 110 over
        six draws of the items), and the paper says 107.7. So the items published as focused cannot
        have been drawn with it. Those published as diffuse are of the same law: the sorted shares
        of an item's topics are .257 .186 .145 .115 .092 .073 .055 .040 .025 .012 among the focused
        and .257 .187 .145 .116 .093 .073 .055 .038 .024 .011 among the diffuse, mean cosines .511
        and .513.

    Version history:
        v0: first. v1 of Diffuse: items of the same law as Focused; they were less about one topic.
    """
    choices: dict[str, ChoiceModel] = {
        "TopDown": PositionBased(0.85),
        "Mixed": MixedPositionBased(0.85),
        "DivPen": MixedPositionBased(0.85),
    }
    choice = lookup("click", click, choices)
    if not 1 <= slate_size <= min(NUM_TOPICS, num_items):
        raise UsageError(
            f"slate_size must be in [1, {min(NUM_TOPICS, num_items)}] (people remember ten clicks, "
            f"and items do not repeat), got {slate_size}"
        )
    check_fits("num_items", num_items, BYTES_PER_ITEM, device)
    catalogue = _draw_items(num_items, (seed + lookup("items", items, DRAWS)) % 2**31)
    best_K = _topic_norms(catalogue.embedding).argmax(0)[:slate_size].int()
    catalogue, best_K = map_tensors(lambda x: x.to(device), (catalogue, best_K))
    users = TopicRec(
        num_topics=NUM_TOPICS,
        topic_size=TOPIC_SIZE,
        keep=1.0 if static else 0.9,
        threshold=NEVER if static else 5,
        penalty=3.0 if click == "DivPen" else 1.0,
        first_slate=WarmSlate(best_K, catalogue, choice),
    )
    return World(
        name=f"slategym/TopicRec-{click}-{items}-{'v1' if items == 'Diffuse' else 'v0'}",
        catalogue=catalogue,
        population=Population(size=2**20),
        users=users,
        choice=choice,
        context=Nothing(),
        candidates=WholeCatalogue(),
        slate_size=slate_size,
        horizon=100,
        objective=(1.0,),
        history_size=history_size,
        shown_size=shown_size,
        seed=seed,
        labels=(("people, items and boredom", "synthetic", "GeMS' recipe"),),
    )


def _draw_items(num_items: int, seed: int) -> Catalogue:
    """Place and weight per topic, scaled to unit norm."""
    item_N = torch.arange(num_items, dtype=torch.int32)
    luck = Luck.at(item_N, torch.full_like(item_N, seed))  # items draw as users do
    size = NUM_TOPICS * TOPIC_SIZE
    place_NGE = (0.4 * luck.normal(PLACE, size)).clamp(-1, 1).abs()
    weight_NG = luck.uniform(WEIGHT, NUM_TOPICS)
    weight_NG = weight_NG / weight_NG.sum(1, keepdim=True)
    embedding_ND = place_NGE * weight_NG.repeat_interleave(TOPIC_SIZE, 1)
    embedding_ND = embedding_ND / embedding_ND.norm(dim=1, keepdim=True)
    return Catalogue(
        topic=_topic_norms(embedding_ND).argmax(1).int(),
        embedding=embedding_ND,
        quality=torch.zeros(num_items),
        topics=tuple(f"topic {topic}" for topic in range(NUM_TOPICS)),
    )


def _topic_norms(embedding_ND: Tensor) -> Tensor:
    """How much an item is about each topic, (N, G)."""
    norm_NG: Tensor = torch.linalg.vector_norm(embedding_ND.view(-1, NUM_TOPICS, TOPIC_SIZE), dim=2)
    return norm_NG
