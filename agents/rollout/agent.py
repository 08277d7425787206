"""Search at serving time: the best of some rules, by futures imagined with what was learned.

What is learned is a model of people (`response.py`): how they answer slates after what the session
has shown, with kinds of people that nobody names, and when they leave. It is learned from slates
that the agent itself shows, of rules on topics clicked lately, each held for a session. To serve,
the agent asks who this may be, by what was taken and passed over so far; plays every rule on in its
own model, for people drawn from that belief; and shows the slate of the rule that earns most.
Nothing of the world's truth is asked. Unless training pays, it serves the tuned history rule.

Source: Tesauro and Galperin 1996 (rollouts); Chang, Givan and Chong 2000 (parallel rollout);
Silver and Veness 2010 (belief by what was observed).
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
from slategym.agents.core.ensemble import clip_each
from slategym.agents.core.history_rule import RULE, history_rule_with, tune_history_rule
from slategym.agents.core.ranker import Retrieved, stated_ranker
from slategym.agents.core.sessions import TrainingSessions, harvest, seat, show
from slategym.agents.core.supervised import RANKER, ranker_of, tune_ranker
from slategym.agents.core.tuning import Setting
from slategym.agents.rollout.imagined import Candidates, rules_of, scored, worth
from slategym.agents.rollout.response import Response, surprise
from slategym.agents.rollout.traces import (
    OF_VISIT,
    WIDTH,
    Traces,
    nothing_yet,
    remembered,
    took_by_topic,
)
from slategym.agents.types import Action, Policy
from slategym.envs import engine
from slategym.envs.gym import turn_of
from slategym.envs.luck import Luck, purpose
from slategym.envs.names import UsageError
from slategym.envs.types import Observation, World

WHICH, SLOT = purpose("rollout.rule"), purpose("rollout.slot")
LUCK = 1_004  # seed of imagined futures
MAX_NORM = 1.0  # of the gradient
LAST_RATE = 0.1  # of the learning rate, to which it falls linearly


@dataclass(frozen=True)
class RolloutSettings:
    """How people are learned, and how far ahead is played."""

    num_steps: int = 51_200  # slates, in all
    num_users: int = 256  # B, side by side
    rollout: int = 20  # slates of every user between fits
    updates: int = 200  # of the model, after each
    minibatch: int = 1_600  # slates, about: those of some users, all of them so far
    learning_rate: float = 1e-2  # Adam's, falling linearly to a tenth
    kinds: int = 3  # of people
    noise: float = 0.5  # spread of what is added to scores while it learns
    gamma: float = 0.99  # discount per slate, in [0, 1]; 0: this slate alone
    depth: int = 16  # slates that are played
    futures: int = 6  # of each rule
    shortlist: int = 100  # best of the ranker, from which slates are filled


class Rollout(Agent):
    """Rules on topics clicked lately, chosen anew at every request by imagined futures."""

    name: ClassVar[str] = "rollout"
    settings: RolloutSettings

    @classmethod
    def default_settings(cls) -> RolloutSettings:
        """From the tuned history rule on."""
        return RolloutSettings()

    @classmethod
    def check_world(cls, world: World) -> None:
        """It needs a supervised model that ranks, remembered slates, one choice.

        Raises:
            UsageError: the world lacks one of them.
        """
        if not stated_ranker(world).one_choice:
            raise UsageError(
                "rollout needs people who take at most one item of a slate, which those of "
                f"{world.name} do not"
            )
        if not world.shown_size:
            raise UsageError(
                f"rollout reads who people are from slates shown, and {world.name} remembers none; "
                "pass shown_size=30"
            )

    def build(self) -> None:
        """The model of people, and its Adam."""
        s, world = self.settings, self.world
        self.count = min(max(s.shortlist, world.slate_size), world.num_candidates)
        self.ranker = ranker_of(world)
        self.rule = history_rule_with(world, tune_history_rule(world).chosen, self.ranker)
        self.rules = rules_of(self.rule.strength, self.rule.fading)
        self.topic_N, self.num_topics = self.rule.topic_N, self.rule.num_topics
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seeds[0])
            self.response = Response(s.kinds).to(world.device)
        self.adam = SeedAdam([x.detach()[None] for x in self.response.parameters()])
        self.fits = torch.zeros((), dtype=torch.int64)
        self.trained = True
        runs = -(-s.num_steps // (s.num_users * s.rollout))
        self.kept = runs * s.rollout  # slates of a user; beyond `num_steps` the oldest are replaced
        self.seen: dict[str, Tensor] = {}
        depth = s.depth if s.gamma else 1
        generator = torch.Generator().manual_seed(LUCK)
        uniform_MT = torch.rand(s.futures, depth + 1, generator=generator)
        self.uniform_MT = uniform_MT.to(world.device)  # of all requests alike: nothing is drawn

    def chosen(self) -> Mapping[str, Setting]:
        """The ranker and the rule on which it rests."""
        return {RANKER: tune_ranker(self.world).chosen, RULE: tune_history_rule(self.world).chosen}

    def at_start(self) -> Policy:
        """The history rule."""
        start = copy(self)
        start.trained = False
        return start

    @property
    def start_name(self) -> str:
        """The history rule."""
        return RULE

    def serve(self, trained: Sequence[bool]) -> None:
        """Search, or the rule alone."""
        self.trained = trained[0]

    def begin(self, world: World) -> None:
        """Seat the training users."""
        self.learning_world, self.turn = world, turn_of(world)
        self.sessions: TrainingSessions = seat(world, self.seeds, self.settings.num_users)
        self.traces = nothing_yet(self.settings.num_users, self.num_topics, world.device)
        shape = (self.kept, self.settings.num_users)
        slate, device = (*shape, world.slate_size), world.device
        self.seen = {
            "features": torch.zeros(*slate, WIDTH, device=device),
            "utility": torch.zeros(slate, device=device),
            "taken": torch.zeros(slate, dtype=torch.bool, device=device),
            "visit": torch.zeros(*shape, OF_VISIT, device=device),
            "left": torch.zeros(shape, dtype=torch.bool, device=device),
            "cut": torch.zeros(shape, dtype=torch.bool, device=device),
        }

    def cycle(self) -> tuple[int, dict[str, float]]:
        """Some slates for everybody, then updates of the model on all slates so far."""
        self._keep(self._play())
        self.sessions, figures = harvest(self.sessions)
        return self.settings.num_users * self.settings.rollout, {**figures, **self._fit()}

    def candidates(self, observation: Observation) -> tuple[Retrieved, Candidates]:
        """The ranker's best, and what the model reads of them."""
        best = self.ranker.retrieve(observation, self.count)
        utility_BC, reward_BC = self.ranker.parts(observation, best.id)
        return best, Candidates(best.score, utility_BC, reward_BC, self.topic_N[best.id])

    @torch.no_grad()
    def _play(self) -> dict[str, Tensor]:
        """Slates of a rule of each session, with noise; what came of them, (T, B, ...) each."""
        world, kept = self.learning_world, list[dict[str, Tensor]]()
        observation = engine.observe(world, self.sessions.session)
        for _ in range(self.settings.rollout):
            session = self.sessions.session
            best, few = self.candidates(observation)
            at_BK = self._drawn(few, self.traces, Luck.at(session.key, session.step), session.key)
            topic_BK = few.topic.gather(1, at_BK)
            before = self.traces
            slate_BK = best.id.gather(1, at_BK).int()
            self.sessions, step = show(world, self.turn, self.sessions, slate_BK)
            taken_BK = step.outcome.feedback[..., 0] > 0
            after = before.after(took_by_topic(topic_BK, taken_BK, self.num_topics))
            at_B1R = topic_BK[:, :, None].expand(-1, -1, before.features.shape[2])
            kept.append(
                {
                    "features": before.features.gather(1, at_B1R),
                    "utility": few.utility.gather(1, at_BK),
                    "taken": taken_BK,
                    "visit": after.visit,
                    "left": step.outcome.left,
                    "cut": step.outcome.cut,
                }
            )
            self.traces = Traces(
                after.topic.masked_fill(step.ended[:, None, None], 0.0),
                after.visit.masked_fill(step.ended[:, None], 0.0),
            )
            observation = step.next
        return {name: torch.stack([one[name] for one in kept]) for name in kept[0]}

    def _drawn(self, few: Candidates, traces: Traces, now: Luck, key_B: Tensor) -> Tensor:
        """Slates as while it learns, of a rule that is the session's own, (B, K) among few."""
        session = Luck.at(key_B, torch.zeros_like(key_B))
        which_B = session.integers(WHICH, 1, len(self.rules))[:, 0].long()
        noise_BC = self.settings.noise * now.gumbel(SLOT, few.score.shape[1])
        score_BC = few.score + noise_BC
        return self._by_rule(score_BC, few, traces, which_B)

    def _by_rule(
        self, score_BC: Tensor, few: Candidates, traces: Traces, which_B: Tensor
    ) -> Tensor:
        trace_R = torch.tensor([rule.trace for rule in self.rules], device=which_B.device)
        strength_R = torch.tensor([rule.strength for rule in self.rules], device=which_B.device)
        found_BC = scored(score_BC, few.topic, traces, trace_R[which_B], strength_R[which_B])
        return found_BC.topk(self.world.slate_size, dim=1).indices

    def _keep(self, rollout: dict[str, Tensor]) -> None:
        """Beside all slates so far."""
        first = self.steps // self.settings.num_users % self.kept
        for name, x in rollout.items():
            self.seen[name][first : first + len(x)] = x

    def _fit(self) -> dict[str, float]:
        """Updates of the model on all slates so far of some users."""
        s, told = self.settings, list[Tensor]()
        length = min(self.steps // s.num_users + s.rollout, self.kept)
        users = min(s.num_users, -(-s.minibatch // length))
        rate = s.learning_rate * max(LAST_RATE, 1.0 - self.steps / s.num_steps)
        for _ in range(s.updates):
            seed = (self.seeds[0] << 24) + int(self.fits)
            generator = torch.Generator().manual_seed(seed)
            pick_c = torch.randperm(s.num_users, generator=generator)[:users]
            self.fits += 1
            few = {name: x[:length, pick_c] for name, x in self.seen.items()}
            told.append(self._update(few, rate))
        return {"train/loss": float(torch.stack(told).mean()), "train/learning_rate": rate}

    def _update(self, few: dict[str, Tensor], rate: float) -> Tensor:
        """One step of Adam; sessions are whole, so that every kind has its share of people."""
        T, c = few["left"].shape
        ended_Tc = few["left"] | few["cut"]
        number_Tc = ended_Tc.cumsum(0) - ended_Tc.long()  # of its session among its user's
        session_n = (number_Tc * c + torch.arange(c, device=number_Tc.device)).flatten()
        flat = {name: x.flatten(0, 1) for name, x in few.items()}
        loss = surprise(
            self.response, flat["features"], flat["utility"], flat["taken"], session_n, T * c
        )
        leave_n = self.response.leave(flat["visit"])
        stayed_n = ~flat["cut"]
        left = F.binary_cross_entropy_with_logits(leave_n[stayed_n], flat["left"][stayed_n].float())
        parameters = list(self.response.parameters())
        for x, grad in zip(
            self.adam.parameters, torch.autograd.grad(loss + left, parameters), strict=True
        ):
            x.grad = grad[None]
        clip_each(self.adam.parameters, MAX_NORM)
        self.adam.step(rate)
        return loss.detach()

    @torch.no_grad()
    def belief(self, observation: Observation) -> tuple[Tensor, Traces]:
        """Over kinds, from the slates remembered, (B, Z); and what they add up to."""
        past, response = observation.past, self.response
        assert past is not None, "check_world has asked for it"
        id_BP = past.id.clamp(min=0).flatten(1)
        utility_BPK = self.ranker.utility(observation, id_BP).view(past.id.shape)
        log_BZ = response.log_share.expand(past.id.shape[0], -1)
        steps = list(remembered(past, self.topic_N, self.num_topics))
        for p, (shown_B, traces) in enumerate(steps[:-1]):
            topic_BK = self.topic_N[past.id[:, p].clamp(min=0).long()]
            at_BKX = topic_BK[:, :, None].expand(-1, -1, traces.features.shape[2])
            features_BKX = traces.features.gather(1, at_BKX)
            B, K, X = features_BKX.shape
            effect_ZBK = response.effect(features_BKX.reshape(B * K, X)).view(-1, B, K)
            logp_ZB = response.log_prob(utility_BPK[:, p], effect_ZBK, past.taken[:, p])
            log_BZ = log_BZ + (logp_ZB * shown_B).T
        return log_BZ.softmax(1), steps[-1][1]

    @torch.no_grad()
    def act(self, observation: Observation, luck: Luck) -> Action:
        """The slate of the rule that earns most in imagined futures."""
        if not self.trained:
            return self.rule.act(observation, luck)
        best, few = self.candidates(observation)
        belief_BZ, traces = self.belief(observation)
        which_B = self._worth(few, traces, belief_BZ, observation).argmax(1)
        at_BK = self._by_rule(few.score, few, traces, which_B)
        return Action(best.id.gather(1, at_BK).int())

    def _worth(
        self, few: Candidates, traces: Traces, belief_BZ: Tensor, observation: Observation
    ) -> Tensor:
        """Of every rule, (B, R)."""
        uniform_BMT = self.uniform_MT.expand(belief_BZ.shape[0], -1, -1)
        return worth(
            self.response,
            few,
            traces,
            belief_BZ,
            self.rules,
            self.world.horizon - observation.step,
            uniform_BMT,
            self.settings.gamma,
            self.world.slate_size,
        )

    def weights(self) -> dict[str, Tensor]:
        """The model of people, and whether it is searched."""
        return {**self.response.state_dict(), "trained": torch.tensor(self.trained)}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take over such weights."""
        self.trained = bool(weights["trained"])
        self.response.load_state_dict({k: x for k, x in weights.items() if k != "trained"})

    def state(self) -> Any:
        """The model, its Adam, the sessions, all slates so far."""
        return {
            "response": dict(self.response.state_dict()),
            "adam": self.adam.state(),
            "fits": self.fits,
            "sessions": self.sessions,
            "traces": tuple(self.traces),
            "seen": self.seen,
        }

    def restore(self, state: Any) -> None:
        """Take over such a tree."""
        self.response.load_state_dict(state["response"])
        self.adam.load(state["adam"])
        self.sessions, self.seen, self.fits = state["sessions"], state["seen"], state["fits"]
        self.traces = Traces(*state["traces"])
