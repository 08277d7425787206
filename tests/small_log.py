"""A shop's log in miniature: slates with what was passed over, dwell, device, price and brand.

`shop_log` is the log itself; `write_shop` writes the same as a folder that the door reads.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from slategym.envs.types import CLICK, Column, Signal
from slategym.models.data.log import Log, Words

DEVICES = ("phone", "laptop")
BRANDS = ("Ada", "Bell", "Curie", "Dirac")
TOPICS = ("bags", "coats", "shoes")
SLATE = 4  # items shown at once
SIGNALS = (
    CLICK._replace(provenance="logged", weight=1.0),
    Signal("dwell", "nonnegative", "minutes", 0.0, np.inf, "logged", weight=0.1),
)
CONTEXT = (Column("device", DEVICES),)

TOML = """\
slate_size = 4
repeats = true

[words]
item = "product"
items = "products"
topic = "category"
topics = "categories"
session = "visit"
sessions = "visits"

[signals.click]
kind = "binary"
weight = 1.0

[signals.dwell]
kind = "nonnegative"
unit = "minutes"
weight = 0.1

[context.device]
categories = ["phone", "laptop"]

[item_columns.price]
kind = "number"
unit = "EUR"

[item_columns.brand]
categories = ["Ada", "Bell", "Curie", "Dirac"]

[traits.age]
categories = ["young", "old"]
"""


def shop_tables(
    num_users: int = 72, num_items: int = 48, *, seed: int = 0, slates: int = 24
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Events, items and users as a folder holds them.

    Everybody likes one category; phones click on cheap things. Nearly half of all slates get a
    click.

    Args:
        num_users: U, at most 9,999.
        num_items: N.
        seed: decides everything.
        slates: shown to each user, in visits of eight, every sixty seconds.
    """
    rng = np.random.default_rng(seed)
    topic_N = np.arange(num_items) % len(TOPICS)
    price_N = np.round(rng.uniform(5.0, 95.0, num_items), 2)
    draw_N = 1.0 / (3.0 + np.arange(num_items))
    items = pd.DataFrame(
        {
            "item": [f"p{n:03d}" for n in range(num_items)],
            "title": [f"film {n}" for n in range(num_items)],
            "text": [f"film {n}" for n in range(num_items)],
            "topics": [TOPICS[g] for g in topic_N],
            "price": price_N,
            "brand": [BRANDS[b] for b in rng.integers(0, len(BRANDS), num_items)],
        }
    )
    rows = []
    for user in range(num_users):
        begin, device = 1_700_000_000 + int(rng.integers(0, 10**6)), 0
        for slate in range(slates):
            if slate % 8 == 0:  # a new visit
                begin += 100_000 + int(rng.integers(0, 50_000))
                device = int(rng.random() < 0.4)
            time = begin + 60 * (slate % 8)
            shown_K = rng.choice(num_items, SLATE, replace=False, p=draw_N / draw_N.sum())
            appeal_K = 1.5 * (topic_N[shown_K] == user % len(TOPICS)) - 1.9
            appeal_K = appeal_K - 0.015 * price_N[shown_K] * (device == 0)
            weight_K = np.exp(appeal_K)
            taken = int((weight_K.cumsum() / (1 + weight_K.sum()) < rng.random()).sum())
            for k, item in enumerate(shown_K):
                clicked = k == taken
                dwell = np.round(rng.exponential(1.0 + price_N[item] / 50.0), 3)
                rows.append(
                    (
                        f"u{user:04d}", f"p{item:03d}", time, f"s{user:04d}-{slate:03d}", k,
                        DEVICES[device], int(clicked), dwell if clicked else np.nan,
                    )
                )  # fmt: skip
    columns = ["user", "item", "time", "slate_id", "position", "device", "click", "dwell"]
    users = pd.DataFrame(
        {
            "user": [f"u{user:04d}" for user in range(num_users)],
            "age": [("young", "old")[user % 2] for user in range(num_users)],
        }
    )
    return pd.DataFrame(rows, columns=columns), items, users


def write_shop(
    folder: Path, num_users: int = 72, num_items: int = 48, *, seed: int = 0, slates: int = 24
) -> Path:
    """The shop as a folder: events.csv, items.csv, users.csv and log.toml."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = shop_tables(num_users, num_items, seed=seed, slates=slates)
    for name, table in zip(("events", "items", "users"), tables, strict=True):
        table.to_csv(folder / f"{name}.csv", index=False)
    (folder / "log.toml").write_text(TOML, encoding="utf-8")
    return folder


def shop_log(num_users: int = 72, num_items: int = 48, *, seed: int = 0, slates: int = 24) -> Log:
    """The shop as a log, numbered by hand."""
    events, items, users = shop_tables(num_users, num_items, seed=seed, slates=slates)
    time = events["time"].to_numpy(np.int64)
    topic_N = items["topics"].map(TOPICS.index).to_numpy(np.int32)
    brand_N = items["brand"].map(BRANDS.index).to_numpy(np.int32)
    return Log(
        name="shop",
        events=pd.DataFrame(
            {
                "user": events["user"].str[1:].astype(np.int32),
                "item": events["item"].str[1:].astype(np.int32),
                "time": time,
                "hour": (time % 86_400 / 3_600).astype(np.float32),
                "weekday": ((time // 86_400 + 3) % 7).astype(np.int32),
                "slate_id": pd.factorize(events["slate_id"], sort=True)[0].astype(np.int32),
                "position": events["position"].astype(np.int32),
                "device": events["device"].map(DEVICES.index).astype(np.int32),
                "click": events["click"].astype(np.float32),
                "dwell": events["dwell"].astype(np.float32),
            }
        ),
        items=pd.DataFrame(
            {
                "key": items["item"],
                "title": items["title"],
                "year": np.int32(0),
                "topics": [[name] for name in items["topics"]],
                "topic": topic_N,
                "text": items["text"],
                "price": items["price"].astype(np.float32),
                "brand": brand_N,
            }
        ),
        users=pd.DataFrame({"key": users["user"], "age": (users["age"] == "old").astype(np.int32)}),
        profile_names=("age",),
        profile_sizes=(2,),
        topic_names=TOPICS,
        item_topics=np.eye(len(TOPICS), dtype=np.float32)[topic_N],
        signals=SIGNALS,
        sha256=f"{num_users:016x}{num_items:016x}{seed:016x}{slates:016x}",
        words=Words("product", "products", "category", "categories", "visit", "visits"),
        context=CONTEXT,
        item_columns=(
            Column("price", (), "EUR", float(items["price"].min()), float(items["price"].max())),
            Column("brand", BRANDS),
        ),
        like_from=None,
        slate_size=SLATE,
        repeats=True,
    )
