"""The generators that stable-baselines3 draws from, lent to one training and put back.

Everything of ours draws from luck (`envs/luck.py`). stable-baselines3 draws from generators of the
whole process: torch's for actions, numpy's for minibatches. Each training here has states of its
own; they are in charge only while it works, and are saved and restored with it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

WORD = 32  # bits; a piece of a wide integer, exact in int64


@dataclass(frozen=True)
class Generators:
    """Where the generators of a process stand."""

    torch: Tensor  # uint8
    cuda: Tensor | None  # uint8; None: on the CPU
    numpy: Tensor  # (627,) float64: MT19937's 624 words, position, whether a normal is kept, which


class ScopedGenerators:
    """One training's own generators.

    Args:
        device: where it draws; of CUDA, that device's generator is lent as well.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.mine = _now(device)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Within, the process's generators are this training's; after it, the process's again."""
        outside, python = _now(self.device), random.getstate()
        _set(self.mine, self.device)
        try:
            yield
        finally:
            self.mine = _now(self.device)
            _set(outside, self.device)
            random.setstate(python)


def space_state(space: spaces.Space[Any]) -> Tensor:
    """Where a space's own generator, a PCG64, stands, (10,) int64."""
    found: Any = space.np_random.bit_generator.state
    state, increment = (_words(found["state"][name]) for name in ("state", "inc"))
    return torch.tensor([*state, *increment, found["has_uint32"], found["uinteger"]])


def set_space_state(space: spaces.Space[Any], saved: Tensor) -> None:
    """Take over what `space_state` gave."""
    *words, kept, which = saved.tolist()
    space.np_random.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": _number(words[:4]), "inc": _number(words[4:])},
        "has_uint32": kept,
        "uinteger": which,
    }


def _now(device: torch.device) -> Generators:
    name, words, position, kept, normal = np.random.get_state()  # noqa: NPY002
    assert name == "MT19937"
    return Generators(
        torch=torch.get_rng_state(),
        cuda=torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        numpy=torch.from_numpy(np.concatenate([words, [position, kept, normal]])),
    )


def _set(at: Generators, device: torch.device) -> None:
    torch.set_rng_state(at.torch.cpu())
    if at.cuda is not None:
        torch.cuda.set_rng_state(at.cuda.cpu(), device)
    words = at.numpy[:-3].numpy().astype(np.uint32)
    position, kept, normal = at.numpy[-3:].tolist()
    np.random.set_state(("MT19937", words, int(position), int(kept), normal))  # noqa: NPY002


def _words(number: int) -> list[int]:
    """128 bits as four words, the lowest first."""
    return [number >> WORD * place & 2**WORD - 1 for place in range(4)]


def _number(words: list[int]) -> int:
    return sum(word << WORD * place for place, word in enumerate(words))
