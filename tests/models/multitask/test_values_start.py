"""Where the wide part's values begin: at the likeliest of what made the rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_worlds import TASKS, small_log

from slategym.models.multitask.crossfit import Described
from slategym.models.multitask.sequences import Sequences
from slategym.models.multitask.values_start import begin_values
from slategym.models.multitask.wide import WideSizes, WideValues

SIZES = WideSizes(about=3, blocks=(1, 2), kinds=0, kept=0, values=True)


def made() -> tuple[WideValues, Described, Sequences]:
    """A log whose likes are told by what is expected of the stars, and by nothing else."""
    log = small_log(60, 30)
    rng = np.random.default_rng(0)
    expected_x = rng.normal(3.5, 0.8, len(log.events)).astype(np.float32)
    chance_x = 1 / (1 + np.exp(-(2.0 * (expected_x - 3.5) + 0.5)))
    log.events["like"] = (rng.random(len(log.events)) < chance_x).astype(np.float32)
    log.events["rating"] = (expected_x + rng.normal(0, 0.5, len(expected_x))).astype(np.float32)
    wide = WideValues(TASKS, 30, SIZES)
    wide.mean_V[:], wide.scale_V[:] = torch.tensor([0.6, 3.5]), torch.tensor([0.5, 0.8])
    said_xV = torch.tensor(np.stack([np.full_like(expected_x, 0.6), expected_x], 1))
    rows = np.arange(len(log.events))
    return wide, Described(rows, torch.zeros(len(rows), 1), said_xV), Sequences.from_log(log)


def test_a_like_begins_at_what_the_stars_say_of_it() -> None:
    wide, described, sequences = made()
    begin_values(wide, described, sequences, TASKS)
    # logit .6 = .405 is the like's own; 2.0 an expected star is 1.6 a deviation of .8
    weight_VV, bias_V = wide.told.weight.detach(), wide.told.bias.detach()
    assert weight_VV[0, 1].item() == pytest.approx(1.6, abs=0.35)
    assert bias_V[0].item() == pytest.approx(0.5 - 0.405, abs=0.25)
    # what is expected of the stars needs nothing beside itself
    assert weight_VV[1].abs().max() < 0.1
    said_xV = wide.closed_form(described.expected_xV, TASKS[1:]).detach()
    assert said_xV[:, 0].std() > 1.0


def test_a_signal_without_values_keeps_its_own() -> None:
    wide, described, sequences = made()
    sequences.feedback_EM[:, 1] = torch.nan
    begin_values(wide, described, sequences, TASKS)
    assert not wide.told.weight[0].any() and not wide.told.bias[0]
    assert wide.told.weight[1].any()
