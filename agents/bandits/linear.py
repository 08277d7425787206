"""LinUCB and Thompson sampling for slates: the controls for the question "is planning needed?".

Both take a slot's reward for linear, E[r] = theta . x(u, i), with one theta for everybody, learned
by ridge regression from every slot that was read:

    V = ridge I + sum e^2 x x'
    theta = V^-1 sum e r x, of covariance noise^2 V^-1

with e the chance that the slot was read (`agents/bandits/examination.py`) and noise^2 the mean
squared error so far. A slate holds the K items of greatest worth. They differ in what they call
worth while they learn: LinUCB adds standard errors to the estimate, Thompson sampling draws one
theta per user and request from the posterior. Served, both rank by the estimate. Neither looks
beyond the request.

x is the outer product of few features of each side (`agents/bandits/features.py`, which names the
axes P, Q and W = Q * P), so that widths of all N items cost B (W^2 + N P^2), not B N W^2.

Neither knows the log-probability of its slates: LinUCB is deterministic, and that of the top K
under a random theta has no closed form. Their actions carry none.

Source: LinUCB: Li et al. 2010, arXiv:1003.0146, algorithm 1. Thompson sampling: Agrawal and Goyal
2013, arXiv:1209.3352, section 2. Slates that are read in order: Kveton et al. 2015,
arXiv:1502.02763; by position: Lagree et al. 2016, arXiv:1606.02448.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from slategym.agents.bandits.examination import examination
from slategym.agents.bandits.features import Axes, PairFeatures
from slategym.agents.core import sessions
from slategym.agents.core.agent import Agent
from slategym.agents.slates.top import allowed_only, top_slate
from slategym.agents.types import Action
from slategym.envs import engine
from slategym.envs.gym import turn_of
from slategym.envs.luck import Luck, purpose
from slategym.envs.names import UsageError
from slategym.envs.settings import Amount, Count
from slategym.envs.types import Observation, World

DRAW = purpose("thompson.draw")


def check_counts(settings: object, names: Sequence[str]) -> None:
    """Refuse settings of these names that are below 1."""
    for name in names:
        if getattr(settings, name) < 1:
            raise UsageError(f"{name} must be at least 1, got {getattr(settings, name)}")


def check_regression(exploration: float, ridge: float) -> None:
    """Refuse standard errors and prior weights with which nothing can be solved."""
    if exploration < 0 or ridge <= 0:
        raise UsageError(
            "exploration must be 0 or more and ridge above 0, got "
            f"exploration={exploration}, ridge={ridge}"
        )


def check_shapes(weights: Mapping[str, Tensor], mine: Mapping[str, Tensor]) -> None:
    """Refuse weights of another width with a ValueError."""
    for name, own in mine.items():
        if weights[name].shape != own.shape:
            raise ValueError(
                f"{name} has shape {tuple(weights[name].shape)}, not {tuple(own.shape)}"
            )


@dataclass(frozen=True)
class LinearBanditSettings:
    """How a linear bandit explores and how much it can tell apart."""

    num_steps: Count = 60_000  # slates shown in training
    num_users: Count = 64  # side by side
    slates: Count = 4  # of every user between two solutions of the regression
    exploration: Amount = 1.0  # standard errors added (LinUCB) or drawn (Thompson), >= 0
    ridge: Amount = 1.0  # prior weight on theta = 0, in observations, > 0
    user_features: Count = 24  # at most, besides the constant
    item_features: Count = 24  # at most, besides the constant

    def __post_init__(self) -> None:
        check_counts(self, ("num_steps", "num_users", "slates", "user_features", "item_features"))
        check_regression(self.exploration, self.ridge)


@dataclass(frozen=True)
class Evidence:
    """All that the slots read so far say: sums, in float64 since they grow long."""

    gram: Tensor  # (S, W, W), sum e^2 x x'
    moment: Tensor  # (S, W), sum e r x
    square: Tensor  # (S,), sum r^2
    count: Tensor  # (S,), slots

    @staticmethod
    def none(num_seeds: int, width: int, device: torch.device) -> Evidence:
        """Nothing read yet."""
        shapes = ((num_seeds, width, width), (num_seeds, width), (num_seeds,), (num_seeds,))
        return Evidence(*(torch.zeros(s, dtype=torch.float64, device=device) for s in shapes))

    def plus(
        self, user_SBQ: Tensor, item_SBKP: Tensor, read_SBK: Tensor, reward_SBK: Tensor
    ) -> Evidence:
        """With one more slate of every user.

        Args:
            user_SBQ: q of each user.
            item_SBKP: p of each item shown.
            read_SBK: e, the chance that the slot was read, in [0, 1].
            reward_SBK: what the slot earned.
        """
        item_SBKP = item_SBKP * read_SBK[..., None]
        # slots of a slate share q: x x' = (q q') (x) (p p'), so first sum p p' over the slate
        pp_SBPP = item_SBKP.transpose(2, 3) @ item_SBKP
        gram_SQQPP = torch.einsum("sbx,sby->sxy", _squares(user_SBQ), pp_SBPP.flatten(2))
        Q, P = user_SBQ.shape[2], item_SBKP.shape[3]
        gram_SQPQP = gram_SQQPP.view(-1, Q, Q, P, P).transpose(2, 3)
        earned_SBP = (reward_SBK[..., None] * item_SBKP).sum(2)
        moment_SQP = user_SBQ.transpose(1, 2) @ earned_SBP
        return Evidence(
            self.gram + gram_SQPQP.reshape(self.gram.shape),
            self.moment + moment_SQP.flatten(1),
            self.square + reward_SBK.square().sum((1, 2)),
            self.count + (read_SBK > 0).sum((1, 2)),
        )


@dataclass(frozen=True)
class Posterior:
    """Belief about theta: normal, of this mean and covariance noise^2 V^-1."""

    mean: Tensor  # (S, Q, P) float32
    factor: Tensor  # (S, W, W) float64, Cholesky's: V = L L'
    noise: Tensor  # (S,) float32, root mean squared error of a slot's reward

    @staticmethod
    def given(evidence: Evidence, ridge: float, num_user_features: int) -> Posterior:
        """Solve the regression of every seed."""
        S, W = evidence.moment.shape
        eye_WW = torch.eye(W, dtype=torch.float64, device=evidence.gram.device)
        factor_SWW = torch.linalg.cholesky(evidence.gram + ridge * eye_WW)
        theta_SW = torch.cholesky_solve(evidence.moment[..., None], factor_SWW)[..., 0]
        # |r - e theta x|^2 summed, by the normal equations, the prior's share included
        error_S = evidence.square - (theta_SW * evidence.moment).sum(1)
        noise_S = (error_S.clamp(min=0.0) / evidence.count.clamp(min=1.0)).sqrt()
        noise_S = torch.where(evidence.count > 0, noise_S, 1.0)
        mean_SQP = theta_SW.view(S, num_user_features, -1)
        return Posterior(mean_SQP.float(), factor_SWW, noise_S.float())

    def of(self, seed_index: int) -> Posterior:
        """One seed's, with S = 1."""
        one = slice(seed_index, seed_index + 1)
        return Posterior(self.mean[one], self.factor[one], self.noise[one])

    def worth(self, user_SBQ: Tensor, items_NP: Tensor) -> Tensor:
        """Expected reward of every item, (S, B, N)."""
        return user_SBQ @ self.mean @ items_NP.T

    def deviation(self, user_SBQ: Tensor, items_NP: Tensor) -> Tensor:
        """Standard error of the same, noise sqrt(x' V^-1 x), (S, B, N)."""
        P = items_NP.shape[1]
        inner_SBPP = (_squares(user_SBQ) @ self._inverse).view(*user_SBQ.shape[:2], P, P)
        variance_SBN = ((items_NP @ inner_SBPP) * items_NP).sum(3)
        return self.noise[:, None, None] * variance_SBN.clamp(min=0.0).sqrt()

    def draw(self, normal_SBW: Tensor, scale: float) -> Tensor:
        """A theta for every user, mean + scale noise L'^-1 z, (S, B, Q, P)."""
        z_SWB = normal_SBW.double().transpose(1, 2)
        turned_SWB = torch.linalg.solve_triangular(self.factor.transpose(1, 2), z_SWB, upper=True)
        shape = (*normal_SBW.shape[:2], *self.mean.shape[1:])
        off_SBQP: Tensor = turned_SWB.transpose(1, 2).float().reshape(shape)
        return self.mean[:, None] + scale * self.noise[:, None, None, None] * off_SBQP

    @cached_property
    def _inverse(self) -> Tensor:
        """V^-1 by pairs of q and pairs of p, (S, Q * Q, P * P) float32."""
        S, Q, P = self.mean.shape
        inverse_SQPQP = torch.cholesky_inverse(self.factor).float().view(S, Q, P, Q, P)
        return inverse_SQPQP.transpose(2, 3).reshape(S, Q * Q, P * P)


