"""Who sits down at a reset: seeds, users and masks as callers give them, checked.

Vector environments seat the population in its own order, whatever the seed. A single environment
is asked for one session at a time, by loops and vectorisers that hand out neighbouring seeds; so
there the seed chooses the person as well:

    seed s begins with user s mod U, and goes on by strides of about U / golden ratio.

Seeds 0 to U - 1 begin with U different people; one seed comes to everybody before it comes to
anybody again; and copies with neighbouring seeds keep meeting different people.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor

from slategym.envs import engine
from slategym.envs.names import UsageError, lookup, shown
from slategym.envs.types import Session, World

MASK, USER = "reset_mask", "user"  # options of a reset
GOLDEN = (5**0.5 - 1) / 2
WORD = 2**32


def check_options(options: Mapping[str, Any] | None, known: Sequence[str]) -> dict[str, Any]:
    """The options of a reset; those that are None are left out.

    Raises:
        UsageError: one is unknown; the nearest is offered.
    """
    for name in options or {}:
        lookup("option of reset", str(name), dict.fromkeys(known))
    return {name: x for name, x in (options or {}).items() if x is not None}


def check_seed(seed: Any) -> int:
    """The seed as Python's own int, of any size.

    Raises:
        UsageError: it is no whole number, or less than 0.
    """
    try:
        whole = -1 if isinstance(seed, bool | np.bool_) else operator.index(seed)
    except TypeError:
        whole = -1
    if whole < 0:
        raise UsageError(f"a seed is a whole number, 0 or more; got {seed!r}")
    return whole


def seed_word(seed: Any) -> int:
    """The int32 that stands for a seed.

    Below 2^32 all differ, and below 2^31 it is the seed itself; two greater ones coincide with
    probability 2^-32, as any two streams of luck do.

    Raises:
        UsageError: see `check_seed`.

    >>> seed_word(5), seed_word(5 + 2**31), seed_word(2**63) == seed_word(2**63 + 1)
    (5, -2147483643, False)
    """
    whole = check_seed(seed)
    if whole >= WORD:
        text = whole.to_bytes((whole.bit_length() + 7) // 8, "little")
        whole = int.from_bytes(blake2b(text, digest_size=4).digest(), "little")
    return whole - WORD if whole >= WORD // 2 else whole


def only_seed(seed: Any) -> int | None:
    """The seed where there is one for all; None: there is none, or one each.

    Raises:
        UsageError: see `check_seed`.
    """
    return None if seed is None or _several(seed) else check_seed(seed)


def seed_words(
    seed: Any, num_envs: int, device: torch.device, draw: Callable[[], int] = lambda: 0
) -> Tensor:
    """A seed for each user, (B,) int32.

    Args:
        seed: one for all, or a sequence, an array or a tensor of one each.
        num_envs: B.
        device: where the users are.
        draw: gives the seed where one of several is None.

    Raises:
        UsageError: they are not as many as the users, or see `check_seed`.
    """
    if not _several(seed):
        return torch.full((num_envs,), seed_word(seed), dtype=torch.int32, device=device)
    if (isinstance(seed, np.ndarray | Tensor) and seed.ndim != 1) or len(seed) != num_envs:
        got = tuple(seed.shape) if isinstance(seed, np.ndarray | Tensor) else len(seed)
        raise UsageError(f"seeds are one for all, or one for each of {num_envs} users; got {got}")
    words = [seed_word(draw() if one is None else one) for one in seed]
    return torch.tensor(words, dtype=torch.int32, device=device)


def mask_rows(mask: Any, num_envs: int, device: torch.device) -> Tensor:
    """Rows that a reset mask names, (R,) int64.

    Raises:
        UsageError: it is no array or tensor of B truth values, or names nobody.
    """
    whole = isinstance(mask, np.ndarray | Tensor) and not isinstance(mask, np.ma.MaskedArray)
    if not whole or mask.dtype not in (np.bool_, torch.bool) or mask.shape != (num_envs,):
        kind = type(mask).__name__
        shape = f" {mask.dtype} {tuple(mask.shape)}" if hasattr(mask, "dtype") else ""
        raise UsageError(
            f"{MASK} is an array or a tensor of {num_envs} bools, one for each user, without a "
            f"mask of its own; got {kind}{shape}"
        )
    row_R = torch.as_tensor(mask, device=device).nonzero()[:, 0]
    if not len(row_R):
        raise UsageError(f"{MASK} is false for all {num_envs} users; reset somebody, or nobody")
    return row_R


def users_asked(user: Any, world: World, num_envs: int) -> Tensor:
    """The users that a reset asks for, (B,) int32.

    Args:
        user: row of the population, one for all or one each.
        world: whose population it is.
        num_envs: B.

    Raises:
        UsageError: there are no such people, or not as many as the rows.
    """
    array, size = np.asarray(user), world.population.size
    if array.dtype.kind not in "iu" or array.shape not in ((), (num_envs,)):
        what = "a whole number" if num_envs == 1 else f"a whole number, or one each of {num_envs}"
        raise UsageError(f"option {USER!r} is {what}; got {user!r}")
    if bool(((array < 0) | (array >= size)).any()):
        raise UsageError(
            f"option {USER!r} must be in [0, {size}), the people of {world.name}; got {user!r}"
        )
    wide = np.broadcast_to(array, (num_envs,)).astype(np.int32)
    return torch.as_tensor(wide.copy(), device=world.device)


def in_order(world: World, seed_B: Tensor) -> Session:
    """Sessions of the first users of the population, row b with user b."""
    B, size = seed_B.shape[0], world.population.size
    row_B = torch.arange(B, dtype=torch.int32, device=world.device)
    return engine.start(world, seed_B, row_B % size, row_B // size)


def asked_for(world: World, session: Session | None, seed_B: Tensor, user_B: Tensor) -> Session:
    """Sessions of these users; luck that the sessions now going on have not had.

    Args:
        world: where they are.
        session: now going on; None: none, or their seeds are given anew.
        seed_B: int32.
        user_B: int32.
    """
    visit_B = torch.zeros_like(user_B) if session is None else session.visit + 1
    return engine.start(world, seed_B, user_B, visit_B)


def by_seed(world: World, word: int) -> Session:
    """The session of one user with which a seed begins; see the module's page."""
    word_1 = torch.full((1,), word, dtype=torch.int32, device=world.device)
    user_1 = torch.full_like(word_1, (word % WORD) % world.population.size)
    return engine.start(world, word_1, user_1, torch.zeros_like(word_1))


