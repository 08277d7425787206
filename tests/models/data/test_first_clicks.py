"""Which clicks nothing of their own slate tells of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from small_worlds import small_log

from slategym.models.data.slates import first_clicks


def test_without_slates_every_row_is() -> None:
    log = small_log(20, 30)
    assert first_clicks(log).all()


def test_the_first_clicked_row_of_each_slate_is() -> None:
    log = small_log(20, 30)
    events = log.events.iloc[:8].copy()
    events["slate_id"] = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    events["click"] = np.array([0, 1, 1, 0, 1, 1, 0, 0])
    found = first_clicks(replace(log, events=events))
    assert found.tolist() == [False, True, False, False, True, False, False, False]
