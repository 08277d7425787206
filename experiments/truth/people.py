"""People of the world that wrote a log, as its agents meet them: with some clicks behind them.

In a world learned from a log everybody arrives at a point of a real person's history. So the people
of the true world on whom policies are read have lived there, too: the policy that wrote the log
showed them some slates, of which their state and their last clicks are left. They are none of those
who wrote the log, and their luck is met by no choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from slategym.agents.registry import make_policy
from slategym.envs import engine
from slategym.envs.context import field
from slategym.envs.luck import Luck
from slategym.envs.protocols import UserModel
from slategym.envs.trees import map_tensors
from slategym.envs.types import (
    Arrival,
    Catalogue,
    Column,
    Context,
    Items,
    Population,
    Signal,
    World,
)
from slategym.models.multitask.incremental import BertObserver

REMEMBERED = 20  # clicks that are kept of the slates before
SECONDS_PER_DAY = 86_400.0


class Met(NamedTuple):
    """Users after some slates."""

    population: Population  # with histories, as a learned world's people have them
    user: Any  # states of the world's user model
    context: Context  # of the next request


@torch.no_grad()
def after_slates(
    world: World, users: range, policy: str, slates: int, seconds: float, seed: int
) -> Met:
    """Who is still there after so many slates of a policy.

    Args:
        world: where.
        users: rows of its population.
        policy: by name; it may be told the truth.
        slates: of each user.
        seconds: from a slate to the next of a visit.
        seed: of the luck.
    """
    where = replace(world, history_size=REMEMBERED, shown_size=0, observer=None)
    shows, row_B = make_policy(policy, where), torch.tensor(users, dtype=torch.int32)
    session = engine.start(where, torch.full_like(row_B, seed), row_B, torch.zeros_like(row_B))
    gap_BH = torch.zeros(len(row_B), REMEMBERED)
    since_B = torch.zeros(len(row_B))  # seconds since the last click
    for _ in range(slates):
        seen = replace(engine.observe(where, session), hidden=session)
        slate_BK = shows.act(seen, Luck.at(session.key, session.step)).slate
        session, outcome = engine.transition(where, session, slate_BK)
        clicks_B = (outcome.feedback[..., 0] > 0).sum(1)
        gap_BH = _with_new(gap_BH, since_B, clicks_B)
        away_B = where.users.away(session.user)
        since_B = since_B.masked_fill(clicks_B > 0, 0.0) + seconds
        since_B = since_B if away_B is None else since_B + SECONDS_PER_DAY * away_B
        stays_B = ~outcome.left
        session, gap_BH, since_B = map_tensors(
            lambda x, kept_B=stays_B: x[kept_B], (session, gap_BH, since_B)
        )
    who_B, context = session.user_id, session.context
    profile_UF = world.population.profile
    people = Population(
        size=len(who_B),
        person=who_B,
        profile=torch.zeros(len(who_B), 0, dtype=torch.int32)
        if profile_UF is None
        else profile_UF[who_B.long()],
        profile_names=world.population.profile_names,
        profile_sizes=world.population.profile_sizes,
        history=session.history.id,
        feedback=session.history.feedback,
        gap=gap_BH,
        hour=context.hour,
        weekday=context.weekday,
        extra=context.extra,
    )
    return Met(people, session.user, context)


def _with_new(gap_BH: Tensor, since_B: Tensor, clicks_B: Tensor) -> Tensor:
    """Gaps before remembered clicks, with those of a slate: the first is told, others are 0."""
    H = gap_BH.shape[1]
    new_BH = torch.zeros_like(gap_BH)
    new_BH[:, 0] = since_B
    place_BH = torch.arange(H) + clicks_B[:, None]
    return torch.cat([gap_BH, new_BH], 1).gather(1, place_BH)


def living(world: World, met: Met, horizon: int | None = None) -> World:
    """The same world, whose population are these people from their next request on.

    Args:
        world: where they are.
        met: who.
        horizon: slates of a session; None: the world's own.
    """
    own = tuple(column.name for column in world.context.columns)
    return replace(
        world,
        population=met.population,
        users=Resumed(world.users, met.user, world.context.columns, own),
        context=Told(world.context, met.context, world.context.columns),
        history_size=REMEMBERED,
        horizon=world.horizon if horizon is None else horizon,
    )


def before_agents(world: World, learned: World, met: Met) -> World:
    """The true world as agents of a learned one meet it, with all that their policies read.

    People, choices, context, what may be shown and what it is worth are the true world's; what is
    remembered, how context is told and the model that reads the session are the learned world's.

    Args:
        world: the true one.
        learned: from a log of it.
        met: who.

    Raises:
        ValueError: the learned world's context or items are not the true world's.
    """
    columns = learned.context.columns
    names = world.context.names
    for column in columns:
        if (*column.categories,) != tuple(names[column.name])[: len(column.categories)]:
            raise ValueError(f"{column.name} is numbered otherwise in the log of {world.name}")
    if learned.catalogue.num_items != world.catalogue.num_items:
        raise ValueError(
            f"the log of {world.name} has {learned.catalogue.num_items} items of "
            f"{world.catalogue.num_items}"
        )
    assert isinstance(learned.observer, BertObserver) and learned.population.history is not None
    H = learned.population.history.shape[1]
    context, signals = Told(world.context, met.context, columns), signals_of(world, learned)
    its = met.population
    assert its.history is not None and its.feedback is not None and its.gap is not None
    population = replace(
        its,
        history=its.history[:, -H:].contiguous(),
        feedback=signals.told(its.feedback[:, -H:]),
        gap=its.gap[:, -H:].contiguous(),
        extra=context.told(met.context).extra,
    )
    own = tuple(column.name for column in world.context.columns)
    return replace(
        world,
        population=population,
        users=Resumed(world.users, met.user, columns, own, signals),
        objective=signals.weights(world.objective),
        context=context,
        history_size=learned.history_size,
        shown_size=learned.shown_size,
        observer=BertObserver(learned.observer.encoder.prepared(population), several=True),
    )


@dataclass(frozen=True)
class Signals:
    """The true world's signals as its log has them: in its order, a like of a scale's upper end."""

    log: tuple[Signal, ...]
    place: tuple[int, ...]  # of each among the true ones; of the like, of the scale
    least: float | None  # of the scale, from which on it is a like
    like: int | None  # the derived like's number; None: there is none

    def told(self, feedback_xM: Tensor) -> Tensor:
        """As in the log, from what is so."""
        found = feedback_xM[..., list(self.place)]
        if self.like is not None and self.least is not None:
            found[..., self.like] = (found[..., self.like] >= self.least).float()
        return found

    def so(self, feedback_xM: Tensor) -> Tensor:
        """The true world's, from the log's."""
        logged = [n for n in range(len(self.place)) if n != self.like]
        back = sorted(logged, key=lambda n: self.place[n])
        return feedback_xM[..., back]

    def weights(self, objective: tuple[float, ...]) -> tuple[float, ...]:
        """Of the log's signals: a derived like is worth nothing."""
        pairs = enumerate(self.place)
        return tuple(0.0 if n == self.like else objective[place] for n, place in pairs)


