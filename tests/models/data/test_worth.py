"""What a click was worth, by the weights of its signals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from slategym.models.data.datasets import load_log
from slategym.models.data.worth import Worth, rewards, worth_of


def write_log(folder: Path, dwell: str) -> Path:
    """Four slots shown, two clicked: a dwell of 1 and of 3, and one unobserved."""
    folder.mkdir()
    events = pd.DataFrame(
        {
            "user": [0, 0, 0, 1],
            "item": [0, 1, 2, 0],
            "time": [1, 2, 3, 4],
            "click": [1, 0, 1, 1],
            "dwell": [1.0, np.nan, 3.0, np.nan],
        }
    )
    events.to_csv(folder / "events.csv", index=False)
    pd.DataFrame({"item": [0, 1, 2], "title": ["a", "b", "c"]}).to_csv(
        folder / "items.csv", index=False
    )
    (folder / "log.toml").write_text(dwell)
    return folder


def test_it_is_the_declared_reward_in_units_of_its_spread(tmp_path: Path) -> None:
    told = '[signals.dwell]\nkind = "nonnegative"\nunit = "s"\nweight = 0.5\n'
    log = load_log(str(write_log(tmp_path / "log", told)))
    found = worth_of(log)
    assert found.weights[[signal.name for signal in log.signals].index("dwell")] == 0.5
    click = found.weights[0]
    reward_x = click + np.array([0.5, 1.5, 0.0])  # what was not observed counts nothing
    assert found.centre == pytest.approx(reward_x.mean())
    assert found.spread == pytest.approx(reward_x.std())
    assert found(np.array([found.centre, found.centre + found.spread])) == pytest.approx(
        [0.0, np.tanh(1.0)]
    )


def test_clicks_worth_alike_are_worth_nothing_more() -> None:
    assert Worth((1.0,), 1.0, 0.0)(np.array([1.0, 5.0])).tolist() == [0.0, 0.0]
    assert rewards(pd.DataFrame({"click": [1.0, np.nan]}), ["click"], (2.0,)).tolist() == [2.0, 0.0]
