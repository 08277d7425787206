"""torch.compile for one world and batch size at a time; and when numpy works for torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

F = TypeVar("F", bound=Callable[..., Any])
# that indices are in range is looked at before a step (`envs/slates.py`), not once more in it
OPTIONS: dict[str, Any] = {"size_asserts": False, "assert_indirect_indexing": False}
# of a function that runs seldom: what is used twice is worked out once; folded into each of its
# uses, which is faster to run, a hash of a hash of a hash takes the compiler minutes
SELDOM: dict[str, Any] = {**OPTIONS, "realize_opcount_threshold": 8}
FEW = 2**17  # numbers; with more, torch's threads are worth what they cost


def plain(x: Tensor) -> bool:
    """Whether numpy may work on these numbers: few, on a CPU, neither compiled nor recorded.

    An operation of numpy costs a third of one of torch's on a few numbers, and integers are
    compared four times as fast.
    """
    return (
        not torch.compiler.is_compiling()
        and x.device.type == "cpu"
        and x.numel() <= FEW
        and not torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
    )


def compiled(function: F, options: Mapping[str, Any] = OPTIONS) -> F:
    """The same function as one compiled graph, for arguments of one form.

    The first call takes 10 to 30 s; the world's tensors are constants. Afterwards arguments are
    not looked at: their shapes, types, strides and devices must be those of the first call. That
    is what sessions promise, and what makes a step of a single user fast. A function that cannot
    be compiled as one graph is refused. A forked process compiles anew: the graph may name threads
    that were not forked along.

    Args:
        function: of tensors.
        options: of the compiler, `OPTIONS` or `SELDOM`.
    """
    found: dict[int, Callable[..., Any]] = {}  # by process

    def run(*arguments: Any) -> Any:
        process = os.getpid()
        if process not in found:
            found[process] = _ahead_of_time(function, arguments, options)
        return found[process](*arguments)

    return run  # type: ignore[return-value]


def _ahead_of_time(
    function: Callable[..., Any], arguments: tuple[Any, ...], options: Mapping[str, Any]
) -> Callable[..., Any]:
    lazy: Any = torch.compile(function, fullgraph=True, dynamic=False, options=dict(options))
    try:
        ready: Any = lazy.aot_compile((arguments, {}))
        ready.disable_guard_check()
    except (AttributeError, RuntimeError):
        # an older torch, or its caches are switched off: the same results, with some 40 us more per
        # call; and what cannot be compiled says so again there
        return lazy  # type: ignore[no-any-return]
    return ready  # type: ignore[no-any-return]