def after_it(world: World, session: Session, start: engine.Start) -> Session:
    """The session of the user who comes after this one, in a single environment.

    Args:
        world: where they are.
        session: of the one.
        start: `engine.start` in this world.
    """
    size, word = world.population.size, int(session.seed[0])
    user = (int(session.user_id[0]) + _stride(size)) % size
    again = user == (word % WORD) % size  # everybody has been here
    user_1 = torch.full_like(session.user_id, user)
    return start(session.seed, user_1, session.visit + int(again))


def check_open(closed: bool) -> None:
    """Refuse to go on after `close`.

    Raises:
        gymnasium.error.ClosedEnvironmentError: it is closed.
    """
    if closed:
        raise gymnasium.error.ClosedEnvironmentError(
            "this environment is closed; make another, or close it later"
        )


def check_going_on(ended_B: Tensor) -> None:
    """Refuse a step of sessions that have ended.

    Raises:
        gymnasium.error.ResetNeeded: naming the rows.
    """
    if bool(ended_B.any()):
        if len(ended_B) == 1:
            raise gymnasium.error.ResetNeeded("the session has ended; call reset() before step()")
        raise gymnasium.error.ResetNeeded(
            f"sessions have ended in rows {shown(ended_B.nonzero()[:, 0].tolist())}; call "
            'reset(options={"reset_mask": ended_B}) before step()'
        )


def _several(seed: Any) -> bool:
    if isinstance(seed, np.ndarray | Tensor):
        return seed.ndim > 0
    return isinstance(seed, Sequence) and not isinstance(seed, str | bytes)


def _stride(size: int) -> int:
    """Near size / golden ratio, and without a common divisor: it comes to everybody."""
    stride = max(1, round(size * GOLDEN))
    while math.gcd(stride, size) > 1:
        stride += 1
    return stride
