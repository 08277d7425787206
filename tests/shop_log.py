"""A shop's log of any size, written by DayInLife-v0: what its people were shown, and what they did.

`python tests/shop_log.py FOLDER --users 2000 --items 500` writes events, items, users and log.toml.
People come several times, at another place, with another device, in other weather. Random slates
and, for every second user, slates of popular items. Prices follow quality; brands mean nothing.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from slategym.envs import engine
from slategym.envs.context import field
from slategym.envs.registry import make_world
from slategym.envs.types import World

SLATE = 5  # items shown at once
MONDAY = 1_704_067_200  # unix seconds of Monday, 1 January 2024, UTC
BRANDS = ("Ada", "Bell", "Curie", "Dirac", "Euler", "Fermi")
CONTEXT = ("device", "place", "weather")
SIGNALS = ("click", "dwell", "return")
TASTE = 0.7  # weight of a place in the popular ranking against luck

TOML = """\
repeats = true
pause = 3000

[words]
item = "product"
items = "products"

[signals.click]
kind = "binary"
weight = 1.0

[signals.dwell]
kind = "nonnegative"
unit = "minutes"
weight = 0.05

[signals.return]
kind = "binary"
weight = 0.5

[context.device]
[context.place]
[context.weather]

[item_columns.price]
kind = "number"
unit = "EUR"

[item_columns.brand]
"""


def write_shop_log(
    folder: Path, num_users: int = 200, num_items: int = 80, *, slates: int = 40, seed: int = 0
) -> Path:
    """The log as a folder; everything follows from the seed.

    Args:
        folder: made if absent.
        num_users: U.
        num_items: N.
        slates: shown to each user, over several visits; fewer to those who do not come back.
        seed: decides everything.
    """
    world = make_world("DayInLife-v0", num_items=num_items, slate_size=SLATE, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    events = _play(replace(world, horizon=slates), num_users, slates, seed)
    events.to_parquet(folder / "events.parquet", index=False)
    _items(world, seed).to_csv(folder / "items.csv", index=False)
    users = pd.DataFrame({"user": [f"u{user:05d}" for user in range(num_users)]})
    users["member"] = np.where(np.arange(num_users) % 3 == 0, "yes", "no")
    users.to_csv(folder / "users.csv", index=False)
    (folder / "log.toml").write_text(TOML, encoding="utf-8")
    return folder


@torch.no_grad()
def _play(world: World, num_users: int, slates: int, seed: int) -> pd.DataFrame:
    """What everybody was shown and did, row by row."""
    rng = np.random.default_rng(seed)
    user_B = torch.arange(num_users, dtype=torch.int32)
    session = engine.start(world, torch.full_like(user_B, seed), user_B, torch.zeros_like(user_B))
    names = [signal.name for signal in world.users.signals]
    popular_N = np.zeros(world.catalogue.num_items)
    hours = session.context.weekday.numpy() * 24.0 + session.context.hour.numpy()
    time_B = MONDAY + (hours * 3_600).astype(np.int64)
    going_B, parts = np.ones(num_users, bool), []
    for slate in range(slates):
        score_BN = rng.random((num_users, world.catalogue.num_items))
        score_BN[1::2] += TASTE * popular_N / max(popular_N.max(), 1.0)
        slate_BK = torch.as_tensor(score_BN).topk(SLATE, dim=1).indices.int()
        before = session.context
        session, outcome = engine.transition(world, session, slate_BK)
        feedback_BKM = outcome.feedback.numpy()
        frame = {
            "user": np.repeat([f"u{user:05d}" for user in range(num_users)], SLATE),
            "item": [f"p{item:05d}" for item in slate_BK.flatten().tolist()],
            "time": np.repeat(time_B, SLATE),
            "hour": np.repeat(before.hour.numpy().round(4), SLATE).clip(0, 23.9999),
            "weekday": np.repeat(before.weekday.numpy(), SLATE),
            "slate_id": np.repeat([f"{user:05d}-{slate:03d}" for user in range(num_users)], SLATE),
            "position": np.tile(np.arange(SLATE), num_users),
        }
        for name in CONTEXT:
            words = np.array(world.context.names[name])
            frame[name] = np.repeat(words[field(world.context, before, name).long().numpy()], SLATE)
        clicked = feedback_BKM[..., 0].ravel() > 0
        for name in SIGNALS:
            values = feedback_BKM[..., names.index(name)].ravel().round(3)
            frame[name] = values if name == "click" else np.where(clicked, values, np.nan)
        parts.append(pd.DataFrame(frame)[np.repeat(going_B, SLATE)])
        np.add.at(popular_N, slate_BK.flatten().numpy()[clicked], 1.0)
        away_B = session.user.away.numpy()
        time_B = time_B + np.where(away_B > 0, away_B * 86_400, 180).astype(np.int64)
        going_B &= ~outcome.left.numpy()
    return pd.concat(parts, ignore_index=True)


def _items(world: World, seed: int) -> pd.DataFrame:
    """Titles and topics as the world has them; a price that follows quality, and a brand."""
    rng = np.random.default_rng(seed + 1)
    catalogue, N = world.catalogue, world.catalogue.num_items
    quality_N = catalogue.quality.numpy()
    return pd.DataFrame(
        {
            "item": [f"p{item:05d}" for item in range(N)],
            "title": catalogue.title,
            "text": catalogue.text,
            "topics": [catalogue.topics[g] for g in catalogue.topic.tolist()],
            "price": np.exp(3.0 + 0.4 * quality_N + 0.3 * rng.normal(size=N)).round(2),
            "brand": [BRANDS[b] for b in rng.integers(0, len(BRANDS), N)],
        }
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--users", type=int, default=2_000)
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--slates", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    write_shop_log(asked.folder, asked.users, asked.items, slates=asked.slates, seed=asked.seed)
