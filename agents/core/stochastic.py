"""Policies that say how likely a slate is: point masses, mixtures, draws by popularity, tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from slategym.agents.core.left_over import left_over
from slategym.agents.slates.top import allowed_only, top_slate
from slategym.agents.types import Action, Policy, Stochastic
from slategym.envs.luck import Luck, purpose
from slategym.envs.names import UsageError
from slategym.envs.types import Observation

WHICH = purpose("policy.mixture")
SLOT = purpose("policy.slots")
POPULAR = purpose("policy.popularity-softmax")


@dataclass(frozen=True)
class PointMass(Stochastic):
    """A policy that does not draw: its slate has all the probability."""

    inner: Policy
    num_candidates: int  # C

    @property
    def name(self) -> str:
        """The policy's."""
        return self.inner.name

    @property
    def privileged(self) -> bool:
        """The policy's."""
        return self.inner.privileged

    def act(self, observation: Observation, luck: Luck) -> Action:
        """Its slate."""
        return self.inner.act(observation, luck)

    def law(self, observation: Observation, slate_BK: Tensor) -> Tensor:
        """0 where the policy would show it, after whatever slots before; -inf elsewhere.

        Raises:
            UsageError: the policy shows other slates with other luck.
        """
        stream_B = torch.zeros_like(observation.step)
        own_BK = self.inner.act(observation, Luck(stream_B)).slate
        if not torch.equal(own_BK, self.inner.act(observation, Luck(stream_B + 1)).slate):
            raise UsageError(
                f"{self.name} draws its slates and does not say how likely they are: it needs "
                "a method law(observation, slate_BK), see slategym.agents.Stochastic"
            )
        shape = (*own_BK.shape, self.num_candidates)
        law_BKC = torch.full(shape, -torch.inf, device=own_BK.device)
        return law_BKC.scatter(2, own_BK.long()[..., None], 0.0)

    def marginal(self, observation: Observation) -> Tensor:
        """The same."""
        slate_BK = self.inner.act(observation, Luck(torch.zeros_like(observation.step))).slate
        return self.law(observation, slate_BK)


@dataclass(frozen=True)
class Mixture(Stochastic):
    """Each slate as a whole by one of several policies, drawn anew at every request."""

    parts: tuple[Stochastic, ...]
    weights: tuple[float, ...]  # of each, summing to 1
    called: str

    @property
    def name(self) -> str:
        """As it is called."""
        return self.called

    @property
    def privileged(self) -> bool:
        """Whether a part is told the truth."""
        return any(part.privileged for part in self.parts)

    def act(self, observation: Observation, luck: Luck) -> Action:
        """A slate of the policy that luck chooses, with its exact log-probabilities."""
        slates = [part.act(observation, luck).slate for part in self.parts]
        upto = torch.tensor(self.weights, device=slates[0].device).cumsum(0)
        which_B = torch.searchsorted(upto[:-1].contiguous(), luck.uniform(WHICH, 1)[:, 0])
        slate_BK = slates[0]
        for at, other_BK in enumerate(slates[1:], 1):
            slate_BK = torch.where(which_B[:, None] == at, other_BK, slate_BK)
        slot_logp_BK = self.logp(observation, slate_BK)
        return Action(slate_BK, slot_logp_BK.sum(1), slot_logp_BK)

    def law(self, observation: Observation, slate_BK: Tensor) -> Tensor:
        """The parts' laws, each weighed by how likely it is to have filled the slots before."""
        laws = [part.law(observation, slate_BK) for part in self.parts]
        at_BK1 = slate_BK.long().clamp(min=0)[..., None]
        filled_BK = slate_BK >= 0
        weighed = []
        for law_BKC, weight in zip(laws, self.weights, strict=True):
            slot_BK = torch.where(filled_BK, law_BKC.gather(2, at_BK1)[..., 0], 0.0)
            before_BK = slot_BK.cumsum(1).roll(1, 1)
            before_BK[:, 0] = 0.0
            weighed.append(law_BKC + before_BK[..., None] + torch.tensor(weight).log())
        total_BKC = torch.stack(weighed).logsumexp(0)
        some_BK1 = total_BKC.logsumexp(2, keepdim=True)
        return torch.where(
            some_BK1.isinf(), -torch.inf, total_BKC - some_BK1.nan_to_num(neginf=0.0)
        )

    def marginal(self, observation: Observation) -> Tensor:
        """The parts' marginals, weighed."""
        weighed = [
            part.marginal(observation) + torch.tensor(weight).log()
            for part, weight in zip(self.parts, self.weights, strict=True)
        ]
        return torch.stack(weighed).logsumexp(0)


