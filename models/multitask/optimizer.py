"""The optimizer of one fit: which parameters decay, and how fast each kind learns."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from slategym.models.multitask.balance import Balance
from slategym.models.multitask.network import MultiTaskBert
from slategym.models.multitask.training_settings import TrainingSettings
from slategym.models.optimizers import AdamW
from slategym.models.text.tuned import TunedEncoder

SCALES_RATE = 0.05  # learning rate of the few numbers that scale closed forms: they move by units


def optimizer_of(
    model: MultiTaskBert,
    balance: Balance,
    text: TunedEncoder | None,
    training: TrainingSettings,
) -> torch.optim.Optimizer:
    """AdamW; item biases and the prior's scales are no matrices, and do not decay."""
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    scales: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        is_matrix = parameter.dim() > 1 and name != "item_bias_YN"
        (scales if name in model.scales else decayed if is_matrix else free).append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": training.weight_decay},
        {"params": [*free, *balance.learned()], "weight_decay": 0.0},
    ]
    for group in groups:
        group["peak"] = training.learning_rate
    if scales:
        groups.append({"params": scales, "weight_decay": 0.0, "peak": SCALES_RATE})
    if text is not None:
        tuned = [parameter for _, parameter in text.named_parameters()]
        peak = text.settings.rate
        groups.append({"params": tuned, "weight_decay": training.weight_decay, "peak": peak})
    return AdamW(groups, lr=training.learning_rate, fused=True)
