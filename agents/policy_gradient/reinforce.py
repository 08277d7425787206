"""REINFORCE with the top-K off-policy correction: learning from slates that another policy showed.

The policy is a softmax over the candidates; a slate is K independent draws from it. A logged draw a
with propensity beta counts as much as the policy wants it now, and as much as it is still missing
from the slate:

    gradient = sum  min(pi(a) / beta(a), cap) * lambda_K(a) * R(a) * grad log pi(a)
    lambda_K(a) = K (1 - pi(a))^(K - 1)

lambda_K is the derivative of alpha = 1 - (1 - pi)^K, the chance that a is in the slate: it falls to
zero as soon as a is sure to be shown, so that the policy goes on to learn what else should be.

Steps of Adam on one rollout may move the policy so far that it falls below what it begins with;
`most_kl` bounds them. Draws "credited" split what follows a slate among its slots, instead of
crediting all of it to each (docs/results/sardine.md).

Slates come from the learner itself: draws from a mix of its policy and uniform ones, remembered for
some rollouts. With one rollout and no uniform draws it learns on-policy. `learn_log` learns from
the slates of anybody else. In a world that shows slates of distinct items a repeated draw is an
empty slot while learning; what is served are the K likeliest items.

Source: Chen et al. 2019, WSDM, arXiv:1812.02353: section 4 (weights), 4.3 (lambda_K),
4.4 (caps). Bounded steps: Schulman et al. 2015, arXiv:1502.05477, section 5. Credit by a critic:
`slot_critic.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from slategym.agents.core.adam import SeedAdam
from slategym.agents.core.agent import Agent
from slategym.agents.core.ensemble import Ensemble, clip_each
from slategym.agents.core.inputs import Inputs
from slategym.agents.core.returns import advantages, discounted, normalised
from slategym.agents.core.rollout import RolloutBuffer, rows
from slategym.agents.core.sessions import TrainingSessions, harvest, luck_of, seat, show
from slategym.agents.core.tree import leaves
from slategym.agents.policy_gradient.network import Shown, ValueNetwork, Whole
from slategym.agents.policy_gradient.replayed_log import replayed
from slategym.agents.policy_gradient.slot_critic import (
    SlotCritic,
    slot_advantages,
    slot_reader,
)
from slategym.agents.slates.off_policy import importance, multiplier
from slategym.agents.slates.plackett_luce import (
    Scores,
    draw,
    entropy,
    log_prob,
    mode,
    scores_of,
    sharpened,
)
from slategym.agents.slates.top import allowed_only, top_slate
from slategym.agents.types import Action
from slategym.envs import engine
from slategym.envs.gym import turn_of
from slategym.envs.luck import Luck, purpose, seed_words
from slategym.envs.names import UsageError, lookup
from slategym.envs.settings import Amount, Count, Rate
from slategym.envs.types import Observation, World

DRAW, PICK = purpose("reinforce_topk.draw"), purpose("reinforce_topk.pick")
VALUE_WEIGHT = 0.5  # of the baseline's loss
MAX_NORM = 0.5  # of the gradient, of policy and baseline each
LAST_RATE = 0.1  # of the learning rate, to which it falls linearly
WEIGHT_CAP = 20.0  # largest pi / beta, about e^3
TD_LAMBDA = 0.8  # of what follows a slate of distinct draws; 1: what did, below: what is expected
MINIBATCH = 0.5  # of a rollout's slates
DRAWS = {
    "top-k": "independent draws, counted by lambda_K",
    "single": "independent draws without lambda_K, as if slates had one slot",
    "distinct": "slot by slot from what is left, which needs no lambda_K",
    "credited": "the same, each credited with its part of what follows by a critic of slots",
}


@dataclass(frozen=True)
class ReinforceSettings:
    """How a softmax policy learns from logged slates."""

    num_steps: Count = 300_000  # slates of each seed, in all
    num_users: Count = 64  # B, side by side, of each seed
    rollout: Count = 25  # slates of every user between updates
    updates: Count = 8  # minibatches after each rollout
    remembered: Count = 4  # rollouts to learn from; 1: the newest alone
    uniform_prob: Rate = 0.1  # of a uniform draw while learning, for each slot
    learning_rate: Amount = 3e-4  # Adam's, falling linearly to a tenth
    gamma: Rate = 0.95  # discount per slate, in [0, 1]
    entropy: Amount = 0.001  # reward per nat of the policy's entropy
    draws: str = "top-k"  # how slates are drawn, in DRAWS
    sharpness: Amount | None = None  # of distinct draws that are served; None: the likeliest
    most_kl: Amount | None = None  # nats per slot that a rollout may move the policy; None: any

    def __post_init__(self) -> None:
        lookup("way to draw slates", self.draws, DRAWS)

    @property
    def distinct(self) -> bool:
        """Whether slates are drawn slot by slot from what is left."""
        return self.draws in ("distinct", "credited")

    @property
    def td_lambda(self) -> float:
        """TD_LAMBDA where slates are drawn as the policy draws them; 1 where they are a mix's."""
        return TD_LAMBDA if self.distinct else 1.0

    @property
    def minibatch(self) -> int:
        """Slates of each update."""
        return max(1, round(MINIBATCH * self.num_users * self.rollout))


