"""Generators lent and given back."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from gymnasium import spaces

from slategym.agents.sb3.generators import ScopedGenerators, set_space_state, space_state


def draws() -> list[float]:
    np_draws = [np.random.standard_normal(), np.random.random()]  # noqa: NPY002
    return [float(torch.rand(())), *map(float, np_draws)]


def test_a_loan_goes_on_where_it_stopped() -> None:
    generators = ScopedGenerators(torch.device("cpu"))
    with generators.active():
        torch.manual_seed(5)
        np.random.seed(5)  # noqa: NPY002
        unbroken = draws() + draws()
    with generators.active():
        torch.manual_seed(5)
        np.random.seed(5)  # noqa: NPY002
        first = draws()  # an odd number of normals: one is kept for later
    draws()
    with generators.active():
        assert first + draws() == unbroken


def test_what_happens_within_is_not_felt_outside() -> None:
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    expected = draws(), random.random()
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    with pytest.raises(ZeroDivisionError), ScopedGenerators(torch.device("cpu")).active():
        torch.manual_seed(2)
        np.random.seed(2)  # noqa: NPY002
        random.seed(2)
        draws()
        raise ZeroDivisionError
    assert (draws(), random.random()) == expected


def test_a_space_samples_on() -> None:
    space = spaces.Box(-1.0, 1.0, (3,), seed=9)
    space.sample()
    saved = space_state(space)
    expected = [space.sample() for _ in range(3)]
    other = spaces.Box(-1.0, 1.0, (3,), seed=4)
    set_space_state(other, saved)
    np.testing.assert_array_equal([other.sample() for _ in range(3)], expected)