def _squares(user_SBQ: Tensor) -> Tensor:
    """The products q q' of every user, (S, B, Q * Q)."""
    return (user_SBQ[..., :, None] * user_SBQ[..., None, :]).flatten(2)


class LinearBandit(Agent):
    """A ridge regression of slot rewards that is shown by its own choices. Abstract."""

    several_seeds: ClassVar[bool] = True
    settings: LinearBanditSettings

    @classmethod
    def default_settings(cls) -> LinearBanditSettings:
        """One standard error, 24 features a side."""
        return LinearBanditSettings()

    @abstractmethod
    def hoped(self, posterior: Posterior, user_SBQ: Tensor, luck: Luck) -> Tensor:
        """Worth of every item while exploring, (S, B, N); luck of the S * B users."""

    def build(self) -> None:
        """An empty regression."""
        user, item = (axes.width for axes in (self._blank.user_axes, self._blank.item_axes))
        self._believe(Evidence.none(len(self.seeds), user * item, self.world.device))

    @cached_property
    def features(self) -> PairFeatures:
        """Fitted to this world when they are first asked for: who is loaded brings their own."""
        s = self.settings
        return PairFeatures.of(self.world, s.user_features, s.item_features)

    @cached_property
    def _blank(self) -> PairFeatures:
        """Of the same shapes."""
        s = self.settings
        return PairFeatures.blank(self.world, s.user_features, s.item_features)

    def begin(self, world: World) -> None:
        """Seat the training users."""
        self.where, self.turn = world, turn_of(world)
        self.sessions = sessions.seat(world, self.seeds, self.settings.num_users)

    @torch.no_grad()
    def cycle(self) -> tuple[int, dict[str, float]]:
        """A few slates of every user, then the regression anew."""
        s, S = self.settings, len(self.seeds)
        objective_M = torch.tensor(self.where.objective, device=self.where.device)
        evidence = self.evidence
        for _ in range(s.slates):
            session = self.sessions.session
            observation, luck = engine.observe(self.where, session), sessions.luck_of(self.sessions)
            user_SBQ = self._users(observation, S)
            score_SBN = self.hoped(self.posterior, user_SBQ, luck)
            slate_LK = self._slates(score_SBN.flatten(0, 1), observation)
            items, shown_LK = engine.pick(self.where, session, slate_LK)
            self.sessions, step = sessions.show(self.where, self.turn, self.sessions, slate_LK)
            feedback_LKM = step.outcome.feedback
            read_LK = examination(self.where.choice, feedback_LKM[..., 0] > 0) * shown_LK
            item_LKP = self.features.items_NP[items.id.long()]
            evidence = evidence.plus(
                user_SBQ,
                *(
                    x.view(S, s.num_users, *x.shape[1:])
                    for x in (item_LKP, read_LK, (feedback_LKM * objective_M).sum(2))
                ),
            )
        self._believe(evidence)
        self.sessions, figures = sessions.harvest(self.sessions)
        shown = s.slates * s.num_users
        figures["train/loss"] = float(self.posterior.noise.square().mean())
        figures["train/n_updates"] = float((self.steps + shown) // shown)
        return shown, figures

    @torch.no_grad()
    def act(self, observation: Observation, luck: Luck) -> Action:
        """The items of greatest estimated reward."""
        mine = self.posterior.of(self.serving)
        worth_1BN = mine.worth(self._users(observation, 1), self.features.items_NP)
        return Action(self._slates(worth_1BN[0], observation))

    @torch.no_grad()
    def explore(self, observation: Observation, luck: Luck) -> Action:
        """As it learns; without a log-probability, see the top of this file."""
        mine = self.posterior.of(self.serving)
        hoped_1BN = self.hoped(mine, self._users(observation, 1), luck)
        return Action(self._slates(hoped_1BN[0], observation))

    def weights(self) -> dict[str, Tensor]:
        """The regression's sums, and the axes of the features."""
        return self._told(self.features)

    def blank(self) -> dict[str, Tensor]:
        """The same of features to which nothing was fitted."""
        return self._told(self._blank)

    def _told(self, features: PairFeatures) -> dict[str, Tensor]:
        user, item, seen = features.user_axes, features.item_axes, self.evidence
        return {
            "gram": seen.gram,
            "moment": seen.moment,
            "square": seen.square,
            "count": seen.count,
            "user.mean": user.mean,
            "user.directions": user.directions,
            "item.mean": item.mean,
            "item.directions": item.directions,
        }

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take over what `weights` gave.

        Raises:
            ValueError: they are of another width.
        """
        check_shapes(weights, self.blank())
        w = {name: x.to(self.world.device) for name, x in weights.items()}
        self.features = PairFeatures(
            self.world,
            Axes(w["user.mean"], w["user.directions"]),
            Axes(w["item.mean"], w["item.directions"]),
        )
        self._believe(Evidence(w["gram"], w["moment"], w["square"], w["count"]))

    def state(self) -> Any:
        """The weights and the training users."""
        return {"weights": self.weights(), "sessions": self.sessions}

    def restore(self, state: Any) -> None:
        """Take over such a tree."""
        self.load_weights(state["weights"])
        self.sessions = state["sessions"]

    def _believe(self, evidence: Evidence) -> None:
        self.evidence = evidence
        width = self._blank.user_axes.width
        self.posterior = Posterior.given(evidence, self.settings.ridge, width)

    def _users(self, observation: Observation, num_seeds: int) -> Tensor:
        user_LQ = self.features.users(observation)
        return user_LQ.view(num_seeds, -1, user_LQ.shape[1])

    def _slates(self, score_BN: Tensor, observation: Observation) -> Tensor:
        """The best candidates that may be shown, (B, K) int32 positions."""
        if observation.candidates is not None:
            score_BN = score_BN.gather(1, observation.candidates.long())
        return top_slate(allowed_only(score_BN, observation.allowed), self.world.slate_size)


class LinUCB(LinearBandit):
    """Optimism: the estimate plus `exploration` standard errors."""

    name: ClassVar[str] = "linucb"

    def hoped(self, posterior: Posterior, user_SBQ: Tensor, luck: Luck) -> Tensor:
        """The upper confidence bound."""
        items_NP, extra = self.features.items_NP, self.settings.exploration
        return posterior.worth(user_SBQ, items_NP) + extra * posterior.deviation(user_SBQ, items_NP)


class Thompson(LinearBandit):
    """Probability matching: the worth under one theta per user and request, from the posterior."""

    name: ClassVar[str] = "thompson"

    def hoped(self, posterior: Posterior, user_SBQ: Tensor, luck: Luck) -> Tensor:
        """Under the theta that luck draws."""
        S, B, _ = user_SBQ.shape
        normal_SBW = luck.normal(DRAW, posterior.factor.shape[1]).view(S, B, -1)
        theta_SBQP = posterior.draw(normal_SBW, self.settings.exploration)
        user_SBP = (user_SBQ[:, :, None] @ theta_SBQP)[:, :, 0]
        return user_SBP @ self.features.items_NP.T
