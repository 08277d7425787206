"""The made shops go through the door: what their folders say is what the tests count on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from shop_log import write_shop_log
from small_log import CONTEXT, SIGNALS, SLATE, shop_log, write_shop

from slategym.models.data.datasets import load_log


def test_the_small_shop_is_the_same_in_memory_and_as_a_folder(tmp_path: Path) -> None:
    log, made = load_log(write_shop(tmp_path / "shop")), shop_log()
    for column in made.events:
        np.testing.assert_array_equal(log.events[column], made.events[column], err_msg=column)
    for name in ("signals", "context", "words", "profile_names", "topic_names", "repeats"):
        assert getattr(log, name) == getattr(made, name), name
    assert (log.signals, log.context, log.slate_size) == (SIGNALS, CONTEXT, SLATE)
    assert [column.name for column in log.item_columns] == ["price", "brand"]
    np.testing.assert_array_equal(log.items["brand"], made.items["brand"])
    np.testing.assert_allclose(log.items["price"], made.items["price"])


def test_a_day_in_life_leaves_a_log(tmp_path: Path) -> None:
    folder = write_shop_log(tmp_path / "day", num_users=20, num_items=30, slates=12)
    log = load_log(folder)
    assert [signal.name for signal in log.signals] == ["click", "dwell", "return"]
    assert [column.name for column in log.context] == ["device", "place", "weather"]
    assert [column.name for column in log.item_columns] == ["price", "brand"]
    assert (log.num_users, log.num_items, log.slate_size, log.repeats) == (20, 30, 5, True)
    clicked = log.events["click"] > 0
    assert 0.02 < clicked.mean() < 0.5
    assert log.events.loc[clicked, "dwell"].notna().all()
    assert log.events.loc[~clicked, ["dwell", "return"]].isna().all().all()
    again = write_shop_log(tmp_path / "day again", num_users=20, num_items=30, slates=12)
    assert load_log(again).sha256 == log.sha256
