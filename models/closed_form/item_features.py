"""Features of items on which a user's residuals are regressed: inner products are covariances.

Blocks stand side by side: a constant, factors of the log's own values, texts, topics. A kernel that
is no inner product of short vectors, as that of the texts, is cut to its largest directions.

Axis letters beyond the legend of `envs/types.py`: R features, W landmarks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.models.closed_form.events import Floats
from slategym.models.closed_form.sides import Sides

LANDMARKS = 1_024  # items whose kernel is decomposed; the others are told by their likeness to them
LEAST = 1e-6  # of the largest eigenvalue: smaller ones are noise


@dataclass(frozen=True)
class Amplitudes:
    """Variances of a user's weights, as ratios to the noise's."""

    bias: float = 0.8
    factors: float = 0.35
    text: float = 1.0
    topics: float = 0.06
    length: float = 0.3  # of the text kernel, in units of 1 - cosine


@dataclass(frozen=True)
class Blocks:
    """The features, and where each block is."""

    feature_NR: Tensor  # float32
    widths: tuple[int, ...]  # of each block, the constant's first


def text_kernel(cosine: Tensor, length: float) -> Tensor:
    """exp((cosine - 1) / length): positive definite on unit vectors, sharper than the cosine."""
    return torch.exp((cosine - 1) / length)


def text_features(text_ND: Floats, length: float, width: int, seed: int = 0) -> Tensor:
    """The largest directions of the text kernel, (N, width): Nystrom's approximation.

    Source: Williams and Seeger 2001, "Using the Nystrom method to speed up kernel machines".
    """
    N = len(text_ND)
    x_ND = torch.as_tensor(text_ND)
    at_W = np.random.default_rng(seed).permutation(N)[:LANDMARKS]
    mark_WD = x_ND[torch.as_tensor(at_W)]
    value_W, vector_WW = torch.linalg.eigh(text_kernel(mark_WD @ mark_WD.T, length))
    value_R, vector_WR = value_W[-width:].flip(0), vector_WW[:, -width:].flip(1)
    told_R = value_R > LEAST * value_R[0]
    scale_R = torch.where(told_R, value_R.clamp(min=LEAST).rsqrt(), 0.0)
    feature_NR: Tensor = text_kernel(x_ND @ mark_WD.T, length) @ (vector_WR * scale_R)
    return F.pad(feature_NR, (0, width - feature_NR.shape[1]))


def item_blocks(
    factor_ND: Floats, sides: Sides, amplitudes: Amplitudes, *, text_width: int, topic_width: int
) -> Blocks:
    """All blocks that this log has.

    Args:
        factor_ND: of the values' residuals.
        sides: texts and topics of the items.
        amplitudes: of the blocks.
        text_width: directions of the text kernel, at most.
        topic_width: directions of the topics, at most.
    """
    N = len(factor_ND)
    parts = {"bias": torch.ones(N, 1, dtype=torch.float64), "factors": torch.as_tensor(factor_ND)}
    if sides.text_ND.shape[1] and np.any(sides.text_ND):
        parts["text"] = text_features(sides.text_ND, amplitudes.length, text_width)
    if sides.topic_NG.shape[1] > 1:
        left_NG, value_G, _ = torch.linalg.svd(torch.as_tensor(sides.topic_NG), full_matrices=False)
        topic_NG = left_NG[:, :topic_width] * value_G[:topic_width]
        parts["topics"] = F.pad(topic_NG, (0, topic_width - topic_NG.shape[1]))
    columns = [
        block_NR.double() * getattr(amplitudes, name) ** 0.5 for name, block_NR in parts.items()
    ]
    return Blocks(torch.cat(columns, 1).float(), tuple(x_NR.shape[1] for x_NR in columns))
