"""A history rule whose strength is the person's own: few numbers, weighed by who this may be.

    score of an item = the ranker's - sum over kinds z of w_z * S_z * trace of clicks on its topic
    w = softmax(sharpness * log P(z | what was taken and passed over) + prior)

With the same strength for every kind it is the history rule.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from slategym.agents.rollout.imagined import STRENGTHS, Candidates
from slategym.agents.rollout.traces import BY_SLATE, Traces

WAYS = (0.5, 1.0)  # from the history rule's strength to what suits a kind best
CAUTIONS = (0.0, 1.0, 2.0)  # nats by which whoever takes the strongest rule is taken for likelier
SHARPNESSES = (1.0, 0.5)  # of the belief


@dataclass(frozen=True)
class AdaptiveRule:
    """What the numbers of a rule mean."""

    kinds: int  # Z
    fading: float  # of the trace, per slate; one of `BY_SLATE`

    @property
    def width(self) -> int:
        """How many numbers, D: strengths, priors, the logarithm of the sharpness."""
        return 2 * self.kinds + 1

    def start(self, strength: float) -> Tensor:
        """The history rule of this strength, (D,)."""
        numbers_D = torch.zeros(self.width)
        numbers_D[: self.kinds] = strength
        return numbers_D

    def candidates(self, strength: float, best: Sequence[float]) -> Tensor:
        """Rules to compare, (P, D), some of which may be the same: the history rule comes first.

        Then it with other strengths for everybody, and rules between it and what suits each kind.

        Args:
            strength: of the history rule.
            best: strength that suits each kind best.
        """
        found = [self.start(x) for x in (strength, *STRENGTHS)]
        best_Z = torch.tensor(best)
        strongest_Z = (best_Z == best_Z.max()).float()
        for way, caution, sharpness in product(WAYS, CAUTIONS, SHARPNESSES):
            strength_Z = strength + way * (best_Z - strength)
            log_sharpness = best_Z.new_tensor([math.log(sharpness)])
            found.append(torch.cat([strength_Z, caution * strongest_Z, log_sharpness]))
        return torch.stack(found)

    @property
    def compared(self) -> int:
        """How many rules, P."""
        return 1 + len(STRENGTHS) + len(WAYS) * len(CAUTIONS) * len(SHARPNESSES)

    def strengths(self, numbers_BD: Tensor, belief_BZ: Tensor) -> Tensor:
        """At these beliefs, (B,).

        Args:
            numbers_BD: of each request, its own; or one for all, (1, D).
            belief_BZ: log-probabilities of kinds.
        """
        strength_BZ, prior_BZ = numbers_BD[:, :-1].chunk(2, 1)
        weight_BZ = (numbers_BD[:, -1:].exp() * belief_BZ + prior_BZ).softmax(1)
        found_B: Tensor = (strength_BZ * weight_BZ).sum(1)
        return found_B

    def scores(
        self, numbers_BD: Tensor, few: Candidates, traces: Traces, belief_BZ: Tensor
    ) -> Tensor:
        """Of the candidates, (B, C)."""
        strength_B1 = self.strengths(numbers_BD, belief_BZ)[:, None]
        trace_BG = traces.topic[:, BY_SLATE.index(self.fading)]
        return few.score - (strength_B1 * trace_BG).gather(1, few.topic)
