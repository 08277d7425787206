"""Optimizers: torch's own numbers, and nothing of its compiler."""

import pytest
import torch

from slategym.models import optimizers


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_steps_and_state_are_those_of_torch(name, fused):
    found = []
    for where in (optimizers, torch.optim):
        generator = torch.Generator().manual_seed(0)
        first, second = (
            torch.randn(5, 3, generator=generator).requires_grad_(),
            torch.randn(7, generator=generator).requires_grad_(),
        )
        groups = [{"params": [first], "weight_decay": 0.1}, {"params": [second]}]
        optimizer = getattr(where, name)(groups, lr=0.05, fused=fused)
        for turn in range(6):
            optimizer.param_groups[0]["lr"] = 0.1 / (1 + turn)
            optimizer.zero_grad()
            (first.square().sum() + (second - first.sum()).abs().sum()).backward()
            optimizer.step()
            if turn == 2:
                optimizer.load_state_dict(optimizer.state_dict())
        state = optimizer.state_dict()["state"]
        found.append([first, second, *(x for row in state.values() for x in row.values())])
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(*found, strict=True))
    assert len(found[0]) == 8
