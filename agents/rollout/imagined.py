"""Sessions as the agent imagines them: people of a kind, a shortlist, a rule held for a while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from slategym.agents.rollout.response import Response
from slategym.agents.rollout.traces import BY_CLICK, BY_SLATE, Traces, took_by_topic
from slategym.agents.slates.top import FORBIDDEN

STRENGTHS = (0.0, 1.0, 2.0, 4.0, -1.0)  # log-odds per click of the last slate
KEPT = 0.7  # by the trace of clicks, from click to click


class Rule(NamedTuple):
    """Scores of the ranker less strength times a topic's trace."""

    trace: int  # which of `Traces.topic`
    strength: float  # negative: more of the same


def rules_of(strength: float, fading: float) -> tuple[Rule, ...]:
    """The tuned rule first; other strengths, and such on a trace that fades by clicks alone.

    Args:
        strength: of the tuned rule.
        fading: of its trace, per slate; one of `BY_SLATE`.
    """
    by_slate, by_click = BY_SLATE.index(fading), len(BY_SLATE) + BY_CLICK.index(KEPT)
    found = [Rule(by_slate, x) for x in (strength, *(x for x in STRENGTHS if x != strength))]
    return tuple(found + [Rule(by_click, x / (1.0 - KEPT)) for x in STRENGTHS if x > 0])


@dataclass(frozen=True)
class Candidates:
    """C of each of B requests."""

    score: Tensor  # (B, C), the ranker's
    utility: Tensor  # (B, C), log-odds
    reward: Tensor  # (B, C), mean of a click
    topic: Tensor  # (B, C) int64

    def at(self, row_R: Tensor) -> Candidates:
        """Of these requests."""
        return Candidates(*(x[row_R] for x in (self.score, self.utility, self.reward, self.topic)))


@dataclass(frozen=True)
class Answers:
    """What a session does to topics, by kind of people, log-odds."""

    now: Tensor  # (Z, B, C), of each candidate's topic, so far
    later: Tensor  # (Z, B, C), at the next slate, to those that come first, were it taken


def scored(
    score_BC: Tensor, topic_BC: Tensor, traces: Traces, trace_B: Tensor, strength_B: Tensor
) -> Tensor:
    """The rules' scores, one rule for each session, (B, C)."""
    row_B = torch.arange(trace_B.shape[0], device=trace_B.device)
    trace_BG = traces.topic[row_B, trace_B]
    return score_BC - strength_B[:, None] * trace_BG.gather(1, topic_BC)


@torch.no_grad()
def worth(
    response: Response,
    candidates: Candidates,
    traces: Traces,
    belief_BZ: Tensor,
    rules: tuple[Rule, ...],
    left_B: Tensor,
    uniform_BMT: Tensor,
    gamma: float,
    num_slots: int,
) -> Tensor:
    """Discounted reward of holding each rule to the end, (B, R): the mean of M futures.

    T slates are played; after them whoever is still there goes on to earn what a slate of theirs
    has brought so far on average.

    A future is that of somebody of one kind; of M futures each kind has its share, as near as
    whole numbers come. All rules meet the same futures: the same kinds, the same luck.

    Args:
        response: how people answer.
        candidates: now; what is taken is not offered again.
        traces: now.
        belief_BZ: over kinds.
        rules: R.
        left_B: slates until the session ends in any case, this one included.
        uniform_BMT: luck of T slates and, last, of kinds; in [0, 1).
        gamma: discount per slate.
        num_slots: K.
    """
    (B, M, T), R, G = uniform_BMT.shape, len(rules), traces.topic.shape[2]
    T = T - 1
    device = belief_BZ.device
    place_BM = (torch.arange(M, device=device) + uniform_BMT[:, :1, -1]) / M
    upto_BZ = belief_BZ.cumsum(1)[:, :-1].contiguous()
    kind_BM = torch.searchsorted(upto_BZ, place_BM.contiguous(), right=True)
    row_L = torch.arange(B, device=device).repeat_interleave(M * R)  # user, future, rule
    kind_L = kind_BM.flatten().repeat_interleave(R)
    trace_L = torch.tensor([r.trace for r in rules], device=device).repeat(B * M)
    strength_L = torch.tensor([r.strength for r in rules], device=device).repeat(B * M)
    few, traces = candidates.at(row_L), traces.at(row_L)
    score_LC, alive_L, total_L = (
        few.score,
        torch.ones_like(strength_L),
        torch.zeros_like(strength_L),
    )
    scale_L = response.scale.exp()[kind_L]
    weight_L = torch.zeros_like(total_L)
    left_L = left_B[row_L]
    for t in range(T):
        now_LC = scored(score_LC, few.topic, traces, trace_L, strength_L)
        at_LK = now_LC.topk(num_slots, dim=1).indices
        topic_LK = few.topic.gather(1, at_LK)
        effect_LK = response.effect_of(traces, topic_LK).gather(
            0, kind_L[None, :, None].expand(1, -1, num_slots)
        )[0]
        value_LK = scale_L[:, None] * few.utility.gather(1, at_LK) + effect_LK
        offered_LK = score_LC.gather(1, at_LK) > FORBIDDEN / 2
        odds_LK = value_LK.clamp(max=30.0).exp() * offered_LK
        prob_LK = odds_LK / (1.0 + odds_LK.sum(1, keepdim=True))
        earned_L = (prob_LK * few.reward.gather(1, at_LK)).sum(1)
        total_L = total_L + gamma**t * alive_L * earned_L
        weight_L = weight_L + gamma**t * alive_L
        if gamma == 0:
            break
        u_L = uniform_BMT[:, :, t].reshape(B * M).repeat_interleave(R)
        upto_LK = prob_LK.cumsum(1)
        taken_LK = (u_L[:, None] < upto_LK) & (u_L[:, None] >= upto_LK - prob_LK)
        traces = traces.after(took_by_topic(topic_LK, taken_LK, G))
        gone_LC = torch.zeros_like(score_LC).scatter(1, at_LK, taken_LK.float())
        score_LC = score_LC.masked_fill(gone_LC > 0, FORBIDDEN)
        stays_L = 1.0 - response.leave(traces.visit).sigmoid()
        alive_L = alive_L * stays_L * (left_L > t + 1)
    slates_L = (left_L - T).clamp(min=0).float()  # that are not played
    later_L = slates_L if gamma == 1 else (1.0 - gamma**slates_L) / (1.0 - gamma)
    rest_L = gamma**T * alive_L * later_L * total_L / weight_L
    return (total_L + rest_L).view(B, M, R).mean(1)
