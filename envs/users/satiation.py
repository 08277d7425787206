"""What clicks on a topic do to the appeal of the next: pieces for any user model.

Too much of a topic bores, by a threshold or by degrees; or one wants more of the same; or people
differ. Each piece is an `Effect`; `slategym.envs.users.assumed.Assumed` adds one to people.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, TypeVar

import torch
from torch import Tensor

from slategym.envs.luck import Luck, purpose
from slategym.envs.trees import where
from slategym.envs.types import NOT_DRAWN, Items

KIND = purpose("effects.kind")  # which of several effects a person has
S = TypeVar("S")


class Effect(Protocol[S]):
    """What the session's clicks on topics do to appeal. Frozen; its state is a value."""

    @property
    def parts(self) -> tuple[tuple[float, Effect[Any]], ...]:
        """Where people differ, each effect with the share of those who have it."""
        return ((1.0, self),)

    @property
    def called(self) -> str:
        """In a word, for people."""
        ...

    def rule(self, topic: str) -> str:
        """What it does, in words; `topic` is what people call one."""
        ...

    def among(self, num_topics: int) -> Effect[S]:
        """The same with G topics."""
        return replace(self, num_topics=num_topics)  # type: ignore[type-var]

    def initial(self, user_B: Tensor, luck: Luck | None = None) -> S:
        """Nothing clicked yet, on the users' device; `luck` is the person's."""
        ...

    def cost(self, state: S) -> Tensor:
        """Log-odds that each topic loses now, (B, G); what is gained is negative."""
        ...

    def update(self, state: S, items: Items, feedback_BKM: Tensor) -> S:
        """After one slate."""
        ...

    def rested(self, state: S, rested_B: Tensor) -> S:
        """After a pause between visits, where there was one (B,): nothing clicked yet."""
        ...

    def about_to_bore(self, state: S) -> Tensor:
        """Topics that bore, or would after one more click, (B, G) bool."""
        ...


@dataclass(frozen=True)
class SatiationState:
    """What one remembers of the session's clicks, and which topics have become boring."""

    # (B, W) int32, topics of the last clicks of the session, newest last; -1: none
    last: Tensor = field(metadata=NOT_DRAWN)
    remaining: Tensor  # (B, G) int32, slates for which the topic stays boring

    @property
    def bored(self) -> Tensor:
        """Topics that are boring at the next slate, (B, G) bool."""
        return self.remaining > 0


