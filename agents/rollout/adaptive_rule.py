"""A history rule that knows how people answer, weighed by who this may be: few numbers.

    score of an item = the ranker's
        - what the history rule takes off, if kinds for whom it is kept are likelier than not
        - strength * trace of clicks on its topic
        + sum over kinds z of w_z * (now * e_z(topic) + later * l_z(topic))
    w = softmax(log P(z | what was taken and passed over) + prior)

e_z is what the session has done so far to items of the topic, and l_z what it would have done at
the next slate to those that come first, were an item of the topic taken now: both log-odds, by the
model of people (`response.py`). With the rule kept for every kind, and no more, it is the history
rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from slategym.agents.rollout.imagined import STRENGTHS, Answers, Candidates
from slategym.agents.rollout.traces import BY_SLATE, Traces

LATERS = (0.0, 2.0, 4.0)  # slates for which what a click leads to counts
CAUTIONS = (0.0, 1.0)  # nats by which whoever takes the strongest rule is taken for likelier


@dataclass(frozen=True)
class AdaptiveRule:
    """What the numbers of a rule mean."""

    kinds: int  # Z
    fading: float  # of the trace, per slate; one of `BY_SLATE`

    @property
    def width(self) -> int:
        """How many numbers, D: strength, now, later; by kind, whether the rule is kept, priors."""
        return 3 + 2 * self.kinds

    def start(self) -> Tensor:
        """The history rule, (D,)."""
        return self._of((0.0, 0.0, 0.0), torch.ones(self.kinds), 0.0 * torch.ones(self.kinds))

    def candidates(self, best: Sequence[float]) -> Tensor:
        """Rules to compare, (P, D), some of which may be the same: the history rule comes first.

        Then traces of clicks instead of it, and rules that allow for how people answer: with the
        history rule for nobody, for the kinds that take the strongest rule, or for everybody.

        Args:
            best: strength that suits each kind best.
        """
        best_Z = torch.tensor(best)
        strongest_Z = (best_Z == best_Z.max()).float()
        nobody_Z, everybody_Z = torch.zeros(self.kinds), torch.ones(self.kinds)
        found = [self.start(), *(self._of((x, 0.0, 0.0), nobody_Z, nobody_Z) for x in STRENGTHS)]
        for kept_Z, later, caution in product(
            (nobody_Z, strongest_Z, everybody_Z), LATERS, CAUTIONS
        ):
            found.append(self._of((0.0, 1.0, later), kept_Z, caution * strongest_Z))
        return torch.stack(found)

    def _of(self, first: Sequence[float], kept_Z: Tensor, prior_Z: Tensor) -> Tensor:
        return torch.cat([torch.tensor(first), kept_Z, prior_Z])

    @property
    def compared(self) -> int:
        """How many rules, P."""
        return 1 + len(STRENGTHS) + 3 * len(LATERS) * len(CAUTIONS)

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
        strength_B1, now_B1, later_B1 = numbers_BD[:, :3].tensor_split(3, 1)
        kept_BZ, prior_BZ = numbers_BD[:, 3:].tensor_split(2, 1)
        weight_BZ = (belief_BZ + prior_BZ).softmax(1)
        said_ZBC = now_B1 * answers.now + later_B1 * answers.later
        trace_BG = traces.topic[:, BY_SLATE.index(self.fading)]
        kept_B1 = (weight_BZ * kept_BZ).sum(1, keepdim=True) > 0.5
        score_BC = torch.where(kept_B1, ruled_BC, few.score)
        score_BC = score_BC - strength_B1 * trace_BG.gather(1, few.topic)
        found_BC: Tensor = score_BC + (weight_BZ.T[:, :, None] * said_ZBC).sum(0)
        return found_BC
