"""Features of a user and an item for linear models: few of each, multiplied out.

x(u, i) = q_u (x) p_i, the outer product, so that a weight says how much a user's feature q moves
the worth of an item's feature p. Wider vectors are cut to their principal directions first.

Axes of this file and of the bandits: P item features, Q user features, W = Q * P weights.

Source: Li et al. 2010, arXiv:1003.0146, section 5.2, who reduce both sides and take the product.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from slategym.agents.core.inputs import Inputs
from slategym.agents.core.random_slates import Random
from slategym.agents.core.tuning import once_per_world
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.types import Observation, World

WATCHED_USERS, WATCHED_SLATES = 256, 12  # whose vectors say which directions matter


@dataclass(frozen=True)
class Axes:
    """An affine map of vectors to few numbers, a constant one first."""

    mean: Tensor  # (X,) float32
    directions: Tensor  # (X, Q - 1) float32, orthonormal columns

    @staticmethod
    def blank(width: int, most: int, device: torch.device) -> Axes:
        """Zeros of the shapes that `principal` gives for vectors of this width."""
        zero_X = torch.zeros(width, device=device)
        return Axes(zero_X, zero_X.new_zeros(width, min(width, most)))

    @property
    def width(self) -> int:
        """Q."""
        return 1 + self.directions.shape[1]

    def __call__(self, x: Tensor) -> Tensor:
        """Of vectors (..., X): (..., Q)."""
        told = (x - self.mean) @ self.directions
        return torch.cat([torch.ones_like(told[..., :1]), told], -1)


def principal(x_RX: Tensor, most: int) -> Axes:
    """The `most` directions in which these vectors vary most; all as they are, if there are fewer.

    Args:
        x_RX: vectors, one a row.
        most: directions, at least 1.
    """
    X = x_RX.shape[1]
    if most >= X:
        return Axes(torch.zeros_like(x_RX[0]), torch.eye(X, device=x_RX.device))
    mean_X = x_RX.mean(0)
    centred_RX = (x_RX - mean_X).double()
    _, vectors_XX = torch.linalg.eigh(centred_RX.T @ centred_RX)  # ascending
    top_XQ = vectors_XX[:, -most:].flip(1)
    # an eigenvector's sign is arbitrary: let its largest entry be positive
    largest_1Q = top_XQ.gather(0, top_XQ.abs().argmax(0, keepdim=True))
    return Axes(mean_X, (top_XQ * largest_1Q.sign()).float().contiguous())


@dataclass(frozen=True)
class PairFeatures:
    """Both halves of x(u, i) in one world."""

    world: World
    user_axes: Axes
    item_axes: Axes

    @staticmethod
    def of(world: World, user_features: int, item_features: int) -> PairFeatures:
        """Fit the directions: to the catalogue's vectors, and to users under random slates.

        Args:
            world: where.
            user_features: at most, besides the constant.
            item_features: at most, besides the constant.
        """
        return PairFeatures(
            world,
            _user_axes(world, user_features),
            principal(_vectors(world), item_features),
        )

    @staticmethod
    def blank(world: World, user_features: int, item_features: int) -> PairFeatures:
        """Zeros of the same shapes, for which nobody is watched; arguments as of `of`."""
        device, width = world.device, world.catalogue.embedding.shape[1]
        return PairFeatures(
            world,
            Axes.blank(Inputs(world).width, user_features, device),
            Axes.blank(width, item_features, device),
        )

    @cached_property
    def items_NP(self) -> Tensor:
        """The p of every item of the catalogue."""
        return self.item_axes(_vectors(self.world))

    def users(self, observation: Observation) -> Tensor:
        """The q of these users, (B, Q)."""
        return self.user_axes(self._inputs.vector(observation))

    @cached_property
    def _inputs(self) -> Inputs:
        return Inputs(self.world)


def _vectors(world: World) -> Tensor:
    """The items' embeddings, of norm one on average, (N, D)."""
    embedding_ND = world.catalogue.embedding
    norm_N: Tensor = torch.linalg.vector_norm(embedding_ND, dim=1)
    return embedding_ND / norm_N.mean()


@once_per_world
def _user_axes(world: World, most: int) -> Axes:
    """The directions in which people under random slates vary most."""
    inputs = Inputs(world)
    wide = inputs.width > most
    seen_RX = _watch(world, inputs) if wide else torch.zeros(1, inputs.width)
    return principal(seen_RX.to(world.device), most)


@torch.no_grad()
def _watch(world: World, inputs: Inputs) -> Tensor:
    """What is seen of people while they are shown random slates, (R, X)."""
    lane_B = torch.arange(WATCHED_USERS, dtype=torch.int32, device=world.device)
    size = world.population.size
    session = engine.start(world, torch.zeros_like(lane_B), lane_B % size, lane_B // size)
    policy, seen = Random(world.num_candidates, world.slate_size), []
    for _ in range(min(WATCHED_SLATES, world.horizon)):
        observation = engine.observe(world, session)
        seen.append(inputs.vector(observation))
        slate_BK = policy.act(observation, Luck.at(session.key, session.step)).slate
        session, _ = engine.transition(world, session, slate_BK)
    return torch.cat(seen)
