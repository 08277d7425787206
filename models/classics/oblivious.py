"""Boosted trees as tensors: every tree asks the same question of all its nodes at a level.

So a tree is D features with a threshold each and 2^D values, and all trees answer at once, whatever
the device: no row is looped over, as a simulator's step wants it.

Axis letters beyond the legend of `envs/types.py`: x rows, X features, Y those of one tree, S trees,
D levels, V values of a tree (2^D), Q bins, z cells of a leaf and a bin.

Source: Prokhorenkova et al. 2018, "CatBoost: unbiased boosting with categorical features", of
oblivious trees; Friedman 2001, of the boosting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from slategym.models.closed_form.events import Floats, Ints

ROWS_AT_ONCE = 16_384  # that all trees are asked of at once


@dataclass(frozen=True)
class ObliviousTrees:
    """A sum of trees."""

    feature_SD: Tensor  # int64, which feature each level looks at
    threshold_SD: Tensor  # a row goes right where its feature is above
    value_SV: Tensor  # of the leaf whose number has a bit for every level, the first level's lowest

    def __call__(self, feature_xX: Tensor) -> Tensor:
        """What the trees say of these rows, (x,)."""
        parts = [self._few(part_xX) for part_xX in torch.split(feature_xX, ROWS_AT_ONCE)]
        return torch.cat(parts) if parts else feature_xX.new_zeros(0)

    def firsts(self, feature_xX: Tensor, numbers: Sequence[int]) -> list[Tensor]:
        """What the first trees alone say of these rows, (x,) for each of these numbers of trees."""
        parts = [self._each(part_xX) for part_xX in torch.split(feature_xX, ROWS_AT_ONCE)]
        return [torch.cat([x_xS[:, :n].contiguous().sum(1) for x_xS in parts]) for n in numbers]

    def _few(self, feature_xX: Tensor) -> Tensor:
        return self._each(feature_xX).sum(1)

    def _each(self, feature_xX: Tensor) -> Tensor:
        """What each tree says of these rows, (x, S)."""
        S, V = self.value_SV.shape
        leaf_xS = torch.zeros(len(feature_xX), S, dtype=torch.int64, device=feature_xX.device)
        for d, (at_S, above_S) in enumerate(
            zip(self.feature_SD.unbind(1), self.threshold_SD.unbind(1), strict=True)
        ):
            right_xS = feature_xX.index_select(1, at_S) > above_S
            leaf_xS += right_xS.long() << d
        leaf_xS += torch.arange(S, device=leaf_xS.device) * V
        return self.value_SV.flatten()[leaf_xS]


@dataclass(frozen=True)
class Growing:
    """How trees are grown."""

    most: int = 160  # trees
    rate: float = 0.08  # of learning
    depth: int = 4  # D
    ridge: float = 30.0  # > 0, rows of mean zero added to every leaf
    bins: int = 32  # Q, of each feature
    rows: float = 0.5  # share of the rows, and of the columns, that a tree is grown on
    columns: float = 0.5


def grow(
    feature_xX: Floats, value_x: Floats, settings: Growing = Growing(), seed: int = 0
) -> ObliviousTrees:
    """Trees of least squared error, each on what those before it have left.

    Args:
        feature_xX: finite.
        value_x: to be predicted; what no tree has said yet is taken to be 0.
        settings: of the growing.
        seed: of rows and columns.
    """
    rng = np.random.default_rng(seed)
    edge_QX = np.quantile(feature_xX, np.linspace(0, 1, settings.bins + 1)[1:-1], axis=0)
    bin_Xx = np.stack(
        [
            np.searchsorted(edge_Q, x, side="left")
            for edge_Q, x in zip(edge_QX.T, feature_xX.T, strict=True)
        ]
    )
    num_features, num_rows = bin_Xx.shape
    left_x = value_x.astype(np.float64).copy()
    few = max(1, round(settings.columns * num_features))
    features, thresholds, values = [], [], []
    for _ in range(settings.most):
        own_x = np.flatnonzero(rng.random(num_rows) < settings.rows)
        columns = np.sort(rng.permutation(num_features)[:few])
        own_Yx, value_x = bin_Xx[np.ix_(columns, own_x)], left_x[own_x]
        leaf_x = np.zeros(num_rows, np.int64)
        asked: list[tuple[int, int]] = []
        for level in range(settings.depth):
            column, cut = _best(own_Yx, value_x, leaf_x[own_x], 1 << level, settings)
            at = int(columns[column])
            asked.append((at, cut))
            leaf_x += (bin_Xx[at] > cut).astype(np.int64) << level
        num_leaves = 1 << settings.depth
        sum_V = np.bincount(leaf_x[own_x], value_x, num_leaves)
        count_V = np.bincount(leaf_x[own_x], minlength=num_leaves)
        value_V = settings.rate * sum_V / (count_V + settings.ridge)
        left_x -= value_V[leaf_x]
        features.append([at for at, _ in asked])
        thresholds.append([edge_QX[cut, at] for at, cut in asked])
        values.append(value_V)
    shape = (settings.most, settings.depth)
    return ObliviousTrees(
        torch.as_tensor(np.array(features, np.int64).reshape(shape)),
        torch.as_tensor(np.array(thresholds, np.float32).reshape(shape)),
        torch.as_tensor(np.array(values, np.float32).reshape(settings.most, 1 << settings.depth)),
    )


def _best(
    bin_Yx: Ints, left_x: Floats, leaf_x: Ints, num_leaves: int, settings: Growing
) -> tuple[int, int]:
    """The column and the last bin of those that stay left which lower the squared error most."""
    shape, cells = (len(bin_Yx), num_leaves, settings.bins), num_leaves * settings.bins
    sum_Yz, count_Yz = np.empty((len(bin_Yx), cells)), np.empty((len(bin_Yx), cells))
    first_x = leaf_x * settings.bins
    for y, bin_x in enumerate(bin_Yx):
        cell_x = bin_x + first_x
        sum_Yz[y] = np.bincount(cell_x, left_x, cells)
        count_Yz[y] = np.bincount(cell_x, minlength=cells)
    sum_YVQ, count_YVQ = (x_Yz.reshape(shape).cumsum(2) for x_Yz in (sum_Yz, count_Yz))
    right_YVQ, rest_YVQ = sum_YVQ[..., -1:] - sum_YVQ, count_YVQ[..., -1:] - count_YVQ
    gain_YVQ = sum_YVQ**2 / (count_YVQ + settings.ridge)
    gain_YVQ += right_YVQ**2 / (rest_YVQ + settings.ridge)
    gain_YQ = gain_YVQ[..., :-1].sum(1)
    column, cut = np.unravel_index(gain_YQ.argmax(), gain_YQ.shape)
    return int(column), int(cut)
