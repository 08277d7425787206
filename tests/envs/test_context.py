"""Clocks."""

import pytest
import torch

from slategym.envs.context import Clock, Nothing
from slategym.envs.luck import Luck
from slategym.envs.trees import map_tensors
from slategym.envs.types import Arrival


def arrival(B, hour=None, weekday=None):
    return Arrival(torch.arange(B, dtype=torch.int32), None, None, None, None, hour, weekday)


def luck(B):
    return Luck(torch.arange(B, dtype=torch.int32))


def test_a_logged_time_moves_on_and_midnight_turns_the_weekday():
    clock = Clock(minutes_per_slate=90.0)
    start = arrival(2, torch.tensor([23.0, 7.5]), torch.tensor([6, 2], dtype=torch.int32))
    context = clock.advance(clock.initial(start, luck(2)), None, luck(2))
    assert context.hour.tolist() == [0.5, 9.0]
    assert context.weekday.tolist() == [0, 2]
    assert context.weekday.dtype == torch.int32 and context.hour.dtype == torch.float32


def test_an_unknown_time_is_drawn_over_the_week():
    context = Clock(1.0).initial(arrival(20_000), luck(20_000))
    assert context.hour.min() >= 0 and context.hour.max() < 24
    assert context.hour.mean().item() == pytest.approx(12.0, abs=0.3)
    share_7 = torch.bincount(context.weekday, minlength=7) / 20_000
    torch.testing.assert_close(share_7, torch.full((7,), 1 / 7), atol=0.015, rtol=0)


def test_nothing_is_nothing_and_stays_so():
    process = Nothing()
    context = process.initial(arrival(3), luck(3))
    assert process.shown == ()
    map_tensors(lambda x: x.any() and pytest.fail("not zero"), context)
    assert process.advance(context, None, luck(3)) is context


def test_a_day_is_too_long_a_slate():
    with pytest.raises(ValueError, match=r"minutes_per_slate must be in \[0, 1440\), got 1440"):
        Clock(1440.0)


def test_coming_back_after_days():
    """30 hours after Saturday 20:00 it is Monday 2:00; who was not away is a slate later."""
    clock = Clock(minutes_per_slate=60.0)
    start = arrival(3, torch.tensor([20.0, 20.0, 23.5]), torch.tensor([5, 5, 6], dtype=torch.int32))
    away_B = torch.tensor([1.25, 0.0, 22.0])
    context = clock.advance(clock.initial(start, luck(3)), away_B, luck(3))
    torch.testing.assert_close(context.hour, torch.tensor([2.0, 21.0, 23.5]))
    assert context.weekday.tolist() == [0, 5, 0]
    assert context.weekday.dtype == torch.int32
    assert torch.equal(context.gap, away_B)
    assert torch.equal(clock.advance(context, torch.zeros(3), luck(4)).gap, torch.zeros(3))
