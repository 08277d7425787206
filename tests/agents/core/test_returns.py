"""Advantages by hand."""

import pytest
import torch

from slategym.agents.core.returns import advantages, discounted, lambda_returns, normalised
from slategym.agents.core.rollout import RolloutBuffer, rows

REWARD, VALUE = [1.0, 2.0, 3.0], [0.5, 0.25, 1.0]


def row(values):
    """(1, T, 1)."""
    return torch.tensor(values).view(1, -1, 1)


def test_advantages_of_three_slates():
    ended = row([False, True, False])
    found = advantages(row(REWARD), row(VALUE), torch.tensor([[4.0]]), ended, 0.9, 0.5)
    last = 3.0 + 0.9 * 4.0 - 1.0
    middle = 2.0 - 0.25  # its session ends: nothing follows
    first = 1.0 + 0.9 * 0.25 - 0.5 + 0.9 * 0.5 * middle
    assert found.flatten().tolist() == pytest.approx([first, middle, last])


def test_discounted_sums_stop_where_a_session_does():
    found = discounted(row(REWARD), row([True, False, False]), 0.5)
    assert found.flatten().tolist() == pytest.approx([1.0, 2.0 + 1.5, 3.0])


def test_normalised_in_every_seed_and_slot():
    x = torch.randn(3, 500, 2, generator=torch.Generator().manual_seed(0)) * 7 + 3
    x[1] *= 100
    y = normalised(x)
    torch.testing.assert_close(y.mean(1), torch.zeros(3, 2), atol=1e-4, rtol=0)
    torch.testing.assert_close(y.square().mean((1, 2)), torch.ones(3))


def test_a_tape_keeps_seeds_apart_and_rows_are_picked_in_each():
    buffer = RolloutBuffer(num_seeds=2, length=3)
    for t in range(3):
        buffer.keep(t, {"x": torch.arange(8) + 10 * t})  # four users of each seed
    x_Sn = buffer.parts["x"].flatten(1, 2)
    assert x_Sn[1].tolist() == [4, 5, 6, 7, 14, 15, 16, 17, 24, 25, 26, 27]
    assert rows(x_Sn, torch.tensor([[0, 11], [4, 3]])).tolist() == [[0, 23], [14, 7]]


@pytest.mark.parametrize("trust", [0.0, 0.5, 1.0])
def test_lambda_returns_of_three_slates(trust):
    """From what was foreseen alone to what followed alone; the second session ends."""
    after, ended = row([0.5, 9.0, 4.0]), row([False, True, False])
    found = lambda_returns(row(REWARD), after, ended, 0.9, trust).flatten().tolist()
    last = 3.0 + 0.9 * 4.0
    first = 1.0 + 0.9 * ((1 - trust) * 0.5 + trust * 2.0)
    assert found == pytest.approx([first, 2.0, last])
