"""A user model to which is added what no log shows: boredom or habit, impatience, returns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from slategym.envs.luck import Luck
from slategym.envs.protocols import UserModel
from slategym.envs.types import Arrival, Catalogue, Context, Items, Signal
from slategym.envs.users.patience import Patience
from slategym.envs.users.returns import Returns, ReturnState
from slategym.envs.users.satiation import Effect


@dataclass(frozen=True)
class AssumedState:
    """The inner model's state, and what was assumed on top."""

    inner: Any
    satiation: Any  # the effect's state; None: clicks on a topic do nothing
    patience: Tensor | None  # (B,) float32, slates without a click that one still bears
    returns: ReturnState | None = None

    @property
    def bored(self) -> Tensor | None:
        """Topics that are boring at the next slate, (B, G) bool; None: nobody is ever bored."""
        found: Tensor | None = None if self.satiation is None else self.satiation.bored
        return found


@dataclass(frozen=True)
class Assumed(UserModel[AssumedState]):
    """People as the inner model says, who also tire of topics, lose patience and come back.

    With none of it, sessions go exactly as with the inner model alone.
    """

    inner: UserModel[Any]
    satiation: Effect[Any] | None = None  # what clicks on a topic do; a habit is its opposite
    patience: Patience | None = None
    returns: Returns | None = None  # None: a session is one visit

    @property
    def signals(self) -> tuple[Signal, ...]:
        """The inner model's."""
        return self.inner.signals

    def initial(self, arrival: Arrival, luck: Luck) -> AssumedState:
        """Nothing clicked yet, full patience."""
        return AssumedState(
            inner=self.inner.initial(arrival, luck),
            satiation=self.satiation.initial(arrival.user_id, luck) if self.satiation else None,
            patience=self.patience.initial(arrival.user_id) if self.patience else None,
            returns=self.returns.initial(arrival.user_id) if self.returns else None,
        )

    def appeal(self, state: AssumedState, items: Items, context: Context) -> Tensor:
        """The inner appeal less the cost of boredom, (B, K) log-odds."""
        appeal_BK = self.inner.appeal(state.inner, items, context)
        if self.satiation is None:
            return appeal_BK
        return appeal_BK - self.satiation.cost(state.satiation).gather(1, items.topic.long())

    def respond(
        self, state: AssumedState, items: Items, context: Context, luck: Luck
    ) -> tuple[Tensor, Tensor]:
        """The inner model's: a bored user who clicks nevertheless likes it as ever."""
        return self.inner.respond(state.inner, items, context, luck)

    def outlook(
        self, state: AssumedState, catalogue: Catalogue, context: Context, luck: Luck
    ) -> tuple[Tensor, Tensor]:
        """The inner outlook less the cost of boredom."""
        appeal_BN, mean_BNM = self.inner.outlook(state.inner, catalogue, context, luck)
        if self.satiation is None:
            return appeal_BN, mean_BNM
        topic_BN = catalogue.topic.long().expand(appeal_BN.shape[0], -1)
        return appeal_BN - self.satiation.cost(state.satiation).gather(1, topic_BN), mean_BNM

    def evolve(
        self, state: AssumedState, items: Items, feedback_BKM: Tensor, context: Context, luck: Luck
    ) -> AssumedState:
        """Every part on its own; a pause between visits makes patient and forgetful."""
        satiation, patience, returns = state.satiation, state.patience, state.returns
        if self.satiation is not None:
            satiation = self.satiation.update(satiation, items, feedback_BKM)
        if self.patience is not None and patience is not None:
            patience = self.patience.update(patience, feedback_BKM)
        if self.returns is not None and returns is not None:
            appeal_BK = feedback_BKM[..., 0]
            if self.returns.signal is None:
                appeal_BK = self.inner.appeal(state.inner, items, context)
            out_B = None if patience is None else patience <= 0
            returns = self.returns.update(returns, appeal_BK, feedback_BKM, out_B, luck)
            rested_B = returns.away > 0
            if self.satiation is not None:
                satiation = self.satiation.rested(satiation, rested_B)
            if self.patience is not None and patience is not None:
                patience = torch.where(rested_B, self.patience.initial(rested_B), patience)
        inner = self.inner.evolve(state.inner, items, feedback_BKM, context, luck)
        return AssumedState(inner, satiation, patience, returns)

    def leave(self, state: AssumedState) -> Tensor | None:
        """Leaves if any reason makes one leave, (B,) probability."""
        leave_B = self.inner.leave(state.inner)
        if self.returns is not None and state.returns is not None:
            own_B = self.returns.leave(state.returns)
        elif self.patience is not None and state.patience is not None:
            own_B = self.patience.leave(state.patience)
        else:
            return leave_B
        return own_B if leave_B is None else 1.0 - (1.0 - leave_B) * (1.0 - own_B)

    def away(self, state: AssumedState) -> Tensor | None:
        """Days until the next request: the pause between visits, or the inner model's, (B,)."""
        return self.inner.away(state.inner) if state.returns is None else state.returns.away

    def still(
        self, state: AssumedState, catalogue: Catalogue, context: Context, luck: Luck
    ) -> tuple[UserModel[Any], Any] | None:
        """With the inner model's tastes as they are; what is assumed goes on."""
        found = self.inner.still(state.inner, catalogue, context, luck)
        if found is None:
            return None
        inner, known = found
        return replace(self, inner=inner), replace(state, inner=known)

    def about_to_bore(self, state: AssumedState) -> Tensor | None:
        """Topics that bore, or would after one more click, (B, G) bool; None: none ever does."""
        return None if self.satiation is None else self.satiation.about_to_bore(state.satiation)

    def gained(self, state: AssumedState) -> Tensor | None:
        """What habit adds to each topic, (B, G) log-odds; None: clicks on a topic do nothing."""
        if self.satiation is None:
            return None
        return (-self.satiation.cost(state.satiation)).clamp(min=0.0)

    def reveal(self, state: AssumedState) -> Tensor | None:
        """The inner model's; what is assumed stays hidden."""
        return self.inner.reveal(state.inner)
