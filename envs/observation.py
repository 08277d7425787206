"""Observations as every face shows them: a dictionary of tensors, and the space they lie in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from slategym.envs.context import field
from slategym.envs.types import (
    LONG_AGO,
    Column,
    Context,
    History,
    Items,
    Observation,
    PastSlates,
    World,
)

CONTEXT_HIGH = {  # in the units of Context; names are counted in a byte
    "hour": 24.0,
    "weekday": 6.0,
    "device": 255.0,
    "place": 255.0,
    "weather": 255.0,
    "gap": 10_000.0,
}
COLUMN = "context_"  # before the name of a log's column, among the keys of an observation
STATE_LIMIT = 1e6  # no embedding comes near; Gymnasium asks for finite bounds


def show(world: World, seen: Observation) -> dict[str, Tensor]:
    """The parts of an observation that this world has, by name; see `observation_space`."""
    return with_vectors(world, show_ids(world, seen))


def with_vectors(world: World, shown: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `show_ids` gave, candidates' vectors beside their ids in memory of their own."""
    every: dict[str, Tensor] = {}
    for name, x in shown.items():
        every[name] = x
        if name == "candidate_item":
            every["candidate_embedding"] = Items(x, world.catalogue).embedding
    return every


def show_ids(world: World, seen: Observation) -> dict[str, Tensor]:
    """What `show` gives, without the vectors of candidates, which follow from their ids."""
    shown: dict[str, Tensor] = {"step": seen.step[:, None]}
    if world.history_size:
        shown["history_item"] = seen.history.id
        shown["history_feedback"] = seen.history.feedback
        shown["history_age"] = seen.history.age
    if seen.past is not None:
        shown["shown_item"] = seen.past.id
        shown["shown_taken"] = seen.past.taken.to(torch.int8)
    if built_in := _built_in(world):
        fields = [getattr(seen.context, name).float() for name in built_in]
        shown["context"] = torch.stack(fields, 1)
    for column in world.context.columns:
        x_B = field(world.context, seen.context, column.name)
        shown[COLUMN + column.name] = (x_B.int() if column.categories else x_B.clone())[:, None]
    if seen.profile is not None:
        shown["profile"] = seen.profile
    if seen.candidates is not None:
        shown["candidate_item"] = seen.candidates
    if seen.allowed is not None:
        shown["action_mask"] = seen.allowed.to(torch.int8)
    if seen.state is not None:
        shown["state"] = seen.state
    if seen.revealed is not None:
        shown["user"] = seen.revealed
    return shown


def read(world: World, shown: Mapping[str, Any]) -> Observation:
    """An observation from what `show` made of it, as arrays or tensors; the inverse of `show`.

    Args:
        world: that it came from.
        shown: batched, every entry (B, ...). What the world does not show is zero.

    Raises:
        ValueError: an entry is missing.
    """

    def entry(name: str, dtype: torch.dtype) -> Tensor:
        if name not in shown:
            raise ValueError(
                f"observations of {world.name} have an entry {name!r}; got {', '.join(shown)}"
            )
        return torch.as_tensor(shown[name], device=world.device).to(dtype)

    def optional(name: str, dtype: torch.dtype) -> Tensor | None:
        return entry(name, dtype) if name in shown else None

    step_B = entry("step", torch.int32)[:, 0]
    B, H, M = step_B.shape[0], world.history_size, world.num_signals
    if H:
        history = History(
            entry("history_item", torch.int32),
            entry("history_feedback", torch.float32),
            entry("history_age", torch.int32),
        )
    else:
        none_BH = torch.full((B, 0), -1, dtype=torch.int32, device=world.device)
        history = History(none_BH, torch.zeros(B, 0, M, device=world.device), none_BH)
    past = None
    if world.shown_size:
        taken_BPK = entry("shown_taken", torch.int8) > 0
        past = PastSlates(entry("shown_item", torch.int32), taken_BPK)
    zero_B, fields = torch.zeros(B, device=world.device), {}
    if built_in := _built_in(world):
        fields = dict(zip(built_in, entry("context", torch.float32).unbind(1), strict=True))
    columns = world.context.columns
    extra = [_logged(c, entry(COLUMN + c.name, torch.float32)[:, 0]) for c in columns]
    context = {name: fields.get(name, zero_B) for name in CONTEXT_HIGH}
    mask_BC = optional("action_mask", torch.int8)
    return Observation(
        profile=optional("profile", torch.int32),
        history=history,
        context=Context(
            hour=context["hour"],
            weekday=context["weekday"].int(),
            device=context["device"].int(),
            place=context["place"].int(),
            weather=context["weather"].int(),
            gap=context["gap"],
            extra=torch.stack(extra, 1) if extra else None,
        ),
        candidates=optional("candidate_item", torch.int32),
        allowed=None if mask_BC is None else mask_BC > 0,
        state=optional("state", torch.float32),
        revealed=optional("user", torch.float32),
        step=step_B,
        past=past,
    )


