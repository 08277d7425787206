"""A session as people can look at it: slates with titles, clicks, and what moved in the user.

A Film keeps what happened to one user since the session began, and shows it as text or as a
picture; all pictures of a world are of one size, as videos need them. The user's hidden state is
shown as well: this is for people, not for agents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from slategym.envs import engine
from slategym.envs.context import field
from slategym.envs.names import lookup, plain
from slategym.envs.trees import map_tensors
from slategym.envs.types import Outcome, Session, World

T = TypeVar("T")

RENDER_MODES = ["ansi", "rgb_array"]
RENDER_FPS = 2  # slates per second
CONTEXT = "context "  # before the name of a field of the context, among the parts of a state
LARGEST_LEAF = 24  # numbers; larger parts of a state (caches, catalogues) are not drawn
WIDTH, ROW, LEFT, MARGIN = 1000, 22, 520, 16  # pixels: picture, text row, left column, border
INK, FAINT, PAPER = (32, 33, 36), (120, 124, 130), (255, 255, 255)
TALLEST = 48  # rows of text for the last slates, unless one alone takes more
CLICKED, BAR, NEGATIVE = (217, 242, 221), (66, 133, 190), (205, 92, 72)


@dataclass(frozen=True)
class Slot:
    """One slot of one slate, as it was seen."""

    item: int
    name: str  # title, or the item's number
    topic: str
    shown: bool  # False: an empty slot
    chance: float  # probability of a click given the hidden state
    feedback: tuple[float, ...]  # M


@dataclass(frozen=True)
class Moment:
    """One slate and the state after it."""

    context: str
    slots: tuple[Slot, ...]
    reward: float
    state: dict[str, NDArray[np.float32]]


Drawing = Callable[
    [str, World, list[dict[str, NDArray[np.float32]]], list[Moment]],
    str | NDArray[np.uint8],
]


class Film:
    """What happened to one user since the session began.

    Args:
        world: where.
        mode: of RENDER_MODES.
        row: which of the B users.
    """

    def __init__(self, world: World, mode: str, row: int = 0):
        self._world, self._row = world, row
        modes: dict[str, Drawing] = {"ansi": _text, "rgb_array": _picture}
        self._draw = lookup("render mode", mode, modes)
        self._user, self._context = 0, ""
        self._begin: dict[str, NDArray[np.float32]] = {}
        self._moments: list[Moment] = []

    def begin(self, session: Session) -> None:
        """A session begins, or is returned to."""
        session = self._own(session)
        self._user, self._context = int(session.user_id[0]), _context(self._world, session)
        self._begin, self._moments = state_of(self._world, session), []

    def record(self, before: Session, slate_BK: Tensor, outcome: Outcome, after: Session) -> None:
        """One more slate."""
        world, session, seen = self._world, self._own(before), self._own(outcome)
        items, shown_1K = engine.pick(world, session, self._own(slate_BK))
        catalogue, slots = world.catalogue, []
        for k, item in enumerate(items.id[0].tolist()):
            topic = int(catalogue.topic[item])
            slots.append(
                Slot(
                    item=item,
                    name=plain(catalogue.title[item]) if catalogue.title else f"item {item}",
                    topic=plain(catalogue.topics[topic]) if catalogue.topics else f"topic {topic}",
                    shown=bool(shown_1K[0, k]),
                    chance=float(seen.expected[0, k, 0]),
                    feedback=tuple(seen.feedback[0, k].tolist()),
                )
            )
        context, reward = _context(world, session), float(seen.reward[0])
        self._moments.append(
            Moment(context, tuple(slots), reward, state_of(world, self._own(after)))
        )

    def _own(self, tree: T) -> T:
        """This user's part of a batch."""
        return map_tensors(lambda x: x[self._row : self._row + 1], tree)

    def picture(self) -> NDArray[np.uint8]:
        """The session so far, as an image (height, width, 3)."""
        shown = self.show()
        assert not isinstance(shown, str)
        return shown

    def show(self) -> str | NDArray[np.uint8]:
        """The session so far, in the mode chosen."""
        head = f"{self._world.name} · user {self._user} · {len(self._moments)} slates"
        if not self._moments:
            return self._draw(f"{head} · {self._context}", self._world, [self._begin], [])
        total = sum(moment.reward for moment in self._moments)
        head = f"{head} · return {total:.4g}"
        states = [self._begin, *(moment.state for moment in self._moments)]
        return self._draw(head, self._world, states, self._moments)


