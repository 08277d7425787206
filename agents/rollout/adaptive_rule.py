"""A history rule whose strength is the person's own: few numbers, weighed by who this may be.

    score of an item = the ranker's - sum over kinds z and terms f of w_z * S_zf * x_f(its topic)
    w = softmax(sharpness * log P(z | what was taken and passed over) + prior)

x_f are the topic's trace of clicks and its square, so that the second click on a topic may weigh
more, or less, than the first. With the same strengths for every kind it is the history rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from slategym.agents.rollout.imagined import Candidates
from slategym.agents.rollout.traces import BY_SLATE, Traces

POWERS = (1, 2)  # of the trace, each a term
SPREADS = (1.0, 0.5, 1.0, 0.3)  # of first perturbations: strengths, priors, log sharpness


@dataclass(frozen=True)
class AdaptiveRule:
    """What the numbers of a rule mean."""

    kinds: int  # Z
    fading: float  # of the trace, per slate; one of `BY_SLATE`

    @property
    def width(self) -> int:
        """How many numbers, D."""
        return self.kinds * (len(POWERS) + 1) + 1

    def start(self, strength: float) -> Tensor:
        """The history rule of this strength, (D,)."""
        numbers_D = torch.zeros(self.width)
        numbers_D[: self.kinds] = strength
        return numbers_D

    @property
    def spread(self) -> Tensor:
        """Of perturbations at first, (D,)."""
        *of_kinds, sharpness = SPREADS
        each = torch.tensor(of_kinds).repeat_interleave(self.kinds)
        return torch.cat([each, torch.tensor([sharpness])])

    def strengths(self, numbers_BD: Tensor, belief_BZ: Tensor) -> Tensor:
        """Of every term at these beliefs, (B, F).

        Args:
            numbers_BD: of each request, its own; or one for all, (1, D).
            belief_BZ: log-probabilities of kinds.
        """
        of_terms_BX = numbers_BD[:, : self.kinds * len(POWERS)]
        strength_BFZ = of_terms_BX.reshape(-1, len(POWERS), self.kinds)
        prior_BZ = numbers_BD[:, self.kinds * len(POWERS) : -1]
        weight_BZ = (numbers_BD[:, -1:].exp() * belief_BZ + prior_BZ).softmax(1)
        found_BF: Tensor = (strength_BFZ * weight_BZ[:, None]).sum(2)
        return found_BF

    def scores(
        self, numbers_BD: Tensor, few: Candidates, traces: Traces, belief_BZ: Tensor
    ) -> Tensor:
        """Of the candidates, (B, C)."""
        strength_BF = self.strengths(numbers_BD, belief_BZ)
        trace_BG = traces.topic[:, BY_SLATE.index(self.fading)]
        cost_BG = sum(strength_BF[:, [f]] * trace_BG**power for f, power in enumerate(POWERS))
        assert isinstance(cost_BG, Tensor)
        return few.score - cost_BG.gather(1, few.topic)
