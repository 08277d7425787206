"""Items that nobody has met, read with their texts and without."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from slategym.envs.names import UsageError
from slategym.models.multitask import train
from slategym.models.multitask.settings import ItemSettings
from slategym.models.multitask.train import TrainingSettings, read_about
from slategym.models.quality import cold as cold_module
from slategym.models.quality.cold import _arms, _compared, cold_log, read_cold_items

FAST = TrainingSettings(epochs=8, patience=8, batch_events=128, warmup_steps=4, learning_rate=0.02)


NUM_USERS, EVENTS = 60, 20


@pytest.fixture
def log(tiny_log, monkeypatch):
    """Sixty people who like items of their own parity, which their profile tells."""
    monkeypatch.setattr("slategym.models.quality.cold.LEAST", 5)
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(NUM_USERS, dtype=np.int32), EVENTS)
    item = np.concatenate([rng.permutation(30)[:EVENTS] for _ in range(NUM_USERS)])
    like = ((item + user) % 2 == 0).astype(np.float32)
    time = 880_000_000 + rng.permutation(len(user)) * 60
    events = pd.DataFrame({"user": user, "item": item.astype(np.int32), "time": time})
    events = events.assign(hour=np.float32(1), weekday=np.int32(0), click=np.float32(1))
    events = events.assign(like=like, rating=like * 3 + 2).sort_values(["user", "time"])
    users = pd.DataFrame({"key": [str(u) for u in range(NUM_USERS)]})
    users = users.assign(age=np.int32(0), gender=np.arange(NUM_USERS, dtype=np.int32) % 2)
    thirds = np.eye(3, dtype=np.float32)[np.arange(30) % 3]  # topics that tell nothing of parity
    return replace(tiny_log, events=events.reset_index(drop=True), users=users, item_topics=thirds)


def test_cold_items_have_no_row_before_the_test(log):
    cold = cold_log(log, 0)
    assert len(cold.item_C) == 6
    before = cold.log.events[cold.train_E | cold.held_E]
    assert not before["item"].isin(cold.item_C).any()
    read = cold.log.events.iloc[cold.row_x]
    assert read["item"].isin(cold.item_C).all() and len(read) > 0
    others = log.events[~log.events["item"].isin(cold.item_C)]
    assert len(cold.log.events) == len(others) + len(read)
    assert cold.log.sha256 != log.sha256 != cold_log(log, 1).log.sha256


def test_texts_that_tell_taste_win_on_cold_items(
    log, tiny_settings, tiny_vectors, monkeypatch, tmp_path
):
    monkeypatch.setenv("SLATEGYM_HOME", str(tmp_path))
    for module in (train, cold_module):
        monkeypatch.setattr(module, "item_text_vectors", lambda texts, *_, **__: tiny_vectors)
    bare = replace(tiny_settings, wide="none", prior="none")
    reading = read_cold_items(log, bare, FAST, seeds=(0, 1, 2), progress=False)
    like = next(r for r in reading.figures if (r.name, r.against) == ("like_auc", "no text"))
    beside = next(r for r in reading.figures if (r.name, r.against) == ("like_auc", "topics"))
    assert beside.clear and beside.difference > 0.15
    told = {row.against for row in reading.figures if row.name == "click_auc"}
    assert told >= {"topics", "no text", "text cosines", "topic cosines"}
    assert (
        like.clear and like.difference > 0.15
    )  # people like what has their parity, and the text tells it
    assert like.low < like.difference < like.high
    assert "6 items (20%)" in reading.sentence()
    for about in (read_about(folder) for folder in (tmp_path / "models").glob("*-cold-*")):
        # nothing is drawn against items that have not come, and nothing of them alone is learned
        assert about["training"]["unseen"] == "left-out"
        assert about["settings"]["items"]["residual"] == "seen"
    monkeypatch.setattr(train, "train_multitask", lambda *_, **__: pytest.fail("trained again"))
    assert read_cold_items(log, bare, FAST, seeds=(0, 1, 2), progress=False) == reading


def test_the_interval_is_students():
    found = [{"text": {"like_auc": 0.7 + d}, "no text": {"like_auc": 0.6}} for d in (0.0, 0.1, 0.2)]
    (row,) = _compared(found)
    half = 4.302653 * 0.1 / 3**0.5  # t of two degrees of freedom
    assert (row.against, row.text, row.other) == ("no text", pytest.approx(0.8), pytest.approx(0.6))
    assert (row.low, row.high) == pytest.approx((0.2 - half, 0.2 + half))
    assert not row.clear


def test_attributes_are_an_arm_where_there_are_any(log):
    usual = ItemSettings()
    arms = _arms(log, usual)
    assert set(arms) == {"text", "topics", "no text"}
    assert arms["topics"] == ItemSettings(text=False, graph="spectral")
    same = replace(log, item_topics=np.ones_like(log.item_topics))
    assert set(_arms(same, usual)) == {"text", "no text"}
    assert set(_arms(log, ItemSettings(graph="spectral"))) == {"text", "no text"}


def test_what_cannot_be_read_is_refused(log, tiny_settings):
    with pytest.raises(UsageError, match="too small to ask"):
        cold_log(replace(log, events=log.events.iloc[:60]), 0)
    without = replace(tiny_settings, items=ItemSettings(text=False))
    with pytest.raises(UsageError, match=r"leave items\.text=false out"):
        read_cold_items(log, without, FAST, progress=False)
    assert torch.is_grad_enabled()
