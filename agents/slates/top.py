"""From scores to slates: the best K, and the best K with a cap per topic."""

from __future__ import annotations

import torch
from torch import Tensor

FORBIDDEN = -1e9  # score of what may not be shown: finite, so that arithmetic stays finite


def allowed_only(score_BC: Tensor, allowed_BC: Tensor | None) -> Tensor:
    """The scores, with what may not be shown far below everything else."""
    return score_BC if allowed_BC is None else score_BC.masked_fill(~allowed_BC, FORBIDDEN)


def top_slate(score_BC: Tensor, num_slots: int) -> Tensor:
    """Positions of the best-scored candidates, (B, K) int32, best first."""
    return score_BC.topk(num_slots, dim=1).indices.int()


def capped_slate(score_BC: Tensor, topic_BC: Tensor, num_slots: int, cap: int) -> Tensor:
    """The best-scored candidates with at most `cap` of a topic.

    Args:
        score_BC: FORBIDDEN or less where a candidate may not be shown.
        topic_BC: int, topic of each candidate.
        num_slots: K, at most C.
        cap: at least 1.

    Returns:
        (B, K) int32 positions, best first. If the cap leaves too few, the best of the rest follow.
    """
    order_BC = score_BC.argsort(dim=1, descending=True, stable=True)
    ranked_BC = topic_BC.gather(1, order_BC)
    # how many better candidates share the topic: sort by topic, count along each run, undo
    by_topic_BC = ranked_BC.argsort(dim=1, stable=True)
    run_BC = ranked_BC.gather(1, by_topic_BC)
    place_C = torch.arange(run_BC.shape[1], device=run_BC.device).expand_as(run_BC)
    fresh_BC = torch.cat(
        [torch.ones_like(run_BC[:, :1], dtype=torch.bool), run_BC[:, 1:] != run_BC[:, :-1]], 1
    )
    number_BC = fresh_BC.long().cumsum(1) - 1  # of the run; where each begins (ONNX has no cummax)
    start_BC = torch.zeros_like(place_C).scatter_add(1, number_BC, place_C * fresh_BC)
    begin_BC = start_BC.gather(1, number_BC)
    better_BC = torch.empty_like(place_C).scatter(1, by_topic_BC, place_C - begin_BC)
    shown_BC = score_BC.gather(1, order_BC) > FORBIDDEN / 2
    # first within the cap, then over it, then forbidden; each in order of score
    tier_BC = torch.where(better_BC < cap, 0, 1) + torch.where(shown_BC, 0, 2)
    first_BC = (tier_BC * place_C.shape[1] + place_C).topk(num_slots, 1, largest=False).indices
    return order_BC.gather(1, first_BC).int()
