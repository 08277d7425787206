"""Adam for networks side by side, any of which may pause while the others go on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

MEAN, SQUARE = 0.9, 0.999  # what the two moments keep from update to update


class SeedAdam:
    """Adam with a count of updates of its own for every member of an ensemble.

    `torch.optim.Adam` counts once for all, so a member that paused (PPO's epochs end early where a
    policy has moved far enough) would differ from the same member trained alone.

    Args:
        parameters: (S, ...) each.
        eps: added to the root of the second moment.

    Source: Kingma and Ba 2015, arXiv:1412.6980, algorithm 1.
    """

    def __init__(self, parameters: Sequence[Tensor], eps: float = 1e-5) -> None:
        self.parameters, self.eps = list(parameters), eps
        self.mean = [torch.zeros_like(x) for x in self.parameters]
        self.square = [torch.zeros_like(x) for x in self.parameters]
        first = self.parameters[0]
        self.updates_S = torch.zeros(first.shape[0], device=first.device)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for x in self.parameters:
            x.grad = None

    @torch.no_grad()
    def step(self, rate: float, going_S: Tensor | None = None) -> None:
        """Update every member, or those that are still going.

        Args:
            rate: of learning.
            going_S: bool; None: all.
        """
        if going_S is None:
            return self._step(rate)
        live = [*self.parameters, *self.mean, *self.square, self.updates_S]
        before = [x.clone() for x in live]
        self._step(rate)
        for now, then in zip(live, before, strict=True):
            now.copy_(torch.where(_fit(going_S, now), now, then))

    def _step(self, rate: float) -> None:
        grads = [x.grad for x in self.parameters if x.grad is not None]
        assert len(grads) == len(self.parameters), "every parameter takes part in the loss"
        self.updates_S += 1.0
        torch._foreach_lerp_(self.mean, grads, 1.0 - MEAN)
        torch._foreach_mul_(self.square, SQUARE)
        torch._foreach_addcmul_(self.square, grads, grads, 1.0 - SQUARE)
        unbias_S = (1.0 - SQUARE**self.updates_S).sqrt()
        rate_S = rate * unbias_S / (1.0 - MEAN**self.updates_S)
        root = torch._foreach_sqrt(self.square)
        torch._foreach_add_(root, [_fit(self.eps * unbias_S, x) for x in root])
        moves = torch._foreach_div(self.mean, root)
        torch._foreach_mul_(moves, [_fit(rate_S, x) for x in moves])
        torch._foreach_sub_(self.parameters, moves)

    def state(self) -> Any:
        """A tree of live tensors."""
        return {"mean": tuple(self.mean), "square": tuple(self.square), "updates": self.updates_S}

    @torch.no_grad()
    def load(self, saved: Any) -> None:
        """Take over what `state` gave, in place."""
        for name, mine in (("mean", self.mean), ("square", self.square)):
            for x, y in zip(mine, saved[name], strict=True):
                x.copy_(y)
        self.updates_S.copy_(saved["updates"])


def _fit(x_S: Tensor, like: Tensor) -> Tensor:
    """A number per member, shaped to meet (S, ...)."""
    return x_S.view(-1, *[1] * (like.dim() - 1))
