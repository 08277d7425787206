"""One person's session, slate by slate, under several policies side by side.

Every policy has a session of its own, which begins with the same person and the same luck. Nothing
here draws: a page asks what would be shown now, and says what was changed by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from slategym.agents.types import Policy
from slategym.envs import engine
from slategym.envs.context import field
from slategym.envs.luck import Luck
from slategym.envs.names import UsageError, plain
from slategym.envs.render import state_of
from slategym.envs.types import Outcome, Session, World
from slategym.models.multitask.incremental import StateEncoder
from slategym.models.people.taste import ClassicTaste

T = TypeVar("T")
LONGEST = 20  # events of a history that are shown


@dataclass(frozen=True)
class Slot:
    """An item of a slate, as it would be met now."""

    item: int
    title: str
    topic: str
    chance: float  # of a click, given the person's hidden state and the whole slate
    shown: bool  # False: an empty slot


@dataclass(frozen=True)
class Shown:
    """A slate that was shown, and what came of it."""

    slots: tuple[Slot, ...]
    clicked: tuple[bool, ...]
    reward: float
    context: str  # in words


@dataclass(frozen=True)
class Side:
    """A policy and its session with the person."""

    name: str
    policy: Policy
    session: Session  # of one user
    past: tuple[Shown, ...] = ()
    over: str = ""  # why the session ended; "": it goes on

    @property
    def earned(self) -> float:
        """Reward so far."""
        return sum(shown.reward for shown in self.past)


@dataclass(frozen=True)
class Bench:
    """A person in a world, and who recommends."""

    world: World
    user: int  # row of the population
    seed: int  # of the luck
    sides: tuple[Side, ...]


def begin(world: World, policies: Sequence[tuple[str, Policy]], user: int, seed: int = 0) -> Bench:
    """The person arrives, once for each policy.

    Args:
        world: where.
        policies: by the name that people know.
        user: row of the population.
        seed: of the luck.

    Raises:
        UsageError: there is no such person.
    """
    if not 0 <= user < world.population.size:
        raise UsageError(f"people are 0 to {world.population.size - 1:,}; got {user}")
    row, zero = (
        torch.tensor([number], dtype=torch.int32, device=world.device) for number in (user, 0)
    )
    session = engine.start(world, zero + seed, row, zero)
    return Bench(world, user, seed, tuple(Side(name, p, session) for name, p in policies))


def slate_of(bench: Bench, side: Side) -> tuple[Slot, ...]:
    """What the policy would show now, and how likely each item would be clicked."""
    slate_BK = _chosen(bench.world, side)
    _, outcome = engine.transition(bench.world, side.session, slate_BK)
    return _slots(bench.world, side.session, slate_BK, outcome)


def step(bench: Bench) -> Bench:
    """Show every policy's slate; a session that is over stays as it is."""
    return replace(bench, sides=tuple(_stepped(bench.world, side) for side in bench.sides))


def changed(bench: Bench, name: str, value: float) -> Bench:
    """With a field of the context set by hand, in every session.

    Args:
        bench: as it is.
        name: a field of the context that the world shows.
        value: in the field's own unit; of a category its number.

    Raises:
        UsageError: the world shows no such field.
    """
    process = bench.world.context
    if name not in process.shown:
        known = ", ".join(process.shown) or "none"
        raise UsageError(f"{bench.world.name} shows no {name!r} in its context; fields: {known}")
    return replace(
        bench, sides=tuple(_with_field(bench.world, s, name, value) for s in bench.sides)
    )


def fields_of(bench: Bench) -> dict[str, tuple[float, tuple[str, ...]]]:
    """The context that can be changed: value now (of the first session) and its words, if any."""
    process, session = bench.world.context, bench.sides[0].session
    return {
        name: (
            float(field(process, session.context, name)[0]),
            tuple(plain(word) for word in process.names.get(name, ())),
        )
        for name in process.shown
    }


def history_of(bench: Bench) -> tuple[tuple[int, str], ...]:
    """Items and titles of what the person took before the visit, oldest first; (): not known."""
    table = bench.world.population.history
    if table is None:
        return ()
    taken = [int(n) for n in table[bench.user].tolist() if n >= 0][-LONGEST:]
    return tuple((item, title_of(bench.world, item)) for item in taken)


