"""A step makes no tensor of Python numbers: a CUDA graph could not record the copy."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode

from slategym.envs import engine
from slategym.envs.constants import constant
from slategym.envs.registry import WORLDS, make_world

OWN = sorted(id for id, entry in WORLDS.items() if entry.builder.startswith("slategym.envs."))
MAKERS = (torch.tensor, torch.as_tensor, torch.Tensor.new_tensor)


class Refusing(TorchFunctionMode):
    """Whoever makes a tensor of numbers is told."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func not in MAKERS, f"{func} of {args}"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("id", OWN)
def test_no_step_but_the_first_makes_constants(id: str) -> None:
    world = make_world(id)
    user_B = torch.arange(3, dtype=torch.int32)
    session = engine.start(world, 0 * user_B, user_B, 0 * user_B)
    slate_BK = torch.arange(world.slate_size, dtype=torch.int32).expand(3, -1).contiguous()
    session, _ = engine.transition(world, session, slate_BK)
    engine.observe(world, session)
    with Refusing():
        session, _ = engine.transition(world, session, slate_BK)
        engine.observe(world, session)


def test_a_constant_is_of_the_kind_asked_for_and_made_once() -> None:
    like = torch.zeros(2)
    table = constant(((1.0, 2.0), (3.0, 4.0)), like)
    assert table.dtype == torch.float32 and table.shape == (2, 2)
    assert constant(((1.0, 2.0), (3.0, 4.0)), like) is table
    assert constant((1, 2), like, torch.int64).dtype == torch.int64
