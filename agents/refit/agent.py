"""supervised-refit: the supervised model trained further on the slates that it shows.

It has what a learner has, the same users, slates and luck, and looks no further than the slate: the
control for the question how much of a learner's gain is planning. Round after round it shows
slates, keeps what was shown and what became of it, and fits corrections to the multi-task model
(`agents/refit/network.py`) to all that is kept: how people chose, by the likelihood of the
conditional logit, and what a click earned, by squared error. Its slates are the best for this
request alone, exactly (`agents/slates/one_choice.py`), under the choice model so refitted; while it
learns, a stated share of them is drawn around the best one. It begins as the best tuned policy
without learning: `supervised`, diversity included, or the history rule, which then goes on to be
heeded: what it takes off is taken off the refitted scores, and the slate is then no longer exactly
the best one. It is that start before its first fit, and for good where what it fitted is not
clearly better for selection people (`agents/core/step_back.py`): who sees the present alone can
lose by it.

A slate that was drawn has no known log-probability, since some are not drawn: actions carry none.

Source: McFadden 1974 (conditional logit); Ie et al. 2019, arXiv:1905.12767, section 5 (exact
slates); Kool et al. 2019, arXiv:1903.06059 (draws by Gumbel noise).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from slategym.agents.core import sessions
from slategym.agents.core.agent import Agent
from slategym.agents.core.ensemble import adam_state, load_adam, ready_adam
from slategym.agents.core.history_rule import RULE, HistoryRule
from slategym.agents.core.offer import Offer, Offers, best_slate
from slategym.agents.core.ranker import stated_ranker
from slategym.agents.core.start import rule_of, start_chosen
from slategym.agents.core.supervised import (
    SUPERVISED,
    Supervised,
    supervised_with,
    tune_supervised,
)
from slategym.agents.core.tuning import Setting
from slategym.agents.refit.network import Correction, choice_loss, reward_loss
from slategym.agents.slates.top import FORBIDDEN
from slategym.agents.types import Action
from slategym.envs import engine
from slategym.envs.gym import turn_of
from slategym.envs.luck import Luck, purpose, seed_words
from slategym.envs.names import UsageError
from slategym.envs.settings import Amount, Count, Rate
from slategym.envs.trees import map_tensors
from slategym.envs.types import History, Observation, World
from slategym.models.conditional_logit import nothing_for

WHETHER, NOISE, PICK = (purpose(f"supervised_refit.{x}") for x in ("whether", "noise", "pick"))
LAST_RATE = 0.1  # of the learning rate, to which it falls linearly
MAX_NORM = 5.0  # of the gradient
FAR = 100.0  # log-odds that are searched for the utility of taking nothing
RATES = (0.01, 0.99)  # of clicked slates, between which it is sought


@dataclass(frozen=True)
class RefitSettings:
    """How the supervised model is trained further."""

    num_steps: Count = 307_200  # slates shown in training
    num_users: Count = 256  # side by side
    rollout: Count = 16  # slates of every user between fits
    epochs: Count = 6  # times that a slate is learnt from while it is new
    minibatch: Count = 1_024  # slates
    learning_rate: Amount = 3e-3  # Adam's, falling linearly to a tenth
    exploration: Rate = 0.5  # share of slates that are drawn around the best one
    sharpness: Amount = 3.0  # nats of a draw's log-weights per nat of score
    memory: Count = 153_600  # slates kept to learn from, the newest

    def __post_init__(self) -> None:
        for name in ("num_steps", "num_users", "rollout", "epochs", "minibatch", "memory"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0.0 <= self.exploration <= 1.0 or self.sharpness <= 0:
            raise UsageError(
                "exploration must be in [0, 1] and sharpness above 0, got "
                f"exploration={self.exploration}, sharpness={self.sharpness}"
            )


@dataclass(frozen=True)
class Seen:
    """Slates that were shown, T of them, and what became of each."""

    offer: Offer  # (T, K) of everything, in half precision where that does
    clicked: Tensor  # (T, K) bool
    earned: Tensor  # (T, K) float16, reward by slot


class SupervisedRefit(Agent):
    """The tuned ranker, its choice model and its rewards refitted on slates of its own."""

    name: ClassVar[str] = "supervised-refit"
    settings: RefitSettings

    @classmethod
    def default_settings(cls) -> RefitSettings:
        """As many slates as `plackett-luce` has, half of them drawn around the best one."""
        return RefitSettings()

    @classmethod
    def check_world(cls, world: World) -> None:
        """Refuse a world without a ranker."""
        stated_ranker(world)

    def build(self) -> None:
        """The corrections, all zero, and room for what will be seen."""
        world = self.world
        self.start = supervised_with(world, tune_supervised(world).chosen)
        self.ranker = ranker = self.start.ranker
        self.rule = rule_of(world, ranker)
        self.offers = Offers(world, ranker)
        nothing = ranker.choice.nothing if ranker.choice.competes else 0.0
        seed, items_ND = self.seeds[0], ranker.unit_items
        self.correction = Correction(
            self.offers.width, items_ND, world.slate_size, nothing, seed
        ).to(world.device)
        self.adam = ready_adam(list(self.correction.parameters()), self.settings.learning_rate)
        self.key_1 = seed_words(self.seeds, world.device)
        self.updates = 0
        self.back = False  # whether the start is served all the same

    def chosen(self) -> Mapping[str, Setting]:
        """The tuned policy from which it starts."""
        return start_chosen(self.world, rules=True)

    def at_start(self) -> Supervised | HistoryRule:
        """`supervised`, diversity included, or the history rule."""
        return self.start if self.rule is None else self.rule

    @property
    def start_name(self) -> str:
        """Of these, by name."""
        return SUPERVISED if self.rule is None else RULE

    def serve(self, trained: Sequence[bool]) -> None:
        """What was fitted, or the start."""
        self.back = not trained[0]

    def begin(self, world: World) -> None:
        """Seat the training users."""
        self.back = False
        self.where, self.turn = world, turn_of(world)
        self.where_offers = Offers(world, self.ranker)
        self.sessions = sessions.seat(world, self.seeds, self.settings.num_users)
        first = self.where_offers(engine.observe(world, self.sessions.session))
        self.kept = self._room(map_tensors(lambda x: x[:1], first), world.slate_size)

    def cycle(self) -> tuple[int, dict[str, float]]:
        """Some slates of every user, then updates on what is kept."""
        shown = self._play()
        if not self.updates:
            self._level(shown)
        self.sessions, figures = sessions.harvest(self.sessions)
        return shown, {**figures, **self._learn(shown)}

    @torch.no_grad()
    def _play(self) -> int:
        """Show everybody slates, a share of them drawn around the best; how many."""
        s, world = self.settings, self.where
        objective_M = torch.tensor(world.objective, device=world.device)
        observation = engine.observe(world, self.sessions.session)
        for t in range(s.rollout):
            offer, luck = self.where_offers(observation), sessions.luck_of(self.sessions)
            shown = offer.at(self._drawn(offer, observation.history, luck))
            self.sessions, step = sessions.show(world, self.turn, self.sessions, shown.id.int())
            feedback_BKM = step.outcome.feedback
            earned_BK = (feedback_BKM * objective_M).sum(2)
            self._keep(self.steps + t * s.num_users, shown, feedback_BKM[..., 0] > 0, earned_BK)
            observation = step.next
        return s.rollout * s.num_users

    def _keep(self, at: int, shown: Offer, clicked_BK: Tensor, earned_BK: Tensor) -> None:
        """Write a slate of every user where the oldest ones are."""
        B, room = clicked_BK.shape[0], self.kept.clicked.shape[0]
        row_B = (at + torch.arange(B, device=clicked_BK.device)) % room

        def write(ring: Tensor, x: Tensor) -> Tensor:
            return ring.index_copy_(0, row_B[-room:], x[-room:].to(ring.dtype))

        map_tensors(write, self.kept, Seen(shown, clicked_BK, earned_BK))

    def _room(self, offer: Offer, num_slots: int) -> Seen:
        """Zeros for all that will be kept; half precision does for what is no id."""
        s, K = self.settings, num_slots
        cycle = s.rollout * s.num_users
        T = min(s.memory, cycle * math.ceil(s.num_steps / cycle))

        def zeros(x: Tensor) -> Tensor:
            kind = torch.float16 if x.is_floating_point() else x.dtype
            return x.new_zeros((T, *x.shape[1:]), dtype=kind)

        first_1K = torch.zeros(1, K, dtype=torch.int64, device=offer.id.device)
        empty: Offer = map_tensors(zeros, offer.at(first_1K))
        empty = replace(empty, id=empty.id.int())
        clicked_TK = torch.zeros(T, K, dtype=torch.bool, device=offer.id.device)
        return Seen(empty, clicked_TK, torch.zeros_like(empty.reward))

    def _number(self, shown: int) -> int:
        """Of slates that are kept, after so many in this cycle."""
        return min(self.steps + shown, self.kept.clicked.shape[0])

    @torch.no_grad()
    def _level(self, shown: int) -> None:
        """The utility of taking nothing at which as many slates are clicked as were."""
        if self.ranker.choice.competes:
            return
        few = self._rows(torch.arange(self._number(shown), device=self.key_1.device))
        utility_RK = few.offer.utility.masked_fill(~few.offer.allowed, FORBIDDEN)
        low, high = RATES
        rate = min(max(float(few.clicked.any(1).float().mean()), low), high)
        self.correction.nothing.fill_(nothing_for(utility_RK.logsumexp(1), rate, -FAR, FAR))

    def _learn(self, shown: int) -> dict[str, float]:
        """Updates on slates drawn from all that are kept."""
        s, number, told = self.settings, self._number(shown), list[Tensor]()
        rate = s.learning_rate * max(LAST_RATE, 1.0 - self.steps / s.num_steps)
        for group in self.adam.param_groups:
            group["lr"] = rate
        for _ in range(math.ceil(s.epochs * shown / s.minibatch)):
            luck_1 = Luck.at(self.key_1, torch.full_like(self.key_1, self.updates))
            row_R = luck_1.integers(PICK, s.minibatch, number)[0].long()
            self.updates += 1
            told.append(self._update(self._rows(row_R), number))
        losses = torch.stack(told).mean(0).tolist()
        names = ("train/loss", "train/choice_loss", "train/reward_loss")
        return {
            **dict(zip(names, losses, strict=True)),
            "train/n_updates": float(self.updates),
            "train/learning_rate": rate,
        }

    def _rows(self, row_R: Tensor) -> Seen:
        """These slates, in full precision."""

        def full(x: Tensor) -> Tensor:
            return x.float() if x.is_floating_point() else x

        found: Seen = map_tensors(lambda x: full(x.index_select(0, row_R)), self.kept)
        return replace(found, offer=replace(found.offer, id=found.offer.id.long()))

    def _update(self, few: Seen, number: int) -> Tensor:
        """One step of Adam; the loss and its parts, (3,)."""
        clicked_RK = few.clicked.float()
        utility_RK, reward_RK = self.correction(few.offer)
        utility_RK = utility_RK + self.correction.slot_K
        choice = choice_loss(utility_RK, clicked_RK, self.ranker.one_choice)
        reward = reward_loss(reward_RK, few.earned, clicked_RK)
        loss = choice + reward + self.correction.prior() / number
        self.adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.correction.parameters(), MAX_NORM)
        self.adam.step()
        return torch.stack([loss, choice, reward]).detach()

    def _scores(self, offer: Offer, history: History) -> Tensor:
        """Whose K greatest are the slate, (B, C)."""
        utility_BC, reward_BC, nothing = offer.utility, offer.reward, self.ranker.choice.nothing
        if self.updates:
            (utility_BC, reward_BC), nothing = self.correction(offer), 0.0
        score_BC = best_slate(offer, utility_BC, reward_BC, nothing, self.ranker)
        return score_BC if self.rule is None else score_BC - self.rule.cost(offer.id, history)

    def _drawn(self, offer: Offer, history: History, luck: Luck) -> Tensor:
        """Places of the best slate, or of one drawn around it, (B, K)."""
        s, score_BC = self.settings, self._scores(offer, history)
        noise_BC = luck.gumbel(NOISE, score_BC.shape[1]) / s.sharpness
        drawn_B1 = luck.uniform(WHETHER, 1) < s.exploration
        score_BC = torch.where(drawn_B1 & offer.allowed, score_BC + noise_BC, score_BC)
        return score_BC.topk(self.world.slate_size, dim=1).indices

    @torch.no_grad()
    def act(self, observation: Observation, luck: Luck) -> Action:
        """The best slate for this request; the start's before anything was fitted."""
        if not self.updates or self.back:
            return self.at_start().act(observation, luck)
        offer = self.offers(observation)
        slot_BK = (
            self._scores(offer, observation.history).topk(self.world.slate_size, dim=1).indices
        )
        return Action(offer.id.gather(1, slot_BK).int())

    @torch.no_grad()
    def explore(self, observation: Observation, luck: Luck) -> Action:
        """As it learns; without a log-probability, see the top of this file."""
        offer = self.offers(observation)
        at_BK = self._drawn(offer, observation.history, luck)
        return Action(offer.id.gather(1, at_BK).int())

    def weights(self) -> dict[str, Tensor]:
        """The corrections, whether there are any, and whether they are served."""
        return {**self._fitted(), "back": torch.tensor(self.back)}

    def _fitted(self) -> dict[str, Tensor]:
        return {**self.correction.state_dict(), "updates": torch.tensor(self.updates)}

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take over what `weights` gave."""
        found = dict(weights)
        self.back = bool(found.pop("back"))
        self.updates = int(found.pop("updates"))
        self.correction.load_state_dict(found)

    def state(self) -> Any:
        """The weights, Adam, users and what is kept."""
        return {
            "weights": self._fitted(),
            "adam": adam_state(self.adam),
            "sessions": self.sessions,
            "kept": self.kept,
        }

    def restore(self, state: Any) -> None:
        """Take over such a tree."""
        self.load_weights({**state["weights"], "back": torch.tensor(self.back)})
        load_adam(self.adam, state["adam"])
        self.sessions, self.kept = state["sessions"], state["kept"]
