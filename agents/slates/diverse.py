"""Slates that are made various without learning: quotas per topic, MMR, determinantal processes.

Each takes the scores of candidates, in log-odds, and gives up some of them for variety. A cap per
topic is in `top.py`.
"""

from __future__ import annotations

import torch
from torch import Tensor

LEAST_VARIANCE = 1e-6  # of unit vectors: what the chosen ones leave of a twin


def quota_slate(score_BC: Tensor, topic_BC: Tensor, num_slots: int, strength: float) -> Tensor:
    """Fill slot by slot: the best score less strength for every slot that the topic has already.

    Args:
        score_BC: of each candidate; FORBIDDEN where it may not be shown.
        topic_BC: int64, topic of each candidate.
        num_slots: K, at most C.
        strength: score that an item loses per slot of its topic, >= 0; very large: a cap of one.

    Returns:
        (B, K) int32 positions, in the order of choice.
    """
    chosen = [score_BC.argmax(1)]
    left_BC = score_BC
    for _ in range(num_slots - 1):
        last_B1 = chosen[-1][:, None]
        same_BC = topic_BC == topic_BC.gather(1, last_B1)
        left_BC = (left_BC - strength * same_BC).scatter(1, last_B1, -torch.inf)
        chosen.append(left_BC.argmax(1))
    return torch.stack(chosen, 1).int()


def mmr_slate(score_BC: Tensor, unit_BCD: Tensor, num_slots: int, strength: float) -> Tensor:
    """Fill slot by slot: the best score less strength times the likeness to what is chosen.

    Args:
        score_BC: of each candidate; FORBIDDEN where it may not be shown.
        unit_BCD: its vector, of norm one.
        num_slots: K, at most C.
        strength: score that a candidate loses beside a twin, >= 0.

    Returns:
        (B, K) int32 positions, in the order of choice.

    Source: Carbonell and Goldstein 1998, doi:10.1145/290941.291025, section 2, where the score has
        the weight 1 / (1 + strength) and the likeness the rest.
    """
    chosen = [score_BC.argmax(1)]
    left_BC, likeness_BC = score_BC, torch.full_like(score_BC, -1.0)  # the least a cosine can be
    for _ in range(num_slots - 1):
        last_B11 = chosen[-1][:, None, None].expand(-1, 1, unit_BCD.shape[2])
        cosine_BC = (unit_BCD @ unit_BCD.gather(1, last_B11).transpose(1, 2)).squeeze(2)
        likeness_BC = torch.maximum(likeness_BC, cosine_BC)
        left_BC = left_BC.scatter(1, chosen[-1][:, None], -torch.inf)
        chosen.append((left_BC - strength * likeness_BC).argmax(1))
    return torch.stack(chosen, 1).int()


def dpp_slate(score_BC: Tensor, unit_BCD: Tensor, num_slots: int, strength: float) -> Tensor:
    """The slate of greatest sum of scores plus strength times log det of its Gram matrix, greedily.

    It is the most probable slate of the determinantal point process whose kernel is
    exp((s_i + s_j) / (2 * strength)) * <x_i, x_j>, sought item by item. The Cholesky factor of the
    chosen items' Gram matrix grows by one row a slot, and with it the variance that each candidate
    has left: O(C K) a slot, of which O(C D) are the inner products.

    Args:
        score_BC: of each candidate; FORBIDDEN where it may not be shown.
        unit_BCD: its vector, of norm one.
        num_slots: K, at most C.
        strength: score that an item loses per nat of variance that the chosen ones explain, >= 0.

    Returns:
        (B, K) int32 positions, in the order of choice.

    Source: Chen, Zhang and Zhou 2018, arXiv:1709.05135, algorithm 1.
    """
    chosen = [score_BC.argmax(1)]
    left_BC, variance_BC = score_BC, torch.ones_like(score_BC)
    rows_BCk: Tensor | None = None  # of the Cholesky factor; ONNX has no tensor without any
    for _ in range(num_slots - 1):
        last_B1 = chosen[-1][:, None]
        last_B1D = unit_BCD.gather(1, last_B1[..., None].expand(-1, 1, unit_BCD.shape[2]))
        gram_BC = (unit_BCD @ last_B1D.transpose(1, 2)).squeeze(2)
        if rows_BCk is not None:
            own_B1k = rows_BCk.gather(1, last_B1[..., None].expand(-1, 1, rows_BCk.shape[2]))
            gram_BC = gram_BC - (rows_BCk @ own_B1k.transpose(1, 2)).squeeze(2)
        entry_BC = gram_BC / variance_BC.gather(1, last_B1).sqrt()
        row_BC1 = entry_BC[..., None]
        rows_BCk = row_BC1 if rows_BCk is None else torch.cat([rows_BCk, row_BC1], 2)
        variance_BC = (variance_BC - entry_BC.square()).clamp(min=LEAST_VARIANCE)
        left_BC = left_BC.scatter(1, last_B1, -torch.inf)
        chosen.append((left_BC + strength * variance_BC.log()).argmax(1))
    return torch.stack(chosen, 1).int()