@dataclass(frozen=True)
class GenreSatiation(Effect[SatiationState]):
    """A topic bores for `duration` slates once too many of the session's last clicks were on it.

    After a slate in which an item of topic g was clicked, g becomes boring if at least
    `threshold` of the last `memory` clicks, these included, are on g: its appeal is lowered by
    `penalty` in each of the next `duration` slates. A further such click starts the count anew.
    With the scope "everything" the appeal of all items is lowered while any topic bores, as
    SARDINE has it (there, to nothing).

    Source: assumed; the rule of SARDINE (Deffayet et al. 2024) in a softer form.
    """

    num_topics: int  # G
    memory: int = 5  # W, clicks
    threshold: int = 3  # clicks, in [1, memory]
    penalty: float = 4.0  # log-odds
    duration: int = 8  # slates
    scope: Literal["topic", "everything"] = "topic"  # what loses appeal

    def __post_init__(self) -> None:
        if not 1 <= self.threshold <= self.memory:
            raise ValueError(f"threshold must be in [1, {self.memory}], got {self.threshold}")
        if self.duration < 0 or self.penalty < 0:
            raise ValueError(
                "duration and penalty must not be negative, "
                f"got duration={self.duration}, penalty={self.penalty}"
            )

    @property
    def called(self) -> str:
        """Weariness if it takes from everything."""
        return "boredom" if self.scope == "topic" else "weariness"

    def rule(self, topic: str) -> str:
        """In words."""
        what = "it" if self.scope == "topic" else "the appeal of everything"
        return (
            f"{self.threshold} of the last {self.memory} clicks on a {topic} lower {what} for "
            f"{self.duration} slates"
        )

    def initial(self, user_B: Tensor, luck: Luck | None = None) -> SatiationState:
        """Nothing clicked, nothing boring, on the users' device."""
        B, device = user_B.shape[0], user_B.device
        return SatiationState(
            torch.full((B, self.memory), -1, dtype=torch.int32, device=device),
            torch.zeros(B, self.num_topics, dtype=torch.int32, device=device),
        )

    def cost(self, state: SatiationState) -> Tensor:
        """Log-odds that boredom takes from each topic, (B, G), >= 0."""
        bored_BG = state.remaining > 0
        if self.scope == "everything":
            bored_BG = bored_BG.any(1, keepdim=True).expand_as(bored_BG)
        return self.penalty * bored_BG.float()

    def update(self, state: SatiationState, items: Items, feedback_BKM: Tensor) -> SatiationState:
        """After one slate."""
        topic_BK, click_BK = items.topic, feedback_BKM[..., 0] > 0
        last_BW = _append(state.last, topic_BK, click_BK)
        same_BKW = topic_BK[:, :, None] == last_BW[:, None, :]
        starts_BK = click_BK & (same_BKW.sum(2) >= self.threshold)
        remaining_BG = (state.remaining - 1).clamp(min=0)
        started_BG = torch.zeros_like(remaining_BG).scatter_add(1, topic_BK.long(), starts_BK.int())
        return SatiationState(last_BW, remaining_BG.masked_fill(started_BG > 0, self.duration))

    def rested(self, state: SatiationState, rested_B: Tensor) -> SatiationState:
        """Whoever has been away remembers no click, and nothing bores."""
        return where(rested_B, self.initial(rested_B), state)

    def about_to_bore(self, state: SatiationState) -> Tensor:
        """Topics that bore, or would after one more click, (B, G) bool.

        The oldest click falls out of the memory when the next one comes in.
        """
        count_BG = _counts(state.last[:, 1:], self.num_topics)
        return state.bored | (count_BG >= self.threshold - 1)


@dataclass(frozen=True)
class FadingState:
    """How much one has had of each topic."""

    level: Tensor  # (B, G) float32, clicks, each worth less the longer ago

    @property
    def bored(self) -> Tensor | None:
        """None: boredom is a matter of degree here."""
        return None


@dataclass(frozen=True)
class FadingSatiation(Effect[FadingState]):
    """Every click on a topic takes from its appeal, the less the longer ago it was.

    level <- keep * (level + clicks on the topic) with every slate; appeal loses penalty * level.

    Source: Leqi et al. 2021, arXiv:2011.06741, section 3 (rebounding bandits), without noise.
    """

    num_topics: int  # G
    penalty: float = 1.0  # log-odds per click
    keep: float = 0.8  # of the level, per slate, in [0, 1)

    def __post_init__(self) -> None:
        if not 0 <= self.keep < 1 or self.penalty < 0:
            raise ValueError(
                f"keep must be in [0, 1) and penalty >= 0, got keep={self.keep}, "
                f"penalty={self.penalty}"
            )

    @property
    def called(self) -> str:
        """Satiation."""
        return "satiation"

    def rule(self, topic: str) -> str:
        """In words."""
        return (
            f"every click on a {topic} takes {self.penalty:g} log-odds from it, of which "
            f"{self.keep:.0%} are left with every slate"
        )

    def initial(self, user_B: Tensor, luck: Luck | None = None) -> FadingState:
        """Nothing had yet, on the users' device."""
        return FadingState(torch.zeros(len(user_B), self.num_topics, device=user_B.device))

    def cost(self, state: FadingState) -> Tensor:
        """Log-odds, (B, G), >= 0."""
        return self.penalty * state.level

    def update(self, state: FadingState, items: Items, feedback_BKM: Tensor) -> FadingState:
        """After one slate."""
        clicked_BK = (feedback_BKM[..., 0] > 0).float()
        level_BG = state.level.scatter_add(1, items.topic.long(), clicked_BK)
        return FadingState(self.keep * level_BG)

    def rested(self, state: FadingState, rested_B: Tensor) -> FadingState:
        """Whoever has been away has forgotten it all."""
        return where(rested_B, self.initial(rested_B), state)

    def about_to_bore(self, state: FadingState) -> Tensor:
        """Topics of which less than one click in two has faded, (B, G) bool."""
        return state.level >= 0.5


