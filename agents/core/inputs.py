"""What native learners read off an observation, in any world: one vector per user.

Only what the observation holds: what the user model reveals, the agent's own state embedding, the
context, the profile, how far the session is, and what the remembered clicks say: their fading sum
of item vectors and, by topic, counts and traces. Where slates are remembered and no state of the
agent's own says what is wanted, a regression on them does (`core/wanted.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.agents.core.features import FAST, SLOW, RecentTopics
from slategym.agents.core.wanted import wanted
from slategym.envs import engine
from slategym.envs.context import field
from slategym.envs.types import LONG_AGO, Context, Observation, World

PER_TASTE = 3  # sums of clicked items' vectors: of all that is remembered, fading slow, and fast
LATELY = 30.0  # clicks; makes sums over the history of order one


class Remembered(NamedTuple):
    """Where in the input vector the history is told."""

    topics: slice  # (per_topic, G), flat
    visit: slice  # (per_visit,)
    taste: slice  # (per_taste, D), flat
    revealed: slice | None  # (G,), what the user model reveals of every topic; None: nothing


@dataclass(frozen=True)
class Inputs:
    """The input vector of one world's learners."""

    world: World

    @cached_property
    def width(self) -> int:
        """X."""
        zero_1 = torch.zeros(1, dtype=torch.int32, device=self.world.device)
        first = engine.observe(self.world, engine.start(self.world, zero_1, zero_1, zero_1))
        return self.vector(first).shape[1]

    @property
    def reads_slates(self) -> bool:
        """Whether what is wanted is read from the slates remembered."""
        return bool(self.world.shown_size) and self.world.observer is None

    @property
    def per_taste(self) -> int:
        """Directions in the space of items that say what was liked."""
        return PER_TASTE + self.reads_slates

    @cached_property
    def remembered(self) -> Remembered | None:
        """The last entries of the vector; None: nothing is remembered in this world."""
        catalogue = self.world.catalogue
        if not self.world.history_size:
            return None
        taste = self.width - self.per_taste * catalogue.embedding.shape[1]
        visit = taste - self.topics.per_visit
        topics = visit - self.topics.per_topic * catalogue.num_topics
        return Remembered(
            slice(topics, visit),
            slice(visit, taste),
            slice(taste, self.width),
            slice(1, 1 + catalogue.num_topics) if self._reveals_topics else None,
        )

    @cached_property
    def _reveals_topics(self) -> bool:
        zero_1 = torch.zeros(1, dtype=torch.int32, device=self.world.device)
        first = engine.observe(self.world, engine.start(self.world, zero_1, zero_1, zero_1))
        revealed = first.revealed
        return revealed is not None and revealed.shape[1] == self.world.catalogue.num_topics

    @cached_property
    def topics(self) -> RecentTopics:
        """Reads the history by topic."""
        catalogue, slates = self.world.catalogue, bool(self.world.shown_size)
        horizon = self.world.horizon
        return RecentTopics(catalogue.topic.long(), catalogue.num_topics, horizon, slates)

    @cached_property
    def items_ND(self) -> Tensor:
        """Item vectors, of norm one on average."""
        embedding_ND = self.world.catalogue.embedding
        norm_N: Tensor = torch.linalg.vector_norm(embedding_ND, dim=1)
        return embedding_ND / norm_N.mean()

    def vector(self, observation: Observation) -> Tensor:
        """(B, X) float32, entries of order one."""
        gone_B1 = (observation.step.float() / self.world.horizon)[:, None]
        parts = [gone_B1]
        if observation.revealed is not None:
            parts.append(observation.revealed)
        if observation.state is not None:
            parts.append(observation.state)
        if observation.profile is not None:
            sizes = self.world.population.profile_sizes
            columns = zip(observation.profile.long().unbind(1), sizes, strict=True)
            parts += [F.one_hot(x_B, size).float() for x_B, size in columns]
        parts += self._context(observation.context)
        if self.world.history_size:
            parts += [
                self.topics.by_topic(observation).flatten(1),
                self.topics.of_visit(observation),
                self._taste(observation),
            ]
        return torch.cat(parts, 1)

    def _context(self, context: Context) -> list[Tensor]:
        """Hour as a point on a circle, categories one-hot, the gap in log days, numbers 0 to 1."""
        parts, process = [], self.world.context
        names, columns = process.names, {column.name: column for column in process.columns}
        for name in process.shown:
            x_B = field(process, context, name)
            if name in columns and not columns[name].categories:
                low, high = columns[name].low, columns[name].high
                parts.append(((x_B - low) / max(high - low, 1e-6))[:, None])
            elif name in columns:
                parts.append(F.one_hot(x_B.long(), len(names[name])).float())
            elif name == "hour":
                turn_B = x_B * (2 * math.pi / 24)
                parts.append(torch.stack([turn_B.sin(), turn_B.cos()], 1))
            elif name == "gap":
                parts.append(x_B.log1p()[:, None])
            else:
                count = 7 if name == "weekday" else len(names[name])
                parts.append(F.one_hot(x_B.long(), count).float())
        return parts

    def _taste(self, observation: Observation) -> Tensor:
        """Sums of the clicked items' vectors: all remembered alike, and fading slow and fast.

        Behind them, where slates are read, what those say is wanted.
        """
        history = observation.history
        known_BH = (history.id >= 0).float()
        age_BH = (history.age - 1).clamp(max=LONG_AGO).float()
        weight_B3H = torch.stack(
            [known_BH / LATELY, known_BH * SLOW**age_BH / 8, known_BH * FAST**age_BH / 3], 1
        )
        clicked_BHD = F.embedding(history.id.clamp(min=0), self.items_ND)
        sums_BX = (weight_B3H @ clicked_BHD).flatten(1)
        if not self.reads_slates:
            return sums_BX
        assert observation.past is not None, "a world that remembers slates shows them"
        return torch.cat([sums_BX, wanted(observation.past, self.items_ND)], 1)
