"""A history rule that adapts to the person, its few numbers found by evolution on the return.

First a model of people is learned from slates (`people.py`): of which kind somebody is shows in
what they take and pass over. Then a rule is sought whose strength follows that belief
(`adaptive_rule.py`): in every generation some perturbed rules meet the same training people with
the same luck, and the numbers move towards those that earned most in whole sessions. With a
discount below 1 perturbations are held for 1 / (1 - gamma) slates instead of the session, and are
credited with what is earned while they are held: with gamma = 0, one slate. What is served is the
mean of the numbers over the second half of the search.

It begins as the tuned history rule, which is served unless training pays.

Source: Hansen and Ostermeier 2001 (weighted recombination); Salimans et al. 2017, arXiv:1703.03864
(mirrored perturbations); Ng and Jordan 2000 (PEGASUS: policies compared with the same luck); Polyak
and Juditsky 1992 (averaging).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from slategym.agents.rollout.adaptive_rule import AdaptiveRule
from slategym.agents.rollout.imagined import rules_of
from slategym.agents.rollout.people import Learning, People
from slategym.agents.rollout.rule_first import RuleFirst
from slategym.agents.rollout.traces import nothing_yet, took_by_topic
from slategym.agents.types import Action
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.settings import Amount, Count, Rate
from slategym.envs.trees import map_tensors
from slategym.envs.types import Observation, World

LEARNED = 1 / 6  # of all slates, from which the model of people is learned; the rest is the search
NARROWEST = 0.2  # of the first spread, to which perturbations fall linearly
AVERAGED = 0.5  # of the search, its last part, over which the numbers are averaged
LUCK = (
    2**30
)  # offset of what happens to people while rules are sought: nobody is read at one as high


@dataclass(frozen=True)
class AdaptiveTraceSettings:
    """How people are learned, and how the rule is sought."""

    num_steps: Count = 307_200  # slates, in all
    num_users: Count = 512  # side by side
    rollout: Count = 20  # slates of every user between fits
    updates: Count = 400  # of the model, after each
    minibatch: Count = 1_600  # slates, about: those of some users, all of them so far
    learning_rate: Amount = 1e-2  # Adam's, falling linearly to a tenth
    kinds: Count = 3  # of people
    noise: Amount = 0.5  # spread of what is added to scores while people are learned
    shortlist: Count = 100  # best of the ranker, from which slates are filled
    gamma: Rate = 1.0  # discount per slate, in [0, 1]; 1: the whole session counts
    pairs: Count = 8  # of mirrored perturbations, in a generation


class AdaptiveTrace(RuleFirst):
    """Strengths of a history rule by what somebody took and passed over, found by evolution."""

    name: ClassVar[str] = "adaptive-trace"
    settings: AdaptiveTraceSettings

    @classmethod
    def default_settings(cls) -> AdaptiveTraceSettings:
        """From the tuned history rule on."""
        return AdaptiveTraceSettings()

    def build(self) -> None:
        """The model of people, and the history rule's numbers."""
        s, world = self.settings, self.world
        ranker = self.begin_as_rule()
        self.learned = max(1, int(LEARNED * s.num_steps))
        learning = Learning.of(s, self.learned)
        rules = rules_of(self.rule.strength, self.rule.fading)
        self.people = People(world, learning, ranker, rules, self.seeds[0])
        self.adaptive = AdaptiveRule(s.kinds, self.rule.fading)
        self.numbers_D = self.adaptive.start(self.rule.strength).to(world.device)
        self.mean_D = self.numbers_D.clone()  # of the search's second half: what is served
        self.averaged = torch.zeros((), dtype=torch.int64)  # generations in it
        self.generations = torch.zeros((), dtype=torch.int64)

    def begin(self, world: World) -> None:
        """Seat the training users."""
        self.learning_world = world
        self.people.seat(world)

    def cycle(self) -> tuple[int, dict[str, float]]:
        """More of people, at first; then a generation of rules."""
        if self.steps < self.learned:
            return self.people.cycle(self.steps)
        return self._generation()

    @torch.no_grad()
    def _generation(self) -> tuple[int, dict[str, float]]:
        """Perturbed rules meet the same people; the numbers move towards the better half."""
        s, rule, device = self.settings, self.adaptive, self.world.device
        generator = torch.Generator().manual_seed((self.seeds[0] << 24) + int(self.generations))
        left = 1.0 - (self.steps - self.learned) / max(1, s.num_steps - self.learned)
        way_pD = torch.randn(s.pairs, rule.width, generator=generator)
        spread_D = max(NARROWEST, left) * rule.spread
        way_PD = torch.cat([way_pD, -way_pD])
        numbers_PD = self.numbers_D + (spread_D * way_PD).to(device)
        earned_P, shown, ended = self._play(numbers_PD)
        self.generations += 1
        better_p = earned_P.argsort(descending=True, stable=True)[: s.pairs]
        weight_p = torch.log(torch.tensor(s.pairs + 0.5)) - torch.arange(1.0, s.pairs + 1).log()
        weight_p = (weight_p / weight_p.sum()).to(device)
        self.numbers_D = (weight_p[:, None] * numbers_PD[better_p]).sum(0)
        one = torch.ones_like(self.averaged)
        self.averaged = self.averaged + 1 if left <= AVERAGED else one
        self.mean_D = self.mean_D + (self.numbers_D - self.mean_D) / self.averaged
        return shown, {
            "rollout/ep_rew_mean": ended["return"],
            "rollout/ep_len_mean": ended["slates"],
            "train/n_updates": float(self.generations),
        }

    def _play(self, numbers_PD: Tensor) -> tuple[Tensor, int, dict[str, float]]:
        """What each of these rules earned while it was held, (P,); slates shown; of sessions."""
        s, world, people = self.settings, self.learning_world, self.people
        P = len(numbers_PD)
        n, size, device = max(1, s.num_users // P), world.population.size, world.device
        first = int(self.generations) * n
        row_n = torch.arange(first, first + n, dtype=torch.int32, device=device)
        user_B, visit_B = (row_n % size).repeat(P), (row_n // size).repeat(P)
        seed_B = torch.full_like(user_B, LUCK + (self.seeds[0] & (LUCK - 1)))
        session = engine.start(world, seed_B, user_B, visit_B)
        rule_B = torch.arange(P, device=device).repeat_interleave(n)
        held = world.horizon if s.gamma == 1 else max(1, round(1.0 / (1.0 - s.gamma)))
        earned_P, begun_P = torch.zeros(P, device=device), torch.zeros(P, device=device)
        traces = nothing_yet(len(user_B), people.num_topics, device)
        effects = list[Tensor]()  # (Z, B, K) of every slate so far
        shown, step = 0, 0
        while len(rule_B):
            now_B = (rule_B + step // held) % P
            observation = engine.observe(world, session)
            best, few = people.candidates(observation)
            belief_BZ = people.so_far(observation, effects)
            score_BC = self.adaptive.scores(numbers_PD[now_B], few, traces, belief_BZ)
            at_BK = score_BC.topk(world.slate_size, dim=1).indices
            session, outcome = engine.transition(world, session, best.id.gather(1, at_BK).int())
            taken_BK, topic_BK = outcome.feedback[..., 0] > 0, few.topic.gather(1, at_BK)
            effects.append(people.response.effect_of(traces, topic_BK))
            traces = traces.after(took_by_topic(topic_BK, taken_BK, people.num_topics))
            earned_P.index_add_(0, now_B, outcome.reward)
            if step % held == 0:
                begun_P.index_add_(0, now_B, torch.ones_like(outcome.reward))
            shown, step = shown + len(rule_B), step + 1
            going_B = ~(outcome.left | outcome.cut)
            session = map_tensors(lambda x, keep_B=going_B: x[keep_B], session)
            rule_B, traces = rule_B[going_B], traces.at(going_B)
            effects = [effect_ZBK[:, going_B] for effect_ZBK in effects]
        sessions = float(n * P)
        told = {"return": float(earned_P.sum()) / sessions, "slates": shown / sessions}
        return earned_P / begun_P.clamp(min=1.0), shown, told

    @torch.no_grad()
    def act(self, observation: Observation, luck: Luck) -> Action:
        """The best candidates after the rule, as strong as suits whoever this may be."""
        if not self.trained:
            return self.rule.act(observation, luck)
        best, few = self.people.candidates(observation)
        belief_BZ, traces = self.people.belief(observation)
        score_BC = self.adaptive.scores(self.mean_D[None], few, traces, belief_BZ)
        at_BK = score_BC.topk(self.world.slate_size, dim=1).indices
        return Action(best.id.gather(1, at_BK).int())

    def weights(self) -> dict[str, Tensor]:
        """The model of people, the rule's numbers, and whether it adapts."""
        own = {"numbers": self.mean_D, "trained": torch.tensor(self.trained)}
        return {**self.people.response.state_dict(), **own}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take over such weights."""
        kept = dict(weights)
        self.trained = bool(kept.pop("trained"))
        self.mean_D = kept.pop("numbers").to(self.world.device)
        self.people.response.load_state_dict(kept)

    def state(self) -> Any:
        """Of people, and how far the search is."""
        return {
            "people": self.people.state(),
            "numbers": self.numbers_D,
            "mean": self.mean_D,
            "averaged": self.averaged,
            "generations": self.generations,
        }

    def restore(self, state: Any) -> None:
        """Take over such a tree."""
        self.people.restore(state["people"])
        self.numbers_D, self.mean_D = state["numbers"], state["mean"]
        self.averaged, self.generations = state["averaged"], state["generations"]
