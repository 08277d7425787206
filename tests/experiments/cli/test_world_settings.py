"""Settings of a world from the command line."""

from __future__ import annotations

import pytest

from slategym.envs.names import UsageError
from slategym.experiments.cli.world_settings import read_settings


def test_values_are_of_their_settings_kind() -> None:
    given = read_settings("Log-v0", ["static=true", "slate_size=null", "starts=2", "pessimism=1"])
    assert given == {"static": True, "slate_size": None, "starts": 2, "pessimism": 1}
    with pytest.raises(UsageError, match="starts is a whole number, got 'two'"):
        read_settings("Log-v0", ["starts=two"])


def test_texts_stay_as_written() -> None:
    given = read_settings("Log-v0", ["log=2024", "objective=click=1,dwell=0.01"])
    assert given == {"log": "2024", "objective": "click=1,dwell=0.01"}
    assert read_settings("Log-v0", ["objective=null"]) == {"objective": None}
    assert read_settings("Log-v0", ["log=~/my logs/shop"]) == {"log": "~/my logs/shop"}
