"""A small made-up log, and the pieces of a model to match."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from text_encoder import write_text_encoder

from slategym.envs.types import CLICK, Signal
from slategym.models.data.log import Log
from slategym.models.multitask.network import MultiTaskSettings

NUM_USERS, NUM_ITEMS = 20, 30


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_log() -> Log:
    """20 users, 30 items, 6 to 25 events a user; people like what has their own parity."""
    rng = np.random.default_rng(5)
    parts = []
    for user in range(NUM_USERS):
        count = int(rng.integers(6, 26))
        item = rng.permutation(NUM_ITEMS)[:count]
        rating = np.where((item + user) % 2 == 0, 5, 2) - (rng.random(count) < 0.3)
        time = 880_000_000 + np.sort(rng.integers(0, 10**7, count))
        parts.append(pd.DataFrame({"user": user, "item": item, "time": time, "rating": rating}))
    events = pd.concat(parts, ignore_index=True).astype({"user": np.int32, "item": np.int32})
    events["hour"] = (events["time"] % 86_400 / 3_600).astype(np.float32)
    events["weekday"] = ((events["time"] // 86_400 + 3) % 7).astype(np.int32)
    events["click"] = np.float32(1)
    events["like"] = (events["rating"] >= 4).astype(np.float32)
    events["rating"] = events["rating"].astype(np.float32)
    titles = [f"Film {n}" for n in range(NUM_ITEMS)]
    items = pd.DataFrame({"key": titles, "title": titles, "text": titles})
    users = pd.DataFrame(
        {
            "key": [str(u) for u in range(NUM_USERS)],
            "age": np.arange(NUM_USERS, dtype=np.int32) % 3,
            "gender": np.arange(NUM_USERS, dtype=np.int32) % 2,
        }
    )
    return Log(
        name="tiny",
        events=events,
        items=items,
        users=users,
        profile_names=("age", "gender"),
        profile_sizes=(3, 2),
        topic_names=("any",),
        item_topics=np.ones((NUM_ITEMS, 1), np.float32),
        signals=(
            CLICK._replace(provenance="derived"),
            Signal("like", "binary", "count", 0, 1, "derived"),
            Signal("rating", "ordinal", "stars", 1, 5, "logged"),
        ),
        sha256="0" * 64,
    )


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random text BERT of two layers."""
    return write_text_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="session")
def tiny_settings() -> MultiTaskSettings:
    return MultiTaskSettings(width=16, feedforward=32, max_history=8)


@pytest.fixture(scope="session")
def tiny_vectors() -> torch.Tensor:
    """Text vectors, (30, 12); the first column tells the parity of the item."""
    vectors_ND = torch.randn(NUM_ITEMS, 12, generator=torch.Generator().manual_seed(1))
    vectors_ND[:, 0] = torch.tensor([3.0, -3.0]).repeat(NUM_ITEMS // 2)
    return vectors_ND
