"""The state of a training run between two epochs, in one safetensors file, whole or not at all.

The last two are kept: the older one is taken where the newer is damaged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from slategym.models.tensor_files import load_checkpoint, save_checkpoint


@dataclass
class TrainingState:
    """How far a run has come. The tensors of the weights are beside it in the file."""

    epoch: int = 0  # whole epochs done
    step: int = 0  # updates done
    best_epoch: int = -1  # the last whose validation loss is not clearly above the least
    best_loss: float = float("inf")  # the least validation loss
    best_parts: list[float] = field(default_factory=list)  # of the people it is the sum of
    cpu_seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)  # one row per epoch
    # heads' gradient cosines by epoch, (G, G) of the trained heads
    cosines: list[list[list[float]]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)  # weights of best_epoch, if watched
    beside: dict[str, Tensor] = field(default_factory=dict)  # of what learns beside the network
    best_text: dict[str, Tensor] = field(default_factory=dict)  # the text encoder's at best_epoch

    @property
    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """All of them, by the name of their field."""
        return {name: getattr(self, name) for name in TENSORS}


TENSORS = ("best", "beside", "best_text")  # fields of it


def write_checkpoint(
    path: Path, spec: str, state: TrainingState, model: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Write everything that `read_checkpoint` needs to go on as if nothing had happened.

    Args:
        path: the file; its folder is made if absent.
        spec: hash of what is being trained.
        state: counters, history and the best weights so far.
        model: its weights.
        optimizer: its moments.
    """
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    for field_name, values in state.tensors.items():
        tensors |= {f"{field_name}.{name}": value for name, value in values.items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in moments.items()}
    numbers = {name: value for name, value in vars(state).items() if name not in TENSORS}
    save_checkpoint(path, tensors, {"spec": spec, "state": json.dumps(numbers)})


def read_checkpoint(
    path: Path, spec: str, model: nn.Module, optimizer: torch.optim.Optimizer
) -> TrainingState:
    """Put the checkpoint's weights and moments in place and return its state.

    Args:
        path: the file.
        spec: hash of what is being trained; a checkpoint of anything else is passed over.
        model: receives the weights.
        optimizer: receives the moments.

    Returns:
        The state, a new one if there is no whole checkpoint of this spec.
    """
    found = load_checkpoint(path)
    if found is None or found[1]["spec"] != spec:
        return TrainingState()
    tensors, metadata = found
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        kind, _, rest = name.partition(".")
        if kind == "optimizer":
            index, _, moment = rest.partition(".")
            moments.setdefault(int(index), {})[moment] = value
    model.load_state_dict(_under(tensors, "model."))
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})
    state = TrainingState(**json.loads(metadata["state"]))
    for name in TENSORS:
        setattr(state, name, _under(tensors, f"{name}."))
    return state


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
