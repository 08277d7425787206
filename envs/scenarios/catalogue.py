"""Made-up items with columns, titles and texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from slategym.envs.luck import Luck, purpose
from slategym.envs.scenarios.words import Words
from slategym.envs.types import Catalogue, Column

TOPIC, QUALITY, COLUMN, SPAM, WORD = (
    purpose(f"scenario.item.{n}") for n in ("topic", "quality", "column", "spam", "word")
)
BYTES_PER_ITEM = 700  # with their texts, measured
SPAM_QUALITY = -2.0  # below everything else's mean


@dataclass(frozen=True)
class Made:
    """A column of numbers: mean[topic] + slope * quality + spread * normal, cut to its range."""

    name: str
    unit: str
    low: float
    high: float
    mean: tuple[float, ...]  # by topic; one number for all
    spread: float = 0.0
    slope: float = 0.0  # per unit of quality
    spam: float | None = None  # value of spam; None: as of other items

    def draw(self, topic_N: Tensor, quality_N: Tensor, normal_N: Tensor) -> Tensor:
        """Values, (N,) float32."""
        mean_G = torch.tensor(self.mean)
        mean_N = mean_G[topic_N.long()] if len(self.mean) > 1 else mean_G.expand(len(topic_N))
        drawn_N = mean_N + self.slope * quality_N + self.spread * normal_N
        return drawn_N.clamp(self.low, self.high)


def draw_items(
    num_items: int, words: Words, columns: tuple[Made, ...], spam: float, seed: int
) -> Catalogue:
    """Items of every topic in turn, with a standard normal quality, columns and words.

    The embedding is the topic as a unit vector, then the columns, scaled from -1 to 1.

    Args:
        num_items: N.
        words: topics and what titles are made of.
        columns: beside topic and quality.
        spam: share of items that are loud and worth little.
        seed: decides all.
    """
    item_N = torch.arange(num_items, dtype=torch.int32)
    luck = Luck.at(item_N, torch.full_like(item_N, seed))  # items draw as users do
    topic_N = (item_N % len(words.topics)).int()
    spam_N = luck.uniform(SPAM, 1)[:, 0] < spam
    quality_N = luck.normal(QUALITY, 1)[:, 0] + SPAM_QUALITY * spam_N
    normal_NX = luck.normal(COLUMN, max(1, len(columns)))
    values = []
    for number, made in enumerate(columns):
        value_N = made.draw(topic_N, quality_N, normal_NX[:, number])
        values.append(value_N if made.spam is None else value_N.masked_fill(spam_N, made.spam))
    return assembled(topic_N, quality_N, values, words, columns, seed)


def assembled(
    topic_N: Tensor,
    quality_N: Tensor,
    values: Sequence[Tensor],
    words: Words,
    columns: tuple[Made, ...],
    seed: int,
) -> Catalogue:
    """Items of these topics, qualities and values of columns, with vectors, titles and texts."""
    item_N = torch.arange(len(topic_N), dtype=torch.int32)
    luck = Luck.at(item_N, torch.full_like(item_N, seed))
    scaled = [
        2.0 * (x_N - made.low) / (made.high - made.low) - 1.0
        for made, x_N in zip(columns, values, strict=True)
    ]
    onehot_NG = one_hot(topic_N.long(), len(words.topics)).float()
    plain = Catalogue(
        topic=topic_N,
        embedding=torch.cat([onehot_NG, *(x_N[:, None] for x_N in scaled)], 1),
        quality=quality_N,
        topics=words.topics,
        attributes=tuple(
            (Column(made.name, (), made.unit, made.low, made.high), x_N)
            for made, x_N in zip(columns, values, strict=True)
        ),
    )
    return _told(plain, words, columns, luck)


def _told(plain: Catalogue, words: Words, columns: tuple[Made, ...], luck: Luck) -> Catalogue:
    """The same with titles and texts."""
    word_N3 = luck.integers(WORD, 3, 10_000).tolist()
    values = [plain.attribute(made.name).tolist() for made in columns]
    loud_N = plain.attribute(words.loud).tolist() if words.loud else [0.0] * plain.num_items
    titles, texts = [], []
    for n, (topic, numbers) in enumerate(zip(plain.topic.tolist(), word_N3, strict=True)):
        title = words.title(topic, loud_N[n], numbers)
        said = [
            f"{made.name} {x[n]:.3g} {made.unit}" for made, x in zip(columns, values, strict=True)
        ]
        titles.append(title)
        texts.append(" | ".join([title, plain.topics[topic], *said]))
    return replace(plain, title=tuple(titles), text=tuple(texts))
