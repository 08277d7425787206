"""A model of people that goes on learning from the slates that an agent shows.

Slates are those of some rules on topics clicked lately, each held for a session, with noise: so
every way to treat people is seen whole, and who they are is told by how they answer it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.agents.core.adam import SeedAdam
from slategym.agents.core.ensemble import clip_each
from slategym.agents.core.ranker import Ranker, Retrieved, stated_ranker
from slategym.agents.core.sessions import TrainingSessions, harvest, seat, show
from slategym.agents.rollout.imagined import Answers, Candidates, Rule, scored
from slategym.agents.rollout.response import Response, surprise
from slategym.agents.rollout.traces import (
    OF_VISIT,
    WIDTH,
    Traces,
    nothing_yet,
    remembered,
    took_by_topic,
)
from slategym.envs import engine
from slategym.envs.gym import turn_of
from slategym.envs.luck import Luck, purpose
from slategym.envs.names import UsageError
from slategym.envs.types import Observation, World

WHICH, SLOT = purpose("rollout.rule"), purpose("rollout.slot")
MAX_NORM = 1.0  # of the gradient
LAST_RATE = 0.1  # of the learning rate, to which it falls linearly


@dataclass(frozen=True)
class Learning:
    """How people are learned; an agent's settings have these fields among their own."""

    num_steps: int  # slates, in all
    num_users: int  # B, side by side
    rollout: int  # slates of every user between fits
    updates: int  # of the model, after each
    minibatch: int  # slates, about: those of some users, all of them so far
    learning_rate: float  # Adam's, falling linearly to a tenth
    kinds: int  # of people
    noise: float  # spread of what is added to scores while it learns
    shortlist: int  # best of the ranker, from which slates are filled

    @classmethod
    def of(cls, settings: Any, num_steps: int) -> Learning:
        """Those of an agent, which spends so many slates on it."""
        found = {field.name: getattr(settings, field.name) for field in fields(cls)}
        return cls(**{**found, "num_steps": num_steps})


def check_people(name: str, world: World) -> None:
    """Refuse a world whose people cannot be learned so.

    Args:
        name: of the agent.
        world: where.

    Raises:
        UsageError: it has no supervised model that ranks, no remembered slates, or people who take
            several items of a slate.
    """
    if not stated_ranker(world).one_choice:
        raise UsageError(
            f"{name} needs people who take at most one item of a slate, which those of "
            f"{world.name} do not"
        )
    if not world.shown_size:
        raise UsageError(
            f"{name} reads who people are from slates shown, and {world.name} remembers none; "
            "pass shown_size=30"
        )