def _text(
    head: str,
    world: World,
    states: list[dict[str, NDArray[np.float32]]],
    moments: list[Moment],
) -> str:
    """Header, the last slate as a table, the state as small bars."""
    lines = [head]
    if moments:
        last = moments[-1]
        lines.append(f"{last.context}   reward {last.reward:.4g}".strip())
        for k, slot in enumerate(last.slots):
            lines.append(f"{k + 1:3d} {_describe(slot)}  {_told(slot, world)}".rstrip())
    for name, values in states[-1].items():
        shown = _value(world, name, float(values[0])) if len(values) == 1 else _sparks(values)
        lines.append(f"    {name}: {shown}")
    return "\n".join(lines) + "\n"


def _picture(
    head: str,
    world: World,
    states: list[dict[str, NDArray[np.float32]]],
    moments: list[Moment],
) -> NDArray[np.uint8]:
    """Left: the last slates. Right: the state's parts over the session, newest at the right."""
    slate_rows = world.slate_size + 2
    most = max(1, min(4, TALLEST // slate_rows))
    recent = moments[-most:][::-1]
    right_rows = 2 + sum(_strip_rows(values) + 2 for values in states[-1].values())
    height = 2 * MARGIN + ROW * max(2 + most * slate_rows, right_rows, 6)
    image = Image.new("RGB", (WIDTH, height), PAPER)
    draw = ImageDraw.Draw(image)
    plain, bold, small = (ImageFont.load_default(size) for size in (13, 16, 11))
    draw.text((MARGIN, MARGIN), head, INK, bold)

    y = MARGIN + 2 * ROW
    for age, moment in enumerate(recent):
        title = f"slate {len(moments) - age}   {moment.context}   reward {moment.reward:.4g}"
        draw.text((MARGIN, y), title, FAINT, plain)
        y += ROW
        for slot in moment.slots:
            if slot.feedback[0] > 0:
                draw.rectangle((MARGIN, y, LEFT - 10, y + ROW - 3), CLICKED)
            bar = MARGIN + round(60 * min(slot.chance, 1.0))
            if bar > MARGIN:
                draw.rectangle((MARGIN, y + ROW - 6, bar, y + ROW - 4), BAR)
            told = _told(slot, world)
            right = LEFT - 14 - round(draw.textlength(told, small))
            draw.text((right, y + 2), told, FAINT, small)
            text = _fit(draw, _describe(slot), right - MARGIN - 8, plain)
            visible = slot.shown and slot.chance > 0
            draw.text((MARGIN + 2, y), text, INK if visible else FAINT, plain)
            y += ROW
        y += ROW
    y = MARGIN + 2 * ROW
    for name in states[-1]:
        history = [state[name] for state in states]
        topics = world.catalogue.topics if len(history[0]) == len(world.catalogue.topics) else ()
        last = history[-1]
        label = f"{name}: {_value(world, name, float(last[0]))}" if len(last) == 1 else name
        y = _strip(draw, label, history, topics, y)
    picture: NDArray[np.uint8] = np.asarray(image, dtype=np.uint8).copy()
    return picture


def _strip(
    draw: ImageDraw.ImageDraw,
    label: str,
    history: list[NDArray[np.float32]],
    rows: tuple[str, ...],
    y: int,
) -> int:
    """One part of the state over time: a line if it is a number, a heat map if a vector."""
    font, small = ImageFont.load_default(13), ImageFont.load_default(9)
    values_TD = np.stack(history)
    low, high = float(values_TD.min()), float(values_TD.max())
    draw.text((LEFT, y), f"{label}   [{low:.3g}, {high:.3g}]", FAINT, font)
    y += ROW
    tall, wide = _strip_rows(history[0]) * ROW, WIDTH - MARGIN - LEFT
    T, D = values_TD.shape
    span, largest = (high - low) or 1.0, float(np.abs(values_TD).max()) or 1.0
    if D == 1:
        points = [
            (
                LEFT + wide * t / max(T - 1, 1),
                y + tall - 3 - (tall - 6) * (float(values_TD[t, 0]) - low) / span,
            )
            for t in range(T)
        ]
        draw.line(points if T > 1 else points * 2, BAR, 2)
    else:
        for t in range(T):
            for d in range(D):
                value = float(values_TD[t, d])
                strong = BAR if value >= 0 else NEGATIVE
                shade = tuple(
                    round(p + (b - p) * abs(value) / largest)
                    for p, b in zip(PAPER, strong, strict=True)
                )
                left, top = LEFT + wide * t // T, y + tall * d // D
                right, bottom = LEFT + wide * (t + 1) // T - 1, y + tall * (d + 1) // D
                draw.rectangle((left, top, right, bottom), shade)
    for d, row in enumerate(rows):
        draw.text((LEFT + 3, y + tall * d // D), row, INK, small)
    draw.rectangle((LEFT, y, LEFT + wide, y + tall), outline=(210, 213, 217))
    return y + tall + ROW // 2


def _strip_rows(values: NDArray[np.float32]) -> int:
    return 2 if len(values) == 1 else max(2, -(-len(values) // 2))


def _describe(slot: Slot) -> str:
    """What it is, and how likely a click was."""
    if not slot.shown:
        return f"  (empty)  {slot.name}"
    mark = "*" if slot.feedback[0] > 0 else " "
    seen = f"{slot.chance:.2f}" if slot.chance > 0 else "not seen"
    return f"{mark} {slot.name} · {slot.topic} · {seen}"


def _told(slot: Slot, world: World) -> str:
    """What came of a click, signal by signal; nothing without one."""
    if slot.feedback[0] <= 0:
        return ""
    told = zip(world.users.signals[1:], slot.feedback[1:], strict=True)
    return " ".join(["click", *(f"{signal.name} {value:.3g}" for signal, value in told)])


def _fit(draw: ImageDraw.ImageDraw, text: str, width: int, font: Any) -> str:
    """The beginning of a text, as much as fits."""
    while draw.textlength(text, font) > width:
        text = text[:-2] + "…"
    return text


def _value(world: World, name: str, value: float) -> str:
    """A number of the state or the context, by its name where it has one."""
    words = world.context.names.get(name.removeprefix(CONTEXT))
    return words[int(value)] if words and name.startswith(CONTEXT) else f"{value:.4g}"


def _sparks(values: NDArray[np.float32]) -> str:
    """A bar per number, from the least to the greatest."""
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) / (high - low if high > low else 1.0)
    bars = "".join("▁▂▃▄▅▆▇█"[round(float(x) * 7)] for x in scaled)
    return f"{bars} [{low:.3g}, {high:.3g}]"


def _context(world: World, session: Session) -> str:
    """The shown fields of the context, in words."""
    words = []
    for name in world.context.shown:
        value = float(field(world.context, session.context, name)[0])
        names = world.context.names.get(name)
        if name == "hour":
            words.append(f"{int(value):02d}:{int(value % 1 * 60):02d}")
        else:
            words.append(names[int(value)] if names else f"{name} {value:.3g}")
    return " ".join(words)


def state_of(world: World, session: Session) -> dict[str, NDArray[np.float32]]:
    """The small parts of the user's state, and the context that is shown, by name."""
    context = {
        f"{CONTEXT}{name}": field(world.context, session.context, name).float().cpu().numpy().copy()
        for name in world.context.shown
    }
    return context | {
        name: x[0].reshape(-1).float().cpu().numpy().copy()
        for name, x in _leaves(session.user, "")
        if 0 < x[0].numel() <= LARGEST_LEAF and x.dtype is not torch.bool
    }


def _leaves(part: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    """Every tensor in a state, named by its path."""
    if isinstance(part, Tensor):
        yield name or "state", part
    elif isinstance(part, tuple):
        for number, inner in enumerate(part):
            yield from _leaves(inner, f"{name}.{number}")
    elif is_dataclass(part) and not isinstance(part, type):
        for field in fields(part):
            if not field.metadata.get("drawn", True):
                continue
            yield from _leaves(getattr(part, field.name), f"{name}.{field.name}".lstrip("."))
