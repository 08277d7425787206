"""The Plackett-Luce law of a slate, with a penalty on topics that the slate already holds.

Slots are filled one by one from what is left, each by the softmax of

    logits of the candidate - penalty of its topic * earlier slots that hold the topic.

Without penalties this is the law of Gumbel top-K (Kool et al. 2019, arXiv:1903.06059, section 3).
With them the noise of one slot says nothing of the next, so every slot has a uniform of its own,
turned into a candidate by the inverse distribution function: one number a slot instead of one a
candidate. The log-probability of every slot's choice is exact.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.agents.slates.top import FORBIDDEN

SPAN = 30.0  # nats below the best beyond which candidates are not told apart: weights stay finite
NOTHING = 1e-30  # weight of a topic of which nothing is left, relative to the best candidate
STEEPEST = 20.0  # nats, penalty of either sign


class Scores(NamedTuple):
    """What decides a slate. Make it by `scores_of`."""

    logits: Tensor  # (B, C) in [-SPAN, 0], 0: the best; FORBIDDEN where a candidate is not allowed
    weight: Tensor  # (B, C) exp of that
    penalty: Tensor  # (B, G) nats for each earlier slot of that topic
    topic: Tensor  # (B, C) int64


def scores_of(
    logits_BC: Tensor, penalty_BG: Tensor, topic_BC: Tensor, allowed_BC: Tensor | None = None
) -> Scores:
    """Scores from a network's outputs.

    Args:
        logits_BC: unnormalised log-weights.
        penalty_BG: nats.
        topic_BC: int64, of each candidate.
        allowed_BC: bool, candidates that may be shown, at least K of each user; None: all.
    """
    if allowed_BC is not None:
        logits_BC = logits_BC.masked_fill(~allowed_BC, FORBIDDEN)
    # the best moves all others, those at the SPAN too: without its gradient, a push on all logits
    # alike, which changes nothing, would seem to pay and go on for ever
    below_BC = (logits_BC - logits_BC.amax(1, keepdim=True)).clamp(min=-SPAN)
    if allowed_BC is not None:
        below_BC = below_BC.masked_fill(~allowed_BC, FORBIDDEN)
    return Scores(below_BC, below_BC.exp(), penalty_BG.clamp(-STEEPEST, STEEPEST), topic_BC)


def sharpened(scores: Scores, sharpness: float) -> Scores:
    """Scores of the law whose logits and penalties are so many times as large.

    Args:
        scores: what decides.
        sharpness: above 0; 1: the same law; the larger, the nearer to `mode`.
    """
    if sharpness == 1.0:
        return scores
    return scores_of(
        sharpness * scores.logits.clamp(min=-SPAN),
        sharpness * scores.penalty,
        scores.topic,
        scores.logits > FORBIDDEN / 2,
    )


def draw(scores: Scores, uniform_BK: Tensor) -> tuple[Tensor, Tensor]:
    """Sample a slate.

    Args:
        scores: what decides.
        uniform_BK: one draw a slot, in [0, 1).

    Returns:
        slate_BK: int64 positions, distinct, in order. logp_BK: of every slot's choice given the
        earlier ones, nats; their sum is the slate's.
    """
    weight_BC, pay_BG = scores.weight.clone(), (-scores.penalty).exp()
    topic_BC = scores.topic.to(torch.uint8) if pay_BG.shape[1] < 256 else scores.topic
    chosen, logp = [], []
    for u_B1 in uniform_BK[..., None].unbind(1):
        upto_BC = weight_BC.cumsum(1)
        all_B1 = upto_BC[:, -1:]
        at_B1 = torch.searchsorted(upto_BC, u_B1 * all_B1, right=True)
        logp.append((weight_BC.gather(1, at_B1) / all_B1).log())
        chosen.append(at_B1)
        topic_B1 = scores.topic.gather(1, at_B1)
        # divided by all that there was, so that weights neither vanish nor grow from slot to slot
        same_BC, rest_B1 = topic_BC == topic_BC.gather(1, at_B1), 1.0 / all_B1
        weight_BC *= torch.where(same_BC, pay_BG.gather(1, topic_B1) * rest_B1, rest_B1)
        weight_BC.scatter_(1, at_B1, 0.0)
    return torch.cat(chosen, 1), torch.cat(logp, 1)


def mode(scores: Scores, num_slots: int) -> Tensor:
    """The likeliest candidate slot after slot, (B, K) int64."""
    logits_BC, chosen = scores.logits, []
    for _ in range(num_slots):
        at_B1 = logits_BC.argmax(1, keepdim=True)
        chosen.append(at_B1)
        topic_B1 = scores.topic.gather(1, at_B1)
        fine_BC = (scores.topic == topic_B1) * scores.penalty.gather(1, topic_B1)
        logits_BC = (logits_BC - fine_BC).scatter(1, at_B1, 2 * FORBIDDEN)
    return torch.cat(chosen, 1)


def log_prob(scores: Scores, slate_BK: Tensor) -> Tensor:
    """Log-probability of every slot's choice given the earlier ones, (B, K), nats.

    All slots share one pass over the candidates: what the slate leaves aside, summed by topic, plus
    the slots still to come. Only positive numbers are added, so nothing cancels.

    Args:
        scores: what decided.
        slate_BK: int64 positions, distinct.
    """
    G = scores.penalty.shape[1]
    chosen_BK = scores.logits.gather(1, slate_BK)
    topic_BK = scores.topic.gather(1, slate_BK)
    aside_BC = scores.weight.scatter(1, slate_BK, 0.0)
    aside_BG = torch.zeros_like(scores.penalty).scatter_add(1, scores.topic, aside_BC)

    holds_BKG = F.one_hot(topic_BK, G)
    fine_BKG = scores.penalty[:, None] * (holds_BKG.cumsum(1) - holds_BKG)  # slot j: earlier ones
    K = slate_BK.shape[1]
    fine_BKK = fine_BKG.gather(2, topic_BK[:, None].expand(-1, K, -1))  # at slot j, of choice l
    ahead_KK = torch.ones(K, K, dtype=torch.bool, device=slate_BK.device).triu()
    left_BKG = aside_BG.clamp(min=NOTHING).log()[:, None] - fine_BKG
    coming_BKK = (chosen_BK[:, None] - fine_BKK).masked_fill(~ahead_KK, FORBIDDEN)
    total_BK = torch.cat([left_BKG, coming_BKK], 2).logsumexp(2)
    return coming_BKK.diagonal(dim1=1, dim2=2) - total_BK


def law(scores: Scores, slate_BK: Tensor) -> Tensor:
    """Log-probability of every candidate in every slot given the slots before it, (B, K, C), nats.

    Args:
        scores: what decides.
        slate_BK: int64 positions, distinct; -1: an empty slot.
    """
    C, G = scores.logits.shape[1], scores.penalty.shape[1]
    one_BKC = F.one_hot(slate_BK + 1, C + 1)[..., 1:]
    taken_BKC = (one_BKC.cumsum(1) - one_BKC) > 0
    topic_BK = scores.topic.gather(1, slate_BK.clamp(min=0))
    holds_BKG = F.one_hot(topic_BK, G) * (slate_BK >= 0)[..., None]
    fine_BKG = scores.penalty[:, None] * (holds_BKG.cumsum(1) - holds_BKG)
    topic_BKC = scores.topic[:, None].expand(-1, slate_BK.shape[1], -1)
    logits_BKC = scores.logits[:, None] - fine_BKG.gather(2, topic_BKC)
    never_BKC = taken_BKC | (scores.logits < FORBIDDEN / 2)[:, None]
    return logits_BKC.masked_fill(never_BKC, -torch.inf).log_softmax(2)


def entropy(scores: Scores) -> Tensor:
    """Entropy of the first slot, (B,), nats; that of a whole slate has no closed form."""
    total_B = scores.weight.sum(1)
    return total_B.log() - (scores.weight * scores.logits).sum(1) / total_B
