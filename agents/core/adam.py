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
        parameters: (S, ...) each, contiguous.
        eps: added to the root of the second moment.

    Source: Kingma and Ba 2015, arXiv:1412.6980, algorithm 1.
    """

    def __init__(self, parameters: Sequence[Tensor], eps: float = 1e-5) -> None:
        self.parameters, self.eps = list(parameters), eps
        assert all(x.is_contiguous() for x in self.parameters), "the fused kernel asks for it"
        self.mean = [torch.zeros_like(x) for x in self.parameters]
        self.square = [torch.zeros_like(x) for x in self.parameters]
        first = self.parameters[0]
        self.updates_S = torch.zeros(first.shape[0], device=first.device)
        self.ever_paused = False  # so that counts may differ

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for x in self.parameters:
            x.grad = None

    @torch.no_grad()
    def step(self, rate: float, going: Sequence[bool] | None = None) -> None:
        """Update every member, or those that are still going.

        Args:
            rate: of learning.
            going: by member; None: all.
        """
        grads = [x.grad.contiguous() for x in self.parameters if x.grad is not None]
        assert len(grads) == len(self.parameters), "every parameter takes part in the loss"
        going = [True] * len(self.updates_S) if going is None else going
        self.ever_paused |= not all(going)
        state = (self.parameters, grads, self.mean, self.square)
        if not self.ever_paused:
            self.updates_S += 1.0
            return self._move(state, self.updates_S[0], rate)
        for s in (s for s, goes in enumerate(going) if goes):
            self.updates_S[s] += 1.0
            self._move([[x[s] for x in xs] for xs in state], self.updates_S[s], rate)

    def _move(self, state: Sequence[list[Tensor]], updates: Tensor, rate: float) -> None:
        """One update, the `updates`-th, of parameters by gradients, means and squares."""
        parameters, grads, mean, square = state
        torch._fused_adam_(
            parameters,
            grads,
            mean,
            square,
            [],
            [updates] * len(parameters),
            lr=rate,
            beta1=MEAN,
            beta2=SQUARE,
            weight_decay=0.0,
            eps=self.eps,
            amsgrad=False,
            maximize=False,
        )

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
        self.ever_paused = bool((self.updates_S != self.updates_S[0]).any())