def signals_of(world: World, learned: World) -> Signals:
    """How the log of a world names its signals.

    Raises:
        ValueError: the log has others, and not the like that follows from a scale.
    """
    true = [signal.name for signal in world.users.signals]
    log = learned.users.signals
    derived = None if learned.keys is None else learned.keys.like
    place, like = [], None
    for number, signal in enumerate(log):
        if signal.name in true:
            place.append(true.index(signal.name))
        elif derived is not None and signal.name == "like":
            like = number
            place.append(true.index(derived[0]))
        else:
            raise ValueError(
                f"the log of {world.name} has a signal {signal.name}, which it has not"
            )
    return Signals(log, tuple(place), None if derived is None else derived[1], like)


@dataclass(frozen=True)
class Told:
    """A context process that begins where people were left, and shows the columns of a log."""

    truth: Any  # ContextProcess of the true world
    first: Context  # of every user
    columns: tuple[Column, ...]  # of the log

    @property
    def shown(self) -> tuple[str, ...]:
        """Hour, weekday and the columns."""
        clock = tuple(name for name in ("hour", "weekday") if name in self.truth.shown)
        return (*clock, *(column.name for column in self.columns))

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """As the true world has them."""
        found: dict[str, tuple[str, ...]] = self.truth.names
        return {name: words for name, words in found.items() if name in self.shown}

    def initial(self, arrival: Arrival, luck: Luck) -> Context:
        """Where they were left."""
        rows_B = arrival.user_id.long()
        return self.told(map_tensors(lambda x: x[rows_B], self.first))

    def advance(self, context: Context, away: Tensor | None, luck: Luck) -> Context:
        """As in the true world; days away are told at the first request after them, as in logs."""
        before = replace(context, extra=_own(context, self.columns, self.truth.columns))
        after = self.told(self.truth.advance(before, away, luck))
        return replace(after, gap=torch.zeros_like(after.gap) if away is None else away)

    def told(self, context: Context) -> Context:
        """The true context with the log's columns for further ones."""
        if not self.columns:
            return replace(context, extra=None)
        values = [field(self.truth, context, column.name).float() for column in self.columns]
        return replace(context, extra=torch.stack(values, 1))


