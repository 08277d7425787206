"""The supervised multi-task ranker: what every learner starts from and must beat."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.agents.core.choice import (
    STATED,
    ConditionalLogit,
    independent_score,
    slate_score,
)
from slategym.agents.slates.top import FORBIDDEN, allowed_only
from slategym.envs.choice import MultinomialLogit, MultinomialProportional
from slategym.envs.names import UsageError
from slategym.envs.trees import map_tensors
from slategym.envs.types import Observation, World
from slategym.models.multitask.incremental import BertObserver, NoState, StateEncoder
from slategym.models.multitask.query import Query

MOST_PAIRS = 2**27  # users by items that are looked at together: 512 MiB for each of their numbers
Heads = Callable[[str], Tensor]  # from a head's name to what it says of some items, (B, K)


class Retrieved(NamedTuple):
    """The ranker's best candidates of each request, best first."""

    id: Tensor  # (B, C) int64
    score: Tensor  # (B, C) float32


class Pairs(NamedTuple):
    """Candidates of each request in no order, and what is thought of each."""

    id: Tensor  # (B, C) int64
    allowed: Tensor  # (B, C) bool, may be shown
    utility: Tensor  # (B, C) log-odds
    reward: Tensor  # (B, C) mean reward of a click


class Corrections(Protocol):
    """Other utilities and rewards than a ranker's heads say, fitted to slates that were shown."""

    def offered(self, observation: Observation, count: int) -> Pairs:
        """Of at least `count` of the likeliest clicks; utilities are less that of nothing."""
        ...

    def of(self, observation: Observation, id_BK: Tensor) -> tuple[Tensor, Tensor]:
        """Utility and reward of these items, whether or not they may be shown, (B, K) each."""
        ...


