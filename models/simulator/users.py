"""Users learned from a log: a fitted model says what they like, the world how they choose.

Two families share the code below and differ in their `Taste`: the multi-task BERT
(`models/multitask/incremental`) and the judge's factor model (`models/judge/factor`). What is
learned is what a person would do with an item; that people tire of a genre or run out of patience
is not in the log and is added, labelled assumed, by `slategym.envs.users.assumed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from slategym.envs.luck import Luck, purpose
from slategym.envs.types import Arrival, Catalogue, Context, Items, Population, Signal, UserModel
from slategym.models.multitask.network import Scores

TINY = 1e-6  # keeps a rate finite where its condition is all but impossible
LIKE, STARS = purpose("learned.like"), purpose("learned.stars")
S = TypeVar("S")

SIGNALS = (
    Signal("click", "binary", "count", 0.0, 1.0, "derived"),
    Signal("like", "binary", "count", 0.0, 1.0, "derived"),
    Signal("rating", "ordinal", "stars", 0.0, 5.0, "logged"),
)


class Taste(Protocol[S]):
    """A fitted model of one user's taste, moved event by event."""

    def initial(self, arrival: Arrival) -> S:
        """State after the history with which users arrive."""
        ...

    def after(
        self, state: S, item_B: Tensor, rating_B: Tensor, took_B: Tensor, context: Context
    ) -> S:
        """State after one more event; rows where took_B is False stay as they are.

        Args:
            state: before it.
            item_B: int64 ids.
            rating_B: stars, 1 to 5.
            took_B: bool.
            context: of the request.
        """
        ...

    def score(self, state: S, id_BC: Tensor | None, context: Context) -> Scores:
        """Scores of these items, or of all N where id_BC is None."""
        ...

    def prepared(self, population: Population) -> Taste[S]:
        """The same taste with these people's histories read once, so that arrivals are look-ups."""
        ...


@dataclass(frozen=True)
class LearnedUsers(UserModel[Any]):
    """People who choose, like and rate as a fitted model says.

    Appeal is (click + like_weight * like - skip) / temperature, in log-odds against taking nothing:
    the two constants are calibrated on stated click rates (`models/simulator/click_rates`), since
    no log of ratings holds the slates that were passed over. A clicked item is liked with the
    model's calibrated probability, and its stars are drawn from a normal around the model's rating,
    cut at the half stars and at the like (>= 4 stars).
    """

    taste: Taste[Any]
    skip: float  # log-odds at which an item is as good as nothing
    temperature: float  # > 0
    like_weight: float = 0.5
    spread: float = 0.9  # standard deviation of a rating around the model's mean, stars
    static: bool = False  # True: nothing that happens changes anyone

    @property
    def signals(self) -> tuple[Signal, ...]:
        """Click, like, rating."""
        return SIGNALS

    def initial(self, arrival: Arrival, luck: Luck) -> Any:
        """Everything known of a person is in the log; nothing is drawn."""
        return self.taste.initial(arrival)

    def appeal(self, state: Any, items: Items, context: Context) -> Tensor:
        """Log-odds against taking nothing, (B, K)."""
        return self.combine(self.taste.score(state, items.id, context))

    def combine(self, scores: Scores) -> Tensor:
        """Appeal from a model's scores, same shape."""
        return (scores.click + self.like_weight * scores.like - self.skip) / self.temperature

    def respond(
        self, state: Any, items: Items, context: Context, luck: Luck
    ) -> tuple[Tensor, Tensor]:
        """Click 1; like; stars, consistent with the like."""
        scores = self.taste.score(state, items.id, context)
        K = items.id.shape[1]
        like_prob_BK = scores.like.sigmoid()
        like_BK = luck.uniform(LIKE, K) < like_prob_BK
        five_BK, one_BK, two_BK = _star_rates(scores.rating, self.spread)
        u_BK = luck.uniform(STARS, K)
        liked_BK = 4.0 + (u_BK < five_BK).float()
        other_BK = 3.0 - (u_BK < one_BK).float() - (u_BK < one_BK + two_BK).float()
        stars_BK = torch.where(like_BK, liked_BK, other_BK)
        sampled = (torch.ones_like(stars_BK), like_BK.float(), stars_BK)
        return torch.stack(sampled, -1), self._means(scores)

    def outlook(
        self, state: Any, catalogue: Catalogue, context: Context, luck: Luck
    ) -> tuple[Tensor, Tensor]:
        """Appeal and means of all items from one product with the item table."""
        scores = self.taste.score(state, None, context)
        return self.combine(scores), self._means(scores)

    def _means(self, scores: Scores) -> Tensor:
        """Expected click, like and stars of a clicked item, (..., M)."""
        like_prob = scores.like.sigmoid()
        five, one, two = _star_rates(scores.rating, self.spread)
        stars = like_prob * (4.0 + five) + (1.0 - like_prob) * (3.0 - 2.0 * one - two)
        return torch.stack([torch.ones_like(stars), like_prob, stars], -1)

    def evolve(
        self, state: Any, items: Items, feedback_BKM: Tensor, context: Context, luck: Luck
    ) -> Any:
        """The clicked item joins the history."""
        if self.static:
            return state
        return self.taste.after(state, *clicked(items, feedback_BKM), context)


def clicked(items: Items, feedback_BKM: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The one clicked item of each slate: id (B,) int64, stars (B,), whether there is one (B,)."""
    took_B = feedback_BKM[..., 0].sum(1) > 0
    slot_B1 = feedback_BKM[..., 0].argmax(1, keepdim=True)
    item_B = items.id.gather(1, slot_B1)[:, 0].long()
    return item_B, feedback_BKM[..., 2].gather(1, slot_B1)[:, 0], took_B


def _star_rates(mean: Tensor, spread: float) -> tuple[Tensor, Tensor, Tensor]:
    """P(5 | 4 or 5), P(1 | 1 to 3) and P(2 | 1 to 3) of a rounded normal with this mean."""
    cut = torch.tensor([1.5, 2.5, 3.5, 4.5], device=mean.device)
    below = torch.special.ndtr((cut - mean[..., None]) / spread)
    one, two, not_liked, not_five = below.unbind(-1)
    low, high = not_liked + TINY, 1.0 - not_liked + TINY
    return (1.0 - not_five) / high, one / low, (two - one) / low
