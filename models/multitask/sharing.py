"""What the heads share of the query, and what each has to itself.

    shared bottom   every head takes the query as it is
    mmoe            experts for all, mixed by a gate of each head
    ple             experts for all and experts of each head, two levels of them
    cross-stitch    a layer of each head, and learned shares of all heads' layers

Axis letters beyond the legend of `envs/types.py`: x any leading axes, Y the heads, E experts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn

from slategym.envs.names import lookup

EXPERTS = 4  # of mmoe
SHARED_EXPERTS, LEVELS = 2, 2  # of ple, beside one of each head
OWN_SHARE = 0.9  # of a head's own layer where cross-stitch starts


class Sharing(Protocol):
    """Turns the query into that of one head."""

    def __call__(self, index: int, query_xD: Tensor) -> Tensor:
        """The query of one head, (x, D).

        Args:
            index: of the head.
            query_xD: of all heads.
        """
        ...


class SharedBottom(nn.Module):
    """Every head takes the query as it is."""

    def forward(self, index: int, query_xD: Tensor) -> Tensor:
        """The query."""
        return query_xD


class MixtureOfExperts(nn.Module):
    """Experts for all heads, mixed by a gate of each.

    Args:
        width: D.
        num_heads: Y.

    Source: Ma et al. 2018 (MMoE, KDD), equations 6 and 7.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.experts = nn.ModuleList(_layer(width) for _ in range(EXPERTS))
        self.gates = nn.ModuleList(nn.Linear(width, EXPERTS) for _ in range(num_heads))

    def forward(self, index: int, query_xD: Tensor) -> Tensor:
        """The gate's mix of the experts."""
        found_xED = torch.stack([expert(query_xD) for expert in self.experts], dim=-2)
        return _mix(self.gates[index](query_xD), found_xED)


class ProgressiveExtraction(nn.Module):
    """Experts for all and one of each head, level after level.

    Args:
        width: D.
        num_heads: Y.

    Source: Tang et al. 2020 (PLE, RecSys), equations 3 to 6.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            _Level(width, num_heads, last=level == LEVELS - 1) for level in range(LEVELS)
        )
        self.num_heads = num_heads

    def forward(self, index: int, query_xD: Tensor) -> Tensor:
        """What the last level's gate makes of the head's own and the shared experts."""
        own = [query_xD] * self.num_heads
        shared_xD = query_xD
        for level in self.levels[:-1]:
            own, shared_xD = level(own, shared_xD)
        last = self.levels[-1]
        assert isinstance(last, _Level)
        return last.head(index, own[index], shared_xD)


class _Level(nn.Module):
    """One level of extraction."""

    def __init__(self, width: int, num_heads: int, *, last: bool) -> None:
        super().__init__()
        self.own = nn.ModuleList(_layer(width) for _ in range(num_heads))
        self.shared = nn.ModuleList(_layer(width) for _ in range(SHARED_EXPERTS))
        seen = SHARED_EXPERTS + 1
        self.gates = nn.ModuleList(nn.Linear(width, seen) for _ in range(num_heads))
        if not last:
            self.shared_gate = nn.Linear(width, SHARED_EXPERTS + num_heads)

    def head(self, index: int, own_xD: Tensor, shared_xD: Tensor) -> Tensor:
        """One head's mix of its own expert and the shared ones."""
        found = [self.own[index](own_xD), *(expert(shared_xD) for expert in self.shared)]
        return _mix(self.gates[index](own_xD), torch.stack(found, dim=-2))

    def forward(self, own: list[Tensor], shared_xD: Tensor) -> tuple[list[Tensor], Tensor]:
        """Every head's mix, and what goes on as shared."""
        every = [expert(own_xD) for expert, own_xD in zip(self.own, own, strict=True)]
        common = [expert(shared_xD) for expert in self.shared]
        mixed = [
            _mix(gate(own_xD), torch.stack([found_xD, *common], dim=-2))
            for gate, own_xD, found_xD in zip(self.gates, own, every, strict=True)
        ]
        whole_xED = torch.stack([*every, *common], dim=-2)
        return mixed, _mix(self.shared_gate(shared_xD), whole_xED)


class CrossStitch(nn.Module):
    """A layer of each head, and learned shares of all of them.

    Args:
        width: D.
        num_heads: Y.

    Source: Misra et al. 2016, arXiv:1604.03539, equation 1, one unit a head.
    """

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.own = nn.ModuleList(_layer(width) for _ in range(num_heads))
        others = (1 - OWN_SHARE) / max(num_heads - 1, 1)
        share_YY = torch.full((num_heads, num_heads), others)
        self.share_YY = nn.Parameter(share_YY.fill_diagonal_(OWN_SHARE))

    def forward(self, index: int, query_xD: Tensor) -> Tensor:
        """The head's shares of all layers."""
        found_xYD = torch.stack([layer(query_xD) for layer in self.own], dim=-2)
        return (self.share_YY[index][:, None] * found_xYD).sum(-2)


def _layer(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, width), nn.GELU())


def _mix(gate_xE: Tensor, found_xED: Tensor) -> Tensor:
    return (gate_xE.softmax(-1)[..., None] * found_xED).sum(-2)


SHARINGS: dict[str, Callable[[int, int], nn.Module]] = {
    "shared-bottom": lambda width, num_heads: SharedBottom(),
    "mmoe": MixtureOfExperts,
    "ple": ProgressiveExtraction,
    "cross-stitch": CrossStitch,
}


def sharing_of(name: str, width: int, num_heads: int) -> nn.Module:
    """The sharing of that name.

    Raises:
        UsageError: if there is none.
    """
    return lookup("sharing", name, SHARINGS)(width, num_heads)
