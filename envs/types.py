"""The nouns of the simulator: tensors in frozen dataclasses.

What acts on them, people above all, is described in `envs/protocols.py`.

Axis letters, defined here once and used as name suffixes everywhere:
    B users in parallel       C candidates per request   K slots in a slate
    N items in the catalogue  U users in the population  D embedding width
    M signals                 H remembered events        F profile columns
    X context features        T time, L tokens           G topics
    Z further context columns of a log                   W items consumed before
    P slates shown before, of this session
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor

from slategym.envs.names import UsageError, lookup
from slategym.envs.settings import Count, Length, Seed, check_kinds

if TYPE_CHECKING:
    from slategym.envs.protocols import (
        Candidates,
        ChoiceModel,
        ContextProcess,
        Observer,
        UserModel,
    )

Provenance = Literal["logged", "derived", "assumed", "synthetic"]
SignalKind = Literal["binary", "ordinal", "real", "nonnegative", "count"]


class Signal(NamedTuple):
    """One kind of feedback, per slot; zero wherever the item was not clicked."""

    name: str
    kind: SignalKind
    unit: str
    low: float
    high: float
    provenance: Provenance = "synthetic"
    step: float = 1.0  # of an ordinal signal: distance of neighbouring levels, units
    weight: float = 0.0  # reward per unit, where a log declares it; a world's `objective` decides
    given: str | None = None  # binary signal without which this one is 0, as a price without a sale


class Column(NamedTuple):
    """One attribute beside the built-in ones: of events (context), of items, or of users."""

    name: str
    categories: tuple[str, ...] = ()  # what its numbers stand for; empty: it is a number itself
    unit: str = ""  # of a number
    low: float = 0.0  # of a number, as seen in the log
    high: float = 1.0


CLICK = Signal("click", "binary", "count", 0.0, 1.0)  # always a model's first signal, by name


@dataclass(frozen=True)
class Catalogue:
    """Everything that can be shown. Row = item id."""

    topic: Tensor  # (N,) int32, main topic, in [0, G)
    embedding: Tensor  # (N, D) float32
    quality: Tensor  # (N,) float32, mean over copies of the item; 0 where the world has none
    topics: tuple[str, ...] = ()  # G names, for people
    title: tuple[str, ...] = ()  # N titles, for people
    text: tuple[str, ...] = ()  # N descriptions, for text encoders
    popularity: Tensor | None = None  # (N,) float32, clicks in the log that agents may read
    # What else a log says of its items, each with a value per item: (N,) int32, -1 where unknown,
    # for a column of categories, else (N,) float32, NaN where unknown.
    attributes: tuple[tuple[Column, Tensor], ...] = ()

    @property
    def num_items(self) -> int:
        """N."""
        return self.topic.shape[0]

    @property
    def num_topics(self) -> int:
        """G."""
        return len(self.topics) or int(self.topic.max()) + 1

    def attribute(self, name: str) -> Tensor:
        """A further column, (N,): a category's number, -1 where unknown; or a number, else NaN.

        Raises:
            UsageError: the items have no column of that name.
        """
        return lookup("item column", name, {column.name: x for column, x in self.attributes})


@dataclass(frozen=True)
class Items:
    """Items by id, any leading shape. Attributes are looked up when read, not before."""

    id: Tensor  # (...,) int32, row of the catalogue
    catalogue: Catalogue

    @property
    def topic(self) -> Tensor:
        """Main topic, (...,) int32."""
        return self.catalogue.topic.index_select(0, self.id.flatten()).view(self.id.shape)

    @property
    def quality(self) -> Tensor:
        """Mean quality, (...,) float32."""
        return self.catalogue.quality.index_select(0, self.id.flatten()).view(self.id.shape)

    @property
    def embedding(self) -> Tensor:
        """Vectors, (..., D) float32."""
        return torch.nn.functional.embedding(self.id, self.catalogue.embedding)

    def attribute(self, name: str) -> Tensor:
        """A further column of the catalogue, (...,); see `Catalogue.attribute`."""
        values_N = self.catalogue.attribute(name)
        return values_N.index_select(0, self.id.flatten()).view(self.id.shape)


@dataclass(frozen=True)
class Context:
    """What is true at this request. A world shows the fields that its process names."""

    hour: Tensor  # (B,) float32, local time, in [0, 24)
    weekday: Tensor  # (B,) int32, 0 = Monday
    device: Tensor  # (B,) int32, index into the process's device names
    place: Tensor  # (B,) int32, index into the process's place names
    weather: Tensor  # (B,) int32, index into the process's weather names
    gap: Tensor  # (B,) float32, days since the user's last visit
    # Further columns in the order of the process's `columns`; None: it has none. A category by its
    # number, -1 where unknown.
    extra: Tensor | None = None  # (B, Z) float32


@dataclass(frozen=True)
class Population:
    """Everyone who may arrive. Row = user id; user 7 is the same person in every run.

    A row is one arrival of one person: a log gives several rows (starting points) to a person, and
    `person` says which rows belong together, so that intervals can respect it. Hand-written worlds
    need no table: their users are drawn from luck, and every optional field is None.
    """

    size: int  # U
    person: Tensor | None = None  # (U,) int32; None: every row is a person of its own
    profile: Tensor | None = None  # (U, F) int32, categories
    profile_names: tuple[str, ...] = ()  # F
    profile_sizes: tuple[int, ...] = ()  # F, number of categories of each column
    history: Tensor | None = None  # (U, H) int32 item ids before arrival, oldest first, -1: none
    # (U, H, M) float32, the feedback to those; NaN where it was not observed, of which agents are
    # shown zero
    feedback: Tensor | None = None
    gap: Tensor | None = None  # (U, H) float32, seconds between each event and the one before
    hour: Tensor | None = None  # (U,) float32, at arrival
    weekday: Tensor | None = None  # (U,) int32, at arrival
    consumed: Consumed | None = None  # everything before arrival; None: `history` is all
    extra: Tensor | None = None  # (U, Z) float32, further context columns at arrival


@dataclass(frozen=True)
class Consumed:
    """What each arrival had consumed before, without a row of N for anybody.

    Arrivals of one person share a stretch of `item`: what that person consumed, in order of time
    and each item once. An arrival knows the first `count` of it.
    """

    item: Tensor  # (S,) int32, item ids, person by person
    start: Tensor  # (U,) int64, where in `item` this arrival's person begins
    count: Tensor  # (U,) int32
    most: int  # the largest count

    def rows(self, user_B: Tensor) -> Tensor:
        """Items consumed by these arrivals, (B, most) int32, -1 behind the last."""
        place_W = torch.arange(self.most, device=user_B.device)
        row_BW = self.start[user_B][:, None] + place_W
        known_BW = place_W < self.count[user_B][:, None]
        item_BW = self.item[row_BW.clamp(max=len(self.item) - 1)]
        return item_BW.masked_fill(~known_BW, -1)


@dataclass(frozen=True)
class Arrival:
    """B rows of the population, as they come in: what anyone may know of them beforehand."""

    user_id: Tensor  # (B,) int32
    profile: Tensor | None  # (B, F) int32
    history: Tensor | None  # (B, H) int32, -1: none
    feedback: Tensor | None  # (B, H, M) float32
    gap: Tensor | None  # (B, H) float32, seconds
    hour: Tensor | None  # (B,) float32
    weekday: Tensor | None  # (B,) int32
    consumed: Tensor | None = None  # (B, W) int32, item ids, -1: none; None: `history` is all
    extra: Tensor | None = None  # (B, Z) float32, further context columns


@dataclass(frozen=True)
class History:
    """The last clicked items of each user and the feedback to them, newest last."""

    id: Tensor  # (B, H) int32, -1: none yet
    feedback: Tensor  # (B, H, M) float32
    age: Tensor  # (B, H) int32, slates since; LONG_AGO for events before the session


@dataclass(frozen=True)
class PastSlates:
    """The last slates that each user was shown in this session, newest last, clicked or not."""

    id: Tensor  # (B, P, K) int32, -1: an empty slot, or no slate yet
    taken: Tensor  # (B, P, K) bool, clicked; a slate of which nothing is taken was refused


LONG_AGO = 10_000  # slates; the age of what happened before the session


@dataclass(frozen=True)
class Shown:
    """Logged slates S of up to K items, what was passed over among them."""

    population: Population  # S arrivals, one per slate, at that request
    item_SK: Tensor  # int64, -1: an empty slot
    clicked_SK: Tensor  # bool


@dataclass(frozen=True)
class AgentLog:
    """What people whom agents may learn from did: rows sorted by person, then time.

    They are never those on whom policies are compared.
    """

    user: Tensor  # (E,) int32, persons numbered from 0
    item: Tensor  # (E,) int32
    feedback: Tensor  # (E, M) float32, NaN where a signal was not observed
    signals: tuple[Signal, ...]  # M, click first
    repeats: bool = False  # whether a person may consume an item again
    shown: Shown | None = None  # slates, where the log has such in which nothing was clicked


@dataclass(frozen=True)
class Keys:
    """What a log calls what a world numbers, for programs that read raw events."""

    item: tuple[str, ...]  # N
    traits: tuple[Column, ...]  # F, the profile's columns
    usual: tuple[float, ...]  # Z, a context column where it is unknown: -1, or the log's median
    like: tuple[str, float] | None = None  # signal and value from which on it is a like; None: none


NUMBERS: dict[str, Any] = {  # fields of a World that are numbers, and what they may be
    "slate_size": Count,
    "horizon": Count,
    "history_size": Length,
    "shown_size": Length,
    "seed": Seed,
    "objective": tuple[float, ...],
}


@dataclass(frozen=True)
class World:
    """Everything that never changes. `seed` decides who people are, not what happens to them."""

    name: str
    catalogue: Catalogue
    population: Population
    users: UserModel[Any]
    choice: ChoiceModel
    context: ContextProcess
    candidates: Candidates[Any]
    slate_size: int  # K
    horizon: int  # slates after which a session is cut off
    objective: tuple[float, ...]  # reward per unit of each signal, M of them
    history_size: int = 0  # H remembered clicks in the observation
    shown_size: int = 0  # P remembered slates in the observation, passed over or not
    observer: Observer[Any] | None = None
    seed: int = 0
    labels: tuple[tuple[str, Provenance, str], ...] = ()  # (what, label, why) for report and card
    selection: Callable[[], World] | None = None  # the same with people on whom choices are made
    agent_log: AgentLog | None = None  # what agents may learn from before they act
    keys: Keys | None = None  # of the log that it was learned from
    # Settings of policies by name, chosen in another world; others are chosen on selection people.
    chosen: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_kinds(self.name, {name: getattr(self, name) for name in NUMBERS}, NUMBERS)
        if len(self.objective) != self.num_signals:
            names = ", ".join(signal.name for signal in self.users.signals)
            raise UsageError(
                f"{self.name}: objective needs a weight for each of {names}; got {self.objective}"
            )

    def __repr__(self) -> str:
        return (
            f"<world {self.name}: {self.population.size:,} users, "
            f"{self.catalogue.num_items:,} items, slates of {self.slate_size}, at most "
            f"{self.horizon:,} a session, on {self.device}>"
        )

    @property
    def num_candidates(self) -> int:
        """C."""
        return self.candidates.count(self.catalogue)

    @property
    def num_signals(self) -> int:
        """M."""
        return len(self.users.signals)

    @property
    def device(self) -> torch.device:
        """Where the catalogue is, and so everything."""
        return self.catalogue.embedding.device


@dataclass(frozen=True)
class Session:
    """Everything that does change: B users at one instant."""

    user: Any  # the user model's state, never shown to agents
    user_id: Tensor  # (B,) int32, row of the population
    visit: Tensor  # (B,) int32, earlier sessions of this user
    seed: Tensor  # (B,) int32, decides what happens
    key: Tensor  # (B,) int32, hash of the three above
    step: Tensor  # (B,) int32, slates seen
    context: Context
    offer: Any  # the candidates' state
    history: History
    view: Any  # the observer's state
    past: PastSlates | None = None  # None: the world remembers no slates


@dataclass(frozen=True)
class Outcome:
    """What one slate caused."""

    feedback: Tensor  # (B, K, M) sampled
    expected: Tensor  # (B, K, M) its mean given the state, for low-variance evaluation
    reward: Tensor  # (B,) objective . feedback, summed over the slate
    expected_reward: Tensor  # (B,) objective . expected
    left: Tensor  # (B,) bool, the user ended the session
    cut: Tensor  # (B,) bool, the horizon ended it


@dataclass(frozen=True)
class Observation:
    """What a policy may see. Raw fields and, where the world has an observer, its embedding."""

    profile: Tensor | None  # (B, F) int32
    history: History
    context: Context
    candidates: Tensor | None  # (B, C) int32 item ids; None: a position is an item id
    allowed: Tensor | None  # (B, C) bool, positions that may be shown; None: all
    state: Tensor | None  # (B, D) float32, the observer's embedding
    revealed: Tensor | None  # (B, R) float32, what the user model tells everyone of its state
    step: Tensor  # (B,) int32, slates seen
    past: PastSlates | None = None  # None: the world remembers no slates
    view: Any = None  # what the observer keeps of the session, for whoever acts by its model
    hidden: Session | None = None  # handed to references that declare themselves privileged


NOT_DRAWN = {"drawn": False}  # metadata of a state's field that says nothing to people
