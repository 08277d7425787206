"""What fits into memory, said before it is taken rather than by a MemoryError."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from slategym.envs import engine, seating
from slategym.envs.names import UsageError
from slategym.envs.observation import show
from slategym.envs.trees import map_tensors
from slategym.envs.types import World

HELD = 4  # a step holds sessions and observations before and after, and what it computes of them
GIB = 2**30


def check_users(world: World, number: int, setting: str = "num_envs") -> None:
    """Refuse a number of users that cannot be, or that does not fit into memory.

    Args:
        world: whose users.
        number: B.
        setting: what the number is called.

    Raises:
        UsageError: with the number that would fit.
    """
    if type(number) is not int or number < 1:
        raise UsageError(f"{setting} must be positive, a whole number; got {number!r}")
    check_fits(setting, number, HELD * bytes_per_user(world), world.device, f"of {world.name}")


def check_fits(
    setting: str, number: int, each: int, device: torch.device | str, of: str = ""
) -> None:
    """Refuse a number of things that do not fit into memory.

    Args:
        setting: what the number is called.
        number: of things.
        each: bytes of one.
        device: where they are to be.
        of: whose they are, for the message.

    Raises:
        UsageError: with the number that would fit.
    """
    free = free_bytes(torch.device(device))
    if free is not None and number * each > free:
        raise UsageError(
            f"{setting}={number:,}{' ' + of if of else ''} takes some {number * each / GIB:,.1f} "
            f"GiB, {each:,} bytes each, and {free / GIB:,.1f} GiB are free: at most "
            f"{setting}={free // each:,} fits"
        )


def bytes_per_user(world: World) -> int:
    """Of one user's session and observation."""
    session = seating.by_seed(world, 0)
    shown = show(world, engine.observe(world, session))
    held = [0]

    def count(x: Tensor) -> Tensor:
        held[0] += x.numel() * x.element_size()
        return x

    map_tensors(count, session)
    map_tensors(count, tuple(shown.values()))
    return held[0]


def free_bytes(device: torch.device) -> int | None:
    """Memory that may still be taken there; None: nothing says how much."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type != "cpu":
        return None
    found = [_available(), _allowed()]
    return min((number for number in found if number is not None), default=None)


def _available() -> int | None:
    """What the machine has left."""
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return 1024 * int(next(x for x in lines if x.startswith("MemAvailable:")).split()[1])
    with suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def _allowed() -> int | None:
    """What a container leaves to its processes, by cgroups of either version."""
    root = Path("/sys/fs/cgroup")
    for limit, used in (
        (root / "memory.max", root / "memory.current"),
        (root / "memory/memory.limit_in_bytes", root / "memory/memory.usage_in_bytes"),
    ):
        with suppress(OSError, ValueError):
            return max(0, int(limit.read_text()) - int(used.read_text()))
    return None