def _own(context: Context, told: Sequence[Column], own: Sequence[Column]) -> Tensor | None:
    """The true world's further columns among those of the log, (B, Z); None: it has none."""
    if not own:
        return None
    assert context.extra is not None
    place = [column.name for column in told]
    return context.extra[:, [place.index(column.name) for column in own]]


@dataclass(frozen=True)
class Resumed(UserModel[Any]):
    """People who go on where they were left."""

    people: UserModel[Any]
    first: Any  # states of all of them
    told: tuple[Column, ...]  # columns of the context as agents see it
    own: tuple[str, ...]  # of these, those that the true world has as further ones
    named: Signals | None = None  # as a log has them; None: as they are

    @property
    def signals(self) -> tuple[Signal, ...]:
        """As they are, or as the log has them."""
        return self.people.signals if self.named is None else self.named.log

    def initial(self, arrival: Arrival, luck: Luck) -> Any:
        """Their state."""
        rows_B = arrival.user_id.long()
        return map_tensors(lambda x: x[rows_B], self.first)

    def _true(self, context: Context) -> Context:
        own = [column for column in self.told if column.name in self.own]
        return replace(context, extra=_own(context, self.told, own))

    def appeal(self, state: Any, items: Items, context: Context) -> Tensor:
        """As they judge."""
        return self.people.appeal(state, items, self._true(context))

    def respond(
        self, state: Any, items: Items, context: Context, luck: Luck
    ) -> tuple[Tensor, Tensor]:
        """As they respond."""
        drawn, mean = self.people.respond(state, items, self._true(context), luck)
        if self.named is None:
            return drawn, mean
        return self.named.told(drawn), self.named.told(mean)

    def outlook(
        self, state: Any, catalogue: Catalogue, context: Context, luck: Luck
    ) -> tuple[Tensor, Tensor]:
        """The truth about every item."""
        appeal, mean = self.people.outlook(state, catalogue, self._true(context), luck)
        return appeal, mean if self.named is None else self.named.told(mean)

    def evolve(
        self, state: Any, items: Items, feedback_BKM: Tensor, context: Context, luck: Luck
    ) -> Any:
        """As they change."""
        if self.named is not None:
            feedback_BKM = self.named.so(feedback_BKM)
        return self.people.evolve(state, items, feedback_BKM, self._true(context), luck)

    def leave(self, state: Any) -> Tensor | None:
        """As they leave."""
        return self.people.leave(state)

    def away(self, state: Any) -> Tensor | None:
        """As they stay away."""
        return self.people.away(state)

    def about_to_bore(self, state: Any) -> Tensor | None:
        """What references may know."""
        return self.people.about_to_bore(state)

    def reveal(self, state: Any) -> Tensor | None:
        """What they tell."""
        return self.people.reveal(state)
