"""A ranker that is nearly right: what writes the logs of worlds in which none was fitted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from slategym.agents.core.left_over import left_over
from slategym.agents.references.myopic import Myopic
from slategym.agents.slates.top import allowed_only, top_slate
from slategym.agents.types import Action, Stochastic
from slategym.envs.luck import Luck, purpose
from slategym.envs.names import UsageError
from slategym.envs.types import Observation, World

ERROR, DRAWN = purpose("policy.noisy.error"), purpose("policy.noisy.drawn")
WORTHLESS = 1e-3  # reward of a click below which items are ranked by their appeal alone


@dataclass(frozen=True)
class NoisyGreedy(Stochastic):
    """Items drawn without replacement by what they are worth at this request, as a ranker errs.

    logits = (log(value) + log sigmoid(appeal) + error) / temperature, where value and appeal are
    the truth and the error of an item is normal, one for each person and request.
    """

    world: World
    error: float = 0.5  # log-odds, standard deviation
    temperature: float = 0.5  # > 0; how evenly slates are drawn
    name: ClassVar[str] = "noisy-greedy"
    privileged: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.temperature <= 0 or self.error < 0:
            raise UsageError(
                "temperature must be above 0 and error at least 0, got "
                f"{self.temperature} and {self.error}"
            )

    def act(self, observation: Observation, luck: Luck) -> Action:
        """A slate with the exact log-probability of every slot's item (Gumbel top-K)."""
        logits_BC = self._logits(observation)
        gumbel_BC = luck.gumbel(DRAWN, logits_BC.shape[1])
        slate_BK = top_slate(logits_BC + gumbel_BC, self.world.slate_size)
        slot_logp_BK = self._law(logits_BC, observation, slate_BK)
        slot_logp_BK = slot_logp_BK.gather(2, slate_BK.long()[..., None])[..., 0]
        return Action(slate_BK, slot_logp_BK.sum(1), slot_logp_BK)

    def law(self, observation: Observation, slate_BK: Tensor) -> Tensor:
        """Softmax of what the slots before leave."""
        return self._law(self._logits(observation), observation, slate_BK)

    def _law(self, logits_BC: Tensor, observation: Observation, slate_BK: Tensor) -> Tensor:
        left_BKC = left_over(observation, slate_BK, logits_BC.shape[1])
        return logits_BC[:, None].masked_fill(~left_BKC, -torch.inf).log_softmax(2)

    def _logits(self, observation: Observation) -> Tensor:
        """As above, (B, C)."""
        if observation.hidden is None:
            raise ValueError(f"{self.name} needs observation.hidden; this run withheld it")
        now = Luck.at(observation.hidden.key, observation.hidden.step)
        # what is allowed is applied below; a reference sees the truth of all
        everything = replace(observation, allowed=None)
        _, appeal_BC, value_BC = Myopic(self.world).truth(everything, now)
        right_BC = value_BC.clamp(min=WORTHLESS).log() + logsigmoid(appeal_BC)
        error_BC = self.error * now.normal(ERROR, right_BC.shape[1])
        return allowed_only((right_BC + error_BC) / self.temperature, observation.allowed)