def with_history(bench: Bench, items: Sequence[int]) -> Bench:
    """The same person with another history: the session begins anew.

    An item that stood in the history keeps what was observed of it; of another only the click is
    known.

    Args:
        bench: as it is.
        items: ids, oldest first; at most as many as the world remembers.

    Raises:
        UsageError: the world has no histories; there are too many items, or no such item.
    """
    world, people = bench.world, bench.world.population
    if people.history is None or people.feedback is None or people.gap is None:
        raise UsageError(f"{world.name} has no histories to change: its people arrive new")
    room = people.history.shape[1]
    if len(items) > room or any(not 0 <= item < world.catalogue.num_items for item in items):
        raise UsageError(
            f"a history is at most {room} items in [0, {world.catalogue.num_items}); got "
            f"{list(items)}"
        )
    u = bench.user
    old = {int(item): place for place, item in enumerate(people.history[u].tolist()) if item >= 0}
    item_E, feedback_EM = people.history[u].clone().fill_(-1), torch.zeros_like(people.feedback[u])
    gap_E = torch.zeros_like(people.gap[u])
    usual = float(people.gap[u][people.history[u] >= 0].median()) if old else 60.0
    for place, item in enumerate(items, start=room - len(items)):
        item_E[place] = item
        if item in old:
            feedback_EM[place], gap_E[place] = (
                people.feedback[u, old[item]],
                people.gap[u, old[item]],
            )
        else:
            feedback_EM[place], gap_E[place] = torch.nan, usual
            feedback_EM[place, 0] = 1.0
    edited = replace(
        people,
        history=_with_row(people.history, u, item_E),
        feedback=_with_row(people.feedback, u, feedback_EM),
        gap=_with_row(people.gap, u, gap_E),
    )
    there = replace(
        world,
        population=edited,
        users=_reading_anew(world.users),
        observer=_reading_anew(world.observer),
    )
    policies = [(side.name, side.policy) for side in bench.sides]
    return begin(there, policies, u, bench.seed)


def _reading_anew(part: T) -> T:
    """Without what was read of people's histories beforehand."""
    if isinstance(part, StateEncoder):
        fresh = copy(part)
        fresh._table = None
        return fresh
    if isinstance(part, ClassicTaste):
        return replace(part, table=None)
    if not is_dataclass(part) or isinstance(part, type):
        return part
    now = {field.name: getattr(part, field.name) for field in fields(part) if field.init}
    new = {name: _reading_anew(value) for name, value in now.items()}
    changed = {name: value for name, value in new.items() if value is not now[name]}
    return replace(part, **changed) if changed else part


def states(side: Side, world: World) -> dict[str, list[float]]:
    """The small parts of the person's hidden state now, by name."""
    return {name: values.tolist() for name, values in state_of(world, side.session).items()}


def title_of(world: World, item: int) -> str:
    """An item for people."""
    return plain(world.catalogue.title[item]) if world.catalogue.title else f"item {item}"


@torch.no_grad()
def _chosen(world: World, side: Side) -> Tensor:
    luck = Luck.at(side.session.key, side.session.step)
    observation = engine.observe(world, side.session)
    if side.policy.privileged:
        observation = replace(observation, hidden=side.session)
    return side.policy.act(observation, luck).slate


def _stepped(world: World, side: Side) -> Side:
    if side.over:
        return side
    slate_BK = _chosen(world, side)
    after, outcome = engine.transition(world, side.session, slate_BK)
    shown = Shown(
        _slots(world, side.session, slate_BK, outcome),
        tuple(bool(x > 0) for x in outcome.feedback[0, :, 0].tolist()),
        float(outcome.reward[0]),
        in_words(world, side.session),
    )
    over = (
        "left" if bool(outcome.left[0]) else "the visit's longest" if bool(outcome.cut[0]) else ""
    )
    return replace(side, session=after, past=(*side.past, shown), over=over)


def _slots(world: World, session: Session, slate_BK: Tensor, outcome: Outcome) -> tuple[Slot, ...]:
    items, shown_1K = engine.pick(world, session, slate_BK)
    catalogue, slots = world.catalogue, []
    for k, item in enumerate(items.id[0].tolist()):
        topic = int(catalogue.topic[item])
        name = plain(catalogue.topics[topic]) if catalogue.topics else f"topic {topic}"
        chance = float(outcome.expected[0, k, 0])
        slots.append(Slot(item, title_of(world, item), name, chance, bool(shown_1K[0, k])))
    return tuple(slots)


def _with_field(world: World, side: Side, name: str, value: float) -> Side:
    context, process = side.session.context, world.context
    names = [column.name for column in process.columns]
    if name in names:
        assert context.extra is not None
        extra_BZ, z = context.extra.clone(), names.index(name)
        unknown = bool(process.columns[z].categories) and value >= len(
            process.columns[z].categories
        )
        extra_BZ[:, z] = -1.0 if unknown else value
        new = replace(context, extra=extra_BZ)
    else:
        old_B = getattr(context, name)
        new = replace(context, **{name: torch.full_like(old_B, value)})
    return replace(side, session=replace(side.session, context=new))


def in_words(world: World, session: Session) -> str:
    """The shown fields of the context."""
    words = []
    for name in world.context.shown:
        value = float(field(world.context, session.context, name)[0])
        names = world.context.names.get(name, ())
        if name == "hour":
            words.append(f"{int(value):02d}:{int(value % 1 * 60):02d}")
        elif names:
            words.append(plain(names[int(value)]) if 0 <= value < len(names) else "unknown")
        else:
            words.append(f"{name} {value:.3g}")
    return " · ".join(words)


def _with_row(table: Tensor, row: int, values: Tensor) -> Tensor:
    changed = table.clone()
    changed[row] = values
    return changed
