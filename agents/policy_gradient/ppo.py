"""PPO on slates drawn without replacement, native and batched, in any world.

A slate is drawn from the Plackett-Luce law, with penalties for topics that it holds already; a
network scores every candidate, another says what is to come; advantages are generalised ones.

Whole sessions of users run side by side on the world's device; so do the training seeds, whose
weights, luck and minibatches never meet.

Source: Schulman et al. 2017, arXiv:1707.06347 (PPO); Schulman et al. 2016, arXiv:1506.02438 (GAE);
Kool et al. 2019, arXiv:1903.06059 (slates without replacement); Wang et al. 2024, arXiv:2401.16108
(credit by item). Credit by a critic: `slot_critic.py`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor

from slategym.agents.core.adam import SeedAdam
from slategym.agents.core.agent import Agent
from slategym.agents.core.ensemble import Ensemble, clip_each
from slategym.agents.core.history_rule import RULE
from slategym.agents.core.limits import Limit, costs, next_prices
from slategym.agents.core.returns import advantages, discounted, normalised
from slategym.agents.core.rollout import RolloutBuffer
from slategym.agents.core.sessions import Step, TrainingSessions, harvest, luck_of, seat, show
from slategym.agents.core.start import start_chosen
from slategym.agents.core.stochastic import PointMass
from slategym.agents.core.supervised import SUPERVISED
from slategym.agents.core.tuning import Setting
from slategym.agents.policy_gradient.batch import Rollout, RolloutBatch, Told, figures_of
from slategym.agents.policy_gradient.network import (
    Face,
    Shortlist,
    Shown,
    ValueNetwork,
    face_of,
)
from slategym.agents.policy_gradient.slot_critic import (
    SlotCritic,
    slot_advantages,
    slot_reader,
)
from slategym.agents.slates.plackett_luce import (
    Scores,
    draw,
    entropy,
    law,
    log_prob,
    mode,
    scores_of,
    sharpened,
)
from slategym.agents.types import Action, Stochastic
from slategym.envs import engine
from slategym.envs.gym import turn_of
from slategym.envs.luck import Luck, purpose, seed_words
from slategym.envs.names import UsageError
from slategym.envs.settings import Amount, Count, Length, Rate
from slategym.envs.types import Observation, World

SLOT, SHUFFLE = purpose("plackett_luce_ppo.slot"), purpose("plackett_luce_ppo.shuffle")
CLIP = 0.2  # of the probability ratio
GAE_LAMBDA = 0.8  # of advantages; 1: plain returns
VALUE_WEIGHT = 0.5  # of the value's loss, and of the critic's
MAX_NORM = 0.5  # of the gradient, of policy, value and critic each
MOST_KL = 0.03  # nats per slot; a seed whose policy has moved further begins no further epoch
SHARPER = 1.6  # of logits and penalties, where draws are served sharper than those of training
LAST_RATE = 0.1  # of the learning rate, to which it falls linearly
PRICE_RATE = 0.2  # of limits, per rollout: of a usual return per unit of cost and unit of excess
Credit = Literal["slate", "item", "critic"]


@dataclass(frozen=True)
class PPOSettings:
    """How a slate policy is trained by PPO."""

    num_steps: Count = 300_000  # slates of each seed, in all
    num_users: Count = 256  # B, side by side, of each seed
    rollout: Count = 15  # slates of every user between updates
    epochs: Count = 3  # passes over a rollout
    minibatch: Count = 960  # slates; divides num_users * rollout
    learning_rate: Amount = 1e-3  # Adam's, falling linearly to a tenth
    gamma: Rate = 0.95  # discount per slate, in [0, 1]
    entropy: Amount = 0.001  # reward per nat of the first slot's entropy
    credit: Credit = "slate"  # of a slot; item: less others' reward; critic: and what that leads to
    shortlist: Length | None = None  # best of `supervised`; 0: all items; None: 100 if it is there
    bootstrap: bool = False  # False: for the learner, a session that is cut off has ended
    serve: Literal["mode", "draw", "sharp"] = "mode"  # likeliest slate; drawn as learnt; sharper


def clipped_gain(ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """PPO's lower bound of what a changed policy gains, of any shape.

    Source: Schulman et al. 2017, arXiv:1707.06347, equation 7.
    """
    bounded = ratio.clamp(1.0 - clip, 1.0 + clip)
    return torch.minimum(ratio * advantage, bounded * advantage)


class SlatePPO(Agent, Stochastic):
    """PPO on slates drawn without replacement, whatever its network reads. Abstract."""

    several_seeds: ClassVar[bool] = True
    from_ranker: ClassVar[bool] = True
    settings: PPOSettings
    limits: tuple[Limit, ...] = ()  # see `within`

    @abstractmethod
    def face_in(self, world: World) -> Face:
        """What its network reads there."""

    def build(self) -> None:
        """Policy and value of every seed."""
        s = self.settings
        if s.num_users * s.rollout % s.minibatch:
            raise UsageError(
                f"minibatch must divide num_users * rollout = {s.num_users * s.rollout}, "
                f"got {s.minibatch}"
            )
        self.face = self.face_in(self.world)
        width, device = self.face.width, self.world.device
        self.policy = Ensemble(self.face.network, self.seeds, device)
        self.first = self.policy.frozen_copy()  # served instead where training did not pay
        self.served_policy = self.policy
        self.value = Ensemble(lambda: ValueNetwork(width), self.seeds, device)
        self.slots = self.critic = None
        if s.credit == "critic":
            slots = self.slots = slot_reader(self.world, self.face.inputs)
            per_slot = slots.width
            self.critic = Ensemble(lambda: SlotCritic(width, per_slot), self.seeds, device)
        self.adam = SeedAdam([x for part in self._parts for x in part.parameters()])
        self.key_S = seed_words(self.seeds, device)
        self.passes = torch.zeros((), dtype=torch.int32, device=device)  # epochs begun, ever
        self.scale_S = torch.zeros(len(self.seeds), device=device)  # reward per unit of value
        self.price_SL = torch.zeros(len(self.seeds), 0, device=device)  # of limits, reward per cost

    @property
    def _parts(self) -> list[Ensemble]:
        """What is learned."""
        parts = [self.policy, self.value]
        return parts if self.critic is None else [*parts, self.critic]

    def within(self, *limits: Limit) -> Self:
        """The same learner, before it learns, with limits that its slates keep on average.

        Args:
            limits: see `agents/core/limits.py`; each has a price, learnt with the policy.

        Raises:
            UsageError: it has learnt already.
        """
        if self.steps:
            raise UsageError(f"limits are set before {self.name} learns; it has seen {self.steps}")
        self.limits = limits
        self.price_SL = self.scale_S.new_zeros(len(self.seeds), len(limits))
        return self

    def chosen(self) -> Mapping[str, Setting]:
        """The tuned policy from which it starts, if it does."""
        return start_chosen(self.world, rules=True) if self.settings.shortlist != 0 else {}

    def at_start(self) -> Self | None:
        """The tuned policy, where it begins there."""
        if not isinstance(self.face, Shortlist):
            return None
        start = copy(self)
        start.served_policy = self.first
        return start

    @property
    def start_name(self) -> str | None:
        """`supervised` or the history rule, unless slates are drawn around them."""
        if not isinstance(self.face, Shortlist) or self.settings.serve == "draw":
            return None
        return SUPERVISED if self.face.start.rule is None else RULE

    def serve(self, trained: Sequence[bool]) -> None:
        """By seed, the trained policy or the first."""
        self.served_policy = self.policy.where(trained, self.first)

    def begin(self, world: World) -> None:
        """Seat the training users."""
        self.served_policy = self.policy
        self.learning_world, self.turn = world, turn_of(world)
        self.learning_face = self.face_in(world)
        self.sessions: TrainingSessions = seat(world, self.seeds, self.settings.num_users)

    def cycle(self) -> tuple[int, dict[str, float]]:
        """A rollout, then some epochs of clipped updates on it."""
        rollout = self._play()
        self.sessions, figures = harvest(self.sessions)
        figures |= self._learn(rollout)
        if self.limits:
            figures |= self._pay(rollout)
        return self.settings.num_users * self.settings.rollout, figures

    @torch.no_grad()
    def _play(self) -> Rollout:
        """Show everybody slates drawn from the policy."""
        world, face, T = self.learning_world, self.learning_face, self.settings.rollout
        S, K = len(self.seeds), world.slate_size
        reward_M = torch.tensor(world.objective, device=world.device)
        requests, outcomes = RolloutBuffer(S, T), RolloutBuffer(S, T)
        observation = engine.observe(world, self.sessions.session)
        for t in range(T):
            if self.privileged:
                observation = replace(observation, hidden=self.sessions.session)
            shown = face.show(observation)
            uniform_LK = luck_of(self.sessions).uniform(SLOT, K)
            slate_LK, logp_LK = draw(self._scores(self.policy, face, shown), uniform_LK)
            before, position_LK = self.sessions.session, face.slate(shown, slate_LK)
            self.sessions, step = show(world, self.turn, self.sessions, position_LK)
            feedback_LKM = step.outcome.feedback
            picked = engine.pick(world, before, position_LK) if self.limits else None
            excess_Ln = None if picked is None else costs(self.limits, *picked, feedback_LKM)
            reward_LK = feedback_LKM @ reward_M
            if excess_Ln is not None:
                reward_LK = reward_LK - self._charged(excess_Ln)
            requests.keep(t, shown)
            outcomes.keep(
                t,
                {
                    "slate": slate_LK,
                    "logp": logp_LK,
                    "reward": reward_LK,
                    "ended": step.ended,
                    "beyond": self._beyond(step),
                    **({} if excess_Ln is None else {"excess": excess_Ln}),
                },
            )
            observation = step.next
        if self.privileged:
            observation = replace(observation, hidden=self.sessions.session)
        last_LX = face.vector(observation)
        return Rollout(requests.parts, last=last_LX.view(S, -1, last_LX.shape[1]), **outcomes.parts)

    def _charged(self, excess_Ln: Tensor) -> Tensor:
        """What every slot of these slates pays for limits, (L, 1): a slate's price, spread."""
        S, K = self.price_SL.shape[0], self.learning_world.slate_size
        excess_SBn = excess_Ln.view(S, -1, excess_Ln.shape[1])
        return (excess_SBn * self.price_SL[:, None]).sum(2).flatten()[:, None] / K

    def _pay(self, rollout: Rollout) -> dict[str, float]:
        """Prices after a rollout; by limit, its price and how far it was exceeded."""
        excess_SL = rollout.excess.mean((1, 2))
        rate_S1 = PRICE_RATE * self.scale_S[:, None]
        self.price_SL = next_prices(self.price_SL, excess_SL, rate_S1)
        found = {}
        for number, limit in enumerate(self.limits):
            found[f"limits/price: {limit.name}"] = float(self.price_SL[:, number].mean())
            found[f"limits/excess: {limit.name}"] = float(excess_SL[:, number].mean())
        return found

    def _beyond(self, step: Step) -> Tensor:
        """Value after sessions that were cut off, (L,); 0 where the user left or goes on."""
        if not self.settings.bootstrap or not bool(step.ended.any()):
            return torch.zeros_like(step.outcome.reward)
        x_LX = self.learning_face.vector(step.last)
        value_SB = self.value(x_LX.view(len(self.seeds), -1, x_LX.shape[1]))
        value_L: Tensor = (value_SB * self.scale_S[:, None]).flatten()
        return value_L * (step.ended & ~step.outcome.left)

    def _scores(self, policy: Ensemble, face: Face, shown: Shown) -> Scores:
        """What decides the slates of S * B requests, seed after seed."""
        S = policy.num_seeds
        inputs = (shown[name].view(S, -1, *shown[name].shape[1:]) for name in face.reads)
        logits_SBC, penalty_SBG = policy(*inputs)
        logits_LC, penalty_LG = logits_SBC.flatten(0, 1), penalty_SBG.flatten(0, 1)
        return scores_of(logits_LC, penalty_LG, face.topic(shown), shown.get("allowed"))

    def _learn(self, rollout: Rollout) -> dict[str, float]:
        """Epochs of minibatches, each seed's until its policy has moved far enough."""
        s, S = self.settings, len(self.seeds)
        batch = self._batch(rollout)
        rate = s.learning_rate * max(LAST_RATE, 1.0 - self.steps / s.num_steps)
        going = [True] * S
        told: list[Told] = []
        for _ in range(s.epochs):
            luck = Luck.at(self.key_S, self.passes.expand(S))
            order_Sn = luck.uniform(SHUFFLE, s.num_users * s.rollout).argsort(dim=1, stable=True)
            self.passes += 1
            # within an epoch the clip pulls back what moved too far; stopping there would keep it
            for few in batch.at(order_Sn).parts(s.minibatch):
                told.append(self._update(few, rate, going))
            most = MOST_KL * self.learning_world.slate_size
            near = (told[-1].kl <= most).tolist()
            going = [goes and close for goes, close in zip(going, near, strict=True)]
            if not any(going):
                break
        figures = figures_of(told, CLIP)
        figures["train/explained_variance"] = batch.explained_variance()
        figures["train/n_updates"] = self.adam.updates_S.mean()
        values = torch.stack(list(figures.values())).tolist()
        return {**dict(zip(figures, values, strict=True)), "train/learning_rate": rate}

    @torch.no_grad()
    def _batch(self, rollout: Rollout) -> RolloutBatch:
        """What there is to learn from a rollout."""
        s = self.settings
        reward_STB = rollout.reward.sum(3)
        first_S = discounted(reward_STB, rollout.ended, s.gamma).square().mean((1, 2)).sqrt()
        self.scale_S = torch.where(self.scale_S == 0, first_S.clamp(min=1e-6), self.scale_S)
        scale_S11 = self.scale_S[:, None, None]

        value_Sn = self.value(rollout.shown["x"].flatten(1, 2))
        advantage_STB = advantages(
            (reward_STB + s.gamma * rollout.beyond) / scale_S11,
            value_Sn.view(reward_STB.shape),
            self.value(rollout.last),
            rollout.ended,
            s.gamma,
            GAE_LAMBDA,
        )
        target_Sn = value_Sn + advantage_STB.flatten(1)
        advantage_SnK = advantage_STB.flatten(1)[..., None]
        reward_SnK = rollout.reward.flatten(1, 2) / scale_S11
        future_Sn = advantage_STB.flatten(1) - reward_SnK.sum(2)
        shown = {name: x.flatten(1, 2) for name, x in rollout.shown.items()}
        slate_SnK = rollout.slate.flatten(1, 2)
        if self.critic is not None:
            shown["slots"] = self._slots(shown, slate_SnK)
            _, effect_SnK = self.critic(shown["x"], shown["slots"])
            advantage_SnK = slot_advantages(reward_SnK, effect_SnK)
        elif s.credit == "item":
            advantage_SnK = advantage_SnK - (reward_SnK.sum(2, keepdim=True) - reward_SnK)
        return RolloutBatch(
            shown=shown,
            slate=slate_SnK,
            logp=rollout.logp.flatten(1, 2),
            advantage=normalised(advantage_SnK),
            value=value_Sn,
            target=target_Sn,
            future=future_Sn,
        )

    def _slots(self, shown: Shown, slate_SnK: Tensor) -> Tensor:
        """What the critic reads of slots, (S, n, K, E)."""
        assert self.slots is not None
        every = {name: x_Sn.flatten(0, 1) for name, x_Sn in shown.items()}
        return self.slots(every, slate_SnK.flatten(0, 1)).view(*slate_SnK.shape, -1)

    def _unexplained(self, few: RolloutBatch) -> Tensor:
        """Mean squared error of what the critic foresees, (S,)."""
        assert self.critic is not None
        base_SR, effect_SRK = self.critic(few.shown["x"], few.shown["slots"])
        missed_SR: Tensor = base_SR + effect_SRK.sum(2) - few.future
        return missed_SR.square().mean(1)

    def _update(self, few: RolloutBatch, rate: float, going: Sequence[bool]) -> Told:
        """One step of Adam on a minibatch of every seed that is still going."""
        S = len(self.seeds)
        shown = {name: x.flatten(0, 1) for name, x in few.shown.items()}
        scores = self._scores(self.policy, self.learning_face, shown)
        logp_SRK = log_prob(scores, few.slate.flatten(0, 1)).view(few.logp.shape)
        change_SRK = logp_SRK - few.logp
        if self.settings.credit == "slate":
            change_SRK = change_SRK.sum(2, keepdim=True)
        gain_S = clipped_gain(change_SRK.exp(), few.advantage, CLIP).sum(2).mean(1)
        entropy_S = entropy(scores).view(S, -1).mean(1)
        error_S = (self.value(few.shown["x"]) - few.target).square().mean(1)
        loss_S = VALUE_WEIGHT * error_S - gain_S - self.settings.entropy * entropy_S
        if self.critic is not None:
            loss_S = loss_S + VALUE_WEIGHT * self._unexplained(few)

        self.adam.zero_grad()
        loss_S.sum().backward()  # type: ignore[no-untyped-call]
        for part in self._parts:
            clip_each(part.parameters(), MAX_NORM)
        self.adam.step(rate, going)
        moved_SR = (logp_SRK.detach() - few.logp).sum(2)
        parts = (change_SRK, gain_S, error_S, entropy_S, loss_S)
        return Told(moved_SR, *(x.detach() for x in parts))

    @torch.no_grad()
    def act(self, observation: Observation, luck: Luck) -> Action:
        """The likeliest slate, slot after slot; or one that is drawn, more sharply perhaps."""
        if self.settings.serve != "mode":
            return self._drawn(observation, luck, self._sharpness)
        shown = self.face.show(observation)
        chosen_BK = mode(self._served(shown), self.world.slate_size)
        return Action(self.face.slate(shown, chosen_BK))

    @torch.no_grad()
    def explore(self, observation: Observation, luck: Luck) -> Action:
        """A slate drawn as in training, with its exact log-probability."""
        return self._drawn(observation, luck, 1.0)

    @torch.no_grad()
    def law(self, observation: Observation, slate_BK: Tensor) -> Tensor:
        """How likely it serves what, see `Stochastic`; the likeliest slate has it all in a mode."""
        if self.settings.serve == "mode":
            return PointMass(self, self.world.num_candidates).law(observation, slate_BK)
        shown = self.face.show(observation)
        scores = sharpened(self._served(shown), self._sharpness)
        return self.face.spread(shown, law(scores, self.face.places(shown, slate_BK)))

    @property
    def _sharpness(self) -> float:
        """Of draws that are served."""
        return 1.0 if self.settings.serve == "draw" else SHARPER

    def _drawn(self, observation: Observation, luck: Luck, sharpness: float) -> Action:
        shown = self.face.show(observation)
        uniform_BK = luck.uniform(SLOT, self.world.slate_size)
        chosen_BK, logp_BK = draw(sharpened(self._served(shown), sharpness), uniform_BK)
        return Action(self.face.slate(shown, chosen_BK), logp_BK.sum(1), logp_BK)

    def _served(self, shown: Shown) -> Scores:
        return self._scores(self.served_policy.only(self.serving), self.face, shown)

    def weights(self) -> dict[str, Tensor]:
        """The policies that are served; values are for learning alone."""
        return dict(self.served_policy.weights)

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take over policies."""
        self.policy.load(dict(weights))
        self.served_policy = self.policy

    def state(self) -> Any:
        """Networks, Adam, users, and the count on which minibatches depend."""
        return {
            "policy": self.policy.weights,
            "value": self.value.weights,
            **({} if self.critic is None else {"critic": self.critic.weights}),
            "adam": self.adam.state(),
            "sessions": self.sessions,
            "passes": self.passes,
            "scale": self.scale_S,
            **({"prices": self.price_SL} if self.limits else {}),
        }

    def restore(self, state: Any) -> None:
        """Take over such a tree."""
        self.policy.load(state["policy"])
        self.value.load(state["value"])
        if self.critic is not None:
            self.critic.load(state["critic"])
        self.adam.load(state["adam"])
        self.sessions, self.passes, self.scale_S = (
            state["sessions"],
            state["passes"],
            state["scale"],
        )
        self.price_SL = state.get("prices", self.price_SL)


class PlackettLuce(SlatePPO):
    """PPO on slates drawn slot by slot without replacement; it serves the likeliest."""

    name: ClassVar[str] = "plackett-luce"

    @classmethod
    def default_settings(cls) -> PPOSettings:
        """From the best tuned policy on where there is one, else from scratch; credit by slate."""
        return PPOSettings()

    def face_in(self, world: World) -> Face:
        """The candidates that its settings name."""
        return face_of(world, self.settings.shortlist, self.refitted)
