"""How the agents believe that people choose from a slate: the heads' log-odds as utilities."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.agents.slates.one_choice import NEVER, exact_level
from slategym.agents.slates.top import FORBIDDEN
from slategym.envs.names import UsageError

MOST_UTILITY = 60.0  # log-odds against nothing: keeps exp finite in float32
LEAST_VALUE = 1e-6  # reward of a click below which clicks are not told apart: keeps the log finite
LARGEST_LOG = 1e3  # nats: bounds a log-worth
KNEE = 1e-2  # reward, at the best odds, below which a score is linear in what an item adds


@dataclass(frozen=True)
class ConditionalLogit:
    """At most one item of a slate is chosen, or nothing: P(i) = exp(u_i) / (exp(u_0) + sum exp(u)).

    The utility of an item is a weighted sum of log-odds that a multi-task model gives it,

        u_i = click * (log-odds of a click) + sum over further heads of weight * (its log-odds).

    Where clicks are rare, `nothing` is large and the items of a slate do not compete: in the limit,
    infinity, the slate is the K items of greatest exp(u_i) * (reward of a click on i).

    Source: McFadden 1974; in recommendation Ie et al. 2019, arXiv:1905.12767, section 7.1.
    """

    click: float = 1.0  # utility per log-odds of a click: one over the temperature of choice
    further: tuple[tuple[str, float], ...] = ()  # utility per log-odds of other binary heads
    nothing: float = math.inf  # u_0, utility of taking nothing
    origin: str = "stated"  # for people: where these numbers come from

    def __post_init__(self) -> None:
        weights = [("click", self.click), *self.further]
        for name, weight in weights:
            if not math.isfinite(weight):
                raise UsageError(f"the weight of {name} in a choice must be finite, got {weight}")
        if math.isnan(self.nothing) or self.nothing == -math.inf:
            raise UsageError(
                "the utility of taking nothing is a number, or infinity where clicks are rare; "
                f"got {self.nothing}"
            )

    @property
    def competes(self) -> bool:
        """Whether a better item takes clicks from the others of its slate."""
        return self.nothing < math.inf


STATED = ConditionalLogit()  # a temperature of one, and rare clicks: what nobody fitted or tuned


def slate_score(
    utility_BC: Tensor,
    reward_BC: Tensor,
    allowed_BC: Tensor,
    nothing: float,
    num_slots: int,
) -> Tensor:
    """Scores whose K greatest make the slate of most expected reward, (B, C), about nats.

    With u the utility, r the reward and L what the best slate earns, an item adds
    exp(u) * (r - L) to it (`exact_level`). Its score is the logarithm of that, continued through
    zero by the inverse hyperbolic sine, so that no order changes; where clicks are rare, L is 0 and
    the score u + log(r).

    Args:
        utility_BC: of each candidate.
        reward_BC: mean reward of a click on it.
        allowed_BC: bool; what may not be shown gets FORBIDDEN.
        nothing: utility of taking nothing; infinity: clicks are rare.
        num_slots: K, of which the best slate consists.
    """
    if nothing == math.inf:
        score_BC = utility_BC + torch.log(reward_BC.clamp(min=LEAST_VALUE))
        return score_BC.masked_fill(~allowed_BC, FORBIDDEN)
    # float64: beside odds of e^20, what an item adds is lost in float32's rounding
    above_BC = (utility_BC.double() - nothing).clamp(-MOST_UTILITY, MOST_UTILITY)
    lead_BC = reward_BC.double().masked_fill(~allowed_BC, NEVER)
    slots = min(num_slots, utility_BC.shape[1])
    level_B1 = exact_level(above_BC.exp(), lead_BC, slots)
    best_B1 = above_BC.masked_fill(~allowed_BC, -MOST_UTILITY).amax(1, keepdim=True)
    added_BC = (above_BC - best_B1).exp() * (reward_BC.double() - level_B1)
    score_BC = torch.asinh(added_BC / (2.0 * KNEE)).to(utility_BC.dtype)
    return score_BC.masked_fill(~allowed_BC, FORBIDDEN)


def independent_score(log_odds_BC: Tensor, reward_BC: Tensor) -> Tensor:
    """Ranks as reward * P(click) does where every item is clicked or not for itself, (B, C).

    By logarithms: where appeal is steep, many probabilities are 1 in float32, and ties would be
    broken by position, which in a world of boredom is another policy.
    """
    size_BC = reward_BC.abs().clamp(min=1e-30).log() + F.logsigmoid(log_odds_BC)
    size_BC = size_BC.clamp(-LARGEST_LOG, LARGEST_LOG)
    return torch.where(reward_BC > 0, size_BC, -3.0 * LARGEST_LOG - size_BC)
