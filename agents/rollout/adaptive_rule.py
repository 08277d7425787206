"""A history rule that knows how people answer, weighed by who this may be: few numbers.

    score of an item = the ranker's - kept * what the history rule takes off
        - strength * trace of clicks on its topic
        + sum over kinds z of w_z * (now * e_z(topic) + later * l_z(topic))
    w = softmax(log P(z | what was taken and passed over) + prior)

e_z is what the session has done so far to items of the topic, and l_z what it would have done at
the next slate to those that come first, were an item of the topic taken now: both log-odds, by the
model of people (`response.py`). With the first number alone it is the history rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from slategym.agents.rollout.imagined import STRENGTHS, Answers, Candidates
from slategym.agents.rollout.traces import BY_SLATE, Traces

PARTS = (0.0, 1.0)  # of the history rule that are kept
LATERS = (0.0, 2.0, 4.0)  # slates for which what a click leads to counts
CAUTIONS = (0.0, 1.0)  # nats by which whoever takes the strongest rule is taken for likelier


@dataclass(frozen=True)
class AdaptiveRule:
    """What the numbers of a rule mean."""

    kinds: int  # Z
    fading: float  # of the trace, per slate; one of `BY_SLATE`

    @property
    def width(self) -> int:
        """How many numbers, D: kept, strength, now, later, priors of kinds."""
        return 4 + self.kinds

    def start(self) -> Tensor:
        """The history rule, (D,)."""
        return self._by_clicks(1.0, 0.0)

    def candidates(self, best: Sequence[float]) -> Tensor:
        """Rules to compare, (P, D), some of which may be the same: the history rule comes first.

        Then traces of clicks instead of it, and rules that allow for how people answer.

        Args:
            best: strength that suits each kind best.
        """
        found = [self.start(), *(self._by_clicks(0.0, x) for x in STRENGTHS)]
        best_Z = torch.tensor(best)
        strongest_Z = (best_Z == best_Z.max()).float()
        for part, later, caution in product(PARTS, LATERS, CAUTIONS):
            first_4 = best_Z.new_tensor([part, 0.0, 1.0, later])
            found.append(torch.cat([first_4, caution * strongest_Z]))
        return torch.stack(found)

    def _by_clicks(self, kept: float, strength: float) -> Tensor:
        numbers_D = torch.zeros(self.width)
        numbers_D[0], numbers_D[1] = kept, strength
        return numbers_D

    @property
    def compared(self) -> int:
        """How many rules, P."""
        return 1 + len(STRENGTHS) + len(PARTS) * len(LATERS) * len(CAUTIONS)

    def scores(
        self,
        numbers_BD: Tensor,
        few: Candidates,
        ruled_BC: Tensor,
        traces: Traces,
        belief_BZ: Tensor,
        answers: Answers,
    ) -> Tensor:
        """Of the candidates, (B, C).

        Args:
            numbers_BD: of each request, its own; or one for all, (1, D).
            few: candidates.
            ruled_BC: their scores after the history rule.
            traces: of the sessions.
            belief_BZ: log-probabilities of kinds.
            answers: of the candidates.
        """
        kept_B1, strength_B1, now_B1, later_B1 = numbers_BD[:, :4].tensor_split(4, 1)
        weight_BZ = (belief_BZ + numbers_BD[:, 4:]).softmax(1)
        said_ZBC = now_B1 * answers.now + later_B1 * answers.later
        trace_BG = traces.topic[:, BY_SLATE.index(self.fading)]
        score_BC = few.score + kept_B1 * (ruled_BC - few.score)
        score_BC = score_BC - strength_B1 * trace_BG.gather(1, few.topic)
        found_BC: Tensor = score_BC + (weight_BZ.T[:, :, None] * said_ZBC).sum(0)
        return found_BC