@dataclass(frozen=True)
class Ranker:
    """The slate of most expected reward under the agents' own model of users and of choice.

    Heads become utilities as `choice` says; the reward of a click is what the world pays for it:
    the sum over all signals of their weight times their mean given a click. The K best-scored items
    are the best slate among those looked at, exactly, where people choose one item of a slate or
    none; where every item is clicked or not for itself, they are those of greatest reward times
    click probability.
    """

    encoder: StateEncoder
    weights: tuple[tuple[str, float], ...] = (("click", 1.0), ("like", 1.0))  # reward per unit
    shortlist: int | None = 100  # items by click logit that are looked at; None: all
    choice: ConditionalLogit = STATED
    num_slots: int = 1  # K of the slates that are best; read where items compete
    one_choice: bool = True  # whether people choose at most one item of a slate
    corrections: Corrections | None = None  # None: utilities and rewards are what heads say

    def retrieve(self, observation: Observation, count: int) -> Retrieved:
        """The `count` best items of the catalogue that may be shown, or all if there are fewer.

        Of many users and items, so many users at a time that (users, N) stays within MOST_PAIRS.

        Raises:
            ValueError: if the observation has no state embedding.
        """
        at_once = max(1, MOST_PAIRS // len(self.encoder.items_ND))
        # an exported program leaves the number of users free: it is not asked here
        B = 1 if torch.compiler.is_exporting() else len(observation.step)
        if at_once >= B:
            return self._retrieve(observation, count)
        parts = [
            self._retrieve(
                map_tensors(lambda x, at=at: x[at : at + at_once], observation),  # type: ignore[misc]
                count,
            )
            for at in range(0, B, at_once)
        ]
        return Retrieved(*(torch.cat(both) for both in zip(*parts, strict=True)))

    def _retrieve(self, observation: Observation, count: int) -> Retrieved:
        if self.corrections is not None:
            return self._retrieve_corrected(self.corrections, observation, count)[0]
        query = self.encoder.asked(observation)
        with torch.no_grad():
            click_BN = allowed_only(self.log_odds("click", query, None), observation.allowed)
            N = click_BN.shape[1]
            if self.shortlist is None:
                score_BC, id_BC = self._score(query, None, click_BN).topk(min(count, N), dim=1)
                return Retrieved(id_BC, score_BC)
            wide = min(max(self.shortlist, count), N)
            click_BW, id_BW = click_BN.topk(wide, dim=1, sorted=False)
            score_BW = self._score(query, id_BW, click_BW)
            score_BC, at_BC = score_BW.topk(min(count, wide), dim=1)
            return Retrieved(id_BW.gather(1, at_BC), score_BC)

    def _score(self, query: Query, id_BW: Tensor | None, click_BW: Tensor) -> Tensor:
        """What ranks these items, or all, (B, W), from their click logits."""
        said = self._said(query, id_BW)
        utility_BW = self._utility(said, click_BW)
        reward_BW = self._value(said, click_BW)
        return self.scores(utility_BW, reward_BW, click_BW > FORBIDDEN / 2, self.choice.nothing)

    def scores(
        self, utility_BW: Tensor, reward_BW: Tensor, allowed_BW: Tensor, nothing: float
    ) -> Tensor:
        """Whose K greatest are the slate of most expected reward, (B, W).

        Args:
            utility_BW: of each candidate.
            reward_BW: mean reward of a click on it.
            allowed_BW: bool; what may not be shown gets FORBIDDEN.
            nothing: utility of taking nothing; infinity: clicks are rare.
        """
        if nothing < math.inf and not self.one_choice:
            score_BW = independent_score(utility_BW - nothing, reward_BW)
            return score_BW.masked_fill(~allowed_BW, FORBIDDEN)
        return slate_score(utility_BW, reward_BW, allowed_BW, nothing, self.num_slots)

    @torch.no_grad()
    def _retrieve_corrected(
        self, corrections: Corrections, observation: Observation, count: int
    ) -> tuple[Retrieved, Tensor, Tensor]:
        """The best by corrected utilities and rewards, and these."""
        found = corrections.offered(observation, count)
        # less that of nothing already
        score_BW = self.scores(found.utility, found.reward, found.allowed, 0.0)
        score_BC, at_BC = score_BW.topk(min(count, score_BW.shape[1]), dim=1)
        utility_BC, reward_BC = found.utility.gather(1, at_BC), found.reward.gather(1, at_BC)
        return Retrieved(found.id.gather(1, at_BC), score_BC), utility_BC, reward_BC

    def retrieve_parts(
        self, observation: Observation, count: int
    ) -> tuple[Retrieved, Tensor, Tensor]:
        """As `retrieve`, with the `parts` of what was retrieved.

        Raises:
            ValueError: if the observation has no state embedding.
        """
        if self.corrections is not None:
            return self._retrieve_corrected(self.corrections, observation, count)
        best = self.retrieve(observation, count)
        return best, *self.parts(observation, best.id)

    def parts(self, observation: Observation, id_BK: Tensor) -> tuple[Tensor, Tensor]:
        """Utility and mean reward of a click of these items, (B, K) each.

        Raises:
            ValueError: if the observation has no state embedding.
        """
        if self.corrections is not None:
            return self.corrections.of(observation, id_BK.long())
        said = self._said(self.encoder.asked(observation), id_BK.long())
        with torch.no_grad():
            click_BK = said("click")
            return self._utility(said, click_BK), self._value(said, click_BK)

    def utility(self, observation: Observation, id_BK: Tensor) -> Tensor:
        """Of each of these items, as `choice` weighs the heads or corrected, (B, K), log-odds.

        Raises:
            ValueError: if the observation has no state embedding.
        """
        if self.corrections is not None:
            return self.corrections.of(observation, id_BK.long())[0]
        said = self._said(self.encoder.asked(observation), id_BK.long())
        with torch.no_grad():
            return self._utility(said, said("click"))

    def _said(self, query: Query, id_BK: Tensor | None) -> Heads:
        """Calibrated log-odds of these items, or of all, (B, K), by head; each is asked once."""
        return cache(lambda head: self.log_odds(head, query, id_BK))

    def _utility(self, said: Heads, click_BW: Tensor) -> Tensor:
        utility_BW = self.choice.click * click_BW
        for head, weight in self.choice.further:
            if weight:
                utility_BW = utility_BW + weight * said(head)
        return utility_BW

    def value(
        self, query: Query, id_BK: Tensor | None, known: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """Mean reward of a click on each of these items, (B, K).

        Args:
            query: users at a request.
            id_BK: int64 item ids; None: all N items.
            known: log-odds of these items by head, (B, K) each, which are not computed again.
        """
        width = self.encoder.items_ND.shape[0] if id_BK is None else id_BK.shape[1]
        like_BK = query.state.new_zeros(query.state.shape[0], width)
        said, known = self._said(query, id_BK), known or {}
        return self._value(lambda head: known[head] if head in known else said(head), like_BK)

    def _value(self, said: Heads, like_BK: Tensor) -> Tensor:
        """The same from what the heads say; `like_BK` has its shape."""
        value_BK = torch.zeros_like(like_BK)
        for signal, weight in self.weights:
            if weight:
                value_BK = value_BK + weight * self._mean(signal, said)
        return value_BK

    def _mean(self, signal: str, said: Heads) -> Tensor | float:
        """A signal's mean given a click, (B, K)."""
        return 1.0 if signal == "click" else self.encoder.model.expected_from(signal, said)

    def click_prob(self, observation: Observation, id_BK: Tensor) -> Tensor:
        """Calibrated probability of a click on each of these items, (B, K).

        Raises:
            ValueError: if the observation has no state embedding.
        """
        query = self.encoder.asked(observation)
        with torch.no_grad():
            return self.log_odds("click", query, id_BK.long()).sigmoid()

    def doubt(self, observation: Observation, signal: str, id_BK: Tensor) -> Tensor:
        """How unsure the regression is of what these users give these items, (B, K).

        A standard deviation in the unit of the signal's evidence, noise left out: of a rating in
        points, of a binary signal in its share. To be taken off for pessimism, or drawn with for
        Thompson sampling.

        Raises:
            ValueError: if the observation has no state embedding, or no regression reads the
                signal.
        """
        if observation.state is None:
            raise NoState("the ranker needs a world with an observer (state=True)")
        encoded = self.encoder.read_of(observation, observation.state)
        return self.encoder.doubt(encoded, signal, id_BK)

    def log_odds(self, head: str, query: Query, id_BK: Tensor | None) -> Tensor:
        """Calibrated, of these items or of all, (B, K)."""
        model = self.encoder.model
        return model.calibrated(head, model.logits(head, query, self.encoder.items_ND, id_BK))

    @property
    def unit_items(self) -> Tensor:
        """Item vectors with zero mean and unit spread each, (N, D): for corrections and protos."""
        return F.layer_norm(self.encoder.items_ND, self.encoder.items_ND.shape[1:])


def has_ranker(world: World) -> bool:
    """Whether the world's observer is a multi-task model, which can rank."""
    return isinstance(world.observer, BertObserver)


def stated_ranker(world: World) -> Ranker:
    """The ranker of the world's own observer, paid as the world pays, with nothing tuned.

    A signal that the model has no head for, such as the penalties of a pessimistic world, cannot be
    ranked by: its weight is left out.

    Raises:
        UsageError: the world has no such observer.
    """
    if not isinstance(world.observer, BertObserver):
        raise UsageError(
            f"{world.name} has no supervised model: supervised policies need a world with learned "
            "state embeddings, such as slategym/MovieLens-v0 with state=True"
        )
    paid = zip(world.users.signals, world.objective, strict=True)
    heads = world.observer.encoder.model.heads
    weights = tuple((signal.name, weight) for signal, weight in paid if signal.name in heads)
    one_choice = isinstance(world.choice, MultinomialLogit | MultinomialProportional)
    encoder, slots = world.observer.encoder, world.slate_size
    return Ranker(encoder, weights, num_slots=slots, one_choice=one_choice)
