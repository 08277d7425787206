"""linear-bandit: a ridge regression of slot rewards that starts from what the ranker says.

    E[r] = e_i + theta . x(u, i)

e_i is the share of the best candidate's odds that the tuned ranker's score gives item i,
exp(score - best score), so that before anything is seen its slates are the ranker's own. x holds
what learners may see of a pair (`agents/core/offer.py`): the heads' log-odds, traces of the topics
clicked lately, how the visit goes; as they are, times e_i, and for the item's own topic squared,
too. theta is learned by ridge regression from every slot that was read, as in
`agents/bandits/linear.py`; while it learns, `exploration` standard errors are added. It looks no
further than the slate: the control for the question "is planning needed?".

It is served where it is clearly better than `supervised` for selection people, and that otherwise
(`agents/core/step_back.py`).

Its slates are the K candidates of greatest worth. They are not drawn, so that actions carry no
log-probability.

Axis letters beyond the legend of `envs/types.py`: F features of a pair, W weights of theta.

Source: Li et al. 2010, arXiv:1003.0146, algorithm 1. Slots that are read by position or in order:
`agents/bandits/examination.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from slategym.agents.bandits.examination import examination
from slategym.agents.bandits.linear import (
    Evidence,
    Posterior,
    check_counts,
    check_regression,
    check_shapes,
)
from slategym.agents.core import sessions
from slategym.agents.core.agent import Agent
from slategym.agents.core.offer import Offer, Offers, best_slate
from slategym.agents.core.ranker import stated_ranker
from slategym.agents.core.start import start_chosen
from slategym.agents.core.supervised import (
    SUPERVISED,
    Supervised,
    supervised_with,
    tune_supervised,
)
from slategym.agents.core.tuning import Setting
from slategym.agents.slates.top import FORBIDDEN
from slategym.agents.types import Action
from slategym.envs import engine
from slategym.envs.gym import turn_of
from slategym.envs.luck import Luck
from slategym.envs.settings import Amount, Count
from slategym.envs.types import Observation, World


@dataclass(frozen=True)
class RankedBanditSettings:
    """How the bandit explores."""

    num_steps: Count = 307_200  # slates shown in training
    num_users: Count = 256  # side by side
    rollout: Count = 4  # slates of every user between two solutions of the regression
    exploration: Amount = 1.0  # standard errors added while it learns, >= 0
    ridge: Amount = 1.0  # prior weight on theta = 0, in observations, > 0

    def __post_init__(self) -> None:
        check_counts(self, ("num_steps", "num_users", "rollout"))
        check_regression(self.exploration, self.ridge)


@dataclass(frozen=True)
class Pairs:
    """The candidates of an offer as the regression sees them."""

    offer: Offer
    start: Tensor  # (B, C) e, what the ranker says
    x: Tensor  # (B, C, W)


class RankedBandit(Agent):
    """Optimistic ridge regression on top of the tuned ranker."""

    name: ClassVar[str] = "linear-bandit"
    several_seeds: ClassVar[bool] = True
    settings: RankedBanditSettings

    @classmethod
    def default_settings(cls) -> RankedBanditSettings:
        """As many slates as `plackett-luce` has; one standard error."""
        return RankedBanditSettings()

    @classmethod
    def check_world(cls, world: World) -> None:
        """Refuse a world without a ranker."""
        stated_ranker(world)

    def build(self) -> None:
        """A regression without data."""
        self.start = supervised_with(self.world, tune_supervised(self.world).chosen)
        self.ranker = self.start.ranker
        self.back = [False] * len(self.seeds)  # whether the start is served
        self.offers = Offers(self.world, self.ranker)
        own = self.offers.own_topic
        self.width = 2 * self.offers.width + 2 + own.stop - own.start
        self._believe(Evidence.none(len(self.seeds), self.width, self.world.device))

    def chosen(self) -> Mapping[str, Setting]:
        """The ranker from which it starts, and the diversity to which it may go back."""
        return start_chosen(self.world)

    def at_start(self) -> Supervised:
        """`supervised`, diversity included, which it must be clearly better than."""
        return self.start

    @property
    def start_name(self) -> str:
        """`supervised`."""
        return SUPERVISED

    def serve(self, trained: Sequence[bool]) -> None:
        """By seed, what was learned or `supervised`."""
        self.back = [not paid for paid in trained]

    def begin(self, world: World) -> None:
        """Seat the training users."""
        self.back = [False] * len(self.seeds)
        self.where, self.turn = world, turn_of(world)
        self.where_offers = Offers(world, self.ranker)
        self.sessions = sessions.seat(world, self.seeds, self.settings.num_users)

    @torch.no_grad()
    def cycle(self) -> tuple[int, dict[str, float]]:
        """A few slates of every user, then the regression anew."""
        s, S, world = self.settings, len(self.seeds), self.where
        objective_M = torch.tensor(world.objective, device=world.device)
        evidence = self.evidence
        observation = engine.observe(world, self.sessions.session)
        for _ in range(s.rollout):
            pairs = self._pairs(self.where_offers(observation))
            slot_LK = self._best(pairs, self._hoped(self.posterior, pairs))
            slate_LK = pairs.offer.id.gather(1, slot_LK).int()
            start_LK = pairs.start.gather(1, slot_LK)
            shown_LK = pairs.offer.allowed.gather(1, slot_LK)
            x_LKW = pairs.x.gather(1, slot_LK[..., None].expand(-1, -1, self.width))
            self.sessions, step = sessions.show(world, self.turn, self.sessions, slate_LK)
            feedback_LKM = step.outcome.feedback
            read_LK = examination(world.choice, feedback_LKM[..., 0] > 0) * shown_LK
            beyond_LK = (feedback_LKM * objective_M).sum(2) - read_LK * start_LK
            one_SB1 = torch.ones(S, s.num_users, 1, device=world.device)
            evidence = evidence.plus(
                one_SB1, *(x.view(S, -1, *x.shape[1:]) for x in (x_LKW, read_LK, beyond_LK))
            )
            observation = step.next
        self._believe(evidence)
        self.sessions, figures = sessions.harvest(self.sessions)
        shown = s.rollout * s.num_users
        figures["train/loss"] = float(self.posterior.noise.square().mean())
        figures["train/n_updates"] = float((self.steps + shown) // shown)
        return shown, figures

    @torch.no_grad()
    def act(self, observation: Observation, luck: Luck) -> Action:
        """The candidates of greatest estimated reward, or `supervised` where that serves better."""
        if self.back[self.serving]:
            return self.start.act(observation, luck)
        pairs = self._pairs(self.offers(observation))
        slot_BK = self._best(pairs, self._worth(self.posterior.of(self.serving), pairs))
        return Action(pairs.offer.id.gather(1, slot_BK).int())

    @torch.no_grad()
    def explore(self, observation: Observation, luck: Luck) -> Action:
        """As it learns; without a log-probability, see the top of this file."""
        pairs = self._pairs(self.offers(observation))
        slot_BK = self._best(pairs, self._hoped(self.posterior.of(self.serving), pairs))
        return Action(pairs.offer.id.gather(1, slot_BK).int())

    def weights(self) -> dict[str, Tensor]:
        """The regression's sums, and whether they are served."""
        return {**self._sums(), "back": torch.tensor(self.back)}

    def _sums(self) -> dict[str, Tensor]:
        seen = self.evidence
        return {n: getattr(seen, n) for n in ("gram", "moment", "square", "count")}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take over what `weights` gave.

        Raises:
            ValueError: they are of another width.
        """
        check_shapes(weights, self.weights())
        sums = dict(weights)
        self.back = sums.pop("back").tolist()
        self._believe(Evidence(**{n: x.to(self.world.device) for n, x in sums.items()}))

    def state(self) -> Any:
        """The weights and the training users."""
        return {"weights": self._sums(), "sessions": self.sessions}

    def restore(self, state: Any) -> None:
        """Take over such a tree."""
        self.load_weights({**state["weights"], "back": torch.tensor(self.back)})
        self.sessions = state["sessions"]

    def _believe(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.posterior = Posterior.given(evidence, self.settings.ridge, 1)

    def _pairs(self, offer: Offer) -> Pairs:
        ranker = self.ranker
        score_BC = best_slate(offer, offer.utility, offer.reward, ranker.choice.nothing, ranker)
        start_BC = (score_BC - score_BC.amax(1, keepdim=True)).exp()
        f_BCF, e_BC1 = offer.features, start_BC[..., None]
        own_BCT = f_BCF[..., self.offers.own_topic].square()
        parts = (f_BCF, e_BC1 * f_BCF, e_BC1 * own_BCT, e_BC1, torch.ones_like(e_BC1))
        return Pairs(offer, start_BC, torch.cat(parts, 2))

    def _worth(self, posterior: Posterior, pairs: Pairs) -> Tensor:
        """Estimated reward of every candidate, (L, C)."""
        x_SRW = pairs.x.view(posterior.mean.shape[0], -1, self.width)
        beyond_SR = (x_SRW @ posterior.mean.transpose(1, 2))[..., 0]
        return pairs.start + beyond_SR.reshape(pairs.start.shape)

    def _hoped(self, posterior: Posterior, pairs: Pairs) -> Tensor:
        """The same and some standard errors, (L, C)."""
        x_SRW = pairs.x.view(posterior.mean.shape[0], -1, self.width)
        inverse_SWW = torch.cholesky_inverse(posterior.factor).float()
        variance_SR = ((x_SRW @ inverse_SWW) * x_SRW).sum(2).clamp(min=0.0)
        extra_SR = self.settings.exploration * posterior.noise[:, None] * variance_SR.sqrt()
        return self._worth(posterior, pairs) + extra_SR.reshape(pairs.start.shape)

    def _best(self, pairs: Pairs, worth_BC: Tensor) -> Tensor:
        """Places of the K greatest that may be shown, (B, K)."""
        worth_BC = worth_BC.masked_fill(~pairs.offer.allowed, FORBIDDEN)
        return worth_BC.topk(self.world.slate_size, dim=1).indices
