"""How a trained sequence reads one more event: what it keeps between two, and what a step costs.

    causal   keeps each layer's inputs; a step encodes the new event alone
    gru      keeps each layer's state; a step is one cell a layer
    cloze    keeps the tokens; a step reads the whole window again, since the older events' states
             change with every newer one: about as many times the causal step as there are events

Axis letters beyond the legend of `envs/types.py`: P positions, the context token first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from slategym.models.multitask.sequence import EventSequence


class Steps(Protocol):
    """Reads whole histories, then event by event."""

    def read(self, tokens_BPD: Tensor, used_BP: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """What is kept of whole histories, (B, P or 1, D) each, and the state after them, (B, D).

        Args:
            tokens_BPD: normed; the context token, then events, oldest first, padded on the right.
            used_BP: which of them are real.
        """
        ...

    def step(
        self, kept: tuple[Tensor, ...], token_BD: Tensor, at_B: Tensor
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """The same after one more event.

        Args:
            kept: of the events so far.
            token_BD: of the new event, normed.
            at_B: its position.
        """
        ...

    def widened(self, kept_BPD: Tensor, capacity: int) -> Tensor:
        """With room for so many positions, where there is a row for each."""
        ...


class GruSteps:
    """Keeps the state of each layer.

    Args:
        sequence: trained, in evaluation mode.
    """

    def __init__(self, sequence: EventSequence) -> None:
        self.gru = sequence.gru

    def read(self, tokens_BPD: Tensor, used_BP: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """Event by event, a history's last state kept where it ends."""
        B = len(tokens_BPD)
        layers, D = self.gru.num_layers, tokens_BPD.shape[2]
        kept = tuple(tokens_BPD.new_zeros(B, 1, D) for _ in range(layers))
        for p in range(tokens_BPD.shape[1]):
            fresh, _ = self.step(kept, tokens_BPD[:, p], used_BP[:, p])
            real_B11 = used_BP[:, p, None, None]
            kept = tuple(
                torch.where(real_B11, new, old) for new, old in zip(fresh, kept, strict=True)
            )
        return kept, kept[-1][:, 0]

    def step(
        self, kept: tuple[Tensor, ...], token_BD: Tensor, at_B: Tensor
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """One cell a layer."""
        before = torch.cat(kept, dim=1).transpose(0, 1).contiguous()
        out_B1D, after = self.gru(token_BD[:, None], before)
        return tuple(layer[:, None] for layer in after), out_B1D[:, 0]

    def widened(self, kept_BPD: Tensor, capacity: int) -> Tensor:
        """As it is: there is one state, however many events."""
        return kept_BPD


class ClozeSteps:
    """Keeps the tokens, and reads them all again.

    Args:
        sequence: trained, in evaluation mode.
    """

    def __init__(self, sequence: EventSequence) -> None:
        self.sequence = sequence

    def read(self, tokens_BPD: Tensor, used_BP: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """The tokens, and the state of what is asked after the last."""
        return (tokens_BPD,), self._state(tokens_BPD, used_BP.sum(1))

    def step(
        self, kept: tuple[Tensor, ...], token_BD: Tensor, at_B: Tensor
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """The tokens with one more, and the state of what is asked after it."""
        (tokens_BPD,) = kept
        here_B1D = at_B[:, None, None].expand(-1, 1, token_BD.shape[1])
        tokens_BPD = tokens_BPD.scatter(1, here_B1D, token_BD[:, None])
        return (tokens_BPD,), self._state(tokens_BPD, at_B + 1)

    def _state(self, tokens_BPD: Tensor, length_B: Tensor) -> Tensor:
        asked_BP = F.one_hot(length_B - 1, tokens_BPD.shape[1]).bool()
        states_BPD = self.sequence.cloze_states(tokens_BPD, length_B, asked_BP)
        here_B1D = (length_B - 1)[:, None, None].expand(-1, 1, states_BPD.shape[2])
        return states_BPD.gather(1, here_B1D)[:, 0]

    def widened(self, kept_BPD: Tensor, capacity: int) -> Tensor:
        """Padded on the right."""
        return F.pad(kept_BPD, (0, 0, 0, capacity - kept_BPD.shape[1]))


STEPS: dict[str, Callable[[EventSequence], Steps]] = {"gru": GruSteps, "cloze": ClozeSteps}
