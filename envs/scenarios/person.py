"""The people of all scenarios: one user model, composed of parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from slategym.envs.constants import constant
from slategym.envs.luck import Luck, purpose
from slategym.envs.protocols import UserModel
from slategym.envs.scenarios.answers import Answer, answer
from slategym.envs.scenarios.effect import Effect
from slategym.envs.scenarios.look import Look
from slategym.envs.scenarios.visits import Visits, VisitState
from slategym.envs.types import CLICK, Arrival, Catalogue, Context, Items, Signal

TASTE = purpose("scenario.taste")
MISTAKEN = 0.1  # chance of a click on what one did not look at


@dataclass(frozen=True)
class PersonState:
    """What one likes, what every effect remembers, and how the visit stands."""

    taste: Tensor  # (B, G) float32, log-odds
    effects: tuple[Any, ...]  # a state of each
    visit: VisitState


@dataclass(frozen=True)
class Person(UserModel[PersonState]):
    """appeal = taste of the topic - reluctance + what the effects add.

    The worth of a click is quality + liking * taste + what the effects add; the signals after the
    click follow it. Slots beyond what the device shows are not seen. With `noise` a share of clicks
    are mistakes: sigmoid(appeal) becomes (1 - noise) sigmoid(appeal) + noise / 10.

    Source: made up; the constants are in `scenarios/constants.py`.
    """

    num_topics: int  # G
    answers: tuple[Answer, ...]  # signals after the click
    effects: tuple[Effect[Any], ...]
    visits: Visits
    reluctance: float  # log-odds that any item has to overcome
    spread: float = 1.0  # of tastes, log-odds, standard deviation
    liking: float = 0.5  # of taste, in worth
    usual: tuple[float, ...] = ()  # (G,) log-odds, mean taste; (): 0
    visible: tuple[int, ...] = ()  # slots that each device shows; (): all
    num_slots: int = 0  # K of a slate; longer lists are judged as if all were seen
    noise: float = 0.0  # share of clicks, in [0, 1)
    tempting: tuple[int, ...] = ()  # topics that pay now and cost later, for who looks ahead

    @property
    def signals(self) -> tuple[Signal, ...]:
        """The click and the answers, each with the one that it needs."""
        found = [CLICK]
        for one in self.answers:
            needs = None if one.given is None else found[one.given].name
            found.append(one.signal._replace(given=needs))
        return tuple(found)

    def initial(self, arrival: Arrival, luck: Luck) -> PersonState:
        """Tastes normal around what is usual; every effect as it begins."""
        taste_BG = self.spread * luck.normal(TASTE, self.num_topics)
        if self.usual:
            taste_BG = taste_BG + constant(self.usual, taste_BG)
        states = tuple(one.initial(arrival, self.num_topics, luck) for one in self.effects)
        return PersonState(taste_BG, states, self.visits.initial(arrival.user_id))

    def appeal(self, state: PersonState, items: Items, context: Context) -> Tensor:
        """As above, (B, K) log-odds; -inf where the device does not show the slot."""
        look = self._look(state, items, context)
        appeal_BK = look.liking_BK - self.reluctance
        for effect, its in zip(self.effects, state.effects, strict=True):
            if (added := effect.appeal(its, look)) is not None:
                appeal_BK = appeal_BK + added
        if self.noise:
            seen_BK = (1.0 - self.noise) * appeal_BK.sigmoid() + self.noise * MISTAKEN
            appeal_BK = torch.logit(seen_BK, eps=1e-6)
        if not self.visible or appeal_BK.shape[1] != self.num_slots:
            return appeal_BK
        slot_K = torch.arange(self.num_slots, device=appeal_BK.device)
        visible_B = constant(self.visible, appeal_BK, torch.int64)[context.device.long()]
        return appeal_BK.masked_fill(slot_K >= visible_B[:, None], -torch.inf)

    def respond(
        self, state: PersonState, items: Items, context: Context, luck: Luck
    ) -> tuple[Tensor, Tensor]:
        """Of every signal, (B, K, M)."""
        look = self._look(state, items, context)
        worth_BK = self._worth(state, look)
        return answer(self.answers, worth_BK, look, luck), answer(
            self.answers, worth_BK, look, None
        )

    def outlook(
        self, state: PersonState, catalogue: Catalogue, context: Context, luck: Luck
    ) -> tuple[Tensor, Tensor]:
        """Every item's appeal (B, N) and mean values (B, N, M); nothing is drawn."""
        B, N = context.hour.shape[0], catalogue.num_items
        id_N = torch.arange(N, dtype=torch.int32, device=context.hour.device)
        items = Items(id_N.expand(B, N).contiguous(), catalogue)
        look = self._look(state, items, context)
        mean_BNM = answer(self.answers, self._worth(state, look), look, None)
        return self.appeal(state, items, context), mean_BNM

    def evolve(
        self,
        state: PersonState,
        items: Items,
        feedback_BKM: Tensor,
        context: Context,
        luck: Luck,
    ) -> PersonState:
        """Every effect follows the slate; the visit goes on or ends; then effects rest."""
        look = self._look(state, items, context)
        pairs = list(zip(self.effects, state.effects, strict=True))
        states = [effect.after(its, look, feedback_BKM, luck) for effect, its in pairs]
        loyalty_B = torch.zeros_like(state.visit.patience)
        for effect, its in zip(self.effects, states, strict=True):
            if (added := effect.loyalty(its)) is not None:
                loyalty_B = loyalty_B + added
        visit = self.visits.after(state.visit, feedback_BKM, loyalty_B, context, luck)
        rested = tuple(
            effect.rest(its, visit.away, luck)
            for effect, its in zip(self.effects, states, strict=True)
        )
        return PersonState(state.taste, rested, visit)

    def leave(self, state: PersonState) -> Tensor:
        """Probability of leaving for good, (B,)."""
        return state.visit.lost

    def away(self, state: PersonState) -> Tensor:
        """Days until the next request, (B,)."""
        return state.visit.away

    def about_to_bore(self, state: PersonState) -> Tensor | None:
        """Topics that tire, and those that tempt, (B, G) bool; None: there are none."""
        said = [
            tired
            for effect, its in zip(self.effects, state.effects, strict=True)
            if (tired := effect.tired(its)) is not None
        ]
        if self.tempting:
            tempts = tuple(float(g in self.tempting) for g in range(self.num_topics))
            said.append((constant(tempts, state.taste) > 0).expand_as(state.taste))
        return torch.stack(said).any(0) if said else None

    def _look(self, state: PersonState, items: Items, context: Context) -> Look:
        topic_BK = items.topic.long()
        liking_BK = state.taste.gather(1, topic_BK)
        return Look(items, context, topic_BK, liking_BK, state.visit.day, self.num_topics)

    def _worth(self, state: PersonState, look: Look) -> Tensor:
        """As above, (B, K)."""
        worth_BK = look.items.quality + self.liking * look.liking_BK
        for effect, its in zip(self.effects, state.effects, strict=True):
            if (added := effect.worth(its, look)) is not None:
                worth_BK = worth_BK + added
        return worth_BK
