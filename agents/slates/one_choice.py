"""What a slate is worth when at most one item of it is chosen, and the slate that is worth most.

With multinomial-logit choice the value of slate A is, in Q-values of the items i and of no click,

    Q(s, A) = (Q_null + sum_A o_i Q_i) / (1 + sum_A o_i)
            = Q_null + sum_A o_i lead_i / (1 + sum_A o_i)

where o_i are the odds of a click on i against no click, and lead_i = Q_i - Q_null is what a click
is worth more than none. So all three searches need the leads alone; with Q_null = 0 they are those
of the paper. Leading axes are free: (B, C), or (S, B, C).

Source: Ie et al. 2019, SlateQ, arXiv:1905.12767, sections 4.2 (decomposition) and 5 (search).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import combinations

import torch
from torch import Tensor

Search = Callable[[Tensor, Tensor, int], Tensor]  # odds (..., C), lead (..., C), K -> (..., K)

NEVER = float("-inf")  # the lead of what may not be shown
LOWEST = -1e9  # reward units; where NEVER would enter a sum
FEW = 256  # slates; up to as many are looked at one by one
ROUNDS = 9  # of Dinkelbach's iteration; it has mostly settled after 3 or 4


def slate_lead(odds_BK: Tensor, lead_BK: Tensor) -> Tensor:
    """What showing a slate is worth more than no click, (B,).

    >>> odds, lead = torch.tensor([[1.0, 2.0]]), torch.tensor([[4.0, 8.0]])
    >>> slate_lead(odds, lead).tolist()  # (1 * 4 + 2 * 8) / (1 + 3)
    [5.0]
    """
    return (odds_BK * lead_BK).sum(-1) / (1.0 + odds_BK.sum(-1))


def top_k_slate(odds_BC: Tensor, lead_BC: Tensor, num_slots: int) -> Tensor:
    """The items of greatest odds * lead, whatever else is shown ("TS"); section 5.2.

    Args:
        odds_BC: of a click against no click, positive.
        lead_BC: NEVER where a candidate may not be shown.
        num_slots: K.

    Returns:
        (B, K) int64 positions, best first.
    """
    return (odds_BC * lead_BC).topk(num_slots, -1).indices


def greedy_slate(odds_BC: Tensor, lead_BC: Tensor, num_slots: int) -> Tensor:
    """Slot by slot the item that makes the slate so far worth most ("GS"); section 5.2.

    Arguments and result as `top_k_slate`, in the order in which they were added.
    """
    worth_BC = (odds_BC * lead_BC).clamp(min=LOWEST)
    earned_B1, weight_B1 = torch.zeros_like(worth_BC[..., :1]), torch.ones_like(worth_BC[..., :1])
    chosen = []
    for _ in range(num_slots):
        best_B1 = ((earned_B1 + worth_BC) / (weight_B1 + odds_BC)).argmax(-1, keepdim=True)
        earned_B1 = earned_B1 + worth_BC.gather(-1, best_B1)
        weight_B1 = weight_B1 + odds_BC.gather(-1, best_B1)
        worth_BC = worth_BC.scatter(-1, best_B1, NEVER)
        chosen.append(best_B1)
    return torch.cat(chosen, -1)


def exact_level(odds_BC: Tensor, lead_BC: Tensor, num_slots: int) -> Tensor:
    """What the slate of K that is worth most of all is worth, (B, 1), in the leads' unit.

    A slate is worth more than some level if and only if its sum of odds * (lead - level) exceeds
    the level. So: take the K items that maximise that sum, set the level to what they are worth,
    and repeat; the level rises until no slate beats it. Exact for all users at once. Where there
    are few slates, all of them are looked at.

    Arguments as `top_k_slate`.

    Source: Dinkelbach 1967, Management Science 13, for fractional objectives; the program that it
    replaces is section 5.1.
    """
    # from the better of two simple slates: from zero, unlike odds would take twice the rounds
    starts = (lead_BC, lead_BC * odds_BC / (1.0 + odds_BC))
    if math.comb(lead_BC.shape[-1], num_slots) <= FEW:
        return _best_of_all(odds_BC, lead_BC, num_slots)
    level_B1 = torch.maximum(*(_worth_of_top(x_BC, odds_BC, lead_BC, num_slots) for x_BC in starts))
    for _ in range(ROUNDS - 1):
        added_BC = odds_BC * (lead_BC - level_B1)
        before_B1, level_B1 = level_B1, _worth_of_top(added_BC, odds_BC, lead_BC, num_slots)
        if _settled(before_B1, level_B1):
            break
    return level_B1


def _best_of_all(odds_BC: Tensor, lead_BC: Tensor, num_slots: int) -> Tensor:
    """The same, from every slate there is, (B, 1)."""
    holds_CA = _every_slate(lead_BC.shape[-1], num_slots).to(lead_BC)
    earned_BA = (odds_BC * lead_BC).clamp(min=LOWEST) @ holds_CA
    return (earned_BA / (1.0 + odds_BC @ holds_CA)).amax(-1, keepdim=True).clamp(min=LOWEST)


@lru_cache(maxsize=16)
def _every_slate(num_candidates: int, num_slots: int) -> Tensor:
    """Which candidates each of A slates holds, (C, A) float32 of zeros and ones."""
    every_AK = torch.tensor(list(combinations(range(num_candidates), num_slots)))
    return torch.zeros(len(every_AK), num_candidates).scatter_(1, every_AK, 1.0).T.contiguous()


def _settled(before_B1: Tensor, level_B1: Tensor) -> bool:
    """Whether further rounds would say the same; not asked where that would stop a GPU."""
    if level_B1.device.type != "cpu" or torch.jit.is_tracing() or torch.compiler.is_compiling():  # type: ignore[attr-defined,no-untyped-call]
        return False
    return torch.equal(before_B1, level_B1)


def _worth_of_top(by_BC: Tensor, odds_BC: Tensor, lead_BC: Tensor, num_slots: int) -> Tensor:
    """What the K items that are greatest by something are worth as a slate, (B, 1)."""
    slate_BK = by_BC.topk(num_slots, -1).indices
    worth_B = slate_lead(odds_BC.gather(-1, slate_BK), lead_BC.gather(-1, slate_BK))
    return worth_B[..., None].clamp(min=LOWEST)


def exact_worth(odds_BC: Tensor, lead_BC: Tensor, num_slots: int) -> Tensor:
    """What each item adds to the slate that is worth most, (B, C): the K greatest are that slate.

    Arguments as `top_k_slate`.
    """
    return odds_BC * (lead_BC - exact_level(odds_BC, lead_BC, num_slots))


def exact_slate(odds_BC: Tensor, lead_BC: Tensor, num_slots: int) -> Tensor:
    """The slate of K that is worth most of all ("OS"), without the paper's linear program.

    Arguments and result as `top_k_slate`; see `exact_level`.
    """
    return exact_worth(odds_BC, lead_BC, num_slots).topk(num_slots, -1).indices


SEARCHES: dict[str, Search] = {"ts": top_k_slate, "gs": greedy_slate, "os": exact_slate}
