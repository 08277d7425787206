"""torch.compile for one world and batch size at a time."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar

import torch

OPTIONS: dict[str, Any] = {  # each world and batch size has a function of its own, so that its
    # arguments never change in form: no need to look at them anew at every step
    "guard_filter_fn": lambda guards: [False for _ in guards],
    "size_asserts": False,
}
F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """The same function through torch.compile, in one graph, for fixed shapes.

    The first call takes 10 to 30 s per world and batch size; the world's tensors are constants.
    A recompilation would be as slow, so a graph that cannot be kept whole is refused.
    """
    # Dynamo caches by code object, at most 8 entries each: without a copy of the code, all worlds
    # and batch sizes would share one cache, slow down one another and soon exceed it
    assert isinstance(function, FunctionType)
    own = FunctionType(
        function.__code__.replace(),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    return torch.compile(  # type: ignore[return-value]
        own, fullgraph=True, dynamic=False, options=OPTIONS
    )
