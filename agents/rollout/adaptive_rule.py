"""A history rule that knows how people answer, weighed by who this may be: few numbers.

    score of an item = the ranker's - strength * trace of clicks on its topic
        + sum over kinds z of w_z * (now * e_z(topic) + later * l_z(topic))
    w = softmax(log P(z | what was taken and passed over) + prior)

e_z is what the session has done so far to items of the topic, and l_z what it would have done at
the next slate to those that come first, were an item of the topic taken now: both log-odds, by the
model of people (`response.py`). With neither of them it is the history rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from slategym.agents.rollout.imagined import STRENGTHS, Answers, Candidates
from slategym.agents.rollout.traces import BY_SLATE, Traces

PARTS = (0.0, 1.0)  # of the history rule's strength that is kept
LATERS = (0.0, 2.0, 4.0)  # slates for which what a click leads to counts
CAUTIONS = (0.0, 1.0)  # nats by which whoever takes the strongest rule is taken for likelier


@dataclass(frozen=True)
class AdaptiveRule:
    """What the numbers of a rule mean."""

    kinds: int  # Z
    fading: float  # of the trace, per slate; one of `BY_SLATE`

    @property
    def width(self) -> int:
        """How many numbers, D: strength, now, later, priors of kinds."""
        return 3 + self.kinds

    def start(self, strength: float) -> Tensor:
        """The history rule of this strength, (D,)."""
        numbers_D = torch.zeros(self.width)
        numbers_D[0] = strength
        return numbers_D

    def candidates(self, strength: float, best: Sequence[float]) -> Tensor:
        """Rules to compare, (P, D), some of which may be the same: the history rule comes first.

        Then it with other strengths, and rules that allow for how people answer.

        Args:
            strength: of the history rule.
            best: strength that suits each kind best.
        """
        found = [self.start(x) for x in (strength, *STRENGTHS)]
        best_Z = torch.tensor(best)
        strongest_Z = (best_Z == best_Z.max()).float()
        for part, later, caution in product(PARTS, LATERS, CAUTIONS):
            first_3 = best_Z.new_tensor([part * strength, 1.0, later])
            found.append(torch.cat([first_3, caution * strongest_Z]))
        return torch.stack(found)

    @property
    def compared(self) -> int:
        """How many rules, P."""
        return 1 + len(STRENGTHS) + len(PARTS) * len(LATERS) * len(CAUTIONS)

    def scores(
        self,
        numbers_BD: Tensor,
        few: Candidates,
        traces: Traces,
        belief_BZ: Tensor,
        answers: Answers,
    ) -> Tensor:
        """Of the candidates, (B, C).

        Args:
            numbers_BD: of each request, its own; or one for all, (1, D).
            few: candidates.
            traces: of the sessions.
            belief_BZ: log-probabilities of kinds.
            answers: of the candidates.
        """
        strength_B1, now_B1, later_B1 = numbers_BD[:, :3].tensor_split(3, 1)
        weight_BZ = (belief_BZ + numbers_BD[:, 3:]).softmax(1)
        said_ZBC = now_B1 * answers.now + later_B1 * answers.later
        trace_BG = traces.topic[:, BY_SLATE.index(self.fading)]
        score_BC = few.score - strength_B1 * trace_BG.gather(1, few.topic)
        found_BC: Tensor = score_BC + (weight_BZ.T[:, :, None] * said_ZBC).sum(0)
        return found_BC
