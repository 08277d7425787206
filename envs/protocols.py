"""What acts on the nouns of `envs/types.py`: people, their choice, what is offered, an observer.

A state S is a frozen dataclass of tensors whose first axis is B, a tensor, or None: passed in and
returned.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from slategym.envs.luck import Luck
from slategym.envs.types import CLICK, Arrival, Catalogue, Column, Context, Items, Signal

S = TypeVar("S")


class UserModel(Protocol[S]):
    """How people judge and change. Pure: nothing is assigned after __init__.

    The simplest model writes `initial` and `appeal` and derives from this class for the rest.
    """

    @property
    def signals(self) -> tuple[Signal, ...]:
        """M of them, "click" first."""
        return (CLICK,)

    def initial(self, arrival: Arrival, luck: Luck) -> S:
        """State on arrival. `luck` is the person's: the same whatever the run's seed."""
        ...

    def appeal(self, state: S, items: Items, context: Context) -> Tensor:
        """Log-odds of each shown item, (B, K)."""
        ...

    def respond(
        self, state: S, items: Items, context: Context, luck: Luck
    ) -> tuple[Tensor, Tensor]:
        """Every signal's value if the item is clicked: sampled and mean, both (B, K, M).

        Either may be broadcastable to that shape. The click's own value is 1.
        """
        one_111 = torch.ones(1, 1, 1, device=items.id.device)
        return one_111, one_111

    def outlook(
        self, state: S, catalogue: Catalogue, context: Context, luck: Luck
    ) -> tuple[Tensor, Tensor]:
        """The truth about every item: appeal (B, N) and mean value if clicked (B, N, M).

        For references that may know it; models that can say it more cheaply write their own.
        """
        B, N = context.hour.shape[0], catalogue.num_items
        id_N = torch.arange(N, dtype=torch.int32, device=context.hour.device)
        items = Items(id_N.expand(B, N).contiguous(), catalogue)
        appeal_BN = self.appeal(state, items, context)
        return appeal_BN, self.respond(state, items, context, luck)[1]

    def evolve(
        self, state: S, items: Items, feedback_BKM: Tensor, context: Context, luck: Luck
    ) -> S:
        """State after the slate and the feedback to it."""
        return state

    def leave(self, state: S) -> Tensor | None:
        """Probability of leaving now, (B,); None: users of this model never leave."""
        return None

    def away(self, state: S) -> Tensor | None:
        """Days until the next request, (B,), 0 within a visit; None: always within one."""
        return None

    def still(
        self, state: S, catalogue: Catalogue, context: Context, luck: Luck
    ) -> tuple[UserModel[Any], Any] | None:
        """The same people with tastes that stay as they are now, and their state; or None.

        For references that look ahead, where that is much cheaper and changes little.
        """
        return None

    def about_to_bore(self, state: S) -> Tensor | None:
        """Topics that bore, or would after one more click, (B, G) bool; None: none ever does.

        For references that may know it.
        """
        return None

    def gained(self, state: S) -> Tensor | None:
        """Log-odds that topics have gained by clicks, (B, G) >= 0; None: none ever does.

        For references that may know it.
        """
        return None

    def reveal(self, state: S) -> Tensor | None:
        """What agents are told of the state, (B, R) float32 in [-1, 1]; None: nothing."""
        return None

    def known(self, revealed_BR: Tensor) -> S | None:
        """The state from what `reveal` told, where that is all of it; None: it is not."""
        return None


@runtime_checkable
class Tiring(Protocol):
    """A state that says what bores its users. Optional: where it does not, nothing is reported."""

    @property
    def bored(self) -> Tensor | None:
        """By topic, (B, G), bool or slates of boredom remaining; None: these are never bored."""
        ...


class ChoiceModel(Protocol):
    """How appeal becomes clicks: their probability (B, K) float, and a sample (B, K) bool.

    An appeal of -inf is an empty slot: never clicked.
    """

    def __call__(self, appeal_BK: Tensor, luck: Luck) -> tuple[Tensor, Tensor]:
        """Probabilities and a sample."""
        ...


class Candidates(Protocol[S]):
    """What may be shown at a request."""

    def count(self, catalogue: Catalogue) -> int:
        """C, the number of positions a slate may name."""
        ...

    def initial(self, catalogue: Catalogue, arrival: Arrival, luck: Luck) -> S:
        """The first request's offer."""
        ...

    def renew(
        self, offer: S, catalogue: Catalogue, items: Items, feedback_BKM: Tensor, luck: Luck
    ) -> S:
        """The offer of the next request."""
        ...

    def ids(self, offer: S) -> Tensor | None:
        """Item ids by position, (B, C) int32; None: a position is an item id."""
        ...

    def allowed(self, offer: S) -> Tensor | None:
        """Positions that may be shown, (B, C) bool; None: all."""
        ...


class ContextProcess(Protocol):
    """How context begins and moves."""

    @property
    def shown(self) -> tuple[str, ...]:
        """Names of the Context fields that mean something in this world."""
        ...

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """What the numbers of a field stand for, for people; a field may be missing."""
        ...

    @property
    def columns(self) -> tuple[Column, ...]:
        """What `Context.extra` holds, Z of them; their names are among `shown`."""
        ...

    def initial(self, arrival: Arrival, luck: Luck) -> Context:
        """The first request's."""
        ...

    def advance(self, context: Context, away: Tensor | None, luck: Luck) -> Context:
        """The next request's, `away` days (B,) after this one; None: at once, for everybody."""
        ...


class Observer(Protocol[S]):
    """What the agent's own model makes of what the agent has seen, event by event.

    It lives in the session so that nothing is encoded twice, and is given nothing hidden.
    """

    @property
    def width(self) -> int:
        """D, of the state embedding."""
        ...

    def initial(self, arrival: Arrival, context: Context) -> S:
        """What there is to know on arrival."""
        ...

    def update(self, view: S, items: Items, feedback_BKM: Tensor, context: Context) -> S:
        """After a slate, shown in that context, and the feedback to it."""
        ...

    def embed(self, view: S, context: Context) -> Tensor:
        """State embedding, (B, D) float32."""
        ...