def check_finite(shown: Mapping[str, Any]) -> None:
    """Refuse observations that are not numbers: what is made of them means nothing.

    Args:
        shown: batched, every entry (B, ...), arrays or tensors.

    Raises:
        ValueError: naming the entry and the first user.
    """
    for name, values in shown.items():
        x = torch.as_tensor(values)
        if x.is_floating_point() and not bool((fine := x.isfinite()).all()):
            user = int((~fine.reshape(len(fine), -1).all(1)).int().argmax())
            raise ValueError(
                f"observation {name!r} must be finite, got {float(x[~fine][0])} for user {user}"
            )


def observation_space(world: World, first: Observation) -> spaces.Dict:
    """The space of one user's observation.

    Args:
        world: decides which of the keys there are.
        first: any observation of it, for the shapes.

    Returns:
        step (1,) slates seen; history_item (H,), history_feedback (H, M), history_age (H,): the
        last clicked items, newest last, -1 where there is none; shown_item (P, K), shown_taken (P,
        K): the last slates of this session, newest last, and what was taken of them, -1 and 0 where
        there was none; context (X,): the fields that the world's context names, in that order;
        context_NAME (1,) for every further column of a log: a
        category, the last of which is "unknown", or a number; profile (F,); candidate_item (C,) and
        candidate_embedding (C, D) where the candidates change; action_mask (C,): 1 where a
        position may be shown; state (D,): the observer's embedding; user (R,) in [-1, 1]: what the
        user model reveals.
    """
    H, N, C = world.history_size, world.catalogue.num_items, world.num_candidates
    parts: dict[str, spaces.Space[Any]] = {"step": _box(0, 2**31 - 1, (1,), np.int32)}
    if H:
        parts["history_item"] = _box(-1, N - 1, (H,), np.int32)
        parts["history_feedback"] = _feedback(world, H)
        parts["history_age"] = _box(0, LONG_AGO, (H,), np.int32)
    if P := world.shown_size:
        parts["shown_item"] = _box(-1, N - 1, (P, world.slate_size), np.int32)
        parts["shown_taken"] = _box(0, 1, (P, world.slate_size), np.int8)
    if built_in := _built_in(world):
        high_X = np.array([CONTEXT_HIGH[x] for x in built_in], np.float32)
        parts["context"] = spaces.Box(np.zeros_like(high_X), high_X)
    parts |= {COLUMN + column.name: _column(column) for column in world.context.columns}
    if first.profile is not None:
        sizes_F = np.array(world.population.profile_sizes)
        parts["profile"] = spaces.MultiDiscrete(sizes_F, dtype=np.int32)  # type: ignore[arg-type]
    if first.candidates is not None:
        D = world.catalogue.embedding.shape[1]
        low, high = (float(x) for x in world.catalogue.embedding.aminmax())
        parts["candidate_item"] = _box(0, N - 1, (C,), np.int32)
        parts["candidate_embedding"] = _box(low, high, (C, D), np.float32)
    if first.allowed is not None:
        parts["action_mask"] = _box(0, 1, (C,), np.int8)
    if first.state is not None:
        parts["state"] = _box(-STATE_LIMIT, STATE_LIMIT, tuple(first.state.shape[1:]), np.float32)
    if first.revealed is not None:
        parts["user"] = _box(-1, 1, tuple(first.revealed.shape[1:]), np.float32)
    return spaces.Dict(parts)


def action_space(world: World) -> spaces.MultiDiscrete:
    """A position in [0, C) for each of K slots, best first; a repeat is an empty slot."""
    sizes_K = np.full(world.slate_size, world.num_candidates)
    return spaces.MultiDiscrete(sizes_K, dtype=np.int32)  # type: ignore[arg-type]


def _built_in(world: World) -> tuple[str, ...]:
    """Shown fields of the context that are no columns of a log."""
    columns = {column.name for column in world.context.columns}
    return tuple(name for name in world.context.shown if name not in columns)


def _logged(column: Column, shown_B: Tensor) -> Tensor:
    """A column's values as the log counts them: -1 where the category is unknown."""
    if not column.categories:
        return shown_B
    return torch.where(shown_B >= len(column.categories), -1.0, shown_B)


def _column(column: Column) -> spaces.Space[Any]:
    if column.categories:
        return spaces.MultiDiscrete([len(column.categories) + 1], dtype=np.int32)  # type: ignore[arg-type]
    return _box(column.low, column.high, (1,), np.float32)


def _box(low: float, high: float, shape: tuple[int, ...], dtype: type) -> spaces.Box:
    return spaces.Box(low, high, shape, dtype)


def _feedback(world: World, H: int) -> spaces.Box:
    """H rows of signals; what was not clicked is zero, so zero is always inside."""
    low_M = np.array([min(signal.low, 0.0) for signal in world.users.signals], np.float32)
    high_M = np.array([max(signal.high, 0.0) for signal in world.users.signals], np.float32)
    return spaces.Box(np.tile(low_M, (H, 1)), np.tile(high_M, (H, 1)), dtype=np.float32)
