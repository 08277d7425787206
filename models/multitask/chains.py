"""What one stage of a funnel tells the next: click, then what only some of the clicks lead to.

The stages are the log's binary signals in the log's order, the click first.

    none   every head is learned from the rows that observe it
    esmm   a stage is learned together with the click, over everything that was or was not clicked
    aitm   a stage's query takes over what the stage before it found, by attention; and no stage may
           be likelier than the one before

Axis letters beyond the legend of `envs/types.py`: x any leading axes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CHAINS = {
    "none": "heads are learned each from the rows that observe it",
    "esmm": "binary heads are learned with the click, over all rows",
    "aitm": "binary heads take over what the one before found",
}
CALIBRATOR = 0.6  # weight of aitm's constraint
LEAST = 1e-6  # of 1 - p


class Transfer(nn.Module):
    """Adaptive information transfer from each stage to the next.

    Args:
        width: D.
        stages: indices of the heads that are stages, in order.

    Source: Xi et al. 2021 (AITM), arXiv:2105.08489, equations 3 to 6.
    """

    def __init__(self, width: int, stages: Sequence[int]) -> None:
        super().__init__()
        self.width, self.stages = width, tuple(stages)
        self.tell = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.GELU()) for _ in self.stages[1:]
        )
        self.looks = nn.ModuleList(nn.Linear(width, 3 * width) for _ in self.stages[1:])

    def forward(self, index: int, own: Callable[[int], Tensor]) -> Tensor:
        """The query of one head, (x, D), with what the stages before it found.

        Args:
            index: of the head; a head that is no stage keeps its own.
            own: query of a head by its index.
        """
        if index not in self.stages:
            return own(index)
        found_xD = own(self.stages[0])
        for stage in range(1, self.stages.index(index) + 1):
            told_xD = self.tell[stage - 1](found_xD)
            both_x2D = torch.stack([told_xD, own(self.stages[stage])], dim=-2)
            value_x2D, key_x2D, query_x2D = self.looks[stage - 1](both_x2D).chunk(3, dim=-1)
            share_x2 = ((key_x2D * query_x2D).sum(-1) / math.sqrt(self.width)).softmax(-1)
            found_xD = (share_x2[..., None] * value_x2D).sum(-2)
        return found_xD


def joint_loss(click_x: Tensor, given_x: Tensor, label_x: Tensor) -> Tensor:
    """Cross-entropy of "clicked, and then this too", (x,), nats.

    Args:
        click_x: log-odds of a click.
        given_x: log-odds of the signal given a click.
        label_x: 1 where both happened, else 0.

    Source: Ma et al. 2018 (ESMM), arXiv:1804.07931, equation 3.
    """
    log_both_x = F.logsigmoid(click_x) + F.logsigmoid(given_x)
    log_not_x = torch.log((-torch.expm1(log_both_x)).clamp(min=LEAST))
    return -(label_x * log_both_x + (1 - label_x) * log_not_x)


def overtaking(before_x: Tensor, after_x: Tensor) -> Tensor:
    """By how much a stage is likelier than the one before it, given a click, (x,).

    Source: Xi et al. 2021 (AITM), equation 8.
    """
    return (after_x.sigmoid() - before_x.sigmoid()).clamp(min=0)
