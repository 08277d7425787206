"""Exported policies in miniature, as `slategym export` lays them down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from slategym.agents.serving.keys import made_up_requests
from slategym.agents.serving.serve import Policy
from slategym.models.checksums import sha256_of

KEYS: dict[str, Any] = {  # as policy.json says of a log
    "items": [f"p{n}" for n in range(9)],
    "signals": [
        {"name": "click", "low": 0.0, "high": 1.0, "at_least": None},
        {"name": "like", "low": 0.0, "high": 1.0, "at_least": {"signal": "dwell", "value": 5.0}},
        {"name": "dwell", "low": 0.0, "high": None, "at_least": None},
    ],
    "profile": [{"name": "member", "categories": ["yes", "no"]}],
    "context": [
        {"name": "device", "categories": ["phone", "tv"], "unknown": -1.0},
        {"name": "load", "categories": [], "unknown": 0.5},
    ],
}
SHAPES = {  # of a program that reads events
    "step": ([1], "int32"),
    "event_item": ([4], "int32"),
    "event_feedback": ([4, 3], "float32"),
    "event_gap": ([4], "float32"),
    "event_age": ([4], "int32"),
    "arrival": ([4], "float32"),
    "earlier_item": ([2], "int32"),
    "context_device": ([1], "int32"),
    "shown_item": ([2, 3], "int32"),
    "shown_taken": ([2, 3], "int8"),
    "profile": ([1], "int32"),
}
PLAIN = {
    "step": ([1], "int32"),
    "history_item": ([2], "int32"),
    "history_feedback": ([2, 1], "float32"),
    "action_mask": ([9], "int8"),
}


def made(kind: str, folder: Path) -> Policy:
    """A recorded program of two lines: the three items behind the step and the last taken.

    Args:
        kind: "keys" of a log, or "plain".
        folder: where it is written.
    """
    import torch
    from torch import Tensor, nn

    shapes = SHAPES if kind == "keys" else PLAIN
    last = list(shapes).index("event_item" if kind == "keys" else "history_item")

    class Behind(nn.Module):
        def forward(self, *given: Tensor) -> Tensor:
            first_B1 = given[0] + given[last][:, -1:].clamp(min=0)
            return ((first_B1 + torch.arange(3)) % 9).int()

    given = tuple(
        torch.zeros(2, *shape, dtype=getattr(torch, dtype)) for shape, dtype in shapes.values()
    )
    folder.mkdir(exist_ok=True)
    torch.jit.trace(Behind(), given, check_trace=False).save(str(folder / "policy.pt"))
    about = {
        "agent": "behind",
        "world": "slategym/Made-v0",
        "num_items": 9,
        "inputs": [
            {"name": name, "shape": ["B", *shape], "dtype": dtype}
            for name, (shape, dtype) in shapes.items()
        ],
        "output": {"shape": ["B", 3], "dtype": "int32"},
        "log": KEYS if kind == "keys" else None,
        "sha256": {"policy.pt": sha256_of(folder / "policy.pt")},
    }
    (folder / "policy.json").write_text(json.dumps(about))
    return Policy(folder)


def asked(policy: Policy) -> list[dict[str, Any]]:
    """Requests of it."""
    if policy.about["log"] is not None:
        return made_up_requests(KEYS, 8)
    return [
        {
            "step": [n],
            "history_item": [-1, n],
            "history_feedback": [[0.0], [1.0]],
            "action_mask": [1] * 9,
        }
        for n in range(8)
    ]