class People:
    """How people answer, as far as it is known, and all slates from which that is known.

    Args:
        world: whose slates they are.
        learning: how.
        ranker: on whose scores the rules rest.
        rules: one of them for each session.
        seed: of the training.
    """

    def __init__(
        self,
        world: World,
        learning: Learning,
        ranker: Ranker,
        rules: Sequence[Rule],
        seed: int,
    ) -> None:
        self.learning, self.ranker, self.rules, self.seed = learning, ranker, tuple(rules), seed
        self.slots = world.slate_size
        self.count = min(max(learning.shortlist, world.slate_size), world.num_candidates)
        self.topic_N = world.catalogue.topic.long()
        self.num_topics = world.catalogue.num_topics
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.response = Response(learning.kinds).to(world.device)
        self.adam = SeedAdam([x.detach()[None] for x in self.response.parameters()])
        self.fits = torch.zeros((), dtype=torch.int64)
        runs = -(-learning.num_steps // (learning.num_users * learning.rollout))
        self.kept = runs * learning.rollout  # slates of a user; beyond, the oldest are replaced
        self.seen: dict[str, Tensor] = {}

    def seat(self, world: World) -> None:
        """Seat the training users; nothing is seen yet."""
        number = self.learning.num_users
        self.world, self.turn = world, turn_of(world)
        self.sessions: TrainingSessions = seat(world, (self.seed,), number)
        self.traces = nothing_yet(number, self.num_topics, world.device)
        shape = (self.kept, number)
        slate, device = (*shape, world.slate_size), world.device
        self.seen = {
            "features": torch.zeros(*slate, WIDTH, device=device),
            "utility": torch.zeros(slate, device=device),
            "taken": torch.zeros(slate, dtype=torch.bool, device=device),
            "visit": torch.zeros(*shape, OF_VISIT, device=device),
            "left": torch.zeros(shape, dtype=torch.bool, device=device),
            "cut": torch.zeros(shape, dtype=torch.bool, device=device),
        }

    def cycle(self, steps: int) -> tuple[int, dict[str, float]]:
        """Some slates for everybody, then updates of the model on all slates so far.

        Args:
            steps: slates so far.

        Returns:
            slates shown, and figures under stable-baselines3's tag names.
        """
        self._keep(self._play(), steps)
        self.sessions, figures = harvest(self.sessions)
        shown = self.learning.num_users * self.learning.rollout
        return shown, {**figures, **self._fit(steps)}

    def candidates(self, observation: Observation) -> tuple[Retrieved, Candidates]:
        """The ranker's best, and what the model reads of them."""
        best, utility_BC, reward_BC = self.ranker.retrieve_parts(observation, self.count)
        return best, Candidates(best.score, utility_BC, reward_BC, self.topic_N[best.id])

    @torch.no_grad()
    def _play(self) -> dict[str, Tensor]:
        """Slates of a rule of each session, with noise; what came of them, (T, B, ...) each."""
        world, kept = self.world, list[dict[str, Tensor]]()
        observation = engine.observe(world, self.sessions.session)
        for _ in range(self.learning.rollout):
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
        noise_BC = self.learning.noise * now.gumbel(SLOT, few.score.shape[1])
        return self.by_rule(few.score + noise_BC, few, traces, which_B)

    def by_rule(self, score_BC: Tensor, few: Candidates, traces: Traces, which_B: Tensor) -> Tensor:
        """Slates of these rules on these scores, (B, K) among few."""
        trace_R = torch.tensor([rule.trace for rule in self.rules], device=which_B.device)
        strength_R = torch.tensor([rule.strength for rule in self.rules], device=which_B.device)
        found_BC = scored(score_BC, few.topic, traces, trace_R[which_B], strength_R[which_B])
        return found_BC.topk(self.slots, dim=1).indices

    def _keep(self, rollout: dict[str, Tensor], steps: int) -> None:
        """Beside all slates so far."""
        first = steps // self.learning.num_users % self.kept
        for name, x in rollout.items():
            self.seen[name][first : first + len(x)] = x

    def _fit(self, steps: int) -> dict[str, float]:
        """Updates of the model on all slates so far of some users."""
        s, told = self.learning, list[Tensor]()
        length = min(steps // s.num_users + s.rollout, self.kept)
        users = min(s.num_users, -(-s.minibatch // length))
        rate = s.learning_rate * max(LAST_RATE, 1.0 - steps / s.num_steps)
        for _ in range(s.updates):
            generator = torch.Generator().manual_seed((self.seed << 24) + int(self.fits))
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

    def answers(self, few: Candidates, traces: Traces) -> Answers:
        """What the session does to the candidates' topics, by kind of people."""
        first_BK, (B, C), G = few.topic[:, : self.slots], few.topic.shape, self.num_topics
        if G >= C:
            return Answers(
                self.response.effect_of(traces, few.topic),
                self.response.effect_after(traces, few.topic, first_BK),
            )
        every_BG = torch.arange(G, device=few.topic.device).expand(B, -1)
        now_ZBG = self.response.effect_of(traces, every_BG)
        later_ZBG = self.response.effect_after(traces, every_BG, first_BK)
        at_ZBC = few.topic.expand(len(now_ZBG), -1, -1)
        return Answers(now_ZBG.gather(2, at_ZBC), later_ZBG.gather(2, at_ZBC))

    @torch.no_grad()
    def belief(self, observation: Observation) -> tuple[Tensor, Traces]:
        """Log-probabilities of kinds by the slates remembered, (B, Z); what those add up to."""
        past = observation.past
        assert past is not None, "check_people has asked for it"
        topic_BPK = self.topic_N[past.id.clamp(min=0).long()]
        *before, (_, now) = remembered(past, self.topic_N, self.num_topics)
        effects = [
            self.response.effect_of(traces, topic_BK)
            for (_, traces), topic_BK in zip(before, topic_BPK.unbind(1), strict=True)
        ]
        return self.so_far(observation, effects), now

    def so_far(self, observation: Observation, effects: Sequence[Tensor]) -> Tensor:
        """Log-probabilities of kinds by Bayes' rule, with the tastes of now, (B, Z).

        Args:
            observation: now; its last slates are those of `effects`, where it remembers as many.
            effects: of every slate of the session, or of those remembered, what had been shown
                before it did to its items, (Z, B, K).
        """
        past = observation.past
        assert past is not None, "check_people has asked for it"
        number = min(len(effects), past.id.shape[1])
        if not number:
            return self.response.log_share.expand(len(observation.step), -1)
        id_BPK, taken_BPK = past.id[:, -number:], past.taken[:, -number:]
        known_BP = id_BPK.clamp(min=0).flatten(1)
        utility_BPK = self.ranker.utility(observation, known_BP).view(id_BPK.shape)
        effect_ZBPK = torch.stack(list(effects[-number:]), 2)
        logp_ZBP = self.response.log_prob(utility_BPK, effect_ZBPK, taken_BPK)
        found_ZB = (logp_ZBP * (id_BPK >= 0).any(2)).sum(2)
        return (self.response.log_share + found_ZB.T).log_softmax(1)

    def state(self) -> dict[str, Any]:
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
