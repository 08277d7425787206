"""Made-up items to show to any user model."""

from __future__ import annotations

import torch
from torch.nn.functional import one_hot

from slategym.envs.luck import Luck, purpose
from slategym.envs.names import UsageError
from slategym.envs.types import Catalogue

TOPIC, QUALITY = purpose("workbench.topic"), purpose("workbench.quality")


def plain_catalogue(num_items: int, num_topics: int, seed: int = 0) -> Catalogue:
    """Items with a random topic and quality; the embedding is the topic as a unit vector."""
    if num_items < 1 or num_topics < 1:
        raise UsageError(
            f"num_items and num_topics must be positive, got {num_items} and {num_topics}"
        )
    item_N = torch.arange(num_items, dtype=torch.int32)
    luck = Luck.at(item_N, torch.full_like(item_N, seed))  # items draw as users do
    topic_N = luck.integers(TOPIC, 1, num_topics)[:, 0]
    return Catalogue(
        topic=topic_N,
        embedding=one_hot(topic_N.long(), num_topics).float(),
        quality=luck.normal(QUALITY, 1)[:, 0],
        topics=tuple(f"topic {topic}" for topic in range(num_topics)),
    )
