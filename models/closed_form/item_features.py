"""Features of items on which a user's residuals are regressed: inner products are covariances.

Likeness has several sources: factors of the log's own values, who took up an item beside what,
texts, topics, and single numbers (how it is valued, how often, its columns). Each is a block whose
inner products are its kernel; side by side they are cut to the directions of most variance, so that
a user's belief stays small however many sources there are.

Axis letters beyond the legend of `envs/types.py`: R features, W landmarks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array, diags_array
from torch import Tensor
from torch.nn import functional as F

from slategym.models.closed_form.events import Floats, Ints

LANDMARKS = 1_024  # items whose kernel is decomposed; the others are told by their likeness to them
LEAST = 1e-6  # of the largest eigenvalue, or length: smaller ones are noise
SWEEPS = 6  # of the search for the directions of company: enough for those that stand out
COMPANY_PRIOR = 10.0  # clicks at which half of an item's company is believed
FEWEST_CLICKS = 5  # an item with fewer counts as one with so many when weights are shared out
EXTREME = 3.0  # standard deviations beyond which a number counts as that


@dataclass(frozen=True)
class Amplitudes:
    """Variances of a user's weights, as ratios to the noise's."""

    bias: float = 0.5
    factors: float = 0.2
    company: float = 0.15
    text: float = 0.6
    topics: float = 0.04
    numbers: float = 0.03  # of each
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


def company_features(met_UN: csr_array, width: int, seed: int = 0) -> Floats:
    """Directions in which items are taken up by the same users, (N, width), popularity left out.

    Singular vectors of who took up what, items scaled by the root of their clicks; the first
    direction is popularity. Rows are of length 1, pulled to 0 where few took an item up.

    Args:
        met_UN: 1 where a user took an item up.
        width: directions, at most; of fewer the rest is 0.
        seed: of the search's start.

    Source: Halko, Martinsson and Tropp 2011, "Finding structure with randomness", algorithm 4.4.
    """
    U, N = met_UN.shape
    clicks_N = np.asarray(met_UN.sum(0)).ravel()
    item_N = np.maximum(clicks_N, FEWEST_CLICKS) ** -0.5
    scaled_UN = csr_array(met_UN @ diags_array(item_N))
    scaled_NU = csr_array(scaled_UN.T)
    rank = min(width + 1, U, N)
    basis_NR = np.random.default_rng(seed).normal(size=(N, min(rank + 8, U, N)))
    for _ in range(SWEEPS):
        basis_NR = np.linalg.qr(scaled_NU @ (scaled_UN @ basis_NR))[0]
    _, value_R, turn_RR = np.linalg.svd(scaled_UN @ basis_NR, full_matrices=False)
    vector_NR = (basis_NR @ turn_RR.T * value_R)[:, 1:rank] / item_N[:, None]
    vector_NR *= value_R[1:rank] > LEAST * value_R[0]
    length_N = np.linalg.norm(vector_NR, axis=1)
    told_N = length_N > LEAST * length_N.max(initial=0.0)
    pulled_N = np.sqrt(clicks_N / (clicks_N + COMPANY_PRIOR))
    vector_NR *= (told_N * pulled_N / np.where(told_N, length_N, 1.0))[:, None]
    return np.pad(vector_NR, ((0, 0), (0, width - vector_NR.shape[1])))


def standardised(value_N: Floats, weight_N: Ints) -> Floats:
    """Mean 0 and deviation 1 over clicks; 0 where unknown, or where all are alike."""
    known_N = np.isfinite(value_N)
    share_N = known_N * weight_N
    if not share_N.any():
        return np.zeros(len(value_N))
    filled_N = np.where(known_N, value_N, 0.0)
    centred_N = np.where(known_N, filled_N - np.average(filled_N, weights=share_N), 0.0)
    deviation = np.sqrt(np.average(np.square(centred_N), weights=share_N))
    scaled_N: Floats = centred_N / (deviation or 1.0)
    return scaled_N.clip(-EXTREME, EXTREME)


def item_blocks(
    sources: Mapping[str, Floats], amplitudes: Amplitudes, width: int, weight_N: Ints
) -> Blocks:
    """A constant, and the directions in which the items differ most.

    Args:
        sources: features of the items, (N, any), by names among the amplitudes.
        amplitudes: of the sources.
        width: directions, of all sources together; where there are fewer, the rest is 0.
        weight_N: clicks of each item: what is often met is told apart first.
    """
    every = [x_NR * getattr(amplitudes, name) ** 0.5 for name, x_NR in sources.items()]
    all_NR = np.concatenate(every, 1)
    share_N = (weight_N + 1.0) / (weight_N + 1.0).sum()
    gram_RR = (all_NR * share_N[:, None]).T @ all_NR
    direction_RR = np.linalg.eigh(gram_RR)[1][:, ::-1][:, :width]
    found_NR = all_NR @ direction_RR
    found_NR = np.pad(found_NR, ((0, 0), (0, width - found_NR.shape[1])))
    constant_N1 = np.full((len(found_NR), 1), amplitudes.bias**0.5)
    features = torch.as_tensor(np.concatenate([constant_N1, found_NR], 1))
    return Blocks(features.float(), (1, width))
