"""Lookahead: exact one-step slates, with a click worth what it earns now and makes of the rest.

The tuned `supervised` policy fills its slate by the utility u of each item and the mean reward r of
a click on it. This learner corrects both, by topic, from what the session has shown so far:

    u + appeal    how much more, or less, people choose a topic now than the ranker believes
    r + gamma * gain    what a click on the topic does to the reward that is still to come

and adds to each score what that changes in the score of the exact one-step slate, in which an item
of less worth than the rest is worse than none. Nothing is searched by policy gradient: appeal
is fitted to choices by likelihood, gain to what followed by TD(lambda), on slates drawn near its
own; acting greedily on them is policy iteration. Before anything is learnt both are zero and it
serves `supervised`; at gamma 0 only the choice is learnt.

Source: Ie et al. 2019, arXiv:1905.12767, sections 4 and 5 (values of items that make up a slate's,
given how people choose); Sutton 1988 (TD(lambda)); McFadden 1974 (conditional logit).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.agents.core.adam import SeedAdam
from slategym.agents.core.agent import Agent
from slategym.agents.core.choice import independent_score, slate_score
from slategym.agents.core.ensemble import Ensemble, clip_each
from slategym.agents.core.inputs import Inputs
from slategym.agents.core.ranker import Retrieved, stated_ranker
from slategym.agents.core.returns import discounted, lambda_returns
from slategym.agents.core.rollout import RolloutBuffer, rows
from slategym.agents.core.sessions import TrainingSessions, harvest, luck_of, seat, show
from slategym.agents.core.start import Start, start_chosen, start_of
from slategym.agents.core.supervised import SUPERVISED
from slategym.agents.core.tuning import Setting
from slategym.agents.lookahead.network import Foreseen, LookaheadNetwork
from slategym.agents.slates.plackett_luce import Scores, draw, mode, scores_of
from slategym.agents.slates.top import FORBIDDEN
from slategym.agents.types import Action
from slategym.envs import engine
from slategym.envs.gym import turn_of
from slategym.envs.luck import Luck, purpose, seed_words
from slategym.envs.names import UsageError
from slategym.envs.settings import Amount, Count, Rate
from slategym.envs.types import Observation, World

SLOT, SHUFFLE = purpose("lookahead.slot"), purpose("lookahead.shuffle")
MAX_NORM = 1.0  # of the gradient
LAST_RATE = 0.1  # of the learning rate, to which it falls linearly
FAR = 3.0  # score below the best at which a topic counts as not offered
FRONT = 20  # best candidates, of which a topic holds a share
LEAST_SHARE = 0.01  # of clicks among the first slates, for the first level of taking nothing

Shown = dict[str, Tensor]  # what a request shows, by name, (B, ...) each


@dataclass(frozen=True)
class LookaheadSettings:
    """How choice and value are learnt."""

    num_steps: Count = 102_400  # slates of each seed, in all
    num_users: Count = 256  # B, side by side, of each seed
    rollout: Count = 16  # slates of every user between updates
    epochs: Count = 6  # passes over a rollout
    minibatch: Count = 480  # slates, about
    learning_rate: Amount = 3e-3  # Adam's, falling linearly to a tenth
    gamma: Rate = 0.95  # discount per slate, in [0, 1]
    td_lambda: Rate = 0.9  # in [0, 1]; 1: plain returns
    shortlist: Count = 100  # best of `supervised`, from which slates are filled


class Lookahead(Agent):
    """The best slate of one request, later reward included; choice and value are learnt."""

    name: ClassVar[str] = "lookahead"
    several_seeds: ClassVar[bool] = True
    settings: LookaheadSettings

    @classmethod
    def default_settings(cls) -> LookaheadSettings:
        """From tuned `supervised` on."""
        return LookaheadSettings()

    @classmethod
    def check_world(cls, world: World) -> None:
        """It needs a supervised model to begin from.

        Raises:
            UsageError: the world has none.
        """
        stated_ranker(world)

    def build(self) -> None:
        """One network of every seed."""
        s, world = self.settings, self.world
        if s.rollout < 2:
            raise UsageError(f"rollout must be 2 or more, for what follows; got {s.rollout}")
        if s.shortlist < world.slate_size:
            raise UsageError(
                f"shortlist must be at least {world.slate_size}, the slots of a slate in "
                f"{world.name}, got {s.shortlist}"
            )
        self.count = min(s.shortlist, world.num_candidates)
        self.start: Start = start_of(world, self.count)
        self.recent = Inputs(world).topics
        self.network = Ensemble(lambda: LookaheadNetwork(self.recent), self.seeds, world.device)
        self.first = self.network.frozen_copy()
        self.served_network = self.network
        self.adam = SeedAdam(self.network.parameters())
        self.key_S = seed_words(self.seeds, world.device)
        self.passes = torch.zeros((), dtype=torch.int32, device=world.device)
        self.scale_S = torch.zeros(len(self.seeds), device=world.device)  # reward per unit of value

    def chosen(self) -> Mapping[str, Setting]:
        """The supervised policy from which it starts."""
        return start_chosen(self.world)

    def at_start(self) -> Lookahead:
        """`supervised`."""
        start = copy(self)
        start.served_network = self.first
        return start

    @property
    def start_name(self) -> str:
        """`supervised`."""
        return SUPERVISED

    def serve(self, trained: Sequence[bool]) -> None:
        """By seed, what was learnt or nothing of it."""
        self.served_network = self.network.where(trained, self.first)

    def begin(self, world: World) -> None:
        """Seat the training users."""
        self.served_network = self.network
        self.learning_world, self.turn = world, turn_of(world)
        self.sessions: TrainingSessions = seat(world, self.seeds, self.settings.num_users)

    def cycle(self) -> tuple[int, dict[str, float]]:
        """A rollout, then some epochs of regressions on it."""
        rollout = self._play()
        self.sessions, figures = harvest(self.sessions)
        return self.settings.num_users * self.settings.rollout, {**figures, **self._learn(rollout)}

    def show(self, observation: Observation) -> Shown:
        """The candidates with their utility and reward, and what the session says by topic."""
        ranker = self.start.policy.ranker
        best = ranker.retrieve(observation, self.count)
        utility_BC, reward_BC = ranker.parts(observation, best.id)
        topic_BC = self.world.catalogue.topic.long()[best.id]
        topics_BRG = self.recent.by_topic(observation)
        return {
            "id": best.id,
            "score": best.score,
            "utility": utility_BC,
            "reward": reward_BC,
            "topic": topic_BC,
            "topics": topics_BRG,
            "visit": self.recent.of_visit(observation),
            "offer": _offer(topic_BC, best.score, topics_BRG[:, 0]),
        }

    def foresee(self, network: Ensemble, shown: Shown) -> Foreseen:
        """For S * B requests, seed after seed."""
        S = network.num_seeds
        names = ("topics", "visit", "offer")
        inputs = (shown[name].view(S, -1, *shown[name].shape[1:]) for name in names)
        appeal, gain, after, level, scale_S = network(*inputs)
        many = appeal.shape[1]
        scale_L = scale_S.view(S, 1).expand(S, many).flatten()
        appeal, gain, after, level = (x.flatten(0, 1) for x in (appeal, gain, after, level))
        return Foreseen(appeal, gain, after, level, scale_L)

    def _scores(self, network: Ensemble, scale_S: Tensor, shown: Shown) -> tuple[Tensor, Scores]:
        """Candidates in order of what they are worth, (L, C), and the law of slates over these."""
        found, S = self.foresee(network, shown), network.num_seeds
        topic_LC = shown["topic"]
        worth_SG = found.gain.view(S, -1) * (self.settings.gamma * scale_S[:, None])
        worth_LG = worth_SG.view(found.gain.shape)
        utility_LC = shown["utility"] * found.scale[:, None] + found.appeal.gather(1, topic_LC)
        reward_LC = shown["reward"] + worth_LG.gather(1, topic_LC)
        allowed_LC = shown["score"] > FORBIDDEN / 2
        level_L1 = found.level[:, None]
        now_LC = self._one_step(utility_LC - level_L1, reward_LC, allowed_LC)
        then_LC = self._one_step(shown["utility"] - level_L1, shown["reward"], allowed_LC)
        score_LC = shown["score"] + (now_LC - then_LC)
        score_LC, order_LC = score_LC.sort(dim=1, descending=True, stable=True)
        ranked = Retrieved(shown["id"].gather(1, order_LC), score_LC)
        logits_LC = self.start.sharpness * self.start.scores(ranked)
        quota = self.start.sharpness * self.start.quota
        penalty_LG = torch.full_like(worth_LG, quota)
        allowed_LC = allowed_LC.gather(1, order_LC)
        law = scores_of(logits_LC, penalty_LG, topic_LC.gather(1, order_LC), allowed_LC)
        return order_LC, law

    def _one_step(self, above_LC: Tensor, reward_LC: Tensor, allowed_LC: Tensor) -> Tensor:
        """Scores of the best slate of one request, from utilities above that of taking nothing."""
        if not self.start.policy.ranker.one_choice:
            score_LC = independent_score(above_LC, reward_LC)
            return score_LC.masked_fill(~allowed_LC, FORBIDDEN)
        return slate_score(above_LC, reward_LC, allowed_LC, 0.0, self.world.slate_size)

    @torch.no_grad()
    def _play(self) -> dict[str, Tensor]:
        """Show everybody slates drawn near the best; what came of it, (S, T, B, ...) each."""
        world, T = self.learning_world, self.settings.rollout
        S, K = len(self.seeds), world.slate_size
        kept = RolloutBuffer(S, T)
        observation = engine.observe(world, self.sessions.session)
        for t in range(T):
            shown = self.show(observation)
            order_LC, law = self._scores(self.network, self.scale_S, shown)
            drawn_LK, _ = draw(law, luck_of(self.sessions).uniform(SLOT, K))
            at_LK = order_LC.gather(1, drawn_LK)
            slate_LK = shown["id"].gather(1, at_LK).int()
            self.sessions, step = show(world, self.turn, self.sessions, slate_LK)
            taken_LK = step.outcome.feedback[..., 0] > 0
            found = self.foresee(self.network, shown)
            slot = {name: shown[name].gather(1, at_LK) for name in ("utility", "topic")}
            kept.keep(
                t,
                {
                    **{name: shown[name] for name in ("topics", "visit", "offer")},
                    **slot,
                    "taken": taken_LK,
                    "reward": step.outcome.reward,
                    "ended": step.ended,
                    "after": _after(found, slot["topic"], taken_LK),
                },
            )
            observation = step.next
        return kept.parts

    def _learn(self, rollout: dict[str, Tensor]) -> dict[str, float]:
        """Epochs of minibatches."""
        s, S = self.settings, len(self.seeds)
        batch = self._batch(rollout)
        n = batch["target"].shape[1]
        parts = max(1, n // s.minibatch)
        rate = s.learning_rate * max(LAST_RATE, 1.0 - self.steps / s.num_steps)
        told = []
        for _ in range(s.epochs):
            luck = Luck.at(self.key_S, self.passes.expand(S))
            order_Sn = luck.uniform(SHUFFLE, n).argsort(dim=1, stable=True)
            self.passes += 1
            for row_SR in order_Sn[:, : parts * (n // parts)].view(S, parts, -1).unbind(1):
                told.append(self._update({k: rows(x, row_SR) for k, x in batch.items()}, rate))
        figures = {name: float(torch.stack([f[name] for f in told]).mean()) for name in told[0]}
        return {**figures, "train/learning_rate": rate}

    @torch.no_grad()
    def _batch(self, rollout: dict[str, Tensor]) -> dict[str, Tensor]:
        """Slates with what followed them, (S, n, ...) each; the last of each rollout is left out.

        What followed slate t is what slate t + 1 brought and what it led to, by TD(lambda).
        """
        s = self.settings
        reward_STB, ended_STB = rollout.pop("reward"), rollout.pop("ended")
        square_S = discounted(reward_STB, ended_STB, s.gamma).square().mean((1, 2))
        fresh_S = self.scale_S == 0
        self.scale_S = torch.where(fresh_S, square_S.sqrt().clamp(min=1e-6), self.scale_S)
        self._first_level(rollout, fresh_S)
        ahead_STB = lambda_returns(
            reward_STB / self.scale_S[:, None, None],
            rollout.pop("after"),
            ended_STB,
            s.gamma,
            s.td_lambda,
        )
        target_STB = ahead_STB[:, 1:] * ~ended_STB[:, :-1]
        kept = {name: x[:, :-1].flatten(1, 2) for name, x in rollout.items()}
        return {**kept, "target": target_STB.flatten(1, 2)}

    def _first_level(self, rollout: dict[str, Tensor], fresh_S: Tensor) -> None:
        """Set the level of taking nothing so that the first slates get their share of clicks."""
        if not bool(fresh_S.any()):
            return
        answered_S = (
            rollout["taken"].any(-1).float().mean((1, 2)).clamp(LEAST_SHARE, 1 - LEAST_SHARE)
        )
        total_S = rollout["utility"].logsumexp(-1).mean((1, 2))
        level_S = self.network.weights["level"]
        level_S.copy_(torch.where(fresh_S, total_S - answered_S.logit(), level_S))

    def _update(self, few: dict[str, Tensor], rate: float) -> dict[str, Tensor]:
        """One step of Adam on a minibatch of every seed."""
        S = len(self.seeds)
        flat = {name: x.flatten(0, 1) for name, x in few.items()}
        found = self.foresee(self.network, flat)
        utility_LK = flat["utility"] * found.scale[:, None]
        utility_LK = utility_LK + found.appeal.gather(1, flat["topic"])
        choice_L = _surprise(
            utility_LK, found.level, flat["taken"], self.start.policy.ranker.one_choice
        )
        error_L = (_after(found, flat["topic"], flat["taken"]) - flat["target"]).square()
        loss = (choice_L + error_L).view(S, -1).mean(1).sum()
        self.adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        clip_each(self.network.parameters(), MAX_NORM)
        self.adam.step(rate)
        spread = few["target"].var()
        return {
            "train/choice_loss": choice_L.detach().mean(),
            "train/value_loss": error_L.detach().mean(),
            "train/explained_variance": 1.0 - error_L.detach().mean() / spread.clamp(min=1e-12),
        }

    @torch.no_grad()
    def act(self, observation: Observation, luck: Luck) -> Action:
        """The best slate."""
        shown = self.show(observation)
        order_BC, law = self._serving(shown)
        at_BK = order_BC.gather(1, mode(law, self.world.slate_size))
        return Action(shown["id"].gather(1, at_BK).int())

    @torch.no_grad()
    def explore(self, observation: Observation, luck: Luck) -> Action:
        """A slate drawn as in training, with its exact log-probability."""
        shown = self.show(observation)
        order_BC, law = self._serving(shown)
        drawn_BK, logp_BK = draw(law, luck.uniform(SLOT, self.world.slate_size))
        at_BK = order_BC.gather(1, drawn_BK)
        return Action(shown["id"].gather(1, at_BK).int(), logp_BK.sum(1), logp_BK)

    def _serving(self, shown: Shown) -> tuple[Tensor, Scores]:
        one = slice(self.serving, self.serving + 1)
        return self._scores(self.served_network.fixed(one), self.scale_S[one], shown)

    def weights(self) -> dict[str, Tensor]:
        """What is served, and the unit of the value."""
        return {**self.served_network.weights, "unit": self.scale_S}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take over such weights."""
        self.network.load({name: weights[name] for name in self.network.weights})
        self.scale_S = weights["unit"].to(self.scale_S.device)
        self.served_network = self.network

    def state(self) -> Any:
        """Network, Adam, users, the unit of the value, and the count on which batches depend."""
        return {
            "network": self.network.weights,
            "adam": self.adam.state(),
            "sessions": self.sessions,
            "passes": self.passes,
            "scale": self.scale_S,
        }

    def restore(self, state: Any) -> None:
        """Take over such a tree."""
        self.network.load(state["network"])
        self.adam.load(state["adam"])
        self.sessions, self.passes = state["sessions"], state["passes"]
        self.scale_S = state["scale"]


