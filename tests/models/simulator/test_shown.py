"""Logged slates with what was passed over, held against the log row by row."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_log import SLATE, shop_log

from slategym.models.data.log import Log
from slategym.models.simulator.shown import has_refusals, logged_slates

PEOPLE, WARM = np.arange(5, 40), 3


@pytest.fixture(scope="module")
def shop() -> Log:
    return shop_log()


def test_each_slate_stands_where_the_log_has_it(shop: Log) -> None:
    shown = logged_slates(shop, PEOPLE, WARM)
    assert shown is not None and shown.item_SK.shape[1] == SLATE
    people, events = shown.population, shop.events
    slates = {
        (int(user), *rows["item"]): rows for (user, _), rows in events.groupby(["user", "slate_id"])
    }
    consumed_SW = people.consumed.rows(torch.arange(people.size))
    for s in range(0, people.size, 7):
        user, items = int(people.person[s]), shown.item_SK[s].tolist()
        rows = slates[user, *items]
        assert user in PEOPLE and rows["position"].tolist() == list(range(SLATE))
        assert shown.clicked_SK[s].tolist() == (rows["click"] > 0).tolist()
        past = events[(events["user"] == user) & (events["time"] < rows["time"].iloc[0])]
        past = past[past["click"] > 0]["item"].tolist()
        known = [item for item in people.history[s].tolist() if item >= 0]
        assert known == past[-WARM:] and known
        assert [i for i in consumed_SW[s].tolist() if i >= 0] == list(dict.fromkeys(past))
        assert float(people.extra[s, 0]) == rows["device"].iloc[0]
        assert float(people.hour[s]) == pytest.approx(rows["hour"].iloc[0])


def test_who_was_shown_nothing_else_tells_nothing(shop: Log) -> None:
    assert has_refusals(shop)
    assert not has_refusals(replace(shop, events=shop.events.drop(columns="slate_id")))
    clicks = shop.events[shop.events["click"] > 0].reset_index(drop=True)
    assert not has_refusals(replace(shop, events=clicks))
    assert logged_slates(shop, PEOPLE[:2], WARM) is None  # too few slates
