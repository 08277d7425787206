"""What a slate shows, in numbers that readings report and that limits can bound."""

from __future__ import annotations

import torch
from torch import Tensor

from slategym.envs.types import Catalogue, Items

PROVIDER = ("provider", "creator", "publisher", "brand")  # item columns that name whoever provides
MOST_PROVIDERS = 10_000  # of more, exposure is told by topic


def attention(num_slots: int) -> Tensor:
    """Exposure of each slot, (K,) float64: 1 / log2(k + 2) of slot k from 0.

    Source: Singh and Joachims 2018, arXiv:1802.07281, section 3.

    >>> attention(3)
    tensor([1.0000, 0.6309, 0.5000], dtype=torch.float64)
    """
    return 1.0 / torch.arange(2, num_slots + 2, dtype=torch.float64).log2()


def providers(catalogue: Catalogue) -> tuple[Tensor, tuple[str, ...]]:
    """Whose item each is, (N,) int64, and names: the first column that says so, else the topic.

    Items whose provider is unknown have one of their own, shared by all such.
    """
    for column, value_N in catalogue.attributes:
        if column.name in PROVIDER and 1 < len(column.categories) <= MOST_PROVIDERS:
            number = len(column.categories)
            return torch.where(value_N < 0, number, value_N).long(), (*column.categories, "unknown")
    names = catalogue.topics or tuple(map(str, range(catalogue.num_topics)))
    return catalogue.topic.long(), names


def slate_distance(items: Items, shown_BK: Tensor) -> Tensor:
    """Mean of 1 - cosine over pairs of shown items, (B,); 0 of fewer than two.

    Of catalogues whose items have no vector: whether topics differ.
    """
    if items.catalogue.embedding.shape[1] > 1:
        x_BKD = torch.nn.functional.normalize(items.embedding, dim=2)
        far_BKK = 1.0 - x_BKD @ x_BKD.transpose(1, 2)
    else:
        topic_BK = items.topic
        far_BKK = (topic_BK[:, :, None] != topic_BK[:, None, :]).float()
    pair_BKK = (shown_BK[:, :, None] & shown_BK[:, None, :]).float().tril(-1)
    return (far_BKK * pair_BKK).sum((1, 2)) / pair_BKK.sum((1, 2)).clamp(min=1.0)