def _after(found: Foreseen, topic_LK: Tensor, taken_LK: Tensor) -> Tensor:
    """Later reward as foreseen after these answers, (L,), in units of the value."""
    return found.after + (found.gain.gather(1, topic_LK) * taken_LK).sum(1)


def _surprise(utility_LK: Tensor, level_L: Tensor, taken_LK: Tensor, one_choice: bool) -> Tensor:
    """Negative log-likelihood of the answers, (L,), nats."""
    if not one_choice:
        above_LK = utility_LK - level_L[:, None]
        return F.binary_cross_entropy_with_logits(above_LK, taken_LK.float(), reduction="none").sum(
            1
        )
    every_LJ = torch.cat([utility_LK, level_L[:, None]], 1).log_softmax(1)
    refused_L1 = ~taken_LK.any(1, keepdim=True)
    return -(every_LJ * torch.cat([taken_LK, refused_L1], 1)).sum(1)


def _offer(topic_BC: Tensor, score_BC: Tensor, like_BG: Tensor) -> Tensor:
    """How far each topic's best candidate is below the best, and its share of the front, (B, G, 2).

    Args:
        topic_BC: of candidates, best first.
        score_BC: theirs.
        like_BG: of the shape of what is told of topics.
    """
    below_BC = (score_BC - score_BC[:, :1]).clamp(min=-FAR)
    best_BG = torch.full_like(like_BG, -FAR).scatter_reduce(1, topic_BC, below_BC, "amax")
    front_BC = topic_BC[:, :FRONT]
    place_BC = torch.full_like(below_BC[:, :FRONT], 2.0 / FRONT)
    share_BG = torch.zeros_like(like_BG).scatter_add(1, front_BC, place_BC)
    return torch.stack([best_BG + FAR / 2, share_BG], 2)
