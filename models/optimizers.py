"""Torch's optimizers, without the import of its compiler, which takes seconds of every process.

`torch.optim` imports `torch._dynamo` when an optimizer is made and at its first step, to say that
neither is to be compiled. Nobody here compiles one, so that nothing needs to be said.
"""

from __future__ import annotations

import inspect
from typing import final

import torch
from torch.optim import LBFGS as LBFGS
from torch.optim import Optimizer

for _method in (
    *(Optimizer.add_param_group, Optimizer.zero_grad),
    *(Optimizer.state_dict, Optimizer.load_state_dict),
):
    _plain = inspect.unwrap(_method)  # where torch looks for what its compiler made of it
    if not hasattr(_plain, "__dynamo_disable"):
        setattr(_plain, "__dynamo_disable", _plain)


@final
class Adam(torch.optim.Adam):
    """Torch's own, step for step."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))


@final
class AdamW(torch.optim.AdamW):
    """Torch's own, step for step."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))