@dataclass(frozen=True)
class PopularitySoftmax(Stochastic):
    """Items drawn without replacement in proportion to their clicks in the log, plus one."""

    count_N: Tensor  # (N,) clicks in the log
    num_slots: int  # K
    name: ClassVar[str] = "popularity-softmax"
    privileged: ClassVar[bool] = False

    def _logits(self, observation: Observation) -> Tensor:
        logits_BC = (self.count_N.float() + 1.0).log().expand(observation.step.shape[0], -1)
        if observation.candidates is not None:
            logits_BC = logits_BC.gather(1, observation.candidates.long())
        return allowed_only(logits_BC, observation.allowed)

    def act(self, observation: Observation, luck: Luck) -> Action:
        """A slate with its exact log-probability (Gumbel top-K)."""
        logits_BC = self._logits(observation)
        gumbel_BC = luck.gumbel(POPULAR, logits_BC.shape[1])
        slate_BK = top_slate(logits_BC + gumbel_BC, self.num_slots)
        slot_logp_BK = self.logp(observation, slate_BK)
        return Action(slate_BK, slot_logp_BK.sum(1), slot_logp_BK)

    def law(self, observation: Observation, slate_BK: Tensor) -> Tensor:
        """Softmax of what the slots before leave."""
        logits_BC = self._logits(observation)
        left_BKC = left_over(observation, slate_BK, logits_BC.shape[1])
        logits_BKC = logits_BC[:, None].masked_fill(~left_BKC, -torch.inf)
        return logits_BKC.log_softmax(2)


@dataclass(frozen=True)
class SlotTable(Stochastic):
    """The same for everybody: a table of how often each slot holds each item.

    Given the slots before it, a slot draws among what they leave. The table is taken for the
    marginal, which is exact for single slots and nearly so for slates much shorter than N.
    """

    prob_KN: Tensor  # (K, N), each row sums to 1
    called: str
    privileged: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """As it is called."""
        return self.called

    def act(self, observation: Observation, luck: Luck) -> Action:
        """Slot after slot."""
        B, K = observation.step.shape[0], self.prob_KN.shape[0]
        uniform_BK, chosen = luck.uniform(SLOT, K), list[Tensor]()
        left_BN = torch.ones(B, self.prob_KN.shape[1], device=self.prob_KN.device)
        for k in range(K):
            upto_BN = (self.prob_KN[k] * left_BN).cumsum(1)
            at_B1 = torch.searchsorted(
                upto_BN, uniform_BK[:, k : k + 1] * upto_BN[:, -1:], right=True
            ).clamp(max=upto_BN.shape[1] - 1)
            chosen.append(at_B1)
            left_BN = left_BN.scatter(1, at_B1, 0.0)
        slate_BK = torch.cat(chosen, 1).int()
        slot_logp_BK = self.logp(observation, slate_BK)
        return Action(slate_BK, slot_logp_BK.sum(1), slot_logp_BK)

    def law(self, observation: Observation, slate_BK: Tensor) -> Tensor:
        """Each slot's row of the table, less what the slots before hold."""
        left_BKN = left_over(observation, slate_BK, self.prob_KN.shape[1])
        logits_BKN = self.prob_KN.log()[None].masked_fill(~left_BKN, -torch.inf)
        return logits_BKN.log_softmax(2)

    def marginal(self, observation: Observation) -> Tensor:
        """The table."""
        return self.prob_KN.log().expand(observation.step.shape[0], -1, -1)


def stochastic(policy: Policy, num_candidates: int) -> Stochastic:
    """The policy as one that says how likely a slate is; one that does not draw is a point mass."""
    return policy if isinstance(policy, Stochastic) else PointMass(policy, num_candidates)


def smoothed(policy: Stochastic, other: Stochastic, share: float) -> Stochastic:
    """The policy with that share of whole slates left to another.

    Raises:
        UsageError: the share is not in [0, 1).
    """
    if not 0 <= share < 1:
        raise UsageError(f"a share of slates is in [0, 1), got {share:g}")
    if share == 0:
        return policy
    name = f"{policy.name} with {share:.0%} {other.name}"
    return Mixture((policy, other), (1 - share, share), name)