@dataclass(frozen=True)
class HabitState:
    """The session's last clicks."""

    # (B, W) int32, topics, newest last; -1: none
    last: Tensor = field(metadata=NOT_DRAWN)

    @property
    def bored(self) -> Tensor | None:
        """None: nobody is bored."""
        return None


@dataclass(frozen=True)
class Habit(Effect[HabitState]):
    """The opposite of boredom: people like more of the same.

    A topic gains `gain` for each of at most `most` clicks on it among the last `memory` clicks of
    the session.

    Source: assumed; the direction is that of logs in which people repeat topics more than chance
    (`slategym data describe` measures it).
    """

    num_topics: int  # G
    gain: float = 0.7  # log-odds per click
    memory: int = 5  # W, clicks
    most: int = 3  # clicks that count

    def __post_init__(self) -> None:
        if not 1 <= self.most <= self.memory or self.gain < 0:
            raise ValueError(
                f"most must be in [1, {self.memory}] and gain >= 0, got most={self.most}, "
                f"gain={self.gain}"
            )

    @property
    def called(self) -> str:
        """Habit."""
        return "habit"

    def rule(self, topic: str) -> str:
        """In words."""
        return (
            f"a {topic} gains {self.gain:g} log-odds for each of at most {self.most} of the last "
            f"{self.memory} clicks on it"
        )

    def initial(self, user_B: Tensor, luck: Luck | None = None) -> HabitState:
        """Nothing clicked yet, on the users' device."""
        shape = (len(user_B), self.memory)
        return HabitState(torch.full(shape, -1, dtype=torch.int32, device=user_B.device))

    def cost(self, state: HabitState) -> Tensor:
        """Log-odds, (B, G), <= 0: topics clicked lately gain."""
        count_BG = _counts(state.last, self.num_topics)
        return -self.gain * count_BG.clamp(max=self.most).float()

    def update(self, state: HabitState, items: Items, feedback_BKM: Tensor) -> HabitState:
        """After one slate."""
        return HabitState(_append(state.last, items.topic, feedback_BKM[..., 0] > 0))

    def rested(self, state: HabitState, rested_B: Tensor) -> HabitState:
        """Whoever has been away begins anew."""
        return where(rested_B, self.initial(rested_B), state)

    def about_to_bore(self, state: HabitState) -> Tensor:
        """None of them, (B, G) bool."""
        none_BG = torch.zeros_like(state.last[:, :1], dtype=torch.bool)
        return none_BG.expand(-1, self.num_topics)


@dataclass(frozen=True)
class MixedState:
    """Whose effect is which, hidden, and the state of every effect."""

    kind: Tensor  # (B,) int32, number of the effect that one has
    parts: tuple[Any, ...]  # of each effect, as if everybody had it

    @property
    def bored(self) -> Tensor | None:
        """Topics that bore those whose effect it is, (B, G) bool; None: that of nobody."""
        found: Tensor | None = None
        for number, part in enumerate(self.parts):
            if part.bored is not None:
                mine_BG = part.bored & (self.kind == number)[:, None]
                found = mine_BG if found is None else found | mine_BG
        return found


