"""A user model to which boredom and impatience are added, and labelled as assumptions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from slategym.envs.luck import Luck
from slategym.envs.types import Arrival, Catalogue, Context, Items, Signal, UserModel
from slategym.envs.users.patience import Patience
from slategym.envs.users.satiation import GenreSatiation, SatiationState


@dataclass(frozen=True)
class AssumedState:
    """The inner model's state, and what was assumed on top."""

    inner: Any
    satiation: SatiationState | None
    patience: Tensor | None  # (B,) float32, slates without a click that one still bears

    @property
    def bored(self) -> Tensor | None:
        """Topics that are boring at the next slate, (B, G) bool; None: nobody is ever bored."""
        return None if self.satiation is None else self.satiation.bored


@dataclass(frozen=True)
class Assumed(UserModel[AssumedState]):
    """People as the inner model says, who also tire of topics and lose patience.

    With neither, sessions go exactly as with the inner model alone.
    """

    inner: UserModel[Any]
    satiation: GenreSatiation | None = None
    patience: Patience | None = None

    @property
    def signals(self) -> tuple[Signal, ...]:
        """The inner model's."""
        return self.inner.signals

    def initial(self, arrival: Arrival, luck: Luck) -> AssumedState:
        """Nothing clicked yet, full patience."""
        return AssumedState(
            inner=self.inner.initial(arrival, luck),
            satiation=self.satiation.initial(arrival.user_id) if self.satiation else None,
            patience=self.patience.initial(arrival.user_id) if self.patience else None,
        )

    def appeal(self, state: AssumedState, items: Items, context: Context) -> Tensor:
        """The inner appeal less the cost of boredom, (B, K) log-odds."""
        appeal_BK = self.inner.appeal(state.inner, items, context)
        if self.satiation is None or state.satiation is None:
            return appeal_BK
        return appeal_BK - self.satiation.cost(state.satiation, items)

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
        if self.satiation is None or state.satiation is None:
            return appeal_BN, mean_BNM
        topic_BN = catalogue.topic.long().expand(appeal_BN.shape[0], -1)
        bored_BN = state.satiation.bored.float().gather(1, topic_BN)
        return appeal_BN - self.satiation.penalty * bored_BN, mean_BNM

    def evolve(
        self, state: AssumedState, items: Items, feedback_BKM: Tensor, context: Context, luck: Luck
    ) -> AssumedState:
        """Every part on its own."""
        satiation, patience = state.satiation, state.patience
        if self.satiation is not None and satiation is not None:
            satiation = self.satiation.update(satiation, items, feedback_BKM)
        if self.patience is not None and patience is not None:
            patience = self.patience.update(patience, feedback_BKM)
        inner = self.inner.evolve(state.inner, items, feedback_BKM, context, luck)
        return AssumedState(inner, satiation, patience)

    def leave(self, state: AssumedState) -> Tensor | None:
        """Leaves if either reason makes one leave, (B,) probability."""
        leave_B = self.inner.leave(state.inner)
        if self.patience is None or state.patience is None:
            return leave_B
        impatient_B = self.patience.leave(state.patience)
        return impatient_B if leave_B is None else 1.0 - (1.0 - leave_B) * (1.0 - impatient_B)

    def away(self, state: AssumedState) -> Tensor | None:
        """The inner model's."""
        return self.inner.away(state.inner)

    def reveal(self, state: AssumedState) -> Tensor | None:
        """The inner model's; boredom and patience stay hidden."""
        return self.inner.reveal(state.inner)
