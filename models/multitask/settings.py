"""The architecture of the multi-task BERT as one value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MultiTaskSettings:
    """The architecture, and nothing else."""

    width: int = 64  # D
    num_layers: int = 2
    num_heads: int = 2
    feedforward: int = 128  # width of the layers' inner activations
    max_history: int = 45  # H, events the model can see
    dropout: float = 0.2  # probability

    def __post_init__(self) -> None:
        if self.width % self.num_heads:
            raise ValueError(
                f"width must be a multiple of num_heads, got {self.width} and {self.num_heads}; "
                f"try width={self.num_heads * max(1, round(self.width / self.num_heads))}"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is a probability in [0, 1), got {self.dropout}")
        if self.max_history < 1:
            raise ValueError(f"max_history must be at least 1 event, got {self.max_history}")