@dataclass(frozen=True)
class Logged:
    """Slates and what they brought; leading axes (S, n), or (S, M, T, B) where remembered."""

    shown: Shown  # (..., *) each
    slate: Tensor  # (..., K) int64, places among the candidates
    logp: Tensor  # (..., K) log-propensity of every draw, nats; their sum is the slate's
    reward: Tensor  # (..., K) by slot
    total: Tensor  # (...,) discounted reward to go, of the whole slate and all that followed

    def at(self, row_SR: Tensor) -> Logged:
        """These R rows of every seed, of those with axes (S, n)."""
        return Logged(
            shown={name: rows(x_Sn, row_SR) for name, x_Sn in self.shown.items()},
            slate=rows(self.slate, row_SR),
            logp=rows(self.logp, row_SR),
            reward=rows(self.reward, row_SR),
            total=rows(self.total, row_SR),
        )


class ReinforceTopK(Agent):
    """REINFORCE with the top-K off-policy correction; it serves the K likeliest items."""

    name: ClassVar[str] = "reinforce-topk"
    several_seeds: ClassVar[bool] = True
    settings: ReinforceSettings

    @classmethod
    def default_settings(cls) -> ReinforceSettings:
        """Four rollouts remembered, a tenth of the draws uniform."""
        return ReinforceSettings()

    def build(self) -> None:
        """Policy and baseline of every seed."""
        s = self.settings
        if not 0.0 <= s.uniform_prob <= 1.0:
            raise UsageError(f"uniform_prob must be in [0, 1], got {s.uniform_prob}")
        inputs, device = Inputs(self.world), self.world.device
        self.face = Whole(self.world, inputs)
        self.policy = Ensemble(self.face.network, self.seeds, device)
        self.value = Ensemble(lambda: ValueNetwork(inputs.width), self.seeds, device)
        self.slots = self.critic = self.adam_critic = None
        if s.draws == "credited":
            slots = self.slots = slot_reader(self.world, inputs)
            width, per_slot = inputs.width, slots.width
            self.critic = Ensemble(lambda: SlotCritic(width, per_slot), self.seeds, device)
            self.adam_critic = SeedAdam(self.critic.parameters())
        self.adam_policy = SeedAdam(self.policy.parameters())
        self.adam_value = SeedAdam(self.value.parameters())
        self.key_S = seed_words(self.seeds, device)
        self.picks = torch.zeros((), dtype=torch.int32, device=device)  # minibatches, ever
        self.scale_S = torch.zeros(len(self.seeds), device=device)  # reward per unit of value

    def begin(self, world: World) -> None:
        """Seat the training users, with nothing remembered."""
        s, S = self.settings, len(self.seeds)
        self.learning_world, self.turn = world, turn_of(world)
        self.learning_face = Whole(world, Inputs(world))
        self.sessions: TrainingSessions = seat(world, self.seeds, s.num_users)
        shown = self.learning_face.show(engine.observe(world, self.sessions.session))
        room = (S, s.remembered, s.rollout, s.num_users)
        slot = torch.zeros(*room, world.slate_size, device=world.device)
        self.memory = Logged(
            shown={name: x_L.new_zeros(*room, *x_L.shape[1:]) for name, x_L in shown.items()},
            slate=slot.long(),
            logp=slot.clone(),
            reward=slot.clone(),
            total=slot[..., 0].clone(),
        )

    def cycle(self) -> tuple[int, dict[str, float]]:
        """A rollout to remember, then some minibatches of all that is remembered."""
        s = self.settings
        length = s.num_users * s.rollout
        at, new = self.steps // length % s.remembered, leaves(self._play())
        for name, ring in leaves(self.memory).items():
            ring[:, at] = new[name]
        self.sessions, figures = harvest(self.sessions)
        known = min(self.steps // length + 1, s.remembered) * length
        flat = Logged(
            shown={name: x.flatten(1, 3) for name, x in self.memory.shown.items()},
            slate=self.memory.slate.flatten(1, 3),
            logp=self.memory.logp.flatten(1, 3),
            reward=self.memory.reward.flatten(1, 3),
            total=self.memory.total.flatten(1, 3),
        )
        drew = self.policy.frozen_copy() if s.most_kl is not None else None
        told = [self._update(flat.at(self._pick(known)), drew) for _ in range(s.updates)]
        losses = {name: torch.stack([t[name] for t in told]).mean() for name in told[0]}
        values = torch.stack(list(losses.values())).tolist()
        return length, {
            **figures,
            **dict(zip(losses, values, strict=True)),
            "train/learning_rate": self._rate,
            "train/n_updates": float(self.adam_policy.updates_S[0]),
        }

    @property
    def _rate(self) -> float:
        left = 1.0 - self.steps / self.settings.num_steps
        return self.settings.learning_rate * max(LAST_RATE, left)

    @torch.no_grad()
    def _play(self) -> Logged:
        """Show everybody slates of draws from the policy, some of them uniform."""
        world, T, S = self.learning_world, self.settings.rollout, len(self.seeds)
        reward_M = torch.tensor(world.objective, device=world.device)
        requests, outcomes = RolloutBuffer(S, T), RolloutBuffer(S, T)
        observation = engine.observe(world, self.sessions.session)
        for t in range(T):
            shown = self.learning_face.show(observation)
            slate_LK, logp_LK = self._drawn(self.policy, shown, luck_of(self.sessions))
            self.sessions, step = show(world, self.turn, self.sessions, slate_LK.int())
            requests.keep(t, shown)
            reward_LK = step.outcome.feedback @ reward_M
            outcome = {"slate": slate_LK, "logp": logp_LK, "reward": reward_LK}
            outcomes.keep(t, {**outcome, "ended": step.ended})
            observation = step.next
        last_SBX = self.learning_face.show(observation)["x"].view(S, self.settings.num_users, -1)
        ended_STB = outcomes.parts.pop("ended")
        total_STB = self._totals(
            outcomes.parts["reward"].sum(3), requests.parts["x"], last_SBX, ended_STB
        )
        return Logged(requests.parts, total=total_STB, **outcomes.parts)

    def _totals(
        self, reward_STB: Tensor, x_STBX: Tensor, last_SBX: Tensor, ended_STB: Tensor
    ) -> Tensor:
        """Discounted reward to go, by TD(lambda); what follows the last slate is as expected."""
        gamma, zero_STB = self.settings.gamma, torch.zeros_like(reward_STB)
        first_S = discounted(reward_STB, ended_STB, gamma).square().mean((1, 2)).sqrt()
        self.scale_S = torch.where(self.scale_S == 0, first_S.clamp(min=1e-6), self.scale_S)
        after_SB = self.value(last_SBX) * self.scale_S[:, None]
        if self.settings.td_lambda == 1.0:
            return advantages(reward_STB, zero_STB, after_SB, ended_STB, gamma, 1.0)
        value_Sn = self.value(x_STBX.flatten(1, 2)) * self.scale_S[:, None]
        value_STB = value_Sn.view(reward_STB.shape)
        gain_STB = advantages(
            reward_STB, value_STB, after_SB, ended_STB, gamma, self.settings.td_lambda
        )
        total_STB: Tensor = value_STB + gain_STB
        return total_STB

    def _scores(self, policy: Ensemble, shown: Shown) -> Scores:
        """What decides the slates of S * B requests, seed after seed."""
        S = policy.num_seeds
        inputs = (shown[name].view(S, -1, *shown[name].shape[1:]) for name in self.face.reads)
        logits_LC, penalty_LG = (x.flatten(0, 1) for x in policy(*inputs))
        return scores_of(logits_LC, penalty_LG, self.face.topic(shown), shown.get("allowed"))

    def _logp(self, policy: Ensemble, shown: Shown) -> Tensor:
        """Log-probability of every candidate at S * B requests, seed after seed, (L, C)."""
        S = policy.num_seeds
        inputs = (shown[name].view(S, -1, *shown[name].shape[1:]) for name in self.face.reads)
        logits_LC = policy(*inputs)[0].flatten(0, 1)
        return allowed_only(logits_LC, shown.get("allowed")).log_softmax(1)

    def _drawn(self, policy: Ensemble, shown: Shown, luck: Luck) -> tuple[Tensor, Tensor]:
        """A slate as it learns, and the log-propensity of every slot's choice, (L, K) each."""
        if not self.settings.distinct:
            return self._draw(self._logp(policy, shown), shown, luck)
        uniform_LK = luck.uniform(DRAW, self.world.slate_size)
        return draw(self._scores(policy, shown), uniform_LK)

    def _draw(self, logp_BC: Tensor, shown: Shown, luck: Luck) -> tuple[Tensor, Tensor]:
        """K independent draws of the mix, and their log-propensities, (B, K) each."""
        K, share = self.world.slate_size, self.settings.uniform_prob
        allowed_BC = shown.get("allowed", torch.ones_like(logp_BC)).float()
        even_BC = allowed_BC / allowed_BC.sum(1, keepdim=True)
        prob_BC = (1.0 - share) * logp_BC.exp() + share * even_BC
        upto_BC = prob_BC.cumsum(1)
        slate_BK = torch.searchsorted(upto_BC, luck.uniform(DRAW, K) * upto_BC[:, -1:], right=True)
        return slate_BK, prob_BC.gather(1, slate_BK).log()

    def _pick(self, num_rows: int) -> Tensor:
        """Rows of a minibatch of every seed, (S, R), among so many."""
        luck = Luck.at(self.key_S, self.picks.expand(len(self.seeds)))
        self.picks += 1
        return luck.integers(PICK, self.settings.minibatch, num_rows).long()

    def _update(
        self, few: Logged, drew: Ensemble | None = None, whole_slates: bool = False
    ) -> dict[str, Tensor]:
        """One step of Adam on a minibatch of every seed.

        Args:
            few: (S, R, ...).
            drew: the policy at the last rollout, from which it may not move far; None: no bound.
            whole_slates: True: propensities are known of whole slates alone, which are weighted as
                wholes.
        """
        s, K = self.settings, few.slate.shape[2]
        logp_SRK, entropy_S = self._weighed(self.policy, few)
        expected_SR = self.value(few.shown["x"])
        target_SR = few.total / self.scale_S[:, None]
        gain_SRK, unforeseen_S = self._gains(few, (target_SR - expected_SR).detach())
        with torch.no_grad():
            now_SRK, then_SRK = logp_SRK, few.logp
            if whole_slates:
                now_SRK, then_SRK = (x.sum(2, keepdim=True) for x in (now_SRK, then_SRK))
            weight_SRK = importance(now_SRK, then_SRK, WEIGHT_CAP)
            if s.draws == "top-k":
                weight_SRK = weight_SRK * multiplier(logp_SRK, K)
        policy_S = -(weight_SRK * gain_SRK * logp_SRK).sum(2).mean(1)
        error_S = (expected_SR - target_SR).square().mean(1)
        loss_S = policy_S + VALUE_WEIGHT * (error_S + unforeseen_S) - s.entropy * entropy_S

        learnt = [(self.policy, self.adam_policy), (self.value, self.adam_value)]
        if self.critic is not None and self.adam_critic is not None:
            learnt.append((self.critic, self.adam_critic))
        for _, adam in learnt:
            adam.zero_grad()
        loss_S.sum().backward()  # type: ignore[no-untyped-call]
        for ensemble, adam in learnt:
            clip_each(ensemble.parameters(), MAX_NORM)
            adam.step(self._rate)
        if drew is not None:
            self._stay_near(drew, few)
        return {
            "train/loss": loss_S.detach().mean(),
            "train/policy_gradient_loss": policy_S.detach().mean(),
            "train/value_loss": error_S.detach().mean(),
            "train/entropy_loss": -entropy_S.detach().mean(),
            "train/importance_weight": weight_SRK.mean(),
        }

    def _gains(self, few: Logged, surprise_SR: Tensor) -> tuple[Tensor, Tensor]:
        """Advantage of every slot's choice, (S, R, K); the critic's mean squared error, (S,).

        Args:
            few: (S, R, ...).
            surprise_SR: what the slate brought and led to, beyond what was expected; in units of
                the value.
        """
        reward_SRK = few.reward / self.scale_S[:, None, None]
        all_SR1 = reward_SRK.sum(2, keepdim=True)
        if self.critic is None or self.slots is None:
            gain_SRK = surprise_SR[..., None] - (all_SR1 - reward_SRK)
            return normalised(gain_SRK), torch.zeros_like(self.scale_S)
        every = {name: x_SR.flatten(0, 1) for name, x_SR in few.shown.items()}
        slot_SRKE = self.slots(every, few.slate.flatten(0, 1)).view(*few.slate.shape, -1)
        base_SR, effect_SRK = self.critic(few.shown["x"], slot_SRKE)
        missed_SR = base_SR + effect_SRK.sum(2) - (surprise_SR - all_SR1[..., 0])
        gain_SRK = normalised(slot_advantages(reward_SRK, effect_SRK.detach()))
        return gain_SRK, missed_SR.square().mean(1)

    @torch.no_grad()
    def _stay_near(self, drew: Ensemble, few: Logged) -> None:
        """Take the policy back towards the one that drew, as far as `most_kl` asks.

        Half the mean squared change of the log-probabilities is the divergence to second order,
        and about quadratic in the way.
        """
        assert self.settings.most_kl is not None
        change_SRK = self._weighed(self.policy, few)[0] - self._weighed(drew, few)[0]
        kl_S = 0.5 * change_SRK.square().mean((1, 2))
        share_S = (self.settings.most_kl / kl_S.clamp(min=1e-12)).sqrt().clamp(max=1.0)
        for name, x in self.policy.weights.items():
            first = drew.weights[name]
            x.copy_(torch.lerp(first, x, share_S.view(-1, *[1] * (x.dim() - 1))))

    def _weighed(self, policy: Ensemble, few: Logged) -> tuple[Tensor, Tensor]:
        """Log-probability of every slot's choice, (S, R, K); entropy of one draw, (S,)."""
        shown = {name: x.flatten(0, 1) for name, x in few.shown.items()}
        slate_LK, S = few.slate.flatten(0, 1), len(self.seeds)
        if self.settings.distinct:
            scores = self._scores(policy, shown)
            logp_LK, entropy_L = log_prob(scores, slate_LK), entropy(scores)
        else:
            all_LC = self._logp(policy, shown)
            logp_LK, entropy_L = all_LC.gather(1, slate_LK), -(all_LC.exp() * all_LC).sum(1)
        return logp_LK.view(few.slate.shape), entropy_L.view(S, -1).mean(1)

    def learn_log(self, world: World, path: str | Path, *, seed: int, updates: int) -> None:
        """Learn from the slates of a log, which somebody else has shown.

        Args:
            world: where it was written.
            path: Parquet, as `slategym simulate --out` writes it.
            seed: that it was simulated with.
            updates: minibatches.

        Raises:
            UsageError: see `replayed`.
        """
        S, log = len(self.seeds), replayed(world, Path(path), seed, self.face.show)
        alive_n = log.alive.flatten()

        def each_seed(x_TB: Tensor) -> Tensor:
            x_n = x_TB.flatten(0, 1)[alive_n]
            return x_n.expand(S, *x_n.shape)

        zero_1B = torch.zeros_like(log.reward[:1, :, 0])
        total_1TB = advantages(
            log.reward.sum(2)[None],
            torch.zeros_like(log.logp)[None],
            zero_1B,
            log.ended[None],
            self.settings.gamma,
            1.0,
        )
        K = log.slate.shape[2]
        logged = Logged(
            shown={name: each_seed(x_TB) for name, x_TB in log.shown.items()},
            slate=each_seed(log.slate),
            logp=each_seed((log.logp / K)[..., None].expand(-1, -1, K)),
            reward=each_seed(log.reward),
            total=each_seed(total_1TB[0]),
        )
        spread = logged.total.square().mean(1).sqrt().clamp(min=1e-6)
        self.scale_S = torch.where(self.scale_S == 0, spread, self.scale_S)
        for _ in range(updates):
            self._update(logged.at(self._pick(logged.total.shape[1])), whole_slates=True)

    @torch.no_grad()
    def act(self, observation: Observation, luck: Luck) -> Action:
        """The K likeliest items; of distinct draws, the likeliest slate or a sharper draw."""
        shown, K = self.face.show(observation), self.world.slate_size
        if not self.settings.distinct:
            return Action(top_slate(self._logp(self._serving, shown), K))
        scores = self._scores(self._serving, shown)
        if self.settings.sharpness is None:
            return Action(mode(scores, K).int())
        sharper = sharpened(scores, self.settings.sharpness)
        slate_BK, logp_BK = draw(sharper, luck.uniform(DRAW, K))
        return Action(slate_BK.int(), logp_BK.sum(1), logp_BK)

    @torch.no_grad()
    def explore(self, observation: Observation, luck: Luck) -> Action:
        """Draws as it learns, with the exact log-probability of these draws in this order."""
        slate_BK, logp_BK = self._drawn(self._serving, self.face.show(observation), luck)
        # independent draws: every slot is drawn by itself, and its chance is that of the position
        position_BK = None if self.settings.distinct else logp_BK
        return Action(slate_BK.int(), logp_BK.sum(1), logp_BK, position_BK)

    @property
    def _serving(self) -> Ensemble:
        return self.policy.fixed(slice(self.serving, self.serving + 1))

    def weights(self) -> dict[str, Tensor]:
        """The policies."""
        return dict(self.policy.weights)

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take over policies."""
        self.policy.load(dict(weights))

    def state(self) -> Any:
        """Networks, Adam, users, what is remembered, and the count on which minibatches depend."""
        return {
            "policy": self.policy.weights,
            "value": self.value.weights,
            **self._critic_state(),
            "adam_policy": self.adam_policy.state(),
            "adam_value": self.adam_value.state(),
            "sessions": self.sessions,
            "memory": self.memory,
            "picks": self.picks,
            "scale": self.scale_S,
        }

    def _critic_state(self) -> dict[str, Any]:
        if self.critic is None or self.adam_critic is None:
            return {}
        return {"critic": self.critic.weights, "adam_critic": self.adam_critic.state()}

    def restore(self, state: Any) -> None:
        """Take over such a tree."""
        self.policy.load(state["policy"])
        self.value.load(state["value"])
        if self.critic is not None and self.adam_critic is not None:
            self.critic.load(state["critic"])
            self.adam_critic.load(state["adam_critic"])
        self.adam_policy.load(state["adam_policy"])
        self.adam_value.load(state["adam_value"])
        self.sessions, self.memory = state["sessions"], state["memory"]
        self.picks, self.scale_S = state["picks"], state["scale"]