@dataclass(frozen=True)
class Mixed(Effect[MixedState]):
    """People differ: each has one of several effects, drawn once for the person and never told.

    Source: assumed.
    """

    effects: tuple[Effect[Any], ...]  # at least two, of the same topics
    shares: tuple[float, ...]  # of people, one for each effect, summing to 1

    def __post_init__(self) -> None:
        fine = len(self.shares) == len(self.effects) > 1 and min(self.shares) >= 0
        if not fine or abs(sum(self.shares) - 1.0) > 1e-6:
            raise ValueError(
                f"shares must be {len(self.effects)} numbers >= 0 that sum to 1, for two effects "
                f"or more; got {self.shares}"
            )

    @property
    def parts(self) -> tuple[tuple[float, Effect[Any]], ...]:
        """Every effect with its share."""
        return tuple(zip(self.shares, self.effects, strict=True))

    @property
    def called(self) -> str:
        """Of all parts."""
        return " or ".join(effect.called for effect in self.effects)

    def rule(self, topic: str) -> str:
        """Of all parts."""
        return "; or ".join(effect.rule(topic) for effect in self.effects)

    def among(self, num_topics: int) -> Mixed:
        """Every part with G topics."""
        return replace(self, effects=tuple(effect.among(num_topics) for effect in self.effects))

    def initial(self, user_B: Tensor, luck: Luck | None = None) -> MixedState:
        """Who is who by the person's luck."""
        assert luck is not None, "who is who is drawn"
        bound_X = torch.tensor(self.shares, device=user_B.device).cumsum(0)[:-1]
        kind_B = (luck.uniform(KIND, 1) >= bound_X).sum(1).int()
        return MixedState(kind_B, tuple(effect.initial(user_B) for effect in self.effects))

    def cost(self, state: MixedState) -> Tensor:
        """That of one's own effect, (B, G) log-odds."""
        return self._own(state, [e.cost(s) for e, s in self._each(state)])

    def update(self, state: MixedState, items: Items, feedback_BKM: Tensor) -> MixedState:
        """After one slate, each on its own."""
        parts = tuple(e.update(s, items, feedback_BKM) for e, s in self._each(state))
        return MixedState(state.kind, parts)

    def rested(self, state: MixedState, rested_B: Tensor) -> MixedState:
        """Each on its own; people stay who they are."""
        return MixedState(state.kind, tuple(e.rested(s, rested_B) for e, s in self._each(state)))

    def about_to_bore(self, state: MixedState) -> Tensor:
        """That of one's own effect, (B, G) bool."""
        return self._own(state, [e.about_to_bore(s) for e, s in self._each(state)])

    def _each(self, state: MixedState) -> list[tuple[Effect[Any], Any]]:
        return list(zip(self.effects, state.parts, strict=True))

    def _own(self, state: MixedState, said: list[Tensor]) -> Tensor:
        row_1BG = state.kind.long()[:, None].expand_as(said[0])[None]
        return torch.stack(said).gather(0, row_1BG)[0]


def _counts(topic_BW: Tensor, num_topics: int) -> Tensor:
    """How often each topic is among them, (B, G) int64; -1 counts for none."""
    none_BG = torch.zeros(len(topic_BW), num_topics + 1, dtype=torch.int64, device=topic_BW.device)
    one_BW = torch.ones_like(topic_BW, dtype=torch.int64)
    return none_BG.scatter_add(1, topic_BW.long() + 1, one_BW)[:, 1:]


def _append(last_BW: Tensor, topic_BK: Tensor, click_BK: Tensor) -> Tensor:
    """The last W of the old topics followed by the clicked ones in slot order."""
    order_BK = (~click_BK).int().argsort(dim=1, stable=True)
    both = torch.cat([last_BW, topic_BK.gather(1, order_BK)], 1)
    keep_BW = torch.arange(last_BW.shape[1], device=last_BW.device) + click_BK.sum(1, keepdim=True)
    return both.gather(1, keep_BW)
