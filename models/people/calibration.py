"""From scores and predictions to outputs that mean what they say: one linear map a task."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slategym.models.optimizers import LBFGS
from slategym.models.tasks import Task

Floats = NDArray[np.float64]

PRIOR = 5.0  # pseudo-rows that pull standardised weights to where they start
FEWEST = 20  # rows below which nothing is fitted


@dataclass(frozen=True)
class Mix:
    """An output as a weighted sum of F inputs."""

    weight_F: Tensor  # float32
    shift: float

    def __call__(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """The output, of the inputs' shape; inputs whose weight is 0 are not read."""
        total = torch.full_like(inputs[0], self.shift)
        for weight, input_x in zip(self.weight_F.tolist(), inputs, strict=True):
            if weight:
                total = torch.add(total, input_x, alpha=weight)
        return total


def fit_mix(
    task: Task, input_xF: Floats, value_x: Floats, start: Mix, *, rising: bool = False
) -> Mix:
    """The map of least loss on held-out rows: Platt scaling where the task is binary.

    Args:
        task: whose loss it is.
        input_xF: of each row, finite.
        value_x: observed values.
        start: what weights are pulled to; kept as it is where there are too few rows, or where
            they have one value only.
        rising: whether an input that would count against the output is left out.
    """
    if len(value_x) < FEWEST or np.ptp(value_x) == 0:
        return start
    centre_F, spread_F = input_xF.mean(0), input_xF.std(0)
    told_F = spread_F > 1e-9
    spread_F = np.where(told_F, spread_F, 1.0)
    X = torch.as_tensor((input_xF - centre_F) / spread_F * told_F)
    y = torch.as_tensor(value_x)
    first_F = start.weight_F.double() * torch.as_tensor(spread_F * told_F)
    shift = start.shift + float(start.weight_F.double() @ torch.as_tensor(centre_F))
    free = torch.cat([first_F, first_F.new_tensor([shift])]).requires_grad_(True)
    optimizer = LBFGS([free], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        pull = (free[:-1] - first_F).square().sum() * (PRIOR / len(y))
        total = task.loss(X @ free[:-1] + free[-1], y).mean() + pull
        torch.autograd.backward(total)
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    if rising and bool((free[:-1] < 0).any()):
        kept_F = (free.detach()[:-1] >= 0).numpy()
        none = Mix(torch.where(torch.as_tensor(kept_F), start.weight_F, 0.0), start.shift)
        return fit_mix(task, np.where(kept_F, input_xF, 0.0), value_x, none)
    weight_F = free.detach()[:-1].numpy() / spread_F * told_F
    shift = float(free.detach()[-1] - weight_F @ centre_F)
    return Mix(torch.as_tensor(weight_F, dtype=torch.float32), shift)


def plain(num: int, which: int | None = None, shift: float = 0.0) -> Mix:
    """One of the inputs as it is, or none of them."""
    weight_F = torch.zeros(num)
    if which is not None:
        weight_F[which] = 1.0
    return Mix(weight_F, shift)
