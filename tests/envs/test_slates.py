"""Any slate in range is answered; any other is refused, and nothing else happens."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slategym.envs import engine
from slategym.envs.registry import make_world
from slategym.envs.slates import check_slates

WORLD = make_world("Workbench-v0", num_items=12, slate_size=4)
LANES = torch.arange(3, dtype=torch.int32)
SESSION = engine.start(WORLD, LANES, LANES, 0 * LANES)
POSITIONS = st.lists(st.lists(st.integers(0, 11), min_size=4, max_size=4), min_size=3, max_size=3)


@given(POSITIONS)
@settings(max_examples=60, deadline=None)
def test_the_first_of_equal_items_is_shown_and_the_others_are_empty(slates):
    slate_BK = check_slates(WORLD, slates, 3)
    _, shown_BK = engine.pick(WORLD, SESSION, slate_BK)
    expected = [[x not in slate[:k] for k, x in enumerate(slate)] for slate in slates]
    assert shown_BK.tolist() == expected
    _, outcome = engine.transition(WORLD, SESSION, slate_BK)
    assert outcome.expected.isfinite().all() and not outcome.expected[~shown_BK].any()
    assert (outcome.expected[..., 0].sum(1) <= 1 + 1e-6).all()


@given(POSITIONS, st.sampled_from([np.int8, np.uint8, np.int32, np.int64, np.uint64]))
@settings(max_examples=30, deadline=None)
def test_every_integer_type_is_taken(slates, dtype):
    array = np.array(slates, dtype)
    taken = check_slates(WORLD, array, 3)
    assert taken.dtype == torch.int32 and taken.tolist() == slates


@given(POSITIONS, st.integers(0, 2), st.integers(0, 3), st.integers(-(2**40), 2**40))
@settings(max_examples=60, deadline=None)
def test_out_of_range_is_refused(slates, user, slot, value):
    slates[user][slot] = value
    if 0 <= value < 12:
        check_slates(WORLD, slates, 3)
        return
    with pytest.raises(ValueError, match=r"in \[0, 12\)"):
        check_slates(WORLD, np.array(slates, np.int64), 3)
