"""A history rule that adapts to the person, the best of some rules by what whole sessions return.

First a model of people is learned from slates (`people.py`): what the session has shown does to
topics, for kinds of people that nobody names; of which kind somebody is shows in what they take and
pass over. Then rules are compared that allow for it: for what a topic has gained or lost so far,
and for what one more click on it would do to the next slate, each as whoever this may be would
answer (`adaptive_rule.py`). They meet the same training people with the same luck, and the better
half goes on, until two are left, of which the better is served. With a discount below 1 the rules
take turns, each held for 1 / (1 - gamma) slates and credited with what is earned meanwhile; with
gamma = 0, one slate.

It begins as the tuned history rule, which is served unless training pays.

Source: Karnin, Koren and Somekh 2013 (successive halving); Ng and Jordan 2000 (PEGASUS: policies
compared with the same luck).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from slategym.agents.rollout.adaptive_rule import AdaptiveRule
from slategym.agents.rollout.imagined import STRENGTHS, Rule, rules_of, worth
from slategym.agents.rollout.people import Learning, People
from slategym.agents.rollout.rule_first import RuleFirst
from slategym.agents.rollout.traces import BY_SLATE, nothing_yet, took_by_topic
from slategym.agents.types import Action
from slategym.envs import engine
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError
from slategym.envs.settings import Amount, Count, Rate
from slategym.envs.trees import at_rows
from slategym.envs.types import Observation, Session, World

LEARNED = 1 / 2  # of all slates, from which the model of people is learned; the rest is the search
IMAGINED = 128  # people for whom it is imagined what suits a kind
FUTURES, DEPTH = 4, 24  # of each of them; slates, after which a session goes on as so far
# offset of what happens to people while rules are sought: nobody is read at one as high
LUCK = 2**30


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


class AdaptiveTrace(RuleFirst):
    """A history rule that allows for how whoever this may be answers."""

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
        rules = rules_of(self.trace.strength, self.trace.fading)
        self.people = People(world, learning, ranker, rules, self.seeds[0])
        self.adaptive = AdaptiveRule(s.kinds, self.trace.fading)
        P = self.adaptive.compared
        self.served_D = self.adaptive.start().to(world.device)
        self.numbers_PD = self.served_D.repeat(P, 1)  # of the rules that are compared
        self.earned_P = torch.zeros(P, device=world.device)  # so far
        self.holds_P = torch.zeros(P, device=world.device)  # for which it was earned
        self.going_P = torch.zeros(P, dtype=torch.bool, device=world.device)  # not yet behind
        self.met = torch.zeros((), dtype=torch.int64)  # people whom every rule going met
        self.generations = torch.zeros((), dtype=torch.int64)

    def begin(self, world: World) -> None:
        """Seat the training users."""
        self.learning_world = world
        self.people.seat(world)

    def cycle(self) -> tuple[int, dict[str, float]]:
        """More of people, at first; then the rules that are left meet some people."""
        if self.steps < self.learned:
            return self.people.cycle(self.steps)
        if not self.generations:
            self._set_out()
        return self._generation()

    def _set_out(self) -> None:
        """Rules to compare, each once, by what suits each kind of people in imagined sessions."""
        best = [STRENGTHS[int(at)] for at in self._suits().argmax(1)]
        self.numbers_PD = self.adaptive.candidates(best).to(self.world.device)
        rows = [tuple(row) for row in self.numbers_PD.tolist()]
        once = [rows.index(row) == at for at, row in enumerate(rows)]
        self.going_P = torch.tensor(once, device=self.world.device)

    @torch.no_grad()
    def _suits(self) -> Tensor:
        """What a history rule of each strength earns with each kind, imagined, (Z, R)."""
        s, world, people = self.settings, self.learning_world, self.people
        number = min(IMAGINED, world.population.size)
        user_B = torch.arange(number, dtype=torch.int32, device=world.device)
        session = self._start(user_B, 0 * user_B)
        _, few = people.candidates(engine.observe(world, session))
        trace = BY_SLATE.index(self.trace.fading)
        rules = tuple(Rule(trace, strength) for strength in STRENGTHS)
        generator = torch.Generator().manual_seed(self.seeds[0])
        luck_MT = torch.rand(FUTURES, (DEPTH if s.gamma else 1) + 1, generator=generator)
        left_B = torch.full_like(user_B, world.horizon)
        found = []
        for kind_Z in torch.eye(s.kinds, device=world.device):
            worth_BR = worth(
                people.response,
                few,
                nothing_yet(number, people.num_topics, world.device),
                kind_Z.expand(number, -1),
                rules,
                left_B,
                luck_MT.to(world.device).expand(number, -1, -1),
                s.gamma,
                world.slate_size,
            )
            found.append(worth_BR.mean(0))
        return torch.stack(found)

    def _generation(self) -> tuple[int, dict[str, float]]:
        """The rules that are left meet the same people; the better of them stay."""
        which_p = self.going_P.nonzero()[:, 0]
        earned_p, holds_p, shown, told = self._play(self.numbers_PD[which_p])
        self.earned_P = self.earned_P.index_add(0, which_p, earned_p)
        self.holds_P = self.holds_P.index_add(0, which_p, holds_p)
        self.generations = self.generations + 1
        mean_P = (self.earned_P / self.holds_P.clamp(min=1.0)).masked_fill(
            ~self.going_P, -torch.inf
        )
        best_P = mean_P.argsort(descending=True, stable=True)
        self.going_P = torch.zeros_like(self.going_P)
        self.going_P[best_P[: self._left(self.steps + shown)]] = True
        self.served_D = self.numbers_PD[best_P[0]].clone()
        return shown, {
            "rollout/ep_rew_mean": told["return"],
            "rollout/ep_len_mean": told["slates"],
            "train/n_updates": float(self.generations),
        }

    def _left(self, steps: int) -> int:
        """How many rules go on after so many slates: half as many each time."""
        P = len(torch.unique(self.numbers_PD, dim=0))
        rounds = math.ceil(math.log2(P))
        share = (steps - self.learned) / max(1, self.settings.num_steps - self.learned)
        return math.ceil(P / (1 << min(rounds - 1, int(share * rounds))))

    def _start(self, user_B: Tensor, visit_B: Tensor) -> Session:
        """Sessions of these training users, with luck that nobody else is read with."""
        seed_B = torch.full_like(user_B, LUCK + (self.seeds[0] & (LUCK - 1)))
        return engine.start(self.learning_world, seed_B, user_B, visit_B)

    @torch.no_grad()
    def _play(self, numbers_PD: Tensor) -> tuple[Tensor, Tensor, int, dict[str, float]]:
        """Each of these rules meets the same people, whom none has met.

        Returns:
            what was earned while each was held, (P,); how often each was, (P,); slates shown; means
            of the sessions.
        """
        s, world, people = self.settings, self.learning_world, self.people
        P = len(numbers_PD)
        n, size, device = max(1, s.num_users // P), world.population.size, world.device
        first = int(self.met)
        self.met = self.met + n
        row_n = torch.arange(first, first + n, dtype=torch.int32, device=device)
        session = self._start((row_n % size).repeat(P), (row_n // size).repeat(P))
        rule_B = torch.arange(P, device=device).repeat_interleave(n)
        held = world.horizon if s.gamma == 1 else max(1, round(1.0 / (1.0 - s.gamma)))
        earned_P, begun_P = torch.zeros(P, device=device), torch.zeros(P, device=device)
        traces = nothing_yet(len(rule_B), people.num_topics, device)
        effects = list[Tensor]()  # (Z, B, K) of every slate so far
        shown, step = 0, 0
        while len(rule_B):
            now_B = (rule_B + step // held) % P
            observation = engine.observe(world, session)
            best, few = people.candidates(observation)
            belief_BZ = people.so_far(observation, effects)
            answers = people.answers(few, traces)
            ruled_BC = self.rule.scores(best, observation.history)
            score_BC = self.adaptive.scores(
                numbers_PD[now_B], few, ruled_BC, traces, belief_BZ, answers
            )
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
            session = at_rows(session, going_B.nonzero()[:, 0])
            rule_B, traces = rule_B[going_B], traces.at(going_B)
            effects = [effect_ZBK[:, going_B] for effect_ZBK in effects]
        sessions = float(n * P)
        told = {"return": float(earned_P.sum()) / sessions, "slates": shown / sessions}
        return earned_P, begun_P, shown, told

    @torch.no_grad()
    def act(self, observation: Observation, luck: Luck) -> Action:
        """The best candidates after the rule, as whoever this may be would answer."""
        if not self.trained:
            return self.rule.act(observation, luck)
        best, few = self.people.candidates(observation)
        belief_BZ, traces = self.people.belief(observation)
        answers = self.people.answers(few, traces)
        ruled_BC = self.rule.scores(best, observation.history)
        score_BC = self.adaptive.scores(
            self.served_D[None], few, ruled_BC, traces, belief_BZ, answers
        )
        at_BK = score_BC.topk(self.world.slate_size, dim=1).indices
        return Action(best.id.gather(1, at_BK).int())

    def weights(self) -> dict[str, Tensor]:
        """The model of people, the rule's numbers, and whether it adapts."""
        own = {"numbers": self.served_D, "trained": torch.tensor(self.trained)}
        return {**self.people.response.state_dict(), **own}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take over such weights."""
        kept = dict(weights)
        self.trained = bool(kept.pop("trained"))
        numbers_D = kept.pop("numbers")
        if len(numbers_D) != self.adaptive.width:
            raise UsageError(
                f"a rule of {self.adaptive.width} numbers is expected and {len(numbers_D)} are "
                f"saved, by an earlier {self.name}; train it again"
            )
        self.served_D = numbers_D.to(self.world.device)
        self.people.response.load_state_dict(kept)

    def state(self) -> Any:
        """Of people, and how far the search is."""
        return {
            "people": self.people.state(),
            "rules": self.numbers_PD,
            "served": self.served_D,
            "earned": self.earned_P,
            "holds": self.holds_P,
            "going": self.going_P,
            "met": self.met,
            "generations": self.generations,
        }

    def restore(self, state: Any) -> None:
        """Take over such a tree."""
        self.people.restore(state["people"])
        self.numbers_PD, self.served_D = state["rules"], state["served"]
        self.earned_P, self.holds_P = state["earned"], state["holds"]
        self.going_P, self.met = state["going"], state["met"]
        self.generations = state["generations"]
